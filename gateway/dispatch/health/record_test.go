package health

import (
	"errors"
	"maps"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

func reload(t *testing.T, w *world) *world {
	t.Helper()
	records, err := w.Save(w.now)
	if err != nil {
		t.Fatal(err)
	}
	fresh := newWorld(t)
	fresh.now = w.now
	for sim, data := range records {
		if len(data) > 2000 {
			t.Errorf("the record of %s takes %d octets", sim, len(data))
		}
		if err := fresh.Load(w.now, sim, data); err != nil {
			t.Fatal(err)
		}
	}
	return fresh
}

func TestSaveAndLoad(t *testing.T) {
	w := newWorld(t)
	w.Known(w.now, "a", "20801")
	w.Known(w.now, "e", "20801")
	w.run(100, "FR", fleet(well))
	w.run(5, "DE", with(fleet(well), banned))
	w.run(8, "IT", map[string]fares{"b": banned})
	w.Canary(w.now, "c", false)
	fresh := reload(t, w)
	if len(fresh.changes) != 0 {
		t.Errorf("told at the load: %v", fresh.changes)
	}
	for _, sim := range w.SIMs() {
		if was, is := w.Rates(w.now, sim), fresh.Rates(w.now, sim); !reflect.DeepEqual(was, is) {
			t.Errorf("rates of %s were %+v, are %+v", sim, was, is)
		}
		for _, region := range []string{"FR", "DE", "IT", "ES"} {
			was, wasKnown := w.Usual(w.now, sim, region)
			is, isKnown := fresh.Usual(w.now, sim, region)
			if was != is || wasKnown != isKnown {
				t.Errorf("usual of %s in %s was %v, is %v", sim, region, was, is)
			}
		}
	}
	again, err := fresh.Save(w.now)
	if err != nil {
		t.Fatal(err)
	}
	records, _ := w.Save(w.now)
	if !reflect.DeepEqual(again, records) {
		t.Error("what was loaded is saved otherwise")
	}
}

// What was seen before a restart counts after it: codes beside the others',
// refusals in a row, canaries, the rest of a breaker.
func TestEvidenceOutlivesARestart(t *testing.T) {
	w := newWorld(t)
	w.run(12, "FR", with(fleet(well), fares{1, 1, 0}))
	w = reload(t, w)
	w.run(12, "FR", with(fleet(well), fares{1, 1, 0}))
	w.want("open a")

	for range 5 {
		w.Refused(w.now, "d", "FR")
	}
	w.Canary(w.now, "e", false)
	w = reload(t, w)
	for range 3 {
		w.Refused(w.now, "d", "FR")
	}
	w.Canary(w.now, "e", false)
	w.want("open d", "open e")

	until := w.state("d", "FR", Open)
	w = reload(t, w)
	if got := w.state("d", "FR", Open); !got.Equal(until) {
		t.Errorf("rests until %v, was %v", got, until)
	}
	w.now = until
	w.Probe(w.now, "d", "FR")
	w.Accepted(w.now, "d", "FR")
	w.want("closed d")
	w = reload(t, w)
	for range 8 {
		w.Refused(w.now, "d", "FR")
	}
	if got := w.state("d", "FR", Open); got.Sub(w.now) != 2*time.Minute {
		t.Errorf("the rest begins anew: %v", got.Sub(w.now))
	}
}

func TestLoadKeepsWhatIsNewer(t *testing.T) {
	w := newWorld(t)
	w.Known(w.now, "a", "20801")
	w.Refused(w.now, "a", "FR")
	records, _ := w.Save(w.now)
	fresh := newWorld(t)
	fresh.Known(w.now, "a", "20810")
	if err := fresh.Load(w.now, "a", records["a"]); err != nil {
		t.Fatal(err)
	}
	if fresh.sims["a"].operator != "20810" || fresh.Rates(w.now, "a").Success.Samples != 1 {
		t.Error("a SIM whose operator alone was told is not loaded, or with the old one")
	}
	fresh.Refused(w.now, "a", "FR")
	if err := fresh.Load(w.now, "a", records["a"]); err != nil {
		t.Fatal(err)
	}
	if fresh.Rates(w.now, "a").Success.Samples != 2 {
		t.Error("what was told is lost")
	}
}

// A clock that was ahead when the record was written holds nothing up.
func TestLoadFromTheFuture(t *testing.T) {
	w := newWorld(t)
	w.now = w.now.Add(1000 * time.Hour)
	w.run(8, "FR", map[string]fares{"a": banned})
	w.Probe(w.now, "a", "FR")
	records, _ := w.Save(w.now)
	fresh := newWorld(t)
	if err := fresh.Load(start, "a", records["a"]); err != nil {
		t.Fatal(err)
	}
	if until := fresh.state("a", "FR", Open); until.Sub(start) > DefaultPolicy().LongestRest {
		t.Errorf("open for %v", until.Sub(start))
	}
	if r := fresh.Rates(start.Add(5*time.Hour), "a"); r.Success.Samples > 0.1 {
		t.Errorf("does not fade: %+v", r)
	}
}

func TestLoadRefuses(t *testing.T) {
	nan := math.NaN()
	routes := func(r ...routeRecord) record { return record{Routes: r} }
	for name, c := range map[string]record{
		"a breaker without a cause": {Breaker: breakerRecord{Open: true}},
		"a cause without a breaker": {Breaker: breakerRecord{Cause: 1}},
		"an unknown cause":          {Breaker: breakerRecord{Open: true, Cause: 9}},
		"a rest below 0":            {Breaker: breakerRecord{Rest: -1}},
		"a rest of ages":            {Breaker: breakerRecord{Rest: math.MaxInt64}},
		"canaries below 0":          {Canaries: -1},
		"a row below 0":             {Row: rowRecord{N: -1}},
		"a region twice":            routes(routeRecord{Region: "FR"}, routeRecord{Region: "FR"}),
		"too many regions":          routes(make([]routeRecord, mostRoutes+1)...),
		"more good than all":        routes(routeRecord{Success: rateRecord{Good: 2, All: 1}}),
		"good below 0":              routes(routeRecord{Usual: rateRecord{Good: -1, All: 1}}),
		"no number":                 routes(routeRecord{Verified: rateRecord{OthersAll: nan}}),
		"without end":               routes(routeRecord{Delivery: rateRecord{All: math.Inf(1)}}),
		"a time below 0":            routes(routeRecord{Times: []float32{-1}}),
		"a time that is no number":  routes(routeRecord{Times: []float32{float32(nan)}}),
		"too many times":            routes(routeRecord{Times: make([]float32, buckets+1)}),
		"a region's broken breaker": routes(routeRecord{Breaker: breakerRecord{Open: true}}),
	} {
		body, err := cbor.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t)
		if err := w.Load(start, "a", append([]byte{recordVersion}, body...)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
		if len(w.SIMs()) != 0 {
			t.Errorf("%s: the SIM is there", name)
		}
	}
	for _, data := range [][]byte{nil, {}, {0}, {recordVersion}, {recordVersion + 1, 0xa0}, {recordVersion, 0xff}} {
		if err := newWorld(t).Load(start, "a", data); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%x: %v", data, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	w := New(DefaultPolicy(), nil)
	w.Known(start, "a", "20801")
	for range 20 {
		w.Reported(start, "a", "FR", 20*time.Second)
		w.Refused(start, "a", "DE")
	}
	records, err := w.Save(start)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(records["a"])
	f.Add([]byte{recordVersion, 0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		b := New(DefaultPolicy(), nil)
		if err := b.Load(start, "a", data); err != nil {
			if !errors.Is(err, ErrUnreadable) || len(b.SIMs()) != 0 {
				t.Fatalf("%v, and knows %v", err, b.SIMs())
			}
			return
		}
		regions := append([]string{"FR"}, keysOf(b.Rates(start, "a").Regions)...)
		for _, region := range regions {
			b.Usual(start, "a", region)
			b.Probe(start, "a", region)
			b.Late(start, "a", region, time.Second)
			b.Missing(start, "a", region)
			b.Unverified(start, "a", region)
			b.Refused(start, "a", region)
			b.Accepted(start, "a", region)
		}
		sane(t, b, start)
		again, err := b.Save(start)
		if err != nil {
			t.Fatal(err)
		}
		if err := New(DefaultPolicy(), nil).Load(start, "a", again["a"]); err != nil {
			t.Fatalf("what was saved can't be loaded: %v", err)
		}
		b.Sweep(start.Add(8 * 24 * time.Hour))
		if len(b.SIMs()) != 0 {
			t.Fatal("the SIM outlives a sweep")
		}
	})
}

func keysOf(m map[string]Rates) (keys []string) {
	for k := range maps.Keys(m) {
		keys = append(keys, k)
	}
	return keys
}
