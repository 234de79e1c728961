package dispatch

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Admission is a message that somebody wants to be sent.
type Admission struct {
	ID     queue.ID
	Region string
	// Number is the recipient's, E.164, and Recipient its token.
	Number    string
	Recipient []byte
	Lane      queue.Lane
	// Life is how long it could be begun.
	Life time.Duration
	// By is the only SIM that may carry it, whatever the rules say; "": any.
	By string
}

// NoCapacityError says that the budgets of all SIMs that might send a message
// are spent for as long as it could be begun, by what waits already.
type NoCapacityError struct {
	// After is when to ask again.
	After time.Duration
}

func (e *NoCapacityError) Error() string {
	return fmt.Sprintf("the budgets of all SIMs are spent for %v at least", e.After.Round(time.Second))
}

// Admit gives room to a message that is about to be queued, or returns a
// *NoCapacityError. It is given back by cancel if the message is not queued after
// all; else cancel does nothing.
func (d *Dispatcher) Admit(ctx context.Context, a Admission) (cancel func(), err error) {
	if a.By != "" {
		return d.admitBy(ctx, a)
	}
	cancel, wait, ok := d.index.admit(a)
	if ok {
		return cancel, nil
	}
	// A SIM that may have no more recipients has more for those it knows.
	known, err := d.contact(ctx, a.Recipient)
	if err != nil {
		return nil, err
	}
	if cancel, ok = d.index.admitKnown(a, known.SIMs); ok {
		return cancel, nil
	}
	if d.comingUp() {
		wait = min(wait, tillReady)
	}
	return nil, &NoCapacityError{After: wait}
}

// admitBy is Admit for a message that one SIM alone may carry.
func (d *Dispatcher) admitBy(ctx context.Context, a Admission) (cancel func(), err error) {
	known, err := d.contact(ctx, a.Recipient)
	if err != nil {
		return nil, err
	}
	cancel, wait, ok := d.index.admitBy(a, slices.Contains(known.SIMs, a.By))
	if !ok {
		return nil, &NoCapacityError{After: wait}
	}
	return cancel, nil
}

func (d *Dispatcher) contact(ctx context.Context, recipient []byte) (known budget.Contact, err error) {
	err = d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
		known, err = d.o.Ledger.Contact(tx, recipient)
		return err
	})
	return known, err
}

// tillReady is about how long a modem takes until it can send.
const tillReady = 5 * time.Second

// comingUp says whether a modem is being made ready, whose SIM may have room: after
// a start not all are seen at once.
func (d *Dispatcher) comingUp() bool {
	return slices.ContainsFunc(d.o.Fleet.Statuses(), func(s modem.Status) bool { return s.State == modem.Starting })
}

// promise is room that was given to a message which is not in the index yet.
type promise struct {
	rule int
	lane queue.Lane
	// by is the SIM that alone has room for it, "" for any; at is when it was
	// given.
	by string
	at time.Time
}

// admit gives room to a message, and takes it back by the returned function, unless
// the message comes by put first. ok is false if the budgets of all SIMs are spent
// for its life by what waits already; wait is then when to ask again.
func (x *index) admit(a Admission) (cancel func(), wait time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.letIn(a, time.Now())
}

func (x *index) letIn(a Admission, now time.Time) (cancel func(), wait time.Duration, ok bool) {
	rule := x.ruleFor(a)
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
	return x.promise(a.ID, promise{rule, a.Lane, a.By, now}), 0, true
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

// admitBy is admit for a message that one SIM alone may carry: that has room for it,
// besides what waits for it, and all together have room for it and for what waits.
// known: it has sent to the recipient this month.
func (x *index) admitBy(a Admission, known bool) (cancel func(), wait time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now, c := time.Now(), x.cards[a.By]
	if c == nil || len(c.lines) == 0 || c.heldBack() {
		return nil, awayFor, false
	}
	waits := c.own.Len() + c.chosen.Len() + c.promised
	if !known && c.strangers() <= waits {
		return nil, longSpent, false
	}
	if c.left(now, a.Life, a.Lane) <= waits {
		return nil, askAfter(c.from(a.Lane), now), false
	}
	if cancel, wait, ok = x.letIn(a, now); !ok && known {
		cancel, ok = x.letInKnown(a, []string{a.By}, now)
	}
	return cancel, wait, ok
}

// admitKnown is admit for a message to a recipient that the SIMs know already: one
// that may have few more recipients, or none, has more room for it.
func (x *index) admitKnown(a Admission, sims []string) (cancel func(), ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.letInKnown(a, sims, time.Now())
}

func (x *index) letInKnown(a Admission, sims []string, now time.Time) (cancel func(), ok bool) {
	rule := x.ruleFor(a)
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
