package dispatch

import (
	"time"

	"smsotpd/gateway/queue"
)

// line is one modem session as the index sees it.
type line struct {
	queue.Carrier
	card *card
	held bool
	// next is what the line means to send next, chosen while it was busy; an
	// idle line may take it over.
	next *entry
	// waits: it waits in take, since when.
	waits bool
	since time.Time
	seats []*seat
	// carries is the lane of what it has in the air, flying whether it has
	// something; takes is what it asks the store for.
	carries queue.Lane
	flying  bool
	takes   *entry
	// hand is where an idle line is handed an entry; it has room for one.
	hand chan *entry
}

// usable says whether the line can be waited for with a message of the lane, to
// whomever it goes.
func (l *line) usable(lane queue.Lane) bool {
	return !l.held && !l.card.spent[lane] && !l.card.standing.RecipientsFull
}

// hasNotice is 1 if the line has a notice in the air or asks the store for one,
// or else 0.
func (l *line) hasNotice() int {
	if l.flying && l.carries == queue.LaneNotice || l.takes != nil && l.takes.lane == queue.LaneNotice {
		return 1
	}
	return 0
}

// free says whether the line may have one more message of the lane now. What it has
// in the air itself has landed when it asks.
func (x *index) free(l *line, lane queue.Lane, now time.Time) bool {
	opens := !l.card.from(lane).After(now) || l.flying && l.card.barred(lane, now)
	return opens && !l.held && (lane != queue.LaneNotice || x.room(l))
}

// add makes a line known.
func (x *index) add(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.cardOf(l.IMSI)
	c.modem, c.away = l.Modem, time.Time{}
	c.lines[l] = true
	l.card, l.held = c, x.held[l.Modem]
	x.lines[l] = true
	for _, w := range x.ways {
		x.seat(l, w)
	}
	x.era++
	clear(x.capacity)
	now := time.Now()
	x.setClock(c, now)
	if c.standing.RecipientsFull {
		x.meet(c, now)
	}
	x.offerNotices(now)
}

// gone takes a line away.
func (x *index) gone(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	x.stopWaiting(l)
	l.flying, l.takes = false, nil
	delete(x.lines, l)
	delete(l.card.lines, l)
	for _, s := range l.seats {
		delete(s.way.seats, l)
	}
	if len(l.card.lines) == 0 {
		l.card.away = now
	}
	x.era++
	x.unchoose(l, now)
	x.resort(l.card, now)
	x.offerAll(now)
}
