package health

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func fleet(f fares) map[string]fares { return map[string]fares{"a": f, "b": f, "c": f} }

// with is the fleet in which a fares otherwise.
func with(f map[string]fares, a fares) map[string]fares {
	f = maps.Clone(f)
	f["a"] = a
	return f
}

func TestBannedSIM(t *testing.T) {
	w := newWorld(t)
	w.run(300, "FR", fleet(well))
	w.want()
	if n := w.until(50, "a", "FR", with(fleet(well), banned)); n > 9 {
		t.Errorf("caught after %d refusals", n)
	}
	w.want("open a")
}

// Rests between refusals must not make a banned SIM pass for one of which
// nothing is known.
func TestBannedSIMThatRests(t *testing.T) {
	w := newWorld(t)
	for range 8 {
		w.want()
		w.Refused(w.now, "a", "FR")
		w.now = w.now.Add(30 * time.Minute)
	}
	if !strings.Contains(w.changes[0].Why, "8 messages in a row") {
		t.Errorf("why: %s", w.changes[0].Why)
	}
	w.want("open a")
}

func TestHalfRefused(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		if i%3 == 0 {
			w.Accepted(w.now, "a", "FR")
		} else {
			w.Refused(w.now, "a", "FR")
		}
		w.now = w.now.Add(10 * time.Second)
	}
	if len(w.changes) == 0 || !strings.Contains(w.changes[0].Why, "accepted by the network") {
		t.Fatalf("a third accepted: %v", w.changes)
	}
	w = newWorld(t)
	for i := range 200 {
		if i%3 == 0 {
			w.Refused(w.now, "a", "FR")
		} else {
			w.Accepted(w.now, "a", "FR")
		}
		w.now = w.now.Add(10 * time.Second)
	}
	w.want() // two thirds accepted
}

func TestReportsStop(t *testing.T) {
	for _, c := range []struct {
		name string
		pace time.Duration
	}{{"busy", 5 * time.Second}, {"quiet", 10 * time.Minute}, {"some a day", 75 * time.Minute}, {"few a day", 4 * time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			send := func(n int, a fares) {
				for range n {
					if s, _ := w.State(w.now, "a", "FR"); s == Closed {
						w.send("a", "FR", a)
					}
					w.send("b", "FR", fares{1, 0.95, 0.5})
					w.now = w.now.Add(c.pace)
				}
			}
			send(150, fares{1, 0.95, 0.5})
			w.want()
			send(20, swallows)
			if len(w.changes) != 1 || !strings.Contains(w.changes[0].Why, "reported as delivered") {
				t.Fatalf("changes: %v", w.changes)
			}
			w.want("open a")
			// Until then each was moved, since its report was to be expected.
			if _, expected := w.Usual(w.now, "a", "FR"); !expected {
				t.Error("its reports are not to be expected any more")
			}
		})
	}
}

// Without others, the SIM's own usual decides.
func TestReportsOfTheOnlySIMStop(t *testing.T) {
	w := newWorld(t)
	only := map[string]fares{"a": well}
	w.run(100, "FR", only)
	w.want()
	w.run(20, "FR", with(only, swallows))
	w.want("open a")
}

// One with little of its own to compare with is held against the others: new, or
// with a few reports.
func TestSwallowsFromTheFirstDay(t *testing.T) {
	for _, before := range []int{0, 3, 10, 15, 20, 25} {
		w := newWorld(t)
		w.run(before, "FR", fleet(fares{1, 1, 0}))
		if n := w.until(60, "a", "FR", with(fleet(fares{1, 1, 0}), swallows)); n > 25 {
			t.Errorf("after %d messages: caught after %d more", before, n)
		}
		w.want("open a")
	}
}

func TestSwallowsWithoutEverReporting(t *testing.T) {
	w := newWorld(t)
	w.run(200, "FR", with(fleet(well), mute))
	w.want()
	if n := w.until(100, "a", "FR", with(fleet(well), swallows)); n > 60 {
		t.Errorf("caught after %d codes", n)
	}
	if why := w.changes[0].Why; !strings.Contains(why, "codes sent were verified, where others have ") {
		t.Errorf("why: %s", why)
	}
	w.want("open a")

	// A new SIM is caught with the first samples that are enough.
	if n := w.until(100, "d", "FR", map[string]fares{"b": well, "c": well, "d": swallows}); n > 25 {
		t.Errorf("a new one is caught after %d codes", n)
	}
	w.want("open d")
}

// A carrier may lie in its reports.
func TestSwallowsAndReportsDelivered(t *testing.T) {
	w := newWorld(t)
	if n := w.until(100, "a", "FR", with(fleet(well), fares{1, 1, 0})); n > 30 {
		t.Errorf("caught after %d codes", n)
	}
	w.want("open a")
}

func TestNeverReportingModemThatWorks(t *testing.T) {
	w := newWorld(t)
	w.run(1500, "FR", with(fleet(well), mute))
	w.want()
}

func TestTheOnlySIMIsNotJudgedByCodes(t *testing.T) {
	w := newWorld(t)
	w.run(300, "FR", map[string]fares{"a": mute})
	w.run(300, "FR", map[string]fares{"a": swallows})
	w.want()
}

func TestDeadRegion(t *testing.T) {
	w := newWorld(t)
	w.run(300, "FR", fleet(well))
	w.run(300, "FR", fleet(swallows))
	w.want()
	// One that joins while the region is dead is not compared with the past.
	w.run(200, "FR", map[string]fares{"b": swallows, "c": swallows, "d": swallows})
	w.want()
	// It lives again, but not for one.
	w.run(100, "FR", with(fleet(well), swallows))
	w.want("open a")
}

func TestABadHourOfUsers(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.run(180, "FR", fleet(well))
		w.run(60, "FR", fleet(unentered))
	}
	w.want()
}

// Whoever was silent is compared with what the others do now.
func TestBackInABadHour(t *testing.T) {
	w := newWorld(t)
	w.run(100, "FR", fleet(well))
	w.run(600, "FR", map[string]fares{"b": well, "c": well})
	w.run(60, "FR", fleet(unentered))
	w.want()
}

func TestTroubleInOneRegion(t *testing.T) {
	for name, f := range map[string]fares{"refused": banned, "swallowed": swallows, "swallowed, reported": {1, 1, 0}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			send := func(n int, a fares) {
				for range n {
					if s, _ := w.State(w.now, "a", "FR"); s == Closed {
						w.send("a", "FR", a)
					}
					w.send("b", "FR", well)
					w.run(1, "DE", fleet(well))
				}
			}
			send(200, well)
			w.want()
			send(60, f)
			w.want("open a/FR")
			w.state("a", "DE", Closed)
			w.state("b", "FR", Closed)
		})
	}
}

func TestTroubleInTwoRegions(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.send("a", "FR", well)
		w.run(1, "DE", fleet(well))
	}
	w.want()
	for range 60 {
		if s, _ := w.State(w.now, "a", "FR"); s == Closed {
			w.send("a", "FR", swallows)
		}
		if s, _ := w.State(w.now, "a", "DE"); s == Closed {
			w.run(1, "DE", with(fleet(well), swallows))
		}
	}
	for _, region := range []string{"FR", "DE", "IT"} {
		if s, _ := w.State(w.now, "a", region); s == Closed {
			t.Errorf("closed in %s: %v", region, w.changes)
		}
	}
}

// Refusals spread thin over many regions are the SIM's all the same.
func TestRefusedEverywhere(t *testing.T) {
	w := newWorld(t)
	for _, region := range []string{"FR", "DE", "IT", "ES", "PT", "NL", "BE", "AT"} {
		w.want()
		w.Refused(w.now, "a", region)
	}
	w.want("open a")
}

func TestCanaries(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		w.Canary(w.now, "a", false)
		w.Canary(w.now, "a", true)
	}
	w.want()
	w.Canary(w.now, "a", false)
	w.Canary(w.now, "a", false)
	w.want("open a")
	w.state("a", "anywhere", Open)
}

func TestSilenceEndsOpinions(t *testing.T) {
	w := newWorld(t)
	w.run(200, "FR", fleet(well))
	for range 7 {
		w.Refused(w.now, "a", "FR")
	}
	w.now = w.now.Add(6*24*time.Hour + 2*time.Hour)
	r := w.Rates(w.now, "a")
	if r.Success.Samples > 0.01 || r.Delivery.Samples > 0.5 || r.Verified.Samples > 0.5 {
		t.Errorf("after six days: %+v", r)
	}
	w.Refused(w.now, "a", "FR") // the eighth in a row, six days later
	w.want()
}

func TestReset(t *testing.T) {
	w := newWorld(t)
	w.Known(w.now, "a", "20801")
	w.run(8, "FR", map[string]fares{"a": banned})
	w.want("open a")
	w.Reset(w.now, "a")
	w.want("closed a")
	w.state("a", "FR", Closed)
	if r := w.Rates(w.now, "a"); len(r.Regions) != 0 {
		t.Errorf("after the reset: %+v", r)
	}
	w.Reset(w.now, "nobody")
	w.want()
}

func TestSweep(t *testing.T) {
	w := newWorld(t)
	w.Known(w.now, "b", "20801")
	w.run(30, "FR", map[string]fares{"a": well, "b": well})
	w.run(8, "DE", map[string]fares{"a": banned})
	w.want("open a/DE")
	w.now = w.now.Add(6 * 24 * time.Hour)
	w.Accepted(w.now, "a", "IT")
	w.Sweep(w.now)
	w.want()
	w.now = w.now.Add(2 * 24 * time.Hour)
	w.Sweep(w.now)
	w.want("closed a/DE")
	if got := w.SIMs(); len(got) != 1 || got[0] != "a" || len(w.Rates(w.now, "a").Regions) != 1 {
		t.Errorf("left: %v, %v", got, w.Rates(w.now, "a"))
	}
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.Sweep(w.now)
	if len(w.sims)+len(w.regions)+len(w.operators) != 0 {
		t.Errorf("left: %v %v %v", w.sims, w.regions, w.operators)
	}
}

func TestRates(t *testing.T) {
	w := newWorld(t)
	for _, region := range []string{"FR", "DE"} {
		w.Accepted(w.now, "a", region)
		w.Refused(w.now, "a", region)
		w.Reported(w.now, "a", region, time.Second)
		w.Answered(w.now, "a", region)
		w.Missing(w.now, "a", region)
		w.Missing(w.now, "a", region)
		w.Missing(w.now, "a", region)
		w.Late(w.now, "a", region, time.Second)
		w.Unverified(w.now, "a", region)
	}
	r := w.Rates(w.now, "a")
	if r.Success != (Rate{0.5, 4}) || r.Delivery != (Rate{0.5, 8}) || r.Verified != (Rate{0, 2}) || len(r.Regions) != 2 {
		t.Errorf("rates: %+v", r)
	}
	if fr := r.Regions["FR"]; fr.Success != (Rate{0.5, 2}) || fr.Delivery != (Rate{0.5, 4}) {
		t.Errorf("in FR: %+v", fr)
	}
	if r := w.Rates(w.now, "nobody"); r.Regions != nil {
		t.Errorf("of nobody: %+v", r)
	}
}

func TestValidate(t *testing.T) {
	for i, spoil := range []func(*Policy){
		func(p *Policy) { p.HalfLife = 0 },
		func(p *Policy) { p.SlowHalfLife = -1 },
		func(p *Policy) { p.MinTries = 0 },
		func(p *Policy) { p.MinReports = 0.5 },
		func(p *Policy) { p.MinCodes = 1e9 },
		func(p *Policy) { p.BadSuccess = 0 },
		func(p *Policy) { p.BadDelivery = 1.1 },
		func(p *Policy) { p.BadVerified = -1 },
		func(p *Policy) { p.Canaries = 0 },
		func(p *Policy) { p.FirstRest = 0 },
		func(p *Policy) { p.LongestRest = time.Second },
		func(p *Policy) { p.ProbeLife = 0 },
		func(p *Policy) { p.MinWait = 0 },
		func(p *Policy) { p.DefaultWait = time.Second },
		func(p *Policy) { p.MaxWait = time.Second },
		func(p *Policy) { p.Forget = 0 },
	} {
		p := DefaultPolicy()
		spoil(&p)
		if p.Validate() == nil {
			t.Errorf("policy %d is taken", i)
		}
	}
}
