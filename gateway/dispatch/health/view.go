package health

import (
	"maps"
	"slices"
	"time"
)

// Rate is the good part of some outcomes, from 0 to 1, and how many they are,
// faded by time and number; Value is 0 without samples.
type Rate struct{ Value, Samples float64 }

// Rates are what is known of a SIM.
type Rates struct {
	Success  Rate // accepted by the network, of those tried
	Delivery Rate // reported as delivered, of the reports due
	Verified Rate // codes entered, of those whose end is known

	State State
	Until time.Time // as Book.State has it
	Why   string    // what opened the breaker

	// Regions are the same by region, where nothing of the whole SIM's breaker
	// is told; nil in a region's own.
	Regions map[string]Rates
}

// Rates of the SIM; zero for one that is not known.
func (b *Book) Rates(now time.Time, sim string) Rates {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	s := b.sims[sim]
	if s == nil {
		return Rates{}
	}
	var success, delivery, codes count
	all := Rates{Why: s.breaker.why, Regions: make(map[string]Rates, len(s.list))}
	all.State, all.Until = s.breaker.state(b.now)
	for _, r := range s.list {
		tried := r.success.faded(b.now, b.p.HalfLife)
		due := r.delivery.own.faded(b.now, b.p.SlowHalfLife)
		sent := r.verified.own.faded(b.now, b.p.SlowHalfLife)
		of := Rates{Success: tried.rate(), Delivery: due.rate(), Verified: sent.rate(), Why: r.breaker.why}
		of.State, of.Until = r.breaker.state(b.now)
		all.Regions[r.name] = of
		success, delivery, codes = success.plus(tried), delivery.plus(due), codes.plus(sent)
	}
	all.Success, all.Delivery, all.Verified = success.rate(), delivery.rate(), codes.rate()
	return all
}

// SIMs are the SIMs of which anything is known, sorted.
func (b *Book) SIMs() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.sims))
}

func (c count) plus(o count) count { return count{c.good + o.good, c.all + o.all} }

func (c count) rate() Rate { return Rate{Value: c.share(), Samples: c.all} }
