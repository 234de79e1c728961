package dispatch

import (
	"errors"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/dispatch/route"
)

// Policy is what the operator has set for the fleet. It can be changed while
// messages go out; see Dispatcher.Reload.
type Policy struct {
	// Routes say which SIMs may carry which message; nil: any may.
	Routes *route.Table
	// Limits are those of every SIM that has none of its own.
	Limits budget.Limits
	// Cards are the SIMs that the operator has named, by name.
	Cards map[string]CardPolicy
	// Low is the part of a day's or month's budget, in percent, that is told to
	// be little.
	Low int
	// Stick is how long a message waits for the SIM that its recipient has had
	// one from; 0: it does not.
	Stick time.Duration
	// Failover: a message that is accepted and not reported on in the usual
	// time goes out once more by another operator.
	Failover bool
	// Health says when a SIM is no longer trusted.
	Health health.Policy
}

// CardPolicy is what holds for one SIM.
type CardPolicy struct {
	Labels []string
	Limits budget.Limits
}

// DefaultPolicy is without limits and rules.
func DefaultPolicy() Policy {
	return Policy{Low: 10, Stick: 5 * time.Second, Failover: true, Health: health.DefaultPolicy()}
}

// Validate says what is wrong.
func (p Policy) Validate() error {
	errs := []error{p.Limits.Validate(), p.Health.Validate()}
	for _, c := range p.Cards {
		errs = append(errs, c.Limits.Validate())
	}
	return errors.Join(errs...)
}

// limits are those of the SIM with the given name, "" for none.
func (p Policy) limits(name string) budget.Limits {
	if c, known := p.Cards[name]; known {
		return c.Limits
	}
	return p.Limits
}

// sim is the SIM as rules see it.
func (p Policy) sim(name, imsi string) route.SIM {
	return route.SIM{Name: name, IMSI: imsi, Labels: p.Cards[name].Labels}
}

// limited says whether any SIM has limits.
func (p Policy) limited() bool {
	if p.Limits != (budget.Limits{}) {
		return true
	}
	for _, c := range p.Cards {
		if c.Limits != (budget.Limits{}) {
			return true
		}
	}
	return false
}

// noRule is the rule of messages that none fits.
const noRule = -1

// rule is the rule of a message.
func (p Policy) rule(region, number string, notice bool) int {
	if p.Routes == nil {
		return noRule
	}
	return p.Routes.Match(region, number, notice)
}

// carries says whether the SIM is one of those that the rule names, or may stand
// in for them.
func (p Policy) carries(rule int, s route.SIM) (own, standIn bool) {
	if rule == noRule || p.Routes == nil {
		return true, false
	}
	own = p.Routes.Carries(rule, s)
	return own, !own && p.Routes.Fallback(rule)
}
