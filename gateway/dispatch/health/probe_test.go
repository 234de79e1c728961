package health

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProbeAndReturn(t *testing.T) {
	w := newWorld(t)
	rests := []time.Duration{1, 2, 4, 8, 16, 30, 30}
	w.run(8, "FR", map[string]fares{"a": banned})
	w.want("open a")
	w.now = w.now.Add(-time.Minute) // the time of the last one
	for _, minutes := range rests {
		until := w.state("a", "FR", Open)
		if rest := until.Sub(w.now); rest != minutes*time.Minute {
			t.Fatalf("rests %v, want %v", rest, minutes*time.Minute)
		}
		if w.Probe(w.now, "a", "FR") {
			t.Fatal("a probe may go during the rest")
		}
		w.now = until
		if until := w.state("a", "IT", Probing); !until.IsZero() {
			t.Fatal("a probe is out that nobody took")
		}
		if !w.Probe(w.now, "a", "FR") || w.Probe(w.now, "a", "FR") || w.Probe(w.now, "a", "DE") {
			t.Fatal("not one probe may go")
		}
		if until := w.state("a", "FR", Probing); until != w.now.Add(5*time.Minute) {
			t.Fatalf("the probe is waited for until %v", until)
		}
		w.Refused(w.now, "a", "FR")
	}
	w.want()
	w.now = w.now.Add(30 * time.Minute)
	// A probe without a result makes room for another.
	for range 3 {
		if !w.Probe(w.now, "a", "FR") {
			t.Fatal("no probe may go")
		}
		w.now = w.now.Add(5 * time.Minute)
	}
	w.Probe(w.now, "a", "FR")
	w.Accepted(w.now, "a", "FR")
	w.want("closed a")
	w.state("a", "FR", Closed)
	if w.Probe(w.now, "a", "FR") {
		t.Error("a closed breaker gives out a probe")
	}
	if r := w.Rates(w.now, "a"); r.Success.Samples != 0 {
		t.Errorf("what opened it is remembered: %+v", r)
	}
}

func TestFlapping(t *testing.T) {
	w := newWorld(t)
	var rests []time.Duration
	for range 6 {
		for range 8 {
			w.Refused(w.now, "a", "FR")
		}
		until := w.state("a", "FR", Open)
		rests = append(rests, until.Sub(w.now))
		w.now = until
		w.Probe(w.now, "a", "FR")
		w.Accepted(w.now, "a", "FR")
		w.state("a", "FR", Closed)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30} {
		if rests[i] != want*time.Minute {
			t.Errorf("rests: %v", rests)
		}
	}
	// Half an hour of peace lets it begin anew.
	w.now = w.now.Add(30 * time.Minute)
	for range 8 {
		w.Refused(w.now, "a", "FR")
	}
	if until := w.state("a", "FR", Open); until.Sub(w.now) != time.Minute {
		t.Errorf("after a quiet time it rests %v", until.Sub(w.now))
	}
}

// What proves depends on what the breaker was opened by.
func TestProofs(t *testing.T) {
	type act = func(w *world)
	acts := map[string]act{
		"accepted":   func(w *world) { w.Accepted(w.now, "a", "FR") },
		"reported":   func(w *world) { w.Reported(w.now, "a", "FR", time.Second) },
		"answered":   func(w *world) { w.Answered(w.now, "a", "FR") },
		"late":       func(w *world) { w.Late(w.now, "a", "FR", time.Minute) },
		"verified":   func(w *world) { w.Verified(w.now, "a", "FR") },
		"canary":     func(w *world) { w.Canary(w.now, "a", true) },
		"refused":    func(w *world) { w.Refused(w.now, "a", "FR") },
		"missing":    func(w *world) { w.Missing(w.now, "a", "FR") },
		"unverified": func(w *world) { w.Unverified(w.now, "a", "FR") },
		"lost":       func(w *world) { w.Canary(w.now, "a", false) },
	}
	opened := map[string]act{
		"success": func(w *world) { w.run(8, "FR", map[string]fares{"a": banned}) },
		"delivery": func(w *world) {
			w.run(60, "FR", map[string]fares{"a": well})
			w.run(20, "FR", map[string]fares{"a": swallows})
		},
		"codes":  func(w *world) { w.run(30, "FR", with(fleet(well), fares{1, 1, 0})) },
		"canary": func(w *world) { w.Canary(w.now, "a", false); w.Canary(w.now, "a", false) },
	}
	good := map[string]string{
		"success": "accepted canary", "delivery": "reported answered late verified canary",
		"codes": "verified", "canary": "reported answered late verified canary",
	}
	bad := map[string]string{
		"success": "refused lost", "delivery": "refused lost missing", "codes": "refused lost unverified", "canary": "refused lost",
	}
	for by, open := range opened {
		for name, do := range acts {
			w := newWorld(t)
			open(w)
			w.want("open a")
			s, until := w.State(w.now, "a", "FR")
			if s == Open {
				w.now = until
			}
			w.Probe(w.now, "a", "FR")
			do(w)
			want := Probing
			switch {
			case slices.Contains(strings.Fields(good[by]), name):
				want = Closed
			case slices.Contains(strings.Fields(bad[by]), name):
				want = Open
			}
			if got, _ := w.State(w.now, "a", "FR"); got != want {
				t.Errorf("opened by %s, then %s: %v, want %v", by, name, got, want)
			}
		}
	}
}

// During the rest nothing is proved but by a canary, and a bad outcome without
// a probe is of a message from before.
func TestOutcomesFromBefore(t *testing.T) {
	w := newWorld(t)
	w.run(8, "FR", map[string]fares{"a": banned})
	w.now = w.now.Add(-30 * time.Second)
	until := w.state("a", "FR", Open)
	w.Accepted(w.now, "a", "FR")
	w.state("a", "FR", Open)
	w.now = until
	w.Refused(w.now, "a", "FR")
	w.state("a", "FR", Probing)
	w.Probe(w.now, "a", "FR")
	w.Refused(w.now, "a", "FR")
	w.state("a", "FR", Open)
	w.Canary(w.now, "a", true)
	w.want("open a", "closed a")
}

// Messages arrive and reports come no more: that is learned.
func TestReportsStopForGood(t *testing.T) {
	w := newWorld(t)
	w.run(100, "FR", map[string]fares{"a": well})
	w.run(30, "FR", map[string]fares{"a": swallows})
	w.want("open a")
	w.now = w.now.Add(time.Hour)
	w.Probe(w.now, "a", "FR")
	w.Verified(w.now, "a", "FR")
	w.want("closed a")
	w.run(300, "FR", map[string]fares{"a": mute})
	w.want()
	if _, known := w.Usual(w.now, "a", "FR"); known {
		t.Error("reports are waited for that don't come any more")
	}
}
