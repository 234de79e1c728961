package budget

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// past makes a SIM with some history under the limits: messages taken at
// random times, and a few in the air.
func past(rt *rapid.T, b *bench) (air []Charge) {
	oldest := b.clock
	for range rapid.IntRange(0, 40).Draw(rt, "history") {
		c := Charge{SIM: paris, Notice: rapid.Bool().Draw(rt, "notice"), Segments: rapid.IntRange(1, 3).Draw(rt, "segments")}
		if b.charge(rt, c) == nil {
			if rapid.IntRange(0, 9).Draw(rt, "stays") == 0 {
				air = append(air, c)
			} else {
				b.settle(rt, c, Settlement{Result: Taken})
			}
		}
		leap := drawLeap(rt, b)
		if b.clock.Add(leap).Sub(oldest) > 11*time.Hour { // nothing hangs for a day
			for _, c := range air {
				b.settle(rt, c, Settlement{Result: Taken})
			}
			air, oldest = nil, b.clock.Add(leap)
		}
		b.pass(leap)
	}
	return air
}

// greedy begins whatever may begin until that time, each taken at once, and
// says how many. before is told before time goes on.
func (b *bench) greedy(rt *rapid.T, c Charge, until time.Time, before func(next time.Time)) int {
	for n := 0; ; {
		spent := b.charge(rt, c)
		switch {
		case spent == nil:
			b.settle(rt, c, Settlement{Result: Taken})
			n++
			continue
		case spent.Until.IsZero() || spent.Until.After(until):
			before(until)
			if b.charge(rt, c) != nil {
				return n
			}
			b.settle(rt, c, Settlement{Result: Taken})
			n++
		default:
			before(spent.Until)
			b.clock = spent.Until
		}
	}
}

func drawLane(rt *rapid.T) Charge {
	return Charge{
		SIM: paris, Notice: rapid.Bool().Draw(rt, "lane"), Segments: rapid.IntRange(1, 3).Draw(rt, "of segments"),
	}
}

// limited says whether any limit holds for the lane.
func (l Limits) limited(notice bool) bool {
	return l.PerMinute > 0 || l.PerHour > 0 || l.dated() && (notice || l.PerDay > 0 || l.SegmentsPerDay > 0 ||
		l.PerMonth > 0 || l.SegmentsPerMonth > 0) || notice && l.NoticesPerMinute > 0
}

func TestAllowanceIsWhatMayBegin(t *testing.T) {
	zone := zoneOf(t, "Europe/Paris")
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(zone, drawLimits(rt))
		b.at(2026, time.March, 30, 22, 0)
		past(rt, b)
		s, c := b.standing(rt, paris), drawLane(rt)
		stale := time.Duration(rapid.IntRange(0, 7200).Draw(rt, "stale")) * time.Second
		if rapid.Bool().Draw(rt, "fresh") {
			stale = 0
		}
		b.pass(stale)
		until := b.clock.Add(time.Duration(rapid.IntRange(0, 600).Draw(rt, "until")) * time.Second)
		allowed := s.Allowance(b.clock, until, Demand{Notice: c.Notice, Segments: c.Segments})
		if !b.lim.limited(c.Notice) {
			if allowed != math.MaxInt {
				rt.Fatalf("%d are allowed, but there is no limit", allowed)
			}
			return
		}
		n := b.greedy(rt, c, until, func(time.Time) {})
		if n < allowed || n > allowed && b.lim.WarmUp.Days == 0 {
			rt.Fatalf("%d were allowed, but %d began", allowed, n)
		}
	})
}

// Whatever becomes of what is in the air, no less may begin than was allowed.
func TestAllowanceHoldsWhateverSettles(t *testing.T) {
	zone := zoneOf(t, "Europe/Paris")
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(zone, drawLimits(rt))
		b.at(2026, time.March, 30, 22, 0)
		air := past(rt, b)
		s, c := b.standing(rt, paris), drawLane(rt)
		if !b.lim.limited(c.Notice) {
			return
		}
		b.pass(time.Duration(rapid.IntRange(0, 12*3600).Draw(rt, "stale")) * time.Second)
		until := b.clock.Add(time.Duration(rapid.IntRange(0, 600).Draw(rt, "until")) * time.Second)
		allowed := s.Allowance(b.clock, until, Demand{Notice: c.Notice, Segments: c.Segments})
		n := b.greedy(rt, c, until, func(next time.Time) {
			for len(air) > 0 && rapid.Bool().Draw(rt, "settles") {
				b.clock = b.clock.Add(rapid.SampledFrom([]time.Duration{0, next.Sub(b.clock) / 2}).Draw(rt, "when"))
				b.settle(rt, air[0], Settlement{Result: rapid.SampledFrom([]Result{Taken, Refused, Unsent}).Draw(rt, "as")})
				air = air[1:]
			}
		})
		if n < allowed {
			rt.Fatalf("%d were allowed, but only %d began", allowed, n)
		}
	})
}

func TestAllowanceRefillsByTheMinute(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 3})
	c := Charge{SIM: paris}
	b.send(t, c)
	b.pass(20 * time.Second)
	b.send(t, c)
	b.pass(30 * time.Second)
	s := b.standing(t, paris)
	for after, want := range map[time.Duration]int{
		0:                           1,
		10*time.Second - 1:          1,
		10 * time.Second:            2,
		30 * time.Second:            3,
		time.Minute:                 4,
		2*time.Minute + time.Second: 7,
		-time.Second:                0,
	} {
		if got := s.Allowance(b.clock, b.clock.Add(after), Demand{}); got != want {
			t.Errorf("%d may begin within %s, want %d", got, after, want)
		}
	}
	idle := newBench(nil, Limits{PerMinute: 1, PerHour: 2}).standing(t, paris)
	for after, want := range map[time.Duration]int{
		time.Minute - time.Microsecond: 1, time.Minute: 2, time.Hour: 2,
	} {
		if got := idle.Allowance(b.clock, b.clock.Add(after), Demand{}); got != want {
			t.Errorf("%d may begin within %s of an idle SIM, want %d", got, after, want)
		}
	}
	if got := (Standing{}).Allowance(b.clock, b.clock, Demand{Notice: true}); got != math.MaxInt {
		t.Errorf("without limits %d may begin", got)
	}
	// However far one asks, an hour is looked at.
	hour := s.Allowance(b.clock, b.clock.Add(time.Hour), Demand{})
	if got := s.Allowance(b.clock, b.clock.AddDate(1, 0, 0), Demand{}); got != hour {
		t.Errorf("%d may begin within a year, and %d in an hour", got, hour)
	}
}

func TestAllowanceOverMidnight(t *testing.T) {
	b := newBench(zoneOf(t, "Europe/Paris"), Limits{PerDay: 5, PerMonth: 8})
	b.at(2026, time.March, 31, 23, 55)
	for range 4 {
		b.send(t, Charge{SIM: paris})
	}
	s := b.standing(t, paris)
	for minutes, want := range map[int]int{0: 1, 4: 1, 5: 6, 10: 6} {
		if got := s.Allowance(b.clock, b.clock.Add(time.Duration(minutes)*time.Minute), Demand{}); got != want {
			t.Errorf("%d may begin within %d min, want %d", got, minutes, want)
		}
	}
	// What is in the air then counts in the new day.
	if spent := b.charge(t, Charge{SIM: paris}); spent != nil {
		t.Fatal(spent)
	}
	if got := b.standing(t, paris).Allowance(b.clock, b.clock.Add(10*time.Minute), Demand{}); got != 4 {
		t.Errorf("%d may begin, want 4", got)
	}
}
