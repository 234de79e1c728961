package main

import (
	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/route"
)

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
	fleet := c.Fleet.policy()
	p.Stick, p.Failover = fleet.stick, fleet.failover
	p.Health.MinWait, p.Health.MaxWait = fleet.failoverMin, fleet.failoverMax
	p.Health.DefaultWait = min(max(p.Health.DefaultWait, p.Health.MinWait), p.Health.MaxWait)
	return p, p.Validate()
}
