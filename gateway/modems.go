package gateway

import (
	"cmp"
	"context"
	"slices"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/modem"
	"smsotpd/storage"
)

// Modems lists all modems, sorted by name; those too that are held and not there.
func (g *Gateway) Modems(ctx context.Context) ([]Modem, error) {
	statuses := g.fleet.Statuses()
	modems := make([]Modem, len(statuses))
	standing := make([]heldOrder, len(statuses))
	var absent []heldModem
	var now time.Time
	err := g.store.View(ctx, func(tx storage.Tx) (err error) {
		now = tx.Now()
		for i, s := range statuses {
			if standing[i], err = g.orders.get(tx, s.Name); err != nil {
				return err
			}
			if modems[i].Standing, err = g.budgets.Standing(tx, s.SIM(), g.dispatch.LimitsOf(s.SIM())); err != nil {
				return err
			}
			modems[i].SentToday = modems[i].Standing.Day.Used
		}
		absent, err = g.orders.others(tx, statuses)
		return err
	})
	for i, s := range statuses {
		modems[i].Health = g.dispatch.Health(s.SIM())
		modems[i].Status = g.overlay(spent(s, modems[i].Standing, now), standing[i])
	}
	for _, m := range absent {
		modems = append(modems, Modem{Status: g.overlay(notThere(m.name), m.heldOrder)})
	}
	slices.SortStableFunc(modems, func(a, b Modem) int { return cmp.Compare(a.Name, b.Name) })
	return modems, failure(err)
}

// notThere is the status of a modem that is not one of the fleet now.
func notThere(name string) modem.Status {
	return modem.Status{Name: name, State: modem.Down, Reason: "there is no modem of that name now"}
}

// Ready says whether the store takes a write and a modem can send.
func (g *Gateway) Ready(ctx context.Context) Readiness {
	var reasons []string
	if err := g.update(ctx, g.replies.probe); err != nil {
		g.log.Warn("the store takes no write", "error", err)
		reasons = append(reasons, "the store takes no write: "+AsError(err).Code)
	}
	if g.needModem && !g.anyModem(ctx) {
		reasons = append(reasons, "no modem is ready")
	}
	return Readiness{Ready: len(reasons) == 0, Reasons: reasons}
}

// anyModem says whether a modem can send.
func (g *Gateway) anyModem(ctx context.Context) bool {
	return slices.ContainsFunc(g.statuses(ctx), canSend)
}

func canSend(s modem.Status) bool { return s.State == modem.Ready || s.State == modem.Sending }

// statuses are the modems as the operator's orders leave them, or as they are
// where the orders can't be read.
func (g *Gateway) statuses(ctx context.Context) []modem.Status {
	modems, err := g.Modems(ctx)
	if err != nil {
		g.log.Warn("what is ordered of the modems can't be read", "error", err)
	}
	all := make([]modem.Status, len(modems))
	for i, m := range modems {
		all[i] = m.Status
	}
	return all
}

// spent is a modem's status as its SIM's budget leaves it.
func spent(s modem.Status, b budget.Standing, now time.Time) modem.Status {
	if why := dispatch.Spent(b, now); why != "" && canSend(s) {
		s.State, s.Reason = modem.Parked, why
	}
	return s
}

// overlay is a modem's status as the order leaves it.
func (g *Gateway) overlay(s modem.Status, o heldOrder) modem.Status {
	switch {
	case !o.Held:
		return s
	case !canSend(s):
		// It has a trouble of its own; that it is held as well is told beside.
		if s.Notice != "" {
			s.Notice += "; "
		}
		s.Notice += o.said()
		return s
	}
	s.State, s.Reason = modem.Paused, o.said()
	if o.Drained && !g.hands.InAir(s.Name) {
		s.Reason += " (it can be unplugged)"
	}
	if o.At.After(s.Since) {
		s.Since = o.At
	}
	return s
}

// modemStatus is what the fleet says of the named modem.
func (g *Gateway) modemStatus(name string) (modem.Status, error) {
	for _, s := range g.fleet.Statuses() {
		if s.Name == name {
			return s, nil
		}
	}
	return modem.Status{}, noSuchModem()
}

// modem is the named modem as Modems has it.
func (g *Gateway) modem(ctx context.Context, name string) (Modem, error) {
	all, err := g.Modems(ctx)
	if err != nil {
		return Modem{}, err
	}
	for _, m := range all {
		if m.Name == name {
			return m, nil
		}
	}
	return Modem{}, noSuchModem()
}
