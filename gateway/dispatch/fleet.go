package dispatch

import (
	"context"
	"errors"
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

// admitBy is Admit for a message that one SIM alone may carry: that has room for
// it, and all together have room for it and for what waits.
func (d *Dispatcher) admitBy(ctx context.Context, a Admission) (cancel func(), err error) {
	known, err := d.contact(ctx, a.Recipient)
	if err != nil {
		return nil, err
	}
	knows := slices.Contains(known.SIMs, a.By)
	wait, ok := d.index.admitBy(a, knows)
	if ok {
		cancel, wait, ok = d.index.admit(a)
		if !ok && knows {
			cancel, ok = d.index.admitKnown(a, []string{a.By})
		}
	}
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

// want is what the message asks of the SIM that is to send it.
func (d *Dispatcher) want(tx storage.Tx, id queue.ID, m queue.Message) (want, error) {
	if m.To == nil {
		return want{way: wayKey{noRule, m.Region}}, nil
	}
	w := want{avoid: slices.Compact(slices.Sorted(slices.Values(m.Avoid()))), by: m.By}
	for _, imsi := range m.Unmoved() {
		w.away = append(w.away, operatorOf(imsi))
	}
	number := ""
	if d.index.needsNumber() {
		to, _, err := d.o.Queue.Unseal(id, m)
		if err != nil { // what begins it will find the same, and say so
			d.o.Logger.Error("a message can't be unsealed", "message", id, "error", err)
		}
		number = to
	}
	w.way = wayKey{d.index.ruleOf(m.Region, number, m.Lane), m.Region}
	if len(m.Number) == 0 || m.State != queue.Queued {
		return w, nil
	}
	known, err := d.o.Ledger.Contact(tx, m.Number)
	if storage.Ended(err) {
		return w, err
	}
	if err != nil { // as above
		d.o.Logger.Error("what a recipient knows can't be read", "message", id, "error", err)
	}
	slices.Reverse(known.SIMs)
	if w.known, w.served = known.SIMs, known.SIMs; len(w.known) == 0 && known.SIM != "" {
		w.known = []string{known.SIM}
	}
	return w, nil
}

// recover puts a message in doubt whose session died while it was being sent; it
// counts in its SIM's budget.
func (d *Dispatcher) recover(tx storage.Tx, id queue.ID) (queue.Outcome, error) {
	out, err := d.o.Queue.Recover(tx, id)
	if err != nil || !out.Changed() || out.Attempt < 0 {
		return out, err
	}
	imsi := out.Message.Attempts[out.Attempt].IMSI
	_, err = d.o.Ledger.Settle(tx, d.index.limitsOf(imsi), charge(imsi, out.Message), budget.Settlement{Result: budget.Taken})
	return out, err
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

// Reload makes another policy hold, but for its Health; nothing that waits or is
// in the air is lost by it.
func (d *Dispatcher) Reload(ctx context.Context, p Policy) error {
	ctx = context.WithoutCancel(ctx) // what waits must be put again
	d.reading.Lock()
	d.index.reload(p)
	d.reading.Unlock()
	if err := d.load(ctx); err != nil {
		return err
	}
	return d.restand(ctx)
}

// restand reads anew what all SIMs may send.
func (d *Dispatcher) restand(ctx context.Context) error {
	var errs []error
	for imsi, name := range d.index.names() {
		errs = append(errs, d.standing(ctx, imsi, name))
	}
	return errors.Join(errs...)
}

// Hold takes the modem out: it is given no more messages. Or it gives it back.
func (d *Dispatcher) Hold(modem string, held bool) { d.index.hold(modem, held) }

// InAir says whether the modem has a message in the air.
func (d *Dispatcher) InAir(modem string) bool { return d.index.flies(modem) }

// LimitsOf are the limits in force of a SIM.
func (d *Dispatcher) LimitsOf(imsi string) budget.Limits { return d.index.limitsOf(imsi) }

// Configured are the limits of a SIM before the operator's hand changes them.
func (d *Dispatcher) Configured(imsi string) budget.Limits {
	d.index.mu.Lock()
	defer d.index.mu.Unlock()
	return d.index.configured(imsi)
}

// Limit lays a change over the configured limits of a SIM, in place of the one
// before.
func (d *Dispatcher) Limit(ctx context.Context, imsi string, c budget.Change) {
	d.index.change(imsi, c)
	d.restandAnyway(ctx, imsi)
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

// ruleOf is the rule of a message.
func (x *index) ruleOf(region, number string, l queue.Lane) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.policy.rule(region, number, l == queue.LaneNotice)
}

// needsNumber says whether rules ask for recipients' numbers.
func (x *index) needsNumber() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.policy.Routes != nil && x.policy.Routes.NeedsNumber()
}

// event is one that a SIM's modem has its name on.
func (c *card) event(kind modem.EventKind, detail string, at time.Time) modem.Event {
	return modem.Event{Modem: c.modem, Kind: kind, Detail: detail, At: at}
}
