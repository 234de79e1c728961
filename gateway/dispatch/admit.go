package dispatch

import (
	"math"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
)

// promise is room that was given to a message which is not in the index yet.
type promise struct {
	rule int
	lane queue.Lane
	// by is the SIM that alone has room for it, "" for any; at is when it was
	// given.
	by string
	at time.Time
}

// capacityKey tells capacities apart that differ by what is asked for: how many
// messages of a lane the SIMs of a rule may begin in a time.
type capacityKey struct {
	rule int
	lane queue.Lane
	life time.Duration
}

// capacity is how many more the SIMs of the rule may begin, and any SIM, as of a
// time; under are the rules whose messages can go by the same SIMs only.
type capacity struct {
	of, all int
	under   []int
	at      time.Time
	// soonest is when the first of its SIMs may send again.
	soonest time.Time
}

const (
	// capacityLasts is how long a capacity is believed.
	capacityLasts = time.Second
	// awayFor is how long a SIM that has gone is counted on.
	awayFor = 2 * time.Minute
	// lifeStep is what lives of messages are rounded down to.
	lifeStep = 10 * time.Second
	// promiseLasts is how long a message that was given room may take to come.
	promiseLasts = time.Minute
	// askAgain is when to ask again where no time is known.
	askAgain = time.Minute
	// longest is behind the next turn of every budget.
	longest = 32 * 24 * time.Hour
)

// admit gives room to a message, and takes it back by the returned function, unless
// the message comes by put first. ok is false if the budgets of all SIMs are spent
// for its life by what waits already; wait is then when to ask again.
func (x *index) admit(a Admission) (cancel func(), wait time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now, rule := time.Now(), x.ruleFor(a)
	if x.limited() {
		key := capacityKey{rule, a.Lane, a.Life.Truncate(lifeStep)}
		c := x.capacity[key]
		if c == nil || now.Sub(c.at) > capacityLasts || !x.fits(c, key) {
			x.breakPromises(now)
			c = x.measure(key, now)
			x.capacity[key] = c
		}
		if !x.fits(c, key) {
			return nil, askAfter(c.soonest, now), false
		}
	}
	return x.promise(a.ID, promise{rule, a.Lane, "", now}), 0, true
}

// ruleFor is the rule of a message that asks for room.
func (x *index) ruleFor(a Admission) int {
	if a.By != "" {
		return noRule
	}
	return x.policy.rule(a.Region, a.Number, a.Lane == queue.LaneNotice)
}

// askAfter is when to ask again where something opens at a time, zero if at no known
// one.
func askAfter(opens, now time.Time) time.Duration {
	if wait := opens.Sub(now); wait > 0 && wait < longest {
		return max(wait, time.Second)
	}
	return askAgain
}

// admitBy says whether one SIM alone has room for a message, besides what waits
// for it; known: it has sent to the recipient this month. wait is when to ask
// again if not.
func (x *index) admitBy(a Admission, known bool) (wait time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now, c := time.Now(), x.cards[a.By]
	switch {
	case c == nil || len(c.lines) == 0 || c.heldBack():
		return awayFor, false
	case !known && c.strangers() <= c.own.Len():
		return longSpent, false
	}
	return askAfter(c.from(a.Lane), now), c.left(now, a.Life, a.Lane) > c.own.Len()
}

// admitKnown is admit for a message to a recipient that the SIMs know already: one
// that may have few more recipients, or none, has more room for it.
func (x *index) admitKnown(a Admission, sims []string) (cancel func(), ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now, rule := time.Now(), x.ruleFor(a)
	for _, imsi := range sims {
		c := x.cards[imsi]
		if c == nil || c.strangers() == math.MaxInt || len(c.lines) == 0 || c.heldBack() {
			continue
		}
		if own, stands := x.policy.carries(rule, c.sim); !own && !stands {
			continue
		}
		waits := x.knownWait(c)
		if !c.standing.RecipientsFull { // all that waits may be for it
			waits = x.allWait(a.Lane)
		}
		if c.left(now, a.Life, a.Lane) > c.promised+waits {
			return x.promise(a.ID, promise{rule, a.Lane, imsi, now}), true
		}
	}
	return nil, false
}

// knownWait is how many messages wait for a SIM that may have no more recipients, or
// are about to be begun with it.
func (x *index) knownWait(c *card) int {
	n := c.own.Len() + c.chosen.Len()
	for l := range c.lines {
		if l.takes != nil && l.takes.taken {
			n++
		}
	}
	for _, w := range x.ways {
		if h := w.familiar[c]; h != nil {
			n += h.Len()
		}
	}
	return n
}

// promise gives room to a message; the returned function takes it back.
func (x *index) promise(id queue.ID, p promise) (cancel func()) {
	x.admitted[id] = p
	x.pendingOf(p.rule)[p.lane]++
	if p.by != "" {
		x.cardOf(p.by).promised++
	}
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.forgetPromise(id)
	}
}

func (x *index) forgetPromise(id queue.ID) {
	if p, known := x.admitted[id]; known {
		delete(x.admitted, id)
		x.pendingOf(p.rule)[p.lane]--
		if p.by != "" {
			x.cardOf(p.by).promised--
		}
	}
}

// breakPromises forgets those whose messages have not come: they came and ended
// unseen.
func (x *index) breakPromises(now time.Time) {
	for id, p := range x.admitted {
		if now.Sub(p.at) > promiseLasts {
			x.forgetPromise(id)
		}
	}
}

// limited says whether any SIM has limits.
func (x *index) limited() bool {
	return x.policyLimits || len(x.changes) > 0
}

// fits says whether one more message fits, with what waits already: codes go
// before notices.
func (x *index) fits(c *capacity, key capacityKey) bool {
	of := 0
	for _, rule := range c.under {
		of += x.waits(rule, key.lane)
	}
	return of < c.of && x.allWait(key.lane) < c.all
}

// waits is how many messages of a rule wait that one more of the lane comes behind;
// allWait is that of all rules.
func (x *index) waits(rule int, lane queue.Lane) int {
	n := x.pending[rule]
	switch {
	case n == nil:
		return 0
	case lane == queue.LaneCode:
		return n[queue.LaneCode]
	}
	return n[queue.LaneCode] + n[queue.LaneNotice]
}

func (x *index) allWait(lane queue.Lane) (n int) {
	for rule := range x.pending {
		n += x.waits(rule, lane)
	}
	return n
}

// measure finds out a capacity.
func (x *index) measure(key capacityKey, now time.Time) *capacity {
	c := &capacity{at: now}
	there, carried := false, false
	for _, sim := range x.cards {
		if len(sim.lines) == 0 && now.Sub(sim.away) > awayFor || sim.heldBack() {
			continue
		}
		there = true
		n := sim.allowance(now, key.life, key.lane)
		c.all = add(c.all, n)
		if own, stands := x.policy.carries(key.rule, sim.sim); own || stands {
			carried = true
			c.of = add(c.of, n)
			if at := sim.opens(key.lane); at.After(now) && (c.soonest.IsZero() || at.Before(c.soonest)) {
				c.soonest = at
			}
		}
	}
	// As with none configured: it waits for one.
	if !carried {
		c.of = math.MaxInt
	}
	if !there {
		c.all = math.MaxInt
	}
	for rule := range x.pending {
		if rule == key.rule || x.within(rule, key.rule) {
			c.under = append(c.under, rule)
		}
	}
	return c
}

// within says whether every SIM that carries the messages of one rule carries
// those of the other.
func (x *index) within(rule, other int) bool {
	if other == noRule {
		return true
	}
	for _, sim := range x.cards {
		own, stands := x.policy.carries(rule, sim.sim)
		otherOwn, otherStands := x.policy.carries(other, sim.sim)
		if (own || stands) && !otherOwn && !otherStands {
			return false
		}
	}
	return true
}

// heldBack says whether the operator has taken out all modems that the SIM is in.
func (c *card) heldBack() bool {
	for l := range c.lines {
		if !l.held {
			return false
		}
	}
	return len(c.lines) > 0
}

// opens is from when the SIM may have one more message of the lane, to a recipient
// that it doesn't know.
func (c *card) opens(lane queue.Lane) time.Time {
	at := c.from(lane)
	if c.standing.RecipientsFull && c.turn.After(at) {
		at = c.turn
	}
	return at
}

// allowance is how many messages of a lane the SIM may begin in a time, if each is to
// a recipient that it doesn't know.
func (c *card) allowance(now time.Time, life time.Duration, lane queue.Lane) int {
	return min(c.left(now, life, lane), c.strangers())
}

// strangers is how many more recipients the SIM may have this month.
func (c *card) strangers() int {
	if u := c.standing.Recipients; u.Limit > 0 {
		return max(0, u.Limit-u.Used)
	}
	return math.MaxInt
}

// left is how many messages of a lane the SIM may begin in a time to recipients that
// it knows.
func (c *card) left(now time.Time, life time.Duration, lane queue.Lane) int {
	at := c.saidAt
	if !c.said.IsZero() {
		at = c.storeTime(now)
	}
	return c.standing.Allowance(at, at.Add(life), lane == queue.LaneNotice, 1)
}

// add is a sum that stops at the largest number.
func add(a, b int) int {
	if a > math.MaxInt-b {
		return math.MaxInt
	}
	return a + b
}

// used takes what a SIM has begun out of the capacities.
func (x *index) used() {
	for _, c := range x.capacity {
		if c.all != math.MaxInt {
			c.all--
		}
		if c.of != math.MaxInt {
			c.of--
		}
	}
}

// change lays a change over the limits of a SIM that the policy sets, in place of
// the one before.
func (x *index) change(imsi string, c budget.Change) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if delete(x.changes, imsi); len(c.Set()) > 0 {
		x.changes[imsi] = c
	}
	clear(x.capacity)
}

// limitsOf are the limits in force of a SIM.
func (x *index) limitsOf(imsi string) budget.Limits {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changes[imsi].Over(x.configured(imsi))
}

// configured are the limits of a SIM that the policy sets.
func (x *index) configured(imsi string) budget.Limits {
	if c := x.cards[imsi]; c != nil {
		return c.limits
	}
	return x.policy.limits("")
}
