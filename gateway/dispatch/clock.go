package dispatch

import (
	"time"

	"smsotpd/gateway/queue"
)

// matured is what time has brought.
type matured struct {
	// advance are the messages whose state time has changed, unreported those
	// whose report should have come, and rescued those of them that another
	// operator may have after all.
	advance, unreported, rescued []queue.ID
	// met are those that wait, and perhaps for a SIM that knows their recipients
	// by now.
	met []queue.ID
	// outdated are the SIMs of which the ledger's word is too old; see card.
	outdated []string
	// next is when there is more to do.
	next time.Time
}

// mature moves what has fallen due to where it may be sent, and returns what
// else time has brought.
func (x *index) mature() (out matured) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	out.outdated, out.next = x.matureCards(now), now.Add(time.Hour)
	if c, ok := x.clocks.first(); ok && c.wake.Before(out.next) {
		out.next = c.wake
	}
	out.rescued, out.met = x.rescue(now), x.acquaintances()
	if len(x.stranded) > 0 && x.rescueAt.Before(out.next) {
		out.next = x.rescueAt
	}
	present := x.moment(now)
	for {
		e, ok := x.timed.first()
		if !ok {
			return out
		}
		if e.at > present {
			if at := x.time(e.at); at.Before(out.next) {
				out.next = at
			}
			return out
		}
		x.timed.remove(e)
		if e.advance != 0 && e.advance <= present {
			out.advance = append(out.advance, e.id)
			e.advance = 0
		}
		if e.watch != 0 && e.watch <= present && !e.missed {
			out.unreported = append(out.unreported, e.id)
			e.missed = true
		}
		x.sort(e, now)
	}
}

// hurry wakes whoever sleeps until the earliest time.
func (x *index) hurry() {
	select {
	case x.sooner <- struct{}{}:
	default:
	}
}

// setClock says when time will change something about the card. What it has changed
// by now and nobody has looked at yet stays.
func (x *index) setClock(c *card, now time.Time) {
	if c.clock != 0 && !c.wake.After(now) {
		return
	}
	c.wake = time.Time{}
	soonest := func(t time.Time) {
		if t.After(now) && (c.wake.IsZero() || t.Before(c.wake)) {
			c.wake = t
		}
	}
	soonest(c.codes.Add(-soon))
	soonest(c.codes)
	soonest(c.notices.Add(-soon))
	soonest(c.notices)
	soonest(c.turn)
	soonest(c.fades)
	for l := range c.lines {
		for _, s := range l.seats {
			if s.open {
				soonest(s.probeAt)
			}
		}
	}
	if c.wake.IsZero() {
		x.clocks.remove(c)
		return
	}
	x.clocks.set(c)
	if first, _ := x.clocks.first(); first == c {
		x.hurry()
	}
}

// matureCards lets the lines of cards that time has changed look again, and
// returns the SIMs of which the ledger is to say anew what it says.
func (x *index) matureCards(now time.Time) (outdated []string) {
	for {
		c, ok := x.clocks.first()
		if !ok || c.wake.After(now) {
			return outdated
		}
		x.clocks.remove(c)
		if over(c.turn, now) || over(c.fades, now) {
			outdated = append(outdated, c.imsi)
		}
		for _, t := range []*time.Time{&c.turn, &c.fades} {
			if over(*t, now) {
				*t = time.Time{}
			}
		}
		changed := x.spend(c, now)
		x.setClock(c, now)
		if changed && c.standing.RecipientsFull {
			x.meet(c, now)
		}
		for l := range c.lines {
			x.offer(l, now)
		}
		if changed {
			x.offerNotices(now)
		}
	}
}

// over says whether a time has come, which zero never does.
func over(t, now time.Time) bool { return !t.IsZero() && !t.After(now) }
