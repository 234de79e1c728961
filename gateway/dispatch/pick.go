package dispatch

import (
	"context"
	"slices"
	"time"

	"smsotpd/gateway/queue"
)

// The words of Attempt.Why, beside the rule's name.
const (
	whyKnown    = "the recipient knows this SIM"
	whyOnly     = "for this SIM alone"
	whyMoved    = "another operator than before"
	whyOther    = "another SIM than before"
	whyProbe    = "to see whether the SIM works again"
	whyDoubted  = "no trusted SIM is there"
	whyStandIn  = "stands in for the SIMs of the rule"
	whyLeast    = "the least loaded of those that waited"
	whyFirst    = "the first to be free"
	whyTakeover = "another modem was still busy"
)

// sticks is the card that an entry which may be sent waits for, nil for none.
func (x *index) sticks(e *entry, now time.Time) *card {
	if e.want.by != "" {
		return x.cardOf(e.want.by)
	}
	if present := x.moment(now); len(e.want.known) == 0 || e.shut > present || present >= e.due.add(x.policy.Stick) {
		return nil
	}
	for _, imsi := range e.want.known {
		if c := x.cards[imsi]; c != nil && x.suits(c, e) {
			return c
		}
	}
	return nil
}

// suits says whether one of the card's lines is as good for the entry as any.
func (x *index) suits(c *card, e *entry) bool {
	if c.spent[e.lane] || slices.Contains(e.want.avoid, c.imsi) || slices.Contains(e.want.away, c.operator) ||
		c.standing.RecipientsFull && !slices.Contains(e.want.served, c.imsi) {
		return false
	}
	w := x.way(e.want.way)
	for l := range c.lines {
		if s := w.seats[l]; s != nil && s.class == named && !l.held {
			return true
		}
	}
	return false
}

// serve hands an entry that may be sent to the best of the idle lines that may
// send it.
func (x *index) serve(e *entry, now time.Time) {
	if e.in == nil {
		return
	}
	if c := x.sticks(e, now); c != nil {
		for l := range c.lines {
			if l.waits && x.free(l, e.lane, now) {
				x.handOver(l, e, "")
				return
			}
		}
		return
	}
	w := x.way(e.want.way)
	b := w.bin(e, now)
	if s := x.prober(b, e, now); s != nil {
		x.handOver(s.line, e, whyProbe)
		return
	}
	if s := x.idlest(b, e, now); s != nil {
		x.handOver(s.line, e, "")
		return
	}
	if c := x.knownTo(e, now); c != nil {
		for l := range c.lines {
			if s := w.seats[l]; s != nil && l.waits && x.free(l, e.lane, now) && w.mayFamiliar(s) {
				x.handOver(l, e, "")
				return
			}
		}
	}
}

// idlest is the best of the idle lines that may have the bin's entry, nil for none.
func (x *index) idlest(b *bin, e *entry, now time.Time) (found *seat) {
	var passed []*seat
	idle := &b.way.idle[e.lane]
	for {
		s, ok := idle.first()
		if !ok {
			break
		}
		if b.may(s) && x.free(s.line, e.lane, now) {
			found = s
			break
		}
		if !b.may(s) && !b.shuns(s.line.card) {
			break // and none behind it is better
		}
		idle.remove(s)
		passed = append(passed, s)
	}
	for _, s := range passed {
		idle.set(s)
	}
	return found
}

// handOver gives the entry to a line that waits; how is why to that one, "" for
// its being the best.
func (x *index) handOver(l *line, e *entry, how string) {
	if how == "" {
		how = whyFirst
		if s := x.way(e.want.way).seats[l]; s != nil && s.way.idle[e.lane].Len() > 1 {
			how = whyLeast
		}
	}
	x.stopWaiting(l)
	x.claim(e, l, how)
	l.hand <- e
}

// claim marks the entry as the line's, which asks the store next.
func (x *index) claim(e *entry, l *line, how string) {
	e.why = x.reasons(e, l, how)
	x.unsend(e, false)
	e.taken = true
	x.carry(l, func() { l.takes = e })
}

// claimed is the way of an entry that a line has, and why the line has it.
func (x *index) claimed(e *entry) (way wayKey, why []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return e.want.way, e.why
}

// reasons are why the line sends the entry.
func (x *index) reasons(e *entry, l *line, how string) []string {
	var why []string
	if rule := e.want.way.rule; rule != noRule {
		why = append(why, "rule "+x.policy.Routes.Name(rule))
	}
	s := x.way(e.want.way).seats[l]
	switch {
	case e.want.by != "":
		return append(why, whyOnly)
	case how == whyProbe:
	case len(e.want.away) > 0:
		why = append(why, whyMoved)
	case len(e.want.avoid) > 0 && !slices.Contains(e.want.avoid, l.card.imsi):
		why = append(why, whyOther)
	case slices.Contains(e.want.known, l.card.imsi):
		return append(why, whyKnown)
	}
	if s != nil && s.standIn {
		why = append(why, whyStandIn)
	}
	if s != nil && s.open && how != whyProbe {
		why = append(why, whyDoubted)
	}
	return append(why, how)
}

// best is the best entry that the line may send and nobody has chosen, nil for
// none; of tells which heap of each bin is meant, and own is that of its SIM.
func (x *index) best(l *line, now time.Time, of func(*bin) *heapOf[*entry], own *heapOf[*entry]) *entry {
	var found *entry
	consider := func(h *heapOf[*entry]) {
		e, ok := h.first()
		if ok && (found == nil || better(e, found)) && x.free(l, e.lane, now) {
			found = e
		}
	}
	consider(own)
	for _, s := range l.seats {
		for _, b := range s.way.bins {
			if h := of(b); h.Len() > 0 && l.usable(b.lane) && b.may(s) {
				consider(h)
			}
		}
	}
	return found
}

func readyOf(b *bin) *heapOf[*entry]  { return &b.ready }
func chosenOf(b *bin) *heapOf[*entry] { return &b.chosen }

// tryTake gives the line its next entry: what it chose ahead, the best that
// nobody has chosen, or what a busy line has. nil: there is nothing to send.
func (x *index) tryTake(l *line) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.takeNow(l, time.Now())
}

func (x *index) takeNow(l *line, now time.Time) *entry {
	if l.next != nil && !x.keeps(l, now) {
		x.unchoose(l, now)
	}
	e, how := l.next, whyFirst
	if e == nil {
		if e = x.probing(l, now); e != nil {
			how = whyProbe
		}
	}
	if e == nil {
		e = x.best(l, now, readyOf, &l.card.own)
		if known := x.familiarOf(l, now); known != nil && (e == nil || better(known, e)) {
			e = known
		}
	}
	if e == nil {
		if e = x.best(l, now, chosenOf, &l.card.chosen); e != nil {
			how = whyTakeover
		}
	}
	if e != nil {
		x.claim(e, l, how)
	}
	return e
}

// keeps says whether the line may still send what it meant to send next. A notice
// is chosen anew, since a code may have come.
func (x *index) keeps(l *line, now time.Time) bool {
	e := l.next
	if e.lane == queue.LaneNotice || !x.free(l, e.lane, now) {
		return false
	}
	if c := x.sticks(e, now); c != nil {
		return c == l.card
	}
	w := x.way(e.want.way)
	s := w.seats[l]
	return s != nil && l.usable(e.lane) && w.bin(e, now).may(s)
}

// unchoose gives back what the line meant to send next.
func (x *index) unchoose(l *line, now time.Time) {
	if e := l.next; e != nil {
		l.next, e.by = nil, nil
		x.sort(e, now)
	}
}

// take waits for an entry; nil when ctx or the session ends.
func (x *index) take(ctx context.Context, l *line, closed <-chan struct{}) *entry {
	select {
	case <-ctx.Done():
		return nil
	case <-closed:
		return nil
	default:
	}
	x.mu.Lock()
	if e := x.takeNow(l, time.Now()); e != nil {
		x.mu.Unlock()
		return e
	}
	l.waits, l.since = true, time.Now()
	x.makeIdle(l)
	x.mu.Unlock()
	select {
	case e := <-l.hand:
		return e
	case <-ctx.Done():
	case <-closed:
	}
	x.mu.Lock()
	x.stopWaiting(l)
	x.mu.Unlock()
	select {
	case e := <-l.hand:
		x.release(e)
		x.flew(l, 0, false)
	default:
	}
	return nil
}

// offer lets a line that waits look again.
func (x *index) offer(l *line, now time.Time) {
	if !l.waits {
		return
	}
	x.makeIdle(l)
	if e := x.takeNow(l, now); e != nil {
		x.stopWaiting(l)
		l.hand <- e
	}
}

// offerAll lets all lines that wait look again, where something waits for one:
// after a change that may make another line the best.
func (x *index) offerAll(now time.Time) {
	for _, w := range x.ways {
		if !w.loaded() {
			continue
		}
		for l := range w.seats {
			x.offer(l, now)
		}
	}
	for l := range x.lines {
		if c := l.card; c.own.Len()+c.chosen.Len() > 0 {
			x.offer(l, now)
		}
	}
}

// offerNotices is offerAll after a change that may only leave more room for
// notices.
func (x *index) offerNotices(now time.Time) {
	if x.waiting[queue.LaneNotice].Len() > 0 {
		x.offerAll(now)
	}
}

// loaded says whether something in the way may be sent now.
func (w *way) loaded() bool {
	for _, b := range w.bins {
		if b.ready.Len() > 0 || b.chosen.Len() > 0 {
			return true
		}
	}
	return false
}

// choose makes the best entry that nobody has chosen the line's next, and
// returns it; nil if there is none.
func (x *index) choose(l *line) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.next != nil {
		return l.next
	}
	now := time.Now()
	e := x.best(l, now, readyOf, &l.card.own)
	if e == nil {
		return nil
	}
	l.next, e.by = e, l
	x.list(e, now)
	if e.by != l { // it waits for a SIM that has come since
		x.serve(e, now)
		return nil
	}
	return e
}

// flew notes that the line has an entry of the lane in the air, or nothing, and asks
// for none.
func (x *index) flew(l *line, lane queue.Lane, flying bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.carry(l, func() { l.flying, l.carries, l.takes = flying, lane, nil })
}
