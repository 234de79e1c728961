package health

import (
	"errors"
	"time"
)

// Policy says when a SIM is doing badly.
type Policy struct {
	// HalfLife is after how long a try weighs half; SlowHalfLife the same for
	// reports and codes, of which a cheap SIM has some twenty a day. Busy SIMs
	// forget sooner, by number.
	HalfLife, SlowHalfLife time.Duration
	// MinTries, MinReports and MinCodes are the samples, faded, without which
	// nothing is said; a comparison needs as many of the others.
	MinTries, MinReports, MinCodes float64
	// BadSuccess is the part of the tries, BadDelivery the part of the reports
	// that could be expected, BadVerified the part of the others' rate of
	// entered codes, below which a breaker opens; above 0, at most 1.
	BadSuccess, BadDelivery, BadVerified float64
	// Canaries is how many lost in a row open the SIM's breaker.
	Canaries int

	// FirstRest is how long a breaker stays open before a probe may go, twice
	// as long each time up to LongestRest. One that opens again within
	// LongestRest of its closing goes on from its last rest.
	FirstRest, LongestRest time.Duration
	// ProbeLife is how long the result of a probe is waited for before another
	// may go.
	ProbeLife time.Duration

	// MinWait and MaxWait bound what Usual answers; DefaultWait is its answer
	// before enough is known.
	MinWait, MaxWait, DefaultWait time.Duration

	// Forget is how long what nothing is told of is kept by Sweep.
	Forget time.Duration
}

// DefaultPolicy is a policy for SIMs that send from a few to some hundred
// messages an hour.
func DefaultPolicy() Policy {
	return Policy{
		HalfLife: 30 * time.Minute, SlowHalfLife: 24 * time.Hour,
		MinTries: 8, MinReports: 10, MinCodes: 20,
		BadSuccess: 0.5, BadDelivery: 0.5, BadVerified: 0.25,
		Canaries:  2,
		FirstRest: time.Minute, LongestRest: 30 * time.Minute, ProbeLife: 5 * time.Minute,
		MinWait: 15 * time.Second, MaxWait: 90 * time.Second, DefaultWait: 45 * time.Second,
		Forget: 7 * 24 * time.Hour,
	}
}

// Validate says what is wrong with the policy.
func (p Policy) Validate() error {
	part := func(f float64) bool { return f > 0 && f <= 1 }
	many := func(f float64) bool { return f >= 1 && f <= 1e6 }
	switch {
	case p.HalfLife <= 0 || p.SlowHalfLife <= 0:
		return errors.New("health: a half-life must be above 0")
	case !many(p.MinTries) || !many(p.MinReports) || !many(p.MinCodes):
		return errors.New("health: the samples needed must be from 1 to 1000000")
	case !part(p.BadSuccess) || !part(p.BadDelivery) || !part(p.BadVerified):
		return errors.New("health: the bad rates must be above 0 and at most 1")
	case p.Canaries < 1:
		return errors.New("health: at least 1 lost canary is needed")
	case p.FirstRest <= 0 || p.LongestRest < p.FirstRest:
		return errors.New("health: the first rest must be above 0 and at most the longest")
	case p.ProbeLife <= 0:
		return errors.New("health: the life of a probe must be above 0")
	case p.MinWait <= 0 || p.DefaultWait < p.MinWait || p.MaxWait < p.DefaultWait:
		return errors.New("health: the waits for a report must be above 0 and in order: least, default, most")
	case p.Forget <= 0:
		return errors.New("health: the time after which a SIM is forgotten must be above 0")
	}
	return nil
}
