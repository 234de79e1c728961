package dispatch

import (
	"cmp"
	"slices"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/health"
)

// SIMView is one SIM that has been there since the start, as it is known without
// a look into the store.
type SIMView struct {
	// IMSI is what Line.Info calls the SIM; Modem the modem that it was in last,
	// Name the operator's own for it, "" for none.
	IMSI, Modem, Name string
	// Here: it is in a modem that can send. Held: the operator has taken that
	// out.
	Here, Held bool
	// Standing is what the ledger said last; Now is the present by the clock that
	// its times are of.
	Standing budget.Standing
	Now      time.Time
	Limits   budget.Limits
	Rates    health.Rates
}

// SIMs are all SIMs that have been there since the start, sorted by IMSI. It
// waits for no store and no modem.
func (d *Dispatcher) SIMs() []SIMView {
	views := d.index.views()
	now := time.Now()
	for i := range views {
		views[i].Rates = d.health.Rates(now, views[i].IMSI)
	}
	return views
}

// Health is how well a SIM does its work.
func (d *Dispatcher) Health(imsi string) health.Rates { return d.health.Rates(time.Now(), imsi) }

// Canary takes in that a test message by the SIM arrived at another of ours, or
// did not.
func (d *Dispatcher) Canary(sim string, ok bool) { d.health.Canary(time.Now(), sim, ok) }

func (x *index) views() []SIMView {
	x.mu.Lock()
	defer x.mu.Unlock()
	now, views := time.Now(), make([]SIMView, 0, len(x.cards))
	for _, c := range x.cards {
		v := SIMView{
			IMSI: c.imsi, Modem: c.modem, Name: c.name, Here: len(c.lines) > 0, Held: c.heldBack(),
			Standing: c.standing, Now: c.storeTime(now), Limits: x.changes[c.imsi].Over(c.limits),
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b SIMView) int { return cmp.Compare(a.IMSI, b.IMSI) })
	return views
}
