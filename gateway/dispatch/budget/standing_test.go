package budget

import (
	"math"
	"slices"
	"testing"
	"time"

	"smsotpd/storage"
)

func TestLoweredLimitWaitsForTheNextWindow(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 9, PerDay: 9})
	for range 8 {
		b.send(t, Charge{SIM: paris})
		b.pass(time.Second)
	}
	last := b.clock.Add(-time.Second)
	b.lim = Limits{PerDay: 2}
	tomorrow := time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)
	s := b.standing(t, paris)
	if !s.Codes.Equal(tomorrow) || !s.Notices.Equal(tomorrow) || s.Tightest != 4 || !s.Low {
		t.Errorf("%+v", s)
	}
	if got := s.Allowance(b.clock, b.clock.Add(time.Minute), Demand{}); got != 0 {
		t.Errorf("%d are allowed", got)
	}
	b.lim = Limits{PerMinute: 1}
	if s := b.standing(t, paris); !s.Codes.Equal(last.Add(time.Minute)) {
		t.Errorf("codes from %s", s.Codes)
	}
}

func TestLimitSetLaterKnowsTheLastMinute(t *testing.T) {
	b := newBench(nil, Limits{})
	first := b.clock
	for range 5 {
		b.send(t, Charge{SIM: paris})
	}
	b.lim = Limits{PerMinute: 5}
	b.refused(t, Charge{SIM: paris}, "per_minute", first.Add(time.Minute))
}

func TestLowAndTightest(t *testing.T) {
	b := newBench(nil, Limits{PerDay: 20, PerHour: 40, RecipientsPerMonth: 100})
	for range 18 {
		b.send(t, Charge{SIM: paris})
	}
	if s := b.standing(t, paris); s.Low || s.Tightest != 0.9 {
		t.Errorf("a tenth is left: %+v", s)
	}
	b.send(t, Charge{SIM: paris})
	if s := b.standing(t, paris); !s.Low || s.Tightest != 0.95 {
		t.Errorf("less is left: %+v", s)
	}
}

func TestBalance(t *testing.T) {
	b := newBench(nil, Limits{})
	b.do(t, func(tx storage.Tx) error { return b.SetBalance(tx, paris, 12.5) })
	set := b.clock
	b.pass(40 * 24 * time.Hour)
	b.send(t, Charge{SIM: paris})
	if s := b.standing(t, paris); s.Balance == nil || *s.Balance != (Balance{12.5, set}) {
		t.Errorf("the balance is %+v", s.Balance)
	}
	if s := b.standing(t, lisbon); s.Balance != nil {
		t.Errorf("the balance is %+v", s.Balance)
	}
	tx := storage.NewWriteSet(b.data, func() time.Time { return b.clock }, nil)
	for _, amount := range []float64{math.NaN(), math.Inf(1)} {
		if err := b.SetBalance(tx, paris, amount); err == nil {
			t.Errorf("%v is a balance", amount)
		}
	}
}

func TestSIMs(t *testing.T) {
	b := newBench(nil, Limits{})
	want := []string{"a", "aa", "b", "c"}
	for _, sim := range want {
		b.send(t, Charge{SIM: sim, Recipient: token(1)})
	}
	var got []string
	view := storage.NewView(b.data, func() time.Time { return b.clock })
	for after := ""; ; after = got[len(got)-1] {
		page, err := b.SIMs(view, after, 2)
		must(t, err)
		if got = append(got, page...); len(page) < 2 {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestChargeNeedsASIM(t *testing.T) {
	b := newBench(nil, Limits{})
	tx := storage.NewWriteSet(b.data, func() time.Time { return b.clock }, nil)
	if _, err := b.Charge(tx, b.lim, Charge{}); err == nil {
		t.Error("a charge without a SIM was booked")
	}
	if _, err := b.Settle(tx, b.lim, Charge{}, Settlement{Result: Taken}); err == nil {
		t.Error("a charge without a SIM was settled")
	}
}

// A clock that the operator has set back begins the windows anew: else they
// would not end for years.
func TestClockSetBack(t *testing.T) {
	b := newBench(nil, Limits{PerMinute: 1, PerHour: 1, PerDay: 1, WarmUp: WarmUp{Days: 2, Start: 1}})
	b.at(2036, time.March, 10, 12, 0)
	b.send(t, Charge{SIM: paris})
	b.at(2026, time.March, 10, 12, 0)
	if s := b.standing(t, paris); !s.Codes.IsZero() || !s.FirstUsed.Equal(b.clock) {
		t.Errorf("%+v", s)
	}
	b.send(t, Charge{SIM: paris})
	b.refused(t, Charge{SIM: paris}, "per_day", time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC))
	b.at(2026, time.March, 11, 0, 0)
	b.send(t, Charge{SIM: paris})
}

// So does one that is set back by a day: the day that was spent is still to come.
func TestClockSetBackByADay(t *testing.T) {
	b := newBench(nil, Limits{PerDay: 1, PerMonth: 9})
	b.at(2026, time.March, 11, 12, 0)
	b.send(t, Charge{SIM: paris})
	b.at(2026, time.March, 10, 12, 0)
	b.send(t, Charge{SIM: paris})
	b.refused(t, Charge{SIM: paris}, "per_day", time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC))
	if s := b.standing(t, paris); s.Month.Used != 2 {
		t.Errorf("%+v", s.Month)
	}
	b.at(2026, time.March, 11, 0, 0)
	b.send(t, Charge{SIM: paris})
}

// A zone that is set west of the one before doesn't give a day back.
func TestZoneSetWest(t *testing.T) {
	b := newBench(zoneOf(t, "Asia/Tokyo"), Limits{PerDay: 1})
	b.at(2026, time.April, 1, 0, 30)
	b.send(t, Charge{SIM: paris})
	b.Ledger = New(nil) // where it is still March
	b.refused(t, Charge{SIM: paris}, "per_day", time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
}

func TestSpentErrorSaysWhatAndUntilWhen(t *testing.T) {
	spent := &SpentError{Window: "per_day", Until: time.Date(2026, 3, 11, 0, 0, 0, 0, time.UTC)}
	if got := spent.Error(); got != "budget: per_day is spent until 2026-03-11T00:00:00Z" {
		t.Error(got)
	}
	if got := (&SpentError{Window: "per_minute"}).Error(); got != "budget: per_minute is spent" {
		t.Error(got)
	}
}
