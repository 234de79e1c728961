package health

import (
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// ErrUnreadable is a record that is damaged or of a newer version.
var ErrUnreadable = errors.New("health: unreadable record")

// recordVersion is the first byte of a record; the rest is CBOR (RFC 8949)
// with integer keys, so that fields can be added freely.
const recordVersion = 1

// What a record may hold at most; more is damage.
const (
	mostRoutes = 1000
	mostName   = 64
	mostWeight = 1e9
	mostRest   = 365 * 24 * time.Hour
)

// record is one SIM. Times are microseconds since 1970, 0 is never.
type record struct {
	Operator string        `cbor:"1,keyasint,omitempty"`
	Seen     int64         `cbor:"2,keyasint,omitempty"`
	Breaker  breakerRecord `cbor:"3,keyasint,omitempty"`
	Row      rowRecord     `cbor:"4,keyasint,omitempty"`
	Canaries int           `cbor:"5,keyasint,omitempty"`
	Routes   []routeRecord `cbor:"6,keyasint,omitempty"`
}

type routeRecord struct {
	Region   string        `cbor:"1,keyasint,omitempty"`
	Seen     int64         `cbor:"2,keyasint,omitempty"`
	Breaker  breakerRecord `cbor:"3,keyasint,omitempty"`
	Row      rowRecord     `cbor:"4,keyasint,omitempty"`
	Success  rateRecord    `cbor:"5,keyasint,omitempty"`
	Delivery rateRecord    `cbor:"6,keyasint,omitempty"`
	Verified rateRecord    `cbor:"7,keyasint,omitempty"`
	Usual    rateRecord    `cbor:"8,keyasint,omitempty"`
	Answers  rateRecord    `cbor:"9,keyasint,omitempty"`
	Times    []float32     `cbor:"10,keyasint,omitempty"` // without the last zeros
	TimesAt  int64         `cbor:"11,keyasint,omitempty"`
	Lost     rowRecord     `cbor:"12,keyasint,omitempty"`
	Silent   bool          `cbor:"13,keyasint,omitempty"`
}

// rateRecord is a rate, and for a window what the others did beside it.
type rateRecord struct {
	Good       float64 `cbor:"1,keyasint,omitempty"`
	All        float64 `cbor:"2,keyasint,omitempty"`
	At         int64   `cbor:"3,keyasint,omitempty"`
	OthersGood float64 `cbor:"4,keyasint,omitempty"`
	OthersAll  float64 `cbor:"5,keyasint,omitempty"`
}

type breakerRecord struct {
	Open   bool   `cbor:"1,keyasint,omitempty"`
	Cause  cause  `cbor:"2,keyasint,omitempty"`
	Why    string `cbor:"3,keyasint,omitempty"`
	Rest   int64  `cbor:"4,keyasint,omitempty"` // microseconds
	Until  int64  `cbor:"5,keyasint,omitempty"`
	Probe  int64  `cbor:"6,keyasint,omitempty"`
	Closed int64  `cbor:"7,keyasint,omitempty"`
}

type rowRecord struct {
	N      int    `cbor:"1,keyasint,omitempty"`
	Region string `cbor:"2,keyasint,omitempty"`
	Mixed  bool   `cbor:"3,keyasint,omitempty"`
	Last   int64  `cbor:"4,keyasint,omitempty"`
}

// Save returns a record of each SIM, by its name. A record of a SIM used in a
// few regions takes some hundred octets.
func (b *Book) Save(now time.Time) (map[string][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	records := make(map[string][]byte, len(b.sims))
	for name, s := range b.sims {
		body, err := cbor.Marshal(s.record())
		if err != nil {
			return nil, fmt.Errorf("health: encode: %w", err)
		}
		records[name] = append([]byte{recordVersion}, body...)
	}
	return records, nil
}

// Load takes in a SIM's record at the start. A SIM of which outcomes have been
// told already keeps what it has. onChange is not called for a breaker that is
// open. The error is ErrUnreadable, and the SIM then begins anew.
func (b *Book) Load(now time.Time, sim string, data []byte) error {
	if len(data) == 0 || data[0] != recordVersion {
		return fmt.Errorf("%w: its version is not %d", ErrUnreadable, recordVersion)
	}
	var c record
	if err := cbor.Unmarshal(data[1:], &c); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if err := c.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	old := b.sims[sim]
	if old != nil && len(old.list) > 0 {
		return nil
	}
	s := &card{
		name: sim, operator: c.Operator, seen: b.past(c.Seen), breaker: b.restoreBreaker(c.Breaker),
		row: b.restoreRow(c.Row), canaries: c.Canaries, routes: map[string]*route{},
	}
	if old != nil && old.operator != "" {
		s.operator = old.operator
	}
	b.sims[sim] = s
	for _, saved := range c.Routes {
		b.restoreRoute(s, saved)
	}
	return nil
}

func (s *card) record() record {
	c := record{
		Operator: s.operator, Seen: micro(s.seen), Breaker: s.breaker.record(),
		Row: s.row.record(), Canaries: s.canaries,
	}
	for _, r := range s.list {
		times := r.times.weights[:]
		for len(times) > 0 && times[len(times)-1] == 0 {
			times = times[:len(times)-1]
		}
		c.Routes = append(c.Routes, routeRecord{
			Region: r.name, Seen: micro(r.seen), Breaker: r.breaker.record(), Row: r.row.record(),
			Success: r.success.record(), Delivery: r.delivery.record(), Verified: r.verified.record(),
			Usual: r.usual.record(), Answers: r.answers.record(), Times: times, TimesAt: micro(r.times.at),
			Lost: r.lost.record(), Silent: r.silent,
		})
	}
	return c
}

func (r rate) record() rateRecord { return rateRecord{Good: r.good, All: r.all, At: micro(r.at)} }

func (w window) record() rateRecord {
	c := w.own.record()
	c.OthersGood, c.OthersAll = w.others.good, w.others.all
	return c
}

func (k breaker) record() breakerRecord {
	return breakerRecord{
		Open: k.open, Cause: k.cause, Why: k.why, Rest: k.rest.Microseconds(),
		Until: micro(k.until), Probe: micro(k.probe), Closed: micro(k.closed),
	}
}

func (w row) record() rowRecord {
	return rowRecord{N: w.n, Region: w.region, Mixed: w.mixed, Last: micro(w.last)}
}

// restoreRoute makes a route of the SIM, and tells its operator's report times.
func (b *Book) restoreRoute(s *card, c routeRecord) {
	r := b.enter(s, c.Region)
	r.seen, r.silent = b.past(c.Seen), c.Silent
	r.breaker, r.row, r.lost = b.restoreBreaker(c.Breaker), b.restoreRow(c.Row), b.restoreRow(c.Lost)
	r.success, r.usual, r.answers = b.restoreRate(c.Success), b.restoreRate(c.Usual), b.restoreRate(c.Answers)
	b.restoreWindow(&r.delivery, c.Delivery)
	b.restoreWindow(&r.verified, c.Verified)
	copy(r.times.weights[:], c.Times)
	r.times.at, r.times.seen = b.past(c.TimesAt), r.seen
	r.times.scale(1)
	r.times.fade(b.now)
	if s.operator != "" && r.times.all > 0 {
		h := b.timesOf(place{s.operator, r.name})
		h.fade(b.now)
		h.merge(&r.times)
	}
}

func (b *Book) restoreRate(c rateRecord) rate {
	return rate{count: count{c.Good, c.All}, at: b.past(c.At)}
}

func (b *Book) restoreWindow(w *window, c rateRecord) {
	w.own, w.others = b.restoreRate(c), count{c.OthersGood, c.OthersAll}
}

// restoreBreaker lets no breaker rest longer than it could have from now on.
func (b *Book) restoreBreaker(c breakerRecord) breaker {
	sooner := func(t int64, most time.Duration) time.Time {
		at := timeOf(t)
		if end := b.now.Add(most); at.After(end) {
			return end
		}
		return at
	}
	return breaker{
		open: c.Open, cause: c.Cause, why: c.Why, rest: time.Duration(c.Rest) * time.Microsecond,
		until: sooner(c.Until, b.p.LongestRest), probe: sooner(c.Probe, b.p.ProbeLife), closed: b.past(c.Closed),
	}
}

func (b *Book) restoreRow(c rowRecord) row {
	return row{n: c.N, region: c.Region, mixed: c.Mixed, last: b.past(c.Last)}
}

// past is a time that is not after the present.
func (b *Book) past(t int64) time.Time {
	if at := timeOf(t); at.Before(b.now) {
		return at
	}
	return b.now
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(t).UTC()
}

// check finds what no Book can have written.
func (c record) check() error {
	if len(c.Routes) > mostRoutes || len(c.Operator) > mostName || c.Canaries < 0 {
		return errors.New("a SIM that can't be")
	}
	if err := errors.Join(c.Breaker.check(), c.Row.check()); err != nil {
		return err
	}
	known := make(map[string]bool, len(c.Routes))
	for _, r := range c.Routes {
		if known[r.Region] || len(r.Region) > mostName || len(r.Times) > buckets {
			return errors.New("a region that can't be")
		}
		known[r.Region] = true
		if err := r.check(); err != nil {
			return err
		}
	}
	return nil
}

func (c routeRecord) check() error {
	for _, r := range []rateRecord{c.Success, c.Delivery, c.Verified, c.Usual, c.Answers} {
		if !possible(r.Good, r.All) || !possible(r.OthersGood, r.OthersAll) {
			return errors.New("a rate that can't be")
		}
	}
	for _, w := range c.Times {
		if !possible(float64(w), mostWeight) {
			return errors.New("a report time that can't be")
		}
	}
	return errors.Join(c.Breaker.check(), c.Row.check(), c.Lost.check())
}

// possible: 0 <= good <= all, and neither infinite nor no number.
func possible(good, all float64) bool { return good >= 0 && good <= all && all <= mostWeight }

func (c breakerRecord) check() error {
	if c.Cause > byCanary || c.Open != (c.Cause != 0) || c.Rest < 0 || c.Rest > mostRest.Microseconds() {
		return errors.New("a breaker that can't be")
	}
	return nil
}

func (c rowRecord) check() error {
	if c.N < 0 || c.N > mostWeight || len(c.Region) > mostName {
		return errors.New("a row that can't be")
	}
	return nil
}
