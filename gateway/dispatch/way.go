package dispatch

import (
	"slices"
	"strings"
	"time"

	"smsotpd/gateway/queue"
)

// wayKey is what decides which SIMs may carry a message, but for what became of
// it so far: the rule that it falls under, and its region, for which single SIMs
// may be distrusted.
type wayKey struct {
	rule   int
	region string
}

// way is all messages of one key that may be sent now, and the lines that may
// carry them.
type way struct {
	key   wayKey
	index *index
	seats map[*line]*seat
	// bins are the messages that differ in the SIMs that they avoid; empty ones
	// are dropped.
	bins map[binKey]*bin
	// idle are the lines that wait for a message of a lane, the best first.
	idle [lanes]heapOf[*seat]
	// probes are those of them that are distrusted and may show whether they
	// work again, by when they may.
	probes heapOf[*seat]
	// familiar are the messages that a SIM which may have no more recipients may
	// send all the same, by SIM: it knows theirs.
	familiar map[*card]*heapOf[*entry]
	// best is the class of the best lines that can send its codes, as of era,
	// lines how many these are, and notices how many of them have a notice.
	era            uint64
	best           class
	lines, notices int
}

// class says how good a line is for a way; a line of one class has nothing to do
// while a line of a better one can send.
type class int

// The classes.
const (
	named    class = iota // by the rule
	doubted               // the same, but its breaker is open
	standIn               // for those that the rule names
	lastHope              // a stand-in whose breaker is open
	noClass
)

// seat is a line's place in a way.
type seat struct {
	line  *line
	way   *way
	class class
	// standIn, open: see class. probeAt is when an open one may have a message
	// to show whether it works again.
	standIn, open bool
	probeAt       time.Time
	idle          [lanes]place
	probe         place
}

// rate gives the seat its class.
func (s *seat) rate() {
	s.class = named
	if s.standIn {
		s.class = standIn
	}
	if s.open {
		s.class++
	}
}

// way is the way of a key, made when it is first asked for.
func (x *index) way(key wayKey) *way {
	w := x.ways[key]
	if w != nil {
		return w
	}
	w = &way{
		key: key, index: x, seats: map[*line]*seat{}, bins: map[binKey]*bin{}, familiar: map[*card]*heapOf[*entry]{},
		probes: heapOf[*seat]{
			less:  func(a, b *seat) bool { return a.probeAt.Before(b.probeAt) },
			place: func(s *seat) *place { return &s.probe },
		},
	}
	for lane := range w.idle {
		w.idle[lane] = heapOf[*seat]{less: betterSeat, place: func(s *seat) *place { return &s.idle[lane] }}
	}
	x.ways[key] = w
	for l := range x.lines {
		x.seat(l, w)
		if l.waits {
			x.makeIdle(l)
		}
	}
	return w
}

// betterSeat orders lines that wait: by class, then the least loaded, then the
// longest waiting.
func betterSeat(a, b *seat) bool {
	if a.class != b.class {
		return a.class < b.class
	}
	if a.line.card.load != b.line.card.load {
		return a.line.card.load < b.line.card.load
	}
	return a.line.since.Before(b.line.since)
}

// seat gives the line its place in the way, if it may have one.
func (x *index) seat(l *line, w *way) {
	own, stands := x.policy.carries(w.key.rule, l.card.sim)
	if !own && !stands {
		return
	}
	s := &seat{line: l, way: w, standIn: stands}
	s.open, s.probeAt = x.breaker(l.card.imsi, w.key.region)
	s.rate()
	w.seats[l] = s
	l.seats = append(l.seats, s)
	if s.open {
		x.setClock(l.card, time.Now())
	}
}

// binKey is what the messages of a bin have in common; the SIMs are joined.
type binKey struct {
	lane        queue.Lane
	avoid, away string
}

// bin are messages of a way and a lane that avoid the same SIMs.
type bin struct {
	way         *way
	lane        queue.Lane
	avoid, away []string
	// ready may be sent now; chosen may be too: they are what busy lines mean
	// to send next.
	ready, chosen heapOf[*entry]
	// best is the class of the best line that can send them, as of era; avoids
	// says that there is one whose SIM they need not avoid.
	era    uint64
	best   class
	avoids bool
}

// bin is where the entry belongs.
func (w *way) bin(e *entry, now time.Time) *bin {
	avoid := e.want.avoid
	if e.due.until(w.index.moment(now)) >= patience {
		avoid = nil
	}
	key := binKey{e.lane, strings.Join(avoid, " "), strings.Join(e.want.away, " ")}
	b := w.bins[key]
	if b == nil {
		b = &bin{way: w, lane: e.lane, avoid: avoid, away: e.want.away, ready: sendables(), chosen: sendables()}
		w.bins[key] = b
		if len(w.bins) > manyBins {
			w.tidy(b)
		}
	}
	return b
}

// manyBins is from how many bins on the empty ones are looked for.
const manyBins = 8

// tidy drops empty bins, but not the given one.
func (w *way) tidy(but *bin) {
	for key, b := range w.bins {
		if b != but && b.ready.Len() == 0 && b.chosen.Len() == 0 {
			delete(w.bins, key)
		}
	}
}

// look finds out which lines the bin's messages may have, unless nothing has
// changed since it did.
func (b *bin) look() {
	if b.era == b.way.index.era {
		return
	}
	b.era, b.best, b.avoids = b.way.index.era, noClass, false
	avoided := noClass
	for l, s := range b.way.seats {
		switch {
		case !l.usable(b.lane) || slices.Contains(b.away, l.card.operator):
		case slices.Contains(b.avoid, l.card.imsi):
			avoided = min(avoided, s.class)
		default:
			b.best, b.avoids = min(b.best, s.class), true
		}
	}
	if !b.avoids {
		b.best = avoided
	}
}

// may says whether the line may have the bin's messages.
func (b *bin) may(s *seat) bool {
	return !b.shuns(s.line.card) && s.class == b.best
}

// shuns says whether the bin's messages must not, or need not, go by the SIM.
func (b *bin) shuns(c *card) bool {
	b.look()
	return slices.Contains(b.away, c.operator) || b.avoids && slices.Contains(b.avoid, c.imsi)
}

// another says whether a line that can send the messages of a way is there whose
// SIM is none of the given ones.
func (x *index) another(key wayKey, lane queue.Lane, sims ...string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for l := range x.way(key).seats {
		if l.usable(lane) && !slices.Contains(sims, l.IMSI) {
			return true
		}
	}
	return false
}
