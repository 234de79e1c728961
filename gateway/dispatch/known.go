package dispatch

import (
	"slices"
	"time"

	"smsotpd/gateway/queue"
)

// A SIM that may have no more recipients this month still serves those that it
// has. What is for one of them waits among the others, and besides in a heap of
// that SIM's.

// knownTo is the best card that may have no more recipients and has the entry's,
// nil for none.
func (x *index) knownTo(e *entry, now time.Time) (found *card) {
	best, present := noClass, x.moment(now)
	for _, imsi := range e.want.served {
		c := x.cards[imsi]
		if c == nil || !c.standing.RecipientsFull || c.spent[e.lane] || slices.Contains(e.want.away, c.operator) ||
			e.due.until(present) < patience && slices.Contains(e.want.avoid, imsi) {
			continue
		}
		w := x.way(e.want.way)
		for l := range c.lines {
			if s := w.seats[l]; s != nil && !l.held && s.class < best {
				found, best = c, s.class
			}
		}
	}
	return found
}

// familiarTo is the heap of what the SIM may carry because it knows the
// recipients.
func (w *way) familiarTo(c *card) *heapOf[*entry] {
	h := w.familiar[c]
	if h == nil {
		h = &heapOf[*entry]{less: better, place: func(e *entry) *place { return &e.familiar }}
		w.familiar[c] = h
	}
	return h
}

// mayFamiliar says whether the seat's line, which may have no more recipients, is
// as good as any for what its SIM knows the recipients of.
func (w *way) mayFamiliar(s *seat) bool {
	w.look()
	return s.line.card.standing.RecipientsFull && s.class <= w.best
}

// familiarOf is the best entry whose recipient is known to a line that may have no
// more of them, nil for none.
func (x *index) familiarOf(l *line, now time.Time) *entry {
	var found *entry
	if !l.card.standing.RecipientsFull {
		return nil
	}
	for _, s := range l.seats {
		h := s.way.familiar[l.card]
		if h == nil || h.Len() == 0 || !s.way.mayFamiliar(s) {
			continue
		}
		if e, _ := h.first(); (found == nil || better(e, found)) && x.free(l, e.lane, now) {
			found = e
		}
	}
	return found
}

// acquaintances are all messages that wait, once a SIM that may have no more
// recipients has come to know one more: it may be theirs.
func (x *index) acquaintances() (ids []queue.ID) {
	if !x.met {
		return nil
	}
	x.met = false
	for lane := range x.waiting {
		for _, e := range x.waiting[lane].all() {
			ids = append(ids, e.id)
		}
	}
	return ids
}

// meet sorts anew what is for recipients that the SIM knows, which it may send
// though it may have no more of them.
func (x *index) meet(c *card, now time.Time) {
	for e := range x.served[c.imsi] {
		if e.in != nil {
			x.sort(e, now)
		}
	}
}
