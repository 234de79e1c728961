package health

import (
	"testing"
	"time"
)

func (w *world) refuse(n int, regions ...string) {
	for range n {
		for _, region := range regions {
			w.Refused(w.now, "a", region)
		}
	}
}

// frOpen lets a's breaker be open in FR alone, for what people don't enter,
// while DE is fine.
func frOpen(t *testing.T) *world {
	w := newWorld(t)
	for range 60 {
		if s, _ := w.State(w.now, "a", "FR"); s == Closed {
			w.send("a", "FR", fares{1, 1, 0})
		}
		w.send("b", "FR", well)
		w.run(1, "DE", fleet(well))
	}
	w.want("open a/FR")
	return w
}

// What a region shows whose breaker is open says nothing of the rest.
func TestAllThatIsLeftFails(t *testing.T) {
	w := frOpen(t)
	w.refuse(8, "DE")
	w.want("open a")
}

func TestRefusedInAnOpenRegion(t *testing.T) {
	w := frOpen(t)
	w.refuse(20, "FR")
	w.refuse(1, "DE")
	w.want()
}

// A stray refusal elsewhere doesn't turn a region's trouble into the SIM's.
func TestAStrayRefusal(t *testing.T) {
	w := newWorld(t)
	w.run(20, "DE", fleet(well))
	w.refuse(8, "FR")
	w.want("open a/FR")
	w.refuse(1, "DE")
	w.want()
}

func TestHalfRefusedInTwoRegions(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.want()
		w.Accepted(w.now, "a", "FR")
		w.Accepted(w.now, "a", "DE")
		w.refuse(3, "FR", "DE")
		if len(w.changes) > 0 {
			w.want("open a")
			return
		}
	}
	t.Error("nothing opens")
}

func TestSlowlyRefusedInTwoRegions(t *testing.T) {
	w := newWorld(t)
	for range 4 {
		w.want()
		w.refuse(1, "FR", "DE")
		w.now = w.now.Add(time.Hour)
	}
	w.want("open a")
	w.refuse(8, "FR", "DE") // as there was no other
	// It is over by a proof from elsewhere, and one more refusal is one.
	w.Canary(w.now, "a", true)
	w.want("closed a")
	w.refuse(1, "IT")
	w.want()
}

// Rates of a third that all have by their users and networks open nobody by chance.
func TestChanceOpensNobody(t *testing.T) {
	w := newWorld(t)
	w.run(10000, "FR", fleet(fares{1, 0.3, 0.3}))
	w.want()
}

func TestFewOthersProveNothing(t *testing.T) {
	w := newWorld(t)
	for i := range 60 {
		w.send("a", "FR", swallows)
		if i < 9 {
			w.send("b", "FR", fares{1, 1, 1})
		}
	}
	w.want()
}

// What others did yesterday is nothing to compare with.
func TestOthersFadeToo(t *testing.T) {
	w := newWorld(t)
	w.run(100, "FR", map[string]fares{"a": mute, "b": well})
	w.now = w.now.Add(26 * time.Hour)
	for range 60 {
		w.send("a", "FR", swallows)
	}
	w.want()
}

// Nor is what they did before the SIM joined.
func TestWhoJoinsHasNoPast(t *testing.T) {
	w := newWorld(t)
	w.run(50, "FR", map[string]fares{"b": well})
	w.Unverified(w.now, "a", "FR")
	if others := w.sims["a"].routes["FR"].verified.others; others.all != 0 {
		t.Errorf("compared with %v", others)
	}
}

// What is sent all the same while a breaker is open doesn't become the usual.
func TestSuspicionIsNotLearned(t *testing.T) {
	w := newWorld(t)
	only := map[string]fares{"a": well}
	w.run(150, "FR", only)
	w.run(200, "FR", with(only, swallows))
	w.want("open a")
	if usual := w.sims["a"].routes["FR"].usual.share(); usual < 0.8 {
		t.Errorf("usual: %v", usual)
	}
}

// Codes spread thin over many regions are judged together.
func TestSwallowsThinlyEverywhere(t *testing.T) {
	w := newWorld(t)
	regions := []string{"FR", "DE", "IT", "ES", "PT"}
	send := func(n int, a fares) {
		for range n {
			for _, region := range regions {
				if s, _ := w.State(w.now, "a", region); s == Closed {
					w.send("a", region, a)
				}
				for range 10 {
					w.send("b", region, well)
				}
			}
			w.now = w.now.Add(time.Minute)
		}
	}
	send(6, fares{1, 1, 0})
	w.want("open a")
}

func TestFewGoodOnesElsewhere(t *testing.T) {
	w := newWorld(t)
	w.Accepted(w.now, "a", "DE")
	w.Accepted(w.now, "a", "DE")
	w.refuse(8, "FR")
	w.want("open a/FR")
}

// One refusal where all else was accepted is no reason, however bad the rest.
func TestARefusalWhereItIsFine(t *testing.T) {
	w := newWorld(t)
	w.Accepted(w.now, "a", "FR")
	w.refuse(5, "FR")
	w.Accepted(w.now, "a", "DE")
	w.Accepted(w.now, "a", "DE")
	w.refuse(1, "DE")
	w.want()
}

// A SIM that swallows is caught where it sends most, while what it did well
// elsewhere is still remembered; a few messages there then show that it is the SIM.
func TestOneRegionAfterTheOther(t *testing.T) {
	w := newWorld(t)
	send := func(region string, n int, a fares) {
		for range n {
			if s, _ := w.State(w.now, "a", region); s == Closed {
				w.send("a", region, a)
			}
			w.send("b", region, well)
			w.now = w.now.Add(10 * time.Minute)
		}
	}
	send("BE", 40, well)
	send("FR", 200, well)
	send("BE", 10, well)
	w.want()
	send("FR", 20, swallows)
	w.want("open a/FR")
	send("BE", 2, swallows)
	w.want()
	w.usual("a", "BE", 15*time.Second, true)
	send("BE", 20, swallows)
	w.want("open a")
	w.usual("a", "BE", 15*time.Second, true)
}
