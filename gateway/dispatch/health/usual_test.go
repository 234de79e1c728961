package health

import (
	"testing"
	"time"
)

func (w *world) usual(sim, region string, want time.Duration, known bool) {
	w.t.Helper()
	got, ok := w.Usual(w.now, sim, region)
	// A bucket is up to a fifth wider than what is in it.
	if ok != known || known && (got < want || float64(got) > 1.2*float64(want)) {
		w.t.Fatalf("usual of %s in %s: %v, %v; want %v, %v", sim, region, got, ok, want, known)
	}
}

func TestUsual(t *testing.T) {
	const s = time.Second
	w := newWorld(t)
	report := func(n int, sim, region string, after time.Duration) {
		for range n {
			w.Reported(w.now, sim, region, after)
		}
	}
	w.usual("a", "FR", 0, false)
	report(2, "a", "FR", 30*s)
	w.usual("a", "FR", 0, false) // two may be chance
	report(1, "a", "FR", 30*s)
	w.usual("a", "FR", 45*s, true)
	report(16, "a", "FR", 30*s)
	w.usual("a", "FR", 45*s, true)
	report(1, "a", "FR", 30*s)
	w.usual("a", "FR", 30*s, true)
	// One in ten takes a minute: the 95th in a hundred does.
	report(18, "a", "FR", 30*s)
	report(4, "a", "FR", 60*s)
	w.usual("a", "FR", 60*s, true)

	// Both bounds.
	report(50, "a", "DE", s)
	w.usual("a", "DE", 15*s, true)
	report(50, "a", "IT", 20*time.Minute)
	w.usual("a", "IT", 90*s, true)
}

func TestUsualFallsBack(t *testing.T) {
	const s = time.Second
	w := newWorld(t)
	w.Known(w.now, "a", "20801")
	w.Known(w.now, "b", "20801")
	w.Known(w.now, "c", "20810")
	for range 20 {
		w.Reported(w.now, "a", "FR", 30*s)
		w.Reported(w.now, "b", "DE", 60*s)
	}
	w.usual("b", "FR", 30*s, true) // as its operator there
	w.usual("b", "IT", 60*s, true) // as the SIM everywhere
	w.usual("c", "FR", 0, false)   // nothing shows that it reports
	w.Answered(w.now, "c", "DE")   // that it failed is a report too
	w.Answered(w.now, "c", "DE")
	w.Answered(w.now, "c", "DE")
	w.usual("c", "FR", 45*s, true)
	// Where reports don't come, nobody waits for them.
	for range 4 {
		w.Missing(w.now, "a", "ES")
	}
	w.usual("a", "ES", 0, false)
	w.usual("a", "FR", 30*s, true)
	// Nor anywhere new, once most are missing.
	w.usual("a", "IT", 30*s, true)
	for range 40 {
		w.Missing(w.now, "a", "ES")
	}
	w.usual("a", "IT", 0, false)
}

// Where the others get reports, they are waited for, however few the SIM has had:
// until it shows that it works without.
func TestUsualWhereTheOthersReport(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.Reported(w.now, "b", "FR", 20*time.Second)
	}
	w.Accepted(w.now, "a", "FR") // a new one
	w.usual("a", "FR", 45*time.Second, true)
	w.Missing(w.now, "a", "FR")
	w.Missing(w.now, "a", "FR")
	w.usual("a", "FR", 45*time.Second, true)
	w.Verified(w.now, "a", "FR")
	w.usual("a", "FR", 0, false)
	w.usual("a", "DE", 0, false)
	again := reload(t, w)
	again.usual("a", "FR", 0, false)
	w.Reported(w.now, "a", "FR", 20*time.Second)
	w.usual("a", "FR", 45*time.Second, true)

	// One whose reports have stopped is waited for while those of others come.
	for range 3 {
		w.Reported(w.now, "c", "FR", 20*time.Second)
	}
	for range 9 {
		w.Missing(w.now, "c", "FR")
		w.Reported(w.now, "b", "FR", 20*time.Second)
	}
	w.usual("c", "FR", 45*time.Second, true)
	// Where they have stopped for all nobody is.
	for range 30 {
		w.Missing(w.now, "b", "FR")
		w.Missing(w.now, "c", "FR")
	}
	w.usual("c", "FR", 0, false)
}

func TestUsualIsNotKnownOfAMuteModem(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.Missing(w.now, "a", "FR")
	}
	w.usual("a", "FR", 0, false)
	w.usual("a", "DE", 0, false)
}

// A slow carrier's reports are waited for longer once they have come.
func TestLateReportsAreLearned(t *testing.T) {
	w := newWorld(t)
	w.Missing(w.now, "a", "FR")
	w.usual("a", "FR", 0, false)
	for range 30 {
		w.Missing(w.now, "a", "FR")
		w.Late(w.now, "a", "FR", 80*time.Second)
	}
	w.usual("a", "FR", 80*time.Second, true)
	if r := w.Rates(w.now, "a"); r.Delivery.Value < 0.9 {
		t.Errorf("late reports are missing: %+v", r.Delivery)
	}
}

// The probes of a SIM that swallows don't teach that its reports are not to be
// expected: each of them must be moved. Only people who have the message do.
func TestProbesDoNotEndTheUsual(t *testing.T) {
	w := newWorld(t)
	w.run(60, "FR", fleet(well))
	if n := w.until(30, "a", "FR", with(fleet(well), swallows)); n == 30 {
		t.Fatal("its breaker is closed")
	}
	for range 100 {
		w.now = w.now.Add(31 * time.Minute)
		if !w.Probe(w.now, "a", "FR") {
			t.Fatal("no probe may go")
		}
		w.Accepted(w.now, "a", "FR")
		w.Missing(w.now, "a", "FR")
	}
	w.state("a", "FR", Open)
	w.usual("a", "FR", 15*time.Second, true)
	w.now = w.now.Add(31 * time.Minute)
	w.Probe(w.now, "a", "FR")
	w.Verified(w.now, "a", "FR")
	w.usual("a", "FR", 0, false)
}

func TestUsualFollowsTheTimes(t *testing.T) {
	w := newWorld(t)
	for range 1000 {
		w.Reported(w.now, "a", "FR", 20*time.Second)
	}
	w.usual("a", "FR", 20*time.Second, true)
	for range 40 {
		w.Reported(w.now, "a", "FR", 70*time.Second)
	}
	w.usual("a", "FR", 70*time.Second, true)
	w.now = w.now.Add(20 * 24 * time.Hour)
	w.usual("a", "FR", 0, false)
}

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, 1, shortest, shortest + 1, 15 * time.Second, 16 * time.Second, 90 * time.Second, 600 * time.Second} {
		i := bucket(d)
		if end(i) < d || i > 0 && end(i-1) >= d {
			t.Errorf("%v is in the bucket that ends at %v", d, end(i))
		}
	}
	if bucket(time.Hour) != buckets-1 {
		t.Error("an hour is beyond the last bucket")
	}
}
