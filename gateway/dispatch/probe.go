package dispatch

import (
	"time"

	"smsotpd/gateway/queue"
)

// A SIM that is distrusted is tried by one message from time to time, also while
// others are idle: else it would never be trusted again.

// prober is an idle line that is distrusted and may show by the bin's entry
// whether it works again, nil for none.
func (x *index) prober(b *bin, e *entry, now time.Time) (found *seat) {
	if e.lane != queue.LaneCode || e.by != nil {
		return nil
	}
	var passed []*seat
	probes := &b.way.probes
	for found == nil {
		s, ok := probes.first()
		if !ok || s.probeAt.After(now) {
			break
		}
		probes.remove(s)
		passed = append(passed, s)
		if !b.shuns(s.line.card) && x.free(s.line, e.lane, now) && x.tryProbe(s, now) {
			found = s
		}
	}
	for _, s := range passed {
		probes.set(s)
	}
	return found
}

// tryProbe takes the permission for a line that is distrusted to have a message.
func (x *index) tryProbe(s *seat, now time.Time) bool {
	ok := x.probe(s.line.card.imsi, s.way.key.region)
	x.reprobe(s, now)
	return ok
}

// reprobe notes when a line that is distrusted may have a message.
func (x *index) reprobe(s *seat, now time.Time) {
	in := s.probe != 0
	s.way.probes.remove(s)
	_, s.probeAt = x.breaker(s.line.card.imsi, s.way.key.region)
	if in {
		s.way.probes.set(s)
	}
	x.setClock(s.line.card, now)
}

// probing is an entry by which a line that is distrusted may show that it works
// again.
func (x *index) probing(l *line, now time.Time) *entry {
	if !l.usable(queue.LaneCode) || !x.free(l, queue.LaneCode, now) {
		return nil
	}
	for _, s := range l.seats {
		if !s.probes() || s.probeAt.After(now) {
			continue
		}
		for _, b := range s.way.bins {
			if e, ok := b.ready.first(); ok && b.lane == queue.LaneCode && !b.shuns(l.card) && x.tryProbe(s, now) {
				return e
			}
		}
	}
	return nil
}

// probes says whether the line is one that the message's rule names and that is
// distrusted.
func (s *seat) probes() bool { return s.class == doubted }
