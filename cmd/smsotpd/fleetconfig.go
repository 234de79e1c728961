package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/route"
)

// RouteConfig is one [[route]] table; see route.Rule.
type RouteConfig struct {
	// Name is the rule's own.
	Name string `koanf:"name"`
	// Regions, Prefixes and Lanes are its conditions: all that are given must
	// fit a message.
	Regions  []string `koanf:"regions"`
	Prefixes []string `koanf:"prefixes"`
	Lanes    []string `koanf:"lanes"`
	// SIMs, Labels and Operators select the SIMs that may carry it.
	SIMs      []string `koanf:"sims"`
	Labels    []string `koanf:"labels"`
	Operators []string `koanf:"operators"`
	// Fallback lets any other SIM carry it where none of these can.
	Fallback bool `koanf:"fallback"`
}

// BalanceConfig is a [sim.NAME.balance] table.
type BalanceConfig struct {
	// Code is the USSD code, as "*100#".
	Code string `koanf:"code"`
	// Every is how often it is asked for: 5m to 720h, 6h if left out.
	Every *time.Duration `koanf:"every"`
	// Pattern finds the amount in the answer: a regular expression (RE2)
	// whose group, or the one named amount, it is.
	Pattern string `koanf:"pattern"`
	// Low is the amount below which the operator is told; none: never.
	Low *float64 `koanf:"low"`
}

// CanaryConfig is the [canary] table.
type CanaryConfig struct {
	// Every is how often a canary is sent: 5m to 720h, 0 is off.
	Every time.Duration `koanf:"every"`
	// Pairs are names of SIMs, who sends and who receives. None: each SIM
	// whose number is configured receives in turn.
	Pairs [][]string `koanf:"pairs"`
}

// FleetConfig is the [fleet] table.
type FleetConfig struct {
	// Stick is how long a message waits for the SIM that its recipient knows;
	// 5s if left out.
	Stick *time.Duration `koanf:"stick"`
	// Failover sends a message of which no report comes once more by another
	// SIM; true if left out.
	Failover *bool `koanf:"failover"`
	// FailoverMin and FailoverMax bound how long the report is waited for;
	// 15s and 90s if left out.
	FailoverMin *time.Duration `koanf:"failover_min"`
	FailoverMax *time.Duration `koanf:"failover_max"`
}

// What these tables say by default is the gateway's, but for defaultBalanceEvery;
// so are the bounds, but for these.
const (
	defaultBalanceEvery = 6 * time.Hour
	maxStick            = time.Minute
	maxFailover         = 10 * time.Minute
)

// validateFleet says what is wrong with what is configured of the SIMs as a
// whole, as far as the configuration alone tells.
func (c Config) validateFleet() error {
	known := route.Known{SIMs: c.routeSIMs()}
	if len(c.AllowRegions) > 0 { // with none, nothing is sent by any route
		known.Regions = c.AllowRegions
	}
	errs := []error{
		route.Check(c.routes(), known), c.validateBudgets(), c.validateLabels(),
		at("canary", c.canary().Validate()), c.Fleet.validate(),
	}
	_, err := c.balances()
	errs = append(errs, err)
	return errors.Join(errs...)
}

// policy is what the configuration says of the fleet as a whole.
func (c Config) policy() (dispatch.Policy, error) {
	p := dispatch.DefaultPolicy()
	routes, err := route.New(c.routes())
	if err != nil {
		return p, err
	}
	p.Routes, p.Limits, p.Low = routes, c.limits(""), c.Budget.low()
	p.Cards = make(map[string]dispatch.CardPolicy, len(c.SIMs))
	for name, s := range c.SIMs {
		p.Cards[name] = dispatch.CardPolicy{Labels: s.Labels, Limits: c.limits(name)}
	}
	p = c.Fleet.over(p)
	return p, p.Validate()
}

// routes are the configured rules.
func (c Config) routes() []route.Rule {
	rules := make([]route.Rule, len(c.Routes))
	for i, r := range c.Routes {
		rules[i] = route.Rule(r)
	}
	return rules
}

// routeSIMs are the configured SIMs as the rules see them.
func (c Config) routeSIMs() []route.SIM {
	sims := make([]route.SIM, 0, len(c.SIMs))
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		sims = append(sims, route.SIM{Name: name, IMSI: c.SIMs[name].IMSI, Labels: c.SIMs[name].Labels})
	}
	return sims
}

func (c Config) validateLabels() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		labels := c.SIMs[name].Labels
		for i, label := range labels {
			key := fmt.Sprintf("sim.%s.labels[%d]", name, i)
			switch {
			case !isWord(label):
				errs = append(errs, fmt.Errorf("%s: a label has no blanks, and at most %d characters", key, maxWord))
			case slices.Index(labels, label) < i:
				errs = append(errs, fmt.Errorf("%s is there twice", key))
			}
		}
	}
	return errors.Join(errs...)
}

// policy is the table as the gateway has it, for the SIM of that name.
func (b BalanceConfig) policy(name string, s SIMConfig) (gateway.BalancePolicy, error) {
	p := gateway.BalancePolicy{Name: name, IMSI: s.IMSI, Code: b.Code, Every: defaultBalanceEvery, Low: b.Low}
	set(&p.Every, b.Every)
	var err error
	if p.Pattern, err = regexp.Compile(b.Pattern); err != nil {
		return p, fmt.Errorf("pattern is no regular expression: %w", err)
	}
	return p, p.Validate()
}

// canary is the table as the gateway has it.
func (c Config) canary() gateway.CanaryPolicy {
	p := gateway.CanaryPolicy{Every: c.Canary.Every, Pairs: c.Canary.Pairs}
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		p.SIMs = append(p.SIMs, gateway.CanarySIM{Name: name, IMSI: c.SIMs[name].IMSI, Number: c.SIMs[name].Number})
	}
	return p
}

// balances are the SIMs whose balance is asked for.
func (c Config) balances() ([]gateway.BalancePolicy, error) {
	var all []gateway.BalancePolicy
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		s := c.SIMs[name]
		if s.Balance == nil {
			continue
		}
		p, err := s.Balance.policy(name, s)
		if err != nil {
			errs = append(errs, at("sim."+name+".balance", err))
		}
		all = append(all, p)
	}
	return all, errors.Join(errs...)
}

// over is the policy with what the table says.
func (t FleetConfig) over(p dispatch.Policy) dispatch.Policy {
	set(&p.Stick, t.Stick)
	set(&p.Failover, t.Failover)
	set(&p.Health.MinWait, t.FailoverMin)
	set(&p.Health.MaxWait, t.FailoverMax)
	p.Health.DefaultWait = min(max(p.Health.DefaultWait, p.Health.MinWait), p.Health.MaxWait)
	return p
}

func (t FleetConfig) validate() error {
	p := t.over(dispatch.DefaultPolicy())
	var errs []error
	if p.Stick < 0 || p.Stick > maxStick {
		errs = append(errs, fmt.Errorf("fleet.stick must be between 0s and %s", plainDuration(maxStick)))
	}
	if p.Health.MinWait < time.Second {
		errs = append(errs, errors.New("fleet.failover_min must be at least 1s"))
	}
	if p.Health.MaxWait > maxFailover {
		errs = append(errs, fmt.Errorf("fleet.failover_max must be at most %s", plainDuration(maxFailover)))
	}
	if p.Health.MinWait > p.Health.MaxWait {
		errs = append(errs, fmt.Errorf("fleet.failover_min must not be more than failover_max, which is %s", plainDuration(p.Health.MaxWait)))
	}
	return errors.Join(errs...)
}

// plainDuration writes a duration without the units that are zero: 5m, not
// 5m0s.
func plainDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
