package dispatch

import (
	"context"
	"errors"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// restand reads anew what all SIMs may send.
func (d *Dispatcher) restand(ctx context.Context) error {
	var errs []error
	for imsi, name := range d.index.names() {
		errs = append(errs, d.standing(ctx, imsi, name))
	}
	return errors.Join(errs...)
}

// restandAnyway is Restand for who can do without.
func (d *Dispatcher) restandAnyway(ctx context.Context, imsi string) {
	if err := d.Restand(ctx, imsi); err != nil {
		_, name := d.index.of(imsi)
		d.o.Logger.Warn("what a SIM has sent can't be read; its next message shows what it may", "modem", name, "error", err)
	}
}

// Restand reads anew what the SIM has sent and may send, after somebody else
// changed its ledger.
func (d *Dispatcher) Restand(ctx context.Context, imsi string) error {
	name, _ := d.index.of(imsi)
	return d.standing(ctx, imsi, name)
}

// standing reads what a SIM has sent and may send, by the name that the operator
// gave it.
func (d *Dispatcher) standing(ctx context.Context, imsi, name string) error {
	d.index.name(imsi, name)
	for {
		asOf, limits := d.index.asOf(imsi), d.index.limitsOf(imsi)
		var s budget.Standing
		var at time.Time
		err := d.o.Store.View(ctx, func(tx storage.Tx) (err error) {
			at = tx.Now()
			s, err = d.o.Ledger.Standing(tx, imsi, limits)
			return err
		})
		if err != nil {
			return err
		}
		if told, ok := d.index.restand(imsi, s, at, asOf); ok {
			d.tellAll(told)
			return nil
		}
	}
}

func (d *Dispatcher) tellAll(told []modem.Event) {
	for _, e := range told {
		d.o.Observer.Happened(e)
	}
}

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
	if c := x.cardOf(imsi); c.meets > 0 {
		c.meets--
		x.met = true
		x.hurry()
	}
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
		c.meets = 0
		if s.RecipientsFull {
			c.meets = s.InAir
		}
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
