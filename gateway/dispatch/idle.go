package dispatch

import (
	"time"

	"smsotpd/gateway/queue"
)

// makeIdle puts a line that waits among those that may be handed something.
func (x *index) makeIdle(l *line) {
	now := time.Now()
	for _, s := range l.seats {
		for lane := range s.way.idle {
			of := queue.Lane(lane) //nolint:gosec // there are two
			if l.usable(of) && !l.card.from(of).After(now) {
				s.way.idle[lane].set(s)
			} else {
				s.way.idle[lane].remove(s)
			}
		}
		if s.probes() && s.idle[queue.LaneCode] != 0 {
			s.way.probes.set(s)
		} else {
			s.way.probes.remove(s)
		}
	}
}

// stopSeats takes a line out of all ways.
func (x *index) stopSeats(l *line) {
	x.unlist(l)
	l.seats = nil
}

// stopWaiting takes a line out of those that wait.
func (x *index) stopWaiting(l *line) {
	l.waits = false
	x.unlist(l)
}

// unlist takes a line out of those that may be handed something, though it may
// wait.
func (x *index) unlist(l *line) {
	for _, s := range l.seats {
		for lane := range s.way.idle {
			s.way.idle[lane].remove(s)
		}
		s.way.probes.remove(s)
	}
}

// look finds out which lines codes of the way wait for, unless nothing has changed
// since it did.
func (w *way) look() {
	if w.era == w.index.era {
		return
	}
	w.era, w.best, w.lines, w.notices = w.index.era, noClass, 0, 0
	for l, s := range w.seats {
		if l.usable(queue.LaneCode) {
			w.best = min(w.best, s.class)
		}
	}
	for _, s := range w.seats {
		if w.waitsFor(s) {
			w.lines++
			w.notices += s.line.hasNotice()
		}
	}
}

// waitsFor says whether codes of the way wait for the line.
func (w *way) waitsFor(s *seat) bool {
	return s.class == w.best && s.line.usable(queue.LaneCode)
}

// room says whether the line may take one more notice: of the lines that the codes
// of each of its ways wait for one is kept for these, if there is more than one.
func (x *index) room(l *line) bool {
	for _, s := range l.seats {
		w := s.way
		if w.look(); w.waitsFor(s) && w.lines > 1 && w.notices-l.hasNotice()+1 >= w.lines {
			return false
		}
	}
	return true
}

// carry changes what the line has, and lets others have the room for a notice that
// there may be then.
func (x *index) carry(l *line, change func()) {
	before := l.hasNotice()
	change()
	n := l.hasNotice() - before
	if n == 0 {
		return
	}
	var freed []*way
	for _, s := range l.seats {
		w := s.way
		if w.era == x.era && w.waitsFor(s) {
			w.notices += n
		}
		if n > 0 || x.waiting[queue.LaneNotice].Len() == 0 {
			continue
		}
		if w.look(); w.waitsFor(s) && w.lines-w.notices == 2 {
			freed = append(freed, w)
		}
	}
	for _, w := range freed {
		for _, s := range w.idle[queue.LaneNotice].all() {
			x.offer(s.line, time.Now())
		}
	}
}
