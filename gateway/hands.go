package gateway

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/ledger"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Stable codes of what can go wrong with an operator's order.
const (
	CodeStillInAir = "still_in_air"
	CodeResumed    = "resumed"
)

// The words by which the trail and the metrics name an operator's actions.
const (
	ActionPause       = "modem.pause"
	ActionResume      = "modem.resume"
	ActionDrain       = "modem.drain"
	ActionReset       = "modem.reset"
	ActionBudget      = "modem.budget"
	ActionBudgetClear = "modem.budget_clear"
	ActionUSSD        = "modem.ussd"
	ActionReload      = "config.reload"
	ActionKeyAdd      = "key.add"
	ActionKeyRevoke   = "key.revoke"
)

// hands is what carries out the operator's orders: the dispatcher. Its methods
// do not block, may be called before it runs, and forget nothing while it
// lives; the orders themselves are durable here.
type hands interface {
	// Hold keeps new messages from the named modem, or lets them go by it again,
	// whether it is there or not. When Hold has returned, nothing more begins.
	Hold(modem string, held bool)
	// InAir says whether a message was begun with the modem and is not settled.
	InAir(modem string) bool
	// Limit lays a change over the configured limits of the SIM, in place of the
	// one before.
	Limit(ctx context.Context, sim string, c budget.Change)
}

// landingPoll is how often a drain looks whether the modem is done.
const landingPoll = 100 * time.Millisecond

// Pause lets no new message go by the named modem, until it is resumed, over
// restarts too. The message in the air ends, and the modem still receives. why
// is for people, "" for none.
func (g *Gateway) Pause(ctx context.Context, call Call, name, why string) (Modem, error) {
	if _, err := g.modemStatus(name); err != nil {
		return Modem{}, err
	}
	if err := g.command(ctx, call, ActionPause, name, why, held(false)); err != nil {
		return Modem{}, err
	}
	return g.modem(ctx, name)
}

// Resume undoes Pause and Drain, also of a modem that is not there any more, and
// ends the rest of a parked modem early.
func (g *Gateway) Resume(ctx context.Context, call Call, name, why string) (Modem, error) {
	status, away := g.modemStatus(name)
	if away != nil {
		stands, err := g.standing(ctx, name)
		if err != nil || !stands.Held {
			return Modem{}, cmp.Or(err, away)
		}
		status = notThere(name)
	}
	parked := status.State == modem.Parked && g.unpark != nil
	err := g.command(ctx, call, ActionResume, name, why, func(o heldOrder) (heldOrder, bool) {
		return heldOrder{}, o.Held || parked
	})
	if err == nil && parked {
		err = modemFailure(g.unpark(name))
	}
	switch {
	case err != nil:
		return Modem{}, err
	case away != nil:
		return Modem{Status: status}, nil
	}
	return g.modem(ctx, name)
}

// Drain is Pause, and returns when nothing of the modem is in the air: it can
// be unplugged. If that takes longer than wait, the answer is CodeStillInAir,
// and the modem stays paused.
func (g *Gateway) Drain(ctx context.Context, call Call, name, why string, wait time.Duration) (Modem, error) {
	if _, err := g.modemStatus(name); err != nil {
		return Modem{}, err
	}
	if err := g.command(ctx, call, ActionDrain, name, why, held(true)); err != nil {
		return Modem{}, err
	}
	if err := g.landed(ctx, name, wait); err != nil {
		return Modem{}, err
	}
	stands, err := g.standing(ctx, name)
	if err != nil {
		return Modem{}, err
	}
	if !stands.Held {
		return Modem{}, &Error{Kind: Conflict, Code: CodeResumed, Message: "The modem was resumed meanwhile."}
	}
	return g.modem(ctx, name)
}

// landed waits until nothing of the modem is in the air.
func (g *Gateway) landed(ctx context.Context, name string, wait time.Duration) error {
	late := time.NewTimer(wait)
	defer late.Stop()
	tick := time.NewTicker(landingPoll)
	defer tick.Stop()
	for g.hands.InAir(name) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late.C:
			return &Error{
				Kind: NoAnswer, Code: CodeStillInAir,
				Message: "The network has not answered the modem's last message yet; the modem stays paused. Drain it again to go on waiting.",
			}
		case <-tick.C:
		}
	}
	return nil
}

// ResetModem restarts the named modem.
func (g *Gateway) ResetModem(ctx context.Context, call Call, name, why string) (Modem, error) {
	if _, err := g.modemStatus(name); err != nil {
		return Modem{}, err
	}
	if g.reset == nil {
		return Modem{}, notReady()
	}
	if err := checkReason(why); err != nil {
		return Modem{}, err
	}
	reset := func() error { return modemFailure(g.reset(ctx, name)) }
	if err := g.witnessed(ctx, call, ActionReset, name, detail("reason", why), reset); err != nil {
		return Modem{}, err
	}
	return g.modem(ctx, name)
}

// witnessed does what changes nothing in the store. It is in the trail before it
// is done; that it can't be done is there too.
func (g *Gateway) witnessed(ctx context.Context, call Call, action, name string, details map[string]string, do func() error) error {
	if err := g.witness(ctx, entry(call, action, name, details)); err != nil {
		return err
	}
	g.acted(action, call, name)
	err := do()
	if err == nil {
		return nil
	}
	refused := entry(call, action, name, detail("refused", AsError(err).Code))
	if err := g.witness(context.WithoutCancel(ctx), refused); err != nil {
		g.log.Error("the trail lacks that an action was not possible", "action", action, "modem", name, "error", err)
	}
	return err
}

// Reload makes another policy of the fleet hold, but for its Health; no message is
// lost by it. changed are the keys of the configuration that differ from what held
// before; none: the trail does not tell of it.
func (g *Gateway) Reload(ctx context.Context, call Call, p dispatch.Policy, changed []string) error {
	if err := p.Validate(); err != nil {
		return err
	}
	reload := func() error { return g.dispatch.Reload(ctx, p) }
	if len(changed) == 0 {
		return reload()
	}
	return g.witnessed(ctx, call, ActionReload, "configuration", detail("changed", strings.Join(changed, ", ")), reload)
}

// modemFailure turns an error of the modems into one that may be shown.
func modemFailure(err error) error {
	switch {
	case errors.Is(err, modem.ErrNoSuchModem):
		return noSuchModem()
	case errors.Is(err, modem.ErrNotReady):
		return notReady()
	}
	return err
}

func noSuchModem() *Error {
	return &Error{Kind: NotFound, Code: CodeNotFound, Message: "There is no modem of that name."}
}

// Trail lists what operators did, the newest first.
func (g *Gateway) Trail(ctx context.Context, r ledger.Range) (list []ledger.Entry, err error) {
	err = g.store.View(ctx, func(tx storage.Tx) error {
		list, err = g.trail.List(tx, r)
		return err
	})
	return list, failure(err)
}

// witness records what changes nothing in the store.
func (g *Gateway) witness(ctx context.Context, e ledger.Entry) error {
	return g.update(storage.WithReserve(ctx), func(tx storage.Tx) error { return g.trail.Record(tx, e) })
}

// entry is the trail's of an action.
func entry(call Call, action, name string, detail map[string]string) ledger.Entry {
	e := ledger.NewEntry()
	e.Actor, e.ActorID = call.by(), call.Caller
	e.Action, e.Subject, e.Detail = action, name, detail
	return e
}

// detail is one pair for the trail, none for an empty value.
func detail(name, value string) map[string]string {
	if value == "" {
		return nil
	}
	return map[string]string{name: value}
}

// acted counts and logs an action, without its reason.
func (g *Gateway) acted(action string, call Call, name string) {
	g.metrics.actions.WithLabelValues(action).Inc()
	g.log.Info("an operator acted", "action", action, "subject", name, "by", call.by())
}
