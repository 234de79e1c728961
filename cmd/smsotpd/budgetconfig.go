package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
)

// CommonBudgetConfig is the [budget] table, which holds for every SIM by
// itself.
type CommonBudgetConfig struct {
	budget.Change `koanf:",squash"`
	// Zone is where days and months begin, by its name in the IANA's database
	// of time zones; UTC if left out.
	Zone string `koanf:"zone"`
	// Low is what is left of a limit, in percent, when the operator is told;
	// 10 if left out, 0 for never.
	Low *int `koanf:"low"`
}

// limits are those of the SIM of the name; "" or one without a table: the common
// ones.
func (c Config) limits(sim string) budget.Limits {
	return c.SIMs[sim].Budget.Over(c.Budget.Over(budget.Limits{}))
}

// zone is where days and months begin.
func (b CommonBudgetConfig) zone() (*time.Location, error) {
	zone, err := time.LoadLocation(b.Zone)
	if err != nil || zone == time.Local {
		return nil, fmt.Errorf(`zone: there is no time zone %q on this host; zones are named as "Europe/Paris"`, b.Zone)
	}
	return zone, nil
}

// low is what is left of a limit, in percent, when the operator is told; 0 is
// never.
func (b CommonBudgetConfig) low() int {
	low := dispatch.DefaultPolicy().Low
	set(&low, b.Low)
	return low
}

func (c Config) validateBudgets() error {
	var errs []error
	if _, err := c.Budget.zone(); err != nil {
		errs = append(errs, at("budget", err))
	}
	if low := c.Budget.low(); low < 0 || low > 99 {
		errs = append(errs, errors.New("budget.low must be between 0 and 99 percent"))
	}
	if err := errors.Join(tooMuch(c.Budget.Change), c.limits("").Validate()); err != nil {
		return errors.Join(append(errs, at("budget", err))...)
	}
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		errs = append(errs, at("sim."+name+".budget", errors.Join(tooMuch(c.SIMs[name].Budget), c.limits(name).Validate())))
	}
	return errors.Join(errs...)
}

// tooMuch names the limits that are set higher than any can be.
func tooMuch(c budget.Change) error {
	var errs []error
	set := c.Set()
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if set[key] > gateway.MaxLimit {
			errs = append(errs, fmt.Errorf("%s must be at most %d; 0 is no limit", key, gateway.MaxLimit))
		}
	}
	return errors.Join(errs...)
}
