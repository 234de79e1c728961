package budget

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestOpensIsWhenOneMoreMayBegin: by then the SIMs have room for one more message
// than so many, and not before.
func TestOpensIsWhenOneMoreMayBegin(t *testing.T) {
	zone := zoneOf(t, "Europe/Paris")
	rapid.Check(t, func(rt *rapid.T) {
		var sims []Standing
		var now time.Time
		for range rapid.IntRange(1, 3).Draw(rt, "SIMs") {
			b := newBench(zone, drawLimits(rt))
			b.at(2026, time.March, 30, 22, 0)
			for _, c := range past(rt, b) {
				b.settle(rt, c, Settlement{Result: Taken})
			}
			sims = append(sims, b.standing(rt, paris))
			if b.clock.After(now) {
				now = b.clock
			}
		}
		c := drawLane(rt)
		d := Demand{Notice: c.Notice, Segments: c.Segments, Fresh: rapid.Bool().Draw(rt, "fresh")}
		waiting := rapid.IntRange(0, 30).Draw(rt, "waiting")
		allowed := func(until time.Time) (n int) {
			for _, s := range sims {
				n += min(s.Allowance(now, until, d), waiting+1)
			}
			return n
		}
		opens := Opens(now, sims, d, waiting)
		switch {
		case opens.IsZero() || opens.Sub(now) > horizon:
			if n := allowed(now.Add(horizon)); n > waiting {
				rt.Fatalf("%d may begin within an hour, and it opens at %v", n, opens)
			}
		case allowed(opens) <= waiting:
			// The end of what can be told: nothing opens later, either.
			if n := allowed(now.Add(horizon)); n > waiting {
				rt.Fatalf("%d may begin by then, and %d within an hour", allowed(opens), n)
			}
		case opens.After(now) && allowed(opens.Add(-time.Microsecond)) > waiting:
			rt.Fatalf("%d may begin a moment before", allowed(opens.Add(-time.Microsecond)))
		}
	})
}

func TestOpens(t *testing.T) {
	b := newBench(nil, Limits{PerHour: 2, PerDay: 3, RecipientsPerMonth: 4})
	b.at(2026, time.March, 10, 12, 0)
	s := b.standing(t, paris)
	hour := b.clock.Add(61 * time.Minute) // it is counted in whole minutes
	tomorrow := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		sims, waiting int
		fresh         bool
		want          time.Time
	}{
		{1, 0, false, b.clock},
		{1, 1, false, b.clock},
		{1, 2, false, hour},
		{1, 3, false, tomorrow},
		{2, 3, false, b.clock},
		{2, 4, false, hour},
		{1, 3, true, tomorrow},
		{1, 4, true, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)},
	} {
		sims := []Standing{s, s}[:c.sims]
		if got := Opens(b.clock, sims, Demand{Fresh: c.fresh}, c.waiting); !got.Equal(c.want) {
			t.Errorf("%d SIMs with %d waiting, to strangers %v: %v, want %v", c.sims, c.waiting, c.fresh, got, c.want)
		}
	}
	for range 2 {
		b.charge(t, Charge{SIM: paris})
	}
	inAir := []Standing{b.standing(t, paris)}
	if got := Opens(b.clock, inAir, Demand{}, 0); !got.Equal(hour) {
		t.Errorf("with two in the air it opens at %v, want %v", got, hour)
	}
	if got := Opens(b.clock, nil, Demand{}, 0); !got.IsZero() {
		t.Errorf("without SIMs it opens at %v", got)
	}
}
