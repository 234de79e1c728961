package dispatch

import (
	"context"
	"fmt"
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

// margin is how much of the life is counted on: a message takes its time in the air
// before a limit by the minute counts it, and those that wait take theirs.
func (a Admission) margin() time.Duration { return a.Life - a.Life/10 }

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
	var known budget.Contact
	if a.By != "" || d.index.limits() {
		if known, err = d.contact(ctx, a.Recipient); err != nil {
			return nil, err
		}
	}
	cancel, wait, ok := d.index.admit(a, known.SIMs)
	if ok {
		return cancel, nil
	}
	if a.By == "" && d.comingUp() {
		wait = min(wait, tillReady)
	}
	return nil, &NoCapacityError{After: wait}
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
	// sims are those that alone may have room for it: the one that it is for, or
	// those that know its recipient. at is when it was given.
	sims []string
	at   time.Time
}

// admit gives room to a message to a recipient that these SIMs know, and takes it
// back by the returned function, unless the message comes by put first. ok is false
// if the budgets of all SIMs are spent for its life by what waits already; wait is
// then when to ask again.
func (x *index) admit(a Admission, known []string) (cancel func(), wait time.Duration, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if a.By != "" {
		return x.letInBy(a, known, now)
	}
	if cancel, wait, ok = x.letIn(a, known, now); ok {
		return cancel, 0, true
	}
	cancel, sooner, ok := x.letInKnown(a, known, now)
	return cancel, min(wait, sooner), ok
}

// letIn lets in what fits whomever it is to.
func (x *index) letIn(a Admission, known []string, now time.Time) (cancel func(), wait time.Duration, ok bool) {
	rule := x.ruleFor(a)
	x.pendingOf(rule) // which a capacity is to know of
	if x.limited() {
		key := capacityKey{rule, a.Lane, a.margin().Truncate(lifeStep)}
		if c := x.capacityOf(key, now); !x.fits(c, key) {
			return nil, x.askAgain(c, key, now), false
		}
	}
	return x.promise(a.ID, promise{rule, a.Lane, known, now}), 0, true
}

// letInKnown lets in what fits one of the SIMs that know the recipient: one that may
// have few more recipients, or none, has more room for it.
func (x *index) letInKnown(a Admission, known []string, now time.Time) (cancel func(), wait time.Duration, ok bool) {
	rule, d, wait := x.ruleFor(a), demand(a.Lane, false), longest
	for _, imsi := range known {
		c := x.cards[imsi]
		if c == nil || !c.scarce() || len(c.lines) == 0 || c.heldBack() {
			continue
		}
		if a.By == "" && !x.carries(rule, c) {
			continue
		}
		waits := x.acquainted[imsi]
		if !c.standing.RecipientsFull { // all that waits may be for it
			waits = x.allWait(a.Lane)
		}
		if c.left(now, a.margin(), d) > waits {
			return x.promise(a.ID, promise{rule, a.Lane, known, now}), 0, true
		}
		wait = min(wait, opensIn([]*card{c}, d, waits, now))
	}
	return nil, wait, false
}

// letInBy lets in what one SIM alone may carry: that has room for it, besides what
// waits for it, and all together have room for it and for what waits.
func (x *index) letInBy(a Admission, known []string, now time.Time) (cancel func(), wait time.Duration, ok bool) {
	c := x.cards[a.By]
	if c == nil || len(c.lines) == 0 || c.heldBack() {
		return nil, awayFor, false
	}
	met := slices.Contains(known, a.By)
	d, waits := demand(a.Lane, !met), x.acquainted[a.By]
	if c.left(now, a.margin(), d) <= waits {
		return nil, opensIn([]*card{c}, d, waits, now), false
	}
	alone := []string{a.By}
	if cancel, wait, ok = x.letIn(a, alone, now); !ok && met {
		cancel, wait, ok = x.letInKnown(a, alone, now)
	}
	return cancel, wait, ok
}

// ruleFor is the rule of a message that asks for room.
func (x *index) ruleFor(a Admission) int {
	if a.By != "" {
		return noRule
	}
	return x.policy.rule(a.Region, a.Number, a.Lane == queue.LaneNotice)
}

// promise gives room to a message; the returned function takes it back.
func (x *index) promise(id queue.ID, p promise) (cancel func()) {
	x.admitted[id] = p
	x.pendingOf(p.rule)[p.lane]++
	x.reckon(p.sims, 1)
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
		x.reckon(p.sims, -1)
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
