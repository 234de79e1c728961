package dispatch

import (
	"math"
	"time"

	"smsotpd/gateway/dispatch/budget"
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
	// wait is when to ask again, as of that time; zero if nobody was refused.
	wait time.Duration
}

const (
	// capacityLasts is how long a capacity is believed, and fullLasts one that
	// somebody was refused for.
	capacityLasts = time.Second
	fullLasts     = 100 * time.Millisecond
	// awayFor is how long a SIM that has gone is counted on.
	awayFor = 2 * time.Minute
	// lifeStep is what lives of messages are rounded down to.
	lifeStep = 10 * time.Second
	// promiseLasts is how long a message that was given room may take to come.
	promiseLasts = time.Minute
	// unknownWait is when to ask again where no time is known.
	unknownWait = time.Minute
	// longest is behind the next turn of every budget.
	longest = 32 * 24 * time.Hour
)

// limits says whether any SIM has limits.
func (x *index) limits() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.limited()
}

func (x *index) limited() bool {
	return x.policyLimits || len(x.changes) > 0
}

// fits says whether one more message fits, with what waits already: codes go
// before notices.
func (x *index) fits(c *capacity, key capacityKey) bool {
	return x.waitUnder(c, key.lane) < c.of && x.allWait(key.lane) < c.all
}

// waits is how many messages of a rule wait that one more of the lane comes behind,
// waitUnder that of the rules under a capacity, and allWait that of all rules.
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

func (x *index) waitUnder(c *capacity, lane queue.Lane) (n int) {
	for _, rule := range c.under {
		n += x.waits(rule, lane)
	}
	return n
}

func (x *index) allWait(lane queue.Lane) (n int) {
	for rule := range x.pending {
		n += x.waits(rule, lane)
	}
	return n
}

// capacityOf is the capacity of now.
func (x *index) capacityOf(key capacityKey, now time.Time) *capacity {
	c := x.capacity[key]
	if c != nil {
		age := now.Sub(c.at)
		if age <= fullLasts || age <= capacityLasts && x.fits(c, key) {
			return c
		}
	}
	x.breakPromises(now)
	c = x.measure(key, now)
	x.capacity[key] = c
	return c
}

// counted are the SIMs that are counted on, and those of them that carry the rule's
// messages.
func (x *index) counted(rule int, now time.Time) (all, of []*card) {
	for _, sim := range x.cards {
		if len(sim.lines) == 0 && now.Sub(sim.away) > awayFor || sim.heldBack() {
			continue
		}
		all = append(all, sim)
		if x.carries(rule, sim) {
			of = append(of, sim)
		}
	}
	return all, of
}

// carries says whether the SIM may carry the rule's messages, or stand in for those
// that do.
func (x *index) carries(rule int, c *card) bool {
	named, standsIn := x.policy.carries(rule, c.sim)
	return named || standsIn
}

// measure finds out a capacity.
func (x *index) measure(key capacityKey, now time.Time) *capacity {
	c := &capacity{at: now}
	all, of := x.counted(key.rule, now)
	room := func(sims []*card) (n int) {
		if len(sims) == 0 {
			return math.MaxInt // as with none configured: it waits for one
		}
		for _, sim := range sims {
			n = add(n, sim.left(now, key.life, demand(key.lane, true)))
		}
		return n
	}
	c.all, c.of = room(all), room(of)
	for rule := range x.pending {
		if rule == key.rule || x.within(rule, key.rule) {
			c.under = append(c.under, rule)
		}
	}
	return c
}

// askAgain is when to ask again for what does not fit now.
func (x *index) askAgain(c *capacity, key capacityKey, now time.Time) time.Duration {
	if c.wait == 0 {
		all, of := x.counted(key.rule, now)
		d := demand(key.lane, true)
		c.wait = max(opensIn(of, d, x.waitUnder(c, key.lane), now), opensIn(all, d, x.allWait(key.lane), now))
	}
	return c.wait
}

// opensIn is when SIMs may begin one more message than so many that wait for them.
func opensIn(sims []*card, d budget.Demand, waiting int, now time.Time) time.Duration {
	standings, at := make([]budget.Standing, len(sims)), time.Time{}
	for i, sim := range sims {
		standings[i] = sim.standing
		if t := sim.storeTime(now); !sim.said.IsZero() && t.After(at) {
			at = t
		}
	}
	opens := budget.Opens(at, standings, d, waiting)
	switch wait := opens.Sub(at); {
	case opens.IsZero(), wait > longest:
		return unknownWait
	default:
		return max(wait, time.Second)
	}
}

// demand is what messages of the lane ask of a budget; fresh: each is to somebody
// whom the SIM does not know.
func demand(lane queue.Lane, fresh bool) budget.Demand {
	return budget.Demand{Notice: lane == queue.LaneNotice, Segments: 1, Fresh: fresh}
}

// within says whether every SIM that carries the messages of one rule carries
// those of the other.
func (x *index) within(rule, other int) bool {
	if other == noRule {
		return true
	}
	for _, sim := range x.cards {
		if x.carries(rule, sim) && !x.carries(other, sim) {
			return false
		}
	}
	return true
}

// scarce says whether the SIM may have so many new recipients only.
func (c *card) scarce() bool { return c.standing.Recipients.Limit > 0 }

// left is how many such messages the SIM may begin in a time.
func (c *card) left(now time.Time, life time.Duration, d budget.Demand) int {
	at := c.storeTime(now)
	return c.standing.Allowance(at, at.Add(life), d)
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
