package gateway

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counts are the values of a counter or gauge, or how often a histogram has
// observed something, by its labels' values, in the order of the
// labels' names.
func (w *world) counts(name string) map[string]float64 {
	w.t.Helper()
	families, err := w.opts.Metrics.(*prometheus.Registry).Gather()
	w.must(err)
	counts := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += l.GetValue() + " "
			}
			counts[labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return counts
}

// OpenMetrics leaves _total out of a family's name, in which no two may be alike.
func TestMetricNames(t *testing.T) {
	inWorld(t, trio, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		w.start(alice, "")
		w.pass(time.Hour)
		families, err := w.opts.Metrics.(*prometheus.Registry).Gather()
		w.must(err)
		seen := map[string]bool{}
		for _, f := range families {
			name, total := strings.CutSuffix(f.GetName(), "_total")
			one := f.GetMetric()[0]
			if total != (one.GetCounter() != nil) || seen[name] || !strings.HasPrefix(name, "smsotpd_") {
				t.Errorf("%s is a %v; %v", f.GetName(), f.GetType(), seen[name])
			}
			if one.GetHistogram() != nil && !strings.HasSuffix(name, "_seconds") {
				t.Errorf("%s has no unit", name)
			}
			seen[name] = true
		}
		if !seen["smsotpd_capacity_spent"] || !seen["smsotpd_no_capacity"] {
			t.Errorf("only these are there: %v", seen)
		}
	})
}

func TestApprovalsAreCountedOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(time.Second)
		code := w.sent(1)[0].code()
		for range 3 { // the first one, and two replays
			if verdict, err := w.gw.Check(t.Context(), Call{IdempotencyKey: "k"}, v.ID, code); err != nil || !verdict.Valid {
				t.Fatalf("check: %+v, %v", verdict, err)
			}
		}
		for range 2 { // too late
			w.check(v.ID, code)
		}
		if got, want := w.counts("smsotpd_verifications_approved_total"), (map[string]float64{"FR ": 1}); !maps.Equal(got, want) {
			t.Errorf("approved: %v, want %v", got, want)
		}
		canceled := w.start(bob, "")
		for range 2 {
			_, err := w.gw.Cancel(t.Context(), canceled.ID)
			w.must(err)
		}
		if got, want := w.counts("smsotpd_verifications_failed_total"), (map[string]float64{"canceled FR ": 1}); !maps.Equal(got, want) {
			t.Errorf("failed: %v, want %v", got, want)
		}
	})
}

func TestStartsAreCountedOnce(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		call := Call{Caller: "test", IdempotencyKey: "k"}
		for range 3 { // the first one, and two replays
			_, err := w.gw.Start(t.Context(), call, StartRequest{To: alice})
			w.must(err)
		}
		w.start(bob, "subject")
		w.start(bob, "subject")           // goes on with the one before
		for _, refused := range []string{ // by region, region and class
			"+447400123456", "+12015550123", "+33899123456",
		} {
			_, _ = w.gw.Start(t.Context(), Call{}, StartRequest{To: refused})
		}
		if got, want := w.counts("smsotpd_verifications_started_total"), (map[string]float64{"FR ": 2}); !maps.Equal(got, want) {
			t.Errorf("started: %v, want %v", got, want)
		}
		want := map[string]float64{CodeRegionNotAllowed + " other ": 2, CodeClassRefused + " FR ": 1}
		if got := w.counts("smsotpd_verifications_failed_total"); !maps.Equal(got, want) {
			t.Errorf("failed: %v, want %v", got, want)
		}
	})
}
