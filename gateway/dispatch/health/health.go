// Package health knows how well each SIM does its work: what the network takes
// from it, what delivery reports come, and whose codes people enter. A SIM may
// be banned, or its carrier may answer OK and let nothing arrive; a breaker
// for the SIM, or for the SIM in one region, says so.
//
// It knows nothing of ours; SIMs, operators and regions are names to it. It is
// in memory, and its records (Save, Load) carry it over a restart.
//
// How it judges. A SIM is judged where a bad outcome is told, in that region:
//
//   - Success: of the last tries less than half were accepted, or eight in a
//     row were refused, however slowly.
//   - Delivery: less than half the delivery reports come that could be
//     expected: the SIM's own usual rate in that region, or the rate that the
//     others have at the same time, whichever is less, and theirs alone before
//     a usual one is known. Those missing in a row count whole, however slowly
//     they came to be. Of a SIM whose codes are entered though it never reports
//     missing reports prove nothing.
//   - Verification: the rate of entered codes is less than a quarter of what
//     the other SIMs have in that region at the same time. Without others
//     codes prove nothing, and a bad hour that all share opens nobody.
//   - Canaries: two in a row didn't arrive.
//
// Each needs enough samples and a distance that chance does not explain (three
// standard deviations). The SIM as a whole is the sum of its regions. As long as it
// does well elsewhere, or works elsewhere and nothing is known of how, only
// the region's breaker opens; if it does badly elsewhere too, or the region is
// all it is used for, the SIM's does. Once one region's is open, half the samples
// of another show that it is the SIM.
//
// What always holds:
//
//   - Outcomes fade by time and by number, so that a busy SIM is caught after
//     about as many messages as a quiet one.
//   - What a SIM is compared with happened between its own outcomes and
//     weighs what they weigh: no rate of one hour is held against that of
//     another.
//   - No call looks at more than one SIM and its regions, but Save and Sweep.
//   - A breaker opens on a bad outcome only, and closes on a proof of what it
//     was opened for the lack of, by Reset, or by being forgotten.
//
// The breaker is advice. Whoever has no other SIM goes on with one that is
// open.
package health

import (
	"slices"
	"sync"
	"time"
)

// Book is the health of all SIMs. It is safe for use by many goroutines. Its
// times may come slightly out of order: the newest that was told is taken to
// be the present.
type Book struct {
	p        Policy
	onChange func(Change)

	mu        sync.Mutex
	now       time.Time // the newest time told
	sims      map[string]*card
	regions   map[string]*region
	operators map[place]*histogram // of the times from acceptance to report
	changes   []Change             // to be told once mu is free
}

// Change is a breaker that has opened or closed.
type Change struct {
	SIM    string
	Region string // empty: the whole SIM
	Open   bool
	Why    string // in words, for the operator
	At     time.Time
}

// card is one SIM with what isn't of one region.
type card struct {
	name, operator string
	seen           time.Time
	breaker        breaker
	row            row // refusals in a row in regions whose breaker is closed, since one opened
	canaries       int // failed in a row
	routes         map[string]*route
	list           []*route // the same
}

// route is one SIM in one region.
type route struct {
	region    *region
	name      string // of the region
	seen      time.Time
	breaker   breaker
	row       row
	lost      row // missing reports in a row
	success   rate
	delivery  window
	verified  window
	usual     rate // what has left delivery: the long run, without the present
	answers   rate // reports of any kind that came, of those due
	delivered count
	codes     count // this SIM's part of the region's totals
	times     histogram
	// silent: codes that it carried were entered, and no report on any came.
	silent bool
}

// region has the totals of all SIMs since the start; they never fall.
type region struct {
	delivered, codes count
	seen             time.Time
}

// place is where an operator's report times are alike.
type place struct{ operator, region string }

// row counts refusals without an acceptance between them, or missing reports
// without one that came.
type row struct {
	n      int
	region string // of the first
	mixed  bool   // they were in several regions
	last   time.Time
}

// New makes an empty Book. The policy must be valid. onChange, which may be
// nil, is called without a lock by whoever told the outcome; changes that
// happen at the same time may come in any order.
func New(p Policy, onChange func(Change)) *Book {
	if onChange == nil {
		onChange = func(Change) {}
	}
	return &Book{
		p: p, onChange: onChange,
		sims: map[string]*card{}, regions: map[string]*region{}, operators: map[place]*histogram{},
	}
}

// Known says which operator (MCC and MNC) the SIM is of.
func (b *Book) Known(now time.Time, sim, operator string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.see(now, sim).operator = operator
}

// Accepted tells that the network took a message.
func (b *Book) Accepted(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.try(r, true)
		r.row, s.row = row{}, row{}
		b.prove(s, r, accepted)
	})
}

// Refused tells that the network or the SIM refused a message, and not for what its
// recipient is.
func (b *Book) Refused(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.try(r, false)
		if !r.breaker.open {
			r.row.add(b.now, r.name, b.p.SlowHalfLife)
			s.row.add(b.now, r.name, b.p.SlowHalfLife)
		}
		b.prove(s, r, refused)
		b.judge(s, r, bySuccess)
	})
}

// Reported tells that a delivery report said delivered, the given time after the network
// took the message.
func (b *Book) Reported(now time.Time, sim, region string, after time.Duration) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.due(s, r, true)
		b.answered(r)
		b.learn(s, r, after)
		b.prove(s, r, reported)
	})
}

// Answered tells that a report came that says anything but delivered. The carrier
// works, and the rate of deliveries is not touched.
func (b *Book) Answered(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.answered(r)
		b.prove(s, r, reported)
	})
}

// Missing tells that no report came, and the usual time for it is long over.
func (b *Book) Missing(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.due(s, r, false)
		r.lost.add(b.now, r.name, b.p.SlowHalfLife)
		if r.answers.fade(b.now, longTerm); !s.distrusted() {
			r.answers.add(false, manyAnswers)
		}
		b.prove(s, r, missing)
		b.judge(s, r, byDelivery)
	})
}

// Late tells that a report said delivered of a message that was told to be Missing, and
// corrects that.
func (b *Book) Late(now time.Time, sim, region string, after time.Duration) {
	b.told(now, sim, region, func(s *card, r *route) {
		r.delivery.own.fade(b.now, b.p.SlowHalfLife)
		r.delivery.own.correct()
		r.lost, r.silent = row{}, false
		r.answers.fade(b.now, longTerm)
		r.answers.correct()
		if r.delivered.good < r.delivered.all {
			r.delivered.good++
			r.region.delivered.good++
		}
		b.learn(s, r, after)
		b.prove(s, r, reported)
	})
}

// Verified tells that the code was entered.
func (b *Book) Verified(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.code(r, true)
		if r.answers.faded(b.now, longTerm).good < oneAnswer {
			r.silent = true
		}
		b.prove(s, r, verified)
	})
}

// Unverified tells that the code's life is over, and it was not entered.
func (b *Book) Unverified(now time.Time, sim, region string) {
	b.told(now, sim, region, func(s *card, r *route) {
		b.code(r, false)
		b.prove(s, r, unverified)
		b.judge(s, r, byCodes)
	})
}

// Canary tells that a test message from this SIM to another of the gateway's arrived, or
// did not. It counts for the whole SIM.
func (b *Book) Canary(now time.Time, sim string, ok bool) {
	b.mu.Lock()
	s := b.see(now, sim)
	if ok {
		s.canaries = 0
		b.prove(s, nil, canaryArrived)
	} else {
		s.canaries++
		b.prove(s, nil, canaryLost)
		if !s.breaker.open && s.canaries >= b.p.Canaries {
			b.open(s, nil, byCanary, canaryWords(s.canaries))
		}
	}
	b.release()
}

// Reset begins anew with a SIM: all that is known of it but its operator is
// forgotten, and its breakers close.
func (b *Book) Reset(now time.Time, sim string) {
	b.mu.Lock()
	if s := b.sims[sim]; s != nil {
		b.see(now, sim)
		b.closeAll(s, "the operator begins anew")
		b.sims[sim] = &card{name: sim, operator: s.operator, seen: b.now, routes: map[string]*route{}}
	}
	b.release()
}

// Sweep forgets the SIMs and regions of which nothing was told for
// Policy.Forget.
func (b *Book) Sweep(now time.Time) {
	b.mu.Lock()
	b.advance(now)
	old := func(t time.Time) bool { return b.now.Sub(t) >= b.p.Forget }
	for name, s := range b.sims {
		s.list = slices.DeleteFunc(s.list, func(r *route) bool {
			if !old(r.seen) {
				return false
			}
			b.close(s, r, "nothing was sent for long")
			delete(s.routes, r.name)
			return true
		})
		if old(s.seen) {
			b.close(s, nil, "nothing was sent for long")
			delete(b.sims, name)
		}
	}
	for name, r := range b.regions {
		if old(r.seen) { // and no route of it is left
			delete(b.regions, name)
		}
	}
	for at, times := range b.operators {
		if old(times.seen) {
			delete(b.operators, at)
		}
	}
	b.release()
}

// told counts an outcome and tells the changes that came of it.
func (b *Book) told(now time.Time, sim, region string, do func(*card, *route)) {
	b.mu.Lock()
	s := b.see(now, sim)
	do(s, b.enter(s, region))
	b.release()
}

// release gives mu free and tells what has changed.
func (b *Book) release() {
	changes := b.changes
	b.changes = nil
	b.mu.Unlock()
	for _, c := range changes {
		b.onChange(c)
	}
}

// advance is the present; it never runs back.
func (b *Book) advance(now time.Time) {
	if now.After(b.now) {
		b.now = now
	}
}

// see finds or makes the SIM.
func (b *Book) see(now time.Time, name string) *card {
	b.advance(now)
	s := b.sims[name]
	if s == nil {
		s = &card{name: name, routes: map[string]*route{}}
		b.sims[name] = s
	}
	s.seen = b.now
	return s
}

// enter finds or makes the SIM's route.
func (b *Book) enter(s *card, name string) *route {
	r := s.routes[name]
	if r == nil {
		at := b.regions[name]
		if at == nil {
			at = &region{}
			b.regions[name] = at
		}
		r = &route{region: at, name: name}
		r.delivery.seen, r.verified.seen = at.delivered, at.codes
		s.routes[name] = r
		s.list = append(s.list, r)
	}
	r.seen, r.region.seen = b.now, b.now
	return r
}

// try counts a try.
func (b *Book) try(r *route, ok bool) {
	r.success.fade(b.now, b.p.HalfLife)
	r.success.add(ok, remember*b.p.MinTries)
}

// answered counts a report of any kind.
func (b *Book) answered(r *route) {
	r.lost, r.silent = row{}, false
	r.answers.fade(b.now, longTerm)
	r.answers.add(true, manyAnswers)
}

// code counts a code whose end is known.
func (b *Book) code(r *route, ok bool) {
	r.verified.add(b.now, b.p.SlowHalfLife, ok, r.region.codes.minus(r.codes), remember*b.p.MinCodes)
	r.codes.add(ok)
	r.region.codes.add(ok)
}

// due counts a report that was due. What fades from the present becomes the
// usual, unless the SIM is under suspicion.
func (b *Book) due(s *card, r *route, came bool) {
	before := r.delivery.own.count
	before.add(came)
	r.delivery.add(b.now, b.p.SlowHalfLife, came, r.region.delivered.minus(r.delivered), remember*b.p.MinReports)
	r.usual.fade(b.now, longTerm)
	if !s.breaker.open && !r.breaker.open {
		lost := before.minus(r.delivery.own.count)
		r.usual.good += lost.good
		r.usual.all += lost.all
	}
	r.delivered.add(came)
	r.region.delivered.add(came)
}

// add lets one more follow those of the row, unless the last is too old.
func (w *row) add(now time.Time, region string, life time.Duration) {
	if w.n > 0 && now.Sub(w.last) > life {
		*w = row{}
	}
	if w.n == 0 {
		w.region = region
	}
	w.n++
	w.mixed = w.mixed || w.region != region
	w.last = now
}
