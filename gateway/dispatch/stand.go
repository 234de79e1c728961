package dispatch

import (
	"math"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// asOf is how often the ledger has said something of a SIM; see restand.
func (x *index) asOf(imsi string) uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cardOf(imsi).stood
}

// restand is stand for what was read after asOf, unless a transaction has
// said something since: that may be newer.
func (x *index) restand(imsi string, s budget.Standing, at time.Time, asOf uint64) (told []modem.Event, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cardOf(imsi).stood != asOf {
		return nil, false
	}
	return x.standing(imsi, s, at, nil), true
}

// stand notes what the ledger says of a SIM; at is the store's time, sent what it
// has begun, nil for nothing. It returns what the operator is to be told of.
func (x *index) stand(imsi string, s budget.Standing, at time.Time, sent *entry) (told []modem.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.standing(imsi, s, at, sent)
}

func (x *index) standing(imsi string, s budget.Standing, at time.Time, sent *entry) (told []modem.Event) {
	now, c := time.Now(), x.cardOf(imsi)
	before := c.standing
	if low(s, x.policy.Low) && !low(before, x.policy.Low) {
		told = append(told, c.event(EventBudgetLow, inNumbers(s), now))
	}
	if spentFor(s, at) > longSpent && spentFor(before, c.saidAt) <= longSpent {
		told = append(told, c.event(EventBudgetSpent, inNumbers(s), now))
	}
	for l := range c.lines {
		x.unlist(l)
	}
	c.standing, c.said, c.saidAt, c.stood = s, now, at, c.stood+1
	from := func(t time.Time) time.Time {
		if t.IsZero() {
			return time.Time{}
		}
		return now.Add(t.Sub(at)) // never is some centuries away
	}
	c.codes, c.notices, c.turn = from(s.Codes), from(s.Notices), from(s.Turn)
	if sent != nil {
		c.sent, c.sentAt = c.worn(now)+1, now
		x.used()
		x.begin(sent, now)
	} else {
		clear(x.capacity)
	}
	c.load, c.fades = max(s.Tightest, c.worn(now)/1000), time.Time{}
	if s.Hour.Used > 0 || c.worn(now) > 1 {
		c.fades = now.Add(loadHalf)
	}
	changed := x.spend(c, now)
	x.giveBack(c, now)
	if before.RecipientsFull != s.RecipientsFull {
		x.era++
		changed = true
	}
	x.setClock(c, now)
	if changed {
		x.spill(c, now)
	}
	if changed && (s.RecipientsFull || before.RecipientsFull) {
		x.meet(c, now)
	}
	for l := range c.lines {
		x.offer(l, now)
	}
	if changed {
		x.offerAll(now)
	}
	return told
}

// never says that no time is known at which the SIM may send: it has used its budget
// up by what is in the air, or the lane has no share in it.
func never(t time.Time) bool { return t.Equal(budget.Never()) }

// giveBack lets others send what the lines of a SIM meant to send next, if its
// budget has no room for that: it would lose its place to what came later.
func (x *index) giveBack(c *card, now time.Time) {
	used := never(c.standing.Codes) // by what is in the air
	for l := range c.lines {
		if e := l.next; e != nil && (used || c.spent[e.lane]) {
			x.unchoose(l, now)
		}
	}
}

// resort sorts anew what waits for the SIM, or may go by it as by no other.
func (x *index) resort(c *card, now time.Time) {
	x.spill(c, now)
	if c.standing.RecipientsFull {
		x.meet(c, now)
	}
}

// worn is how much the SIM has sent lately.
func (c *card) worn(now time.Time) float64 {
	return c.sent * math.Exp2(-float64(now.Sub(c.sentAt))/float64(loadHalf))
}

// spend says whether the card is spent for a lane no longer, or now.
func (x *index) spend(c *card, now time.Time) (changed bool) {
	later := now.Add(soon)
	// What is in the air will land soon enough.
	codes := c.codes.After(later) && !never(c.standing.Codes)
	notices := c.notices.After(later) && (!never(c.standing.Notices) || c.standing.InAir == 0)
	spent := [lanes]bool{queue.LaneCode: codes, queue.LaneNotice: codes || notices}
	if spent == c.spent {
		return false
	}
	c.spent = spent
	x.era++
	return true
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
