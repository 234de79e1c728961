package health

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// world is a fleet whose SIMs fare as a test says, in its own time.
type world struct {
	*Book
	t       *testing.T
	now     time.Time
	chance  *rand.Rand
	changes []Change
}

// fares is how a SIM does in a region.
type fares struct{ accept, report, verify float64 }

var (
	well      = fares{1, 0.95, 0.78}
	mute      = fares{1, 0, 0.78} // a modem that never reports
	swallows  = fares{1, 0, 0}
	banned    = fares{0, 0, 0}
	unentered = fares{1, 0.95, 0.04}
)

func newWorld(t *testing.T) *world {
	t.Helper()
	if err := DefaultPolicy().Validate(); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: start, chance: rand.New(rand.NewPCG(7, 11))}
	w.Book = New(DefaultPolicy(), func(c Change) { w.changes = append(w.changes, c) })
	return w
}

// send lets one message go and all its outcomes come.
func (w *world) send(sim, region string, f fares) {
	if w.chance.Float64() >= f.accept {
		w.Refused(w.now, sim, region)
		return
	}
	w.Accepted(w.now, sim, region)
	if w.chance.Float64() < f.report {
		w.Reported(w.now, sim, region, 8*time.Second)
	} else {
		w.Missing(w.now, sim, region)
	}
	if w.chance.Float64() < f.verify {
		w.Verified(w.now, sim, region)
	} else {
		w.Unverified(w.now, sim, region)
	}
}

// run sends n messages each by every SIM, one a minute.
func (w *world) run(n int, region string, fleet map[string]fares) {
	for range n {
		for _, sim := range names(fleet) {
			w.send(sim, region, fleet[sim])
		}
		w.now = w.now.Add(time.Minute)
	}
}

// until sends by every SIM, but by the one only while it is closed, and returns
// how many messages it took until it was not; most at most.
func (w *world) until(most int, sim, region string, fleet map[string]fares) int {
	for n := range most {
		if s, _ := w.State(w.now, sim, region); s != Closed {
			return n
		}
		w.run(1, region, fleet)
	}
	return most
}

func names(fleet map[string]fares) []string {
	var names []string
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		if _, ok := fleet[n]; ok {
			names = append(names, n)
		}
	}
	return names
}

// want holds the changes since the last call to these, each as "open sim" or
// "closed sim/region".
func (w *world) want(changes ...string) {
	w.t.Helper()
	var got []string
	for _, c := range w.changes {
		name := c.SIM
		if c.Region != "" {
			name += "/" + c.Region
		}
		if c.Open {
			got = append(got, "open "+name)
		} else {
			got = append(got, "closed "+name)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(changes) {
		w.t.Fatalf("changes: %v, want %v\n%v", got, changes, w.changes)
	}
	w.changes = nil
}

func (w *world) state(sim, region string, want State) time.Time {
	w.t.Helper()
	got, until := w.State(w.now, sim, region)
	if got != want {
		w.t.Fatalf("%s in %s is %v, want %v", sim, region, got, want)
	}
	return until
}
