package dispatch

import (
	"math"
	"time"

	"smsotpd/gateway/queue"
)

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
