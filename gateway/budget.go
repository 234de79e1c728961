package gateway

import (
	"cmp"
	"context"
	"maps"
	"strconv"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/storage"
)

// MaxLimit is the highest number that a limit can be set to.
const MaxLimit = 1_000_000_000

// Budget is what an operator's hand sets of a SIM's limits.
type Budget = budget.Change

// BudgetOrder is what stands for a SIM.
type BudgetOrder struct {
	// Budget is what an operator's hand set over the configured limits; By is ""
	// and At zero where that is nothing.
	Budget
	By string
	At time.Time
	// Limits are those in force, Standing is what was sent.
	Limits   budget.Limits
	Standing budget.Standing
}

// budgetOrder is what was set by hand as it is kept, by the SIM.
type budgetOrder struct {
	Change budget.Change `cbor:"1,keyasint,omitempty"`
	By     string        `cbor:"2,keyasint,omitempty"`
	At     storage.Time  `cbor:"3,keyasint,omitempty"`
}

// checkChange says which limit can't be.
func (g *Gateway) checkChange(sim string, c budget.Change) error {
	for name, v := range c.Set() {
		if v < 0 || v > MaxLimit {
			return invalid(name, "A limit is a number from 0 to %d.", MaxLimit)
		}
	}
	// The hand goes before the configuration, which may contradict it: a SIM is
	// throttled by one limit, whatever else is configured.
	base := budget.Limits{}
	if c.WarmUpStart != nil || c.WarmUpDays != nil && *c.WarmUpDays > 0 { // these need what they lead to
		configured := g.dispatch.Configured(sim)
		base.PerDay, base.WarmUp = configured.PerDay, configured.WarmUp
	}
	if err := c.Over(base).Validate(); err != nil {
		return &Error{Kind: Invalid, Code: CodeInvalidField, Field: "budget", cause: err, Message: "These limits can't be: " + err.Error() + "."}
	}
	return nil
}

// Budget is what was set by hand for the SIM that is in the named modem.
func (g *Gateway) Budget(ctx context.Context, name string) (BudgetOrder, error) {
	sim, err := g.simOf(name)
	if err != nil {
		return BudgetOrder{}, err
	}
	return g.budgetIn(ctx, sim)
}

// budgetIn is what stands for a SIM.
func (g *Gateway) budgetIn(ctx context.Context, sim string) (BudgetOrder, error) {
	limits := g.dispatch.LimitsOf(sim)
	var o budgetOrder
	var standing budget.Standing
	err := g.store.View(ctx, func(tx storage.Tx) (err error) {
		if o, _, err = g.limits.Find(tx, []byte(sim)); err != nil {
			return err
		}
		standing, err = g.budgets.Standing(tx, sim, limits)
		return err
	})
	return BudgetOrder{Budget: o.Change, By: o.By, At: o.At.Time(), Limits: limits, Standing: standing}, failure(err)
}

// SetBudget makes the change for the SIM that is in the named modem, in place of what was
// set by hand before, whichever modem it is in, over restarts too. One that
// sets nothing is ClearBudget.
func (g *Gateway) SetBudget(ctx context.Context, call Call, name string, c budget.Change) (BudgetOrder, error) {
	return g.spend(ctx, call, name, c)
}

// ClearBudget lets the configured limits count again.
func (g *Gateway) ClearBudget(ctx context.Context, call Call, name string) (BudgetOrder, error) {
	return g.spend(ctx, call, name, budget.Change{})
}

// spend makes the change what stands for the SIM in the named modem, and tells the
// dispatcher. What changes nothing leaves no entry in the trail.
func (g *Gateway) spend(ctx context.Context, call Call, name string, c budget.Change) (BudgetOrder, error) {
	sim, err := g.simOf(name)
	if err != nil {
		return BudgetOrder{}, err
	}
	if err := g.checkChange(sim, c); err != nil {
		return BudgetOrder{}, err
	}
	set, action := c.Set(), ActionBudget
	if len(set) == 0 {
		action = ActionBudgetClear
	}
	details := make(map[string]string, len(set))
	for name, v := range set {
		details[name] = strconv.Itoa(v)
	}
	err = g.ordered(ctx, call, entry(call, action, name, details), func(tx storage.Tx) (bool, error) {
		stands, _, err := g.limits.Find(tx, []byte(sim))
		switch {
		case err != nil || maps.Equal(stands.Change.Set(), set):
			return false, err
		case len(set) == 0:
			return true, g.limits.Delete(tx, []byte(sim))
		}
		return true, g.limits.Put(tx, []byte(sim), budgetOrder{Change: c, By: call.by(), At: storage.TimeOf(tx.Now())})
	}, func(ctx context.Context) { g.tellLimit(ctx, sim) })
	if err != nil {
		return BudgetOrder{}, err
	}
	return g.budgetIn(ctx, sim)
}

// tellLimit tells the dispatcher what the store says of the SIM, whatever
// became of the transaction before. The caller has ordering.
func (g *Gateway) tellLimit(ctx context.Context, sim string) {
	o, err := g.budgetOf(ctx, sim)
	if err != nil {
		g.log.Error("the limits that stand for a SIM can't be read; what was said before goes on", "error", err)
		return
	}
	g.hands.Limit(ctx, sim, o.Change)
}

// budgetOf is what stands for the SIM, the zero one for nothing.
func (g *Gateway) budgetOf(ctx context.Context, sim string) (o budgetOrder, err error) {
	err = g.store.View(ctx, func(tx storage.Tx) error {
		o, _, err = g.limits.Find(tx, []byte(sim))
		return err
	})
	return o, err
}

// simOf is what the SIM in the named modem is known by. A modem that has not
// told it yet might tell another later.
func (g *Gateway) simOf(name string) (string, error) {
	s, err := g.modemStatus(name)
	if err != nil {
		return "", err
	}
	if s.IMSI == "" && !canSend(s) {
		return "", notReady()
	}
	return s.SIM(), nil
}

// by is who calls, for people.
func (c Call) by() string { return cmp.Or(c.Name, c.Caller, "nobody") }
