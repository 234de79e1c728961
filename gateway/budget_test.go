package gateway

import (
	"maps"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/modem"
)

func limitOf(n int) *int { return &n }

// every is a Budget with each limit another.
func every() Budget {
	var b Budget
	for i, limit := range []int{10, 20, 30, 400, 50, 60, 700, 8, 9, 11, 7, 5} {
		*b.Keys()[i].Value = &limit
	}
	return b
}

func same(a, b Budget) bool { return maps.Equal(a.Set(), b.Set()) }

func TestBudget(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		none, err := s.gw.Budget(t.Context(), "a")
		s.must(err)
		if len(none.Set()) > 0 || none.By != "" || !none.At.IsZero() {
			t.Errorf("nothing is set: %+v", none)
		}
		for range 2 { // the second changes nothing
			set, err := s.gw.SetBudget(t.Context(), ops, "a", every())
			s.must(err)
			if !same(set.Budget, every()) || set.By != "ops" || set.At.IsZero() {
				t.Errorf("set: %+v", set)
			}
			s.pass(time.Second)
		}
		if got, err := s.gw.Budget(t.Context(), "a"); err != nil || !same(got.Budget, every()) || got.By != "ops" {
			t.Errorf("kept: %v, %+v", err, got)
		}
		if b := s.crew.limits["imsi-a"]; len(s.crew.limits) != 1 || !same(b, every()) {
			t.Errorf("told: %+v", s.crew.limits)
		}
		// What is set replaces what was.
		_, err = s.gw.SetBudget(t.Context(), ops, "a", Budget{PerDay: limitOf(7)})
		s.must(err)
		if b := s.crew.limits["imsi-a"]; !same(b, Budget{PerDay: limitOf(7)}) {
			t.Errorf("told: %+v", b)
		}
		// The SIM has the limits, in whichever modem it is.
		s.panel.show("b", func(st *modem.Status) { st.IMSI = "imsi-a" })
		if got, err := s.gw.Budget(t.Context(), "b"); err != nil || *got.PerDay != 7 {
			t.Errorf("in the other modem: %v, %+v", err, got)
		}
		for range 2 {
			cleared, err := s.gw.ClearBudget(t.Context(), ops, "b")
			s.must(err)
			if len(cleared.Set()) > 0 || cleared.By != "" || len(s.crew.limits) != 0 {
				t.Errorf("cleared: %+v, told %v", cleared, s.crew.limits)
			}
		}
		// To set nothing is to clear.
		_, err = s.gw.SetBudget(t.Context(), ops, "a", Budget{Reserve: limitOf(0)})
		s.must(err)
		_, err = s.gw.SetBudget(t.Context(), ops, "a", Budget{})
		s.must(err)
		s.trailIs(
			"ops KEY1 modem.budget a notices_per_day=9 notices_per_minute=8 per_day=30 per_hour=20 per_minute=10 per_month=400 "+
				"recipients_per_month=50 reserve=11 segments_per_day=60 segments_per_month=700 warm_up_days=7 warm_up_start=5",
			"ops KEY1 modem.budget a per_day=7",
			"ops KEY1 modem.budget_clear b",
			"ops KEY1 modem.budget a reserve=0",
			"ops KEY1 modem.budget_clear a",
		)
		if got := s.counts("smsotpd_operator_actions_total"); got["modem.budget "] != 3 || got["modem.budget_clear "] != 2 {
			t.Errorf("counted: %v", got)
		}
		for _, line := range s.trail() {
			if strings.Contains(line, "imsi") {
				t.Errorf("the trail names the SIM: %s", line)
			}
		}
	})
}

func TestLimitsThatCannotBe(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		var names Budget
		for i, key := range names.Keys() {
			for _, bad := range []int{-1, MaxLimit + 1} {
				var b Budget
				*b.Keys()[i].Value = &bad
				_, err := s.gw.SetBudget(t.Context(), ops, "a", b)
				if e := s.refusedWith(err, CodeInvalidField); e.Field != key.Name {
					t.Errorf("%d: field %q", bad, e.Field)
				}
			}
		}
		// A warm-up to nothing, or a reserve of nearly all.
		for _, b := range []Budget{
			{WarmUpDays: limitOf(3), WarmUpStart: limitOf(1)}, {Reserve: limitOf(91)},
		} {
			_, err := s.gw.SetBudget(t.Context(), ops, "a", b)
			s.refusedWith(err, CodeInvalidField)
		}
		s.trailIs()
	})
}

// One limit throttles a SIM, also where it makes a configured one pointless.
func TestHandGoesBeforeTheConfiguration(t *testing.T) {
	configured := budget.Limits{PerMinute: 10, PerDay: 200, Reserve: 20, WarmUp: budget.WarmUp{Days: 14, Start: 20}}
	inShop(t, limits(configured), func(t *testing.T, s *shop) {
		for _, b := range []Budget{
			{PerDay: limitOf(1)},
			{WarmUpDays: limitOf(0)},
			{WarmUpDays: limitOf(7)},
			{WarmUpStart: limitOf(50)},
			{PerHour: limitOf(5)},
			{PerMinute: limitOf(300)},
		} {
			_, err := s.gw.SetBudget(t.Context(), ops, "a", b)
			s.must(err)
		}
		_, err := s.gw.SetBudget(t.Context(), ops, "a", Budget{WarmUpStart: limitOf(201)})
		s.refusedWith(err, CodeInvalidField)
	})
}

// Limits are of a SIM: a modem that has not told which it has gets none. One
// that never tells is known by itself.
func TestBudgetOfAnUnknownSIM(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		s.panel.show("a", func(st *modem.Status) { st.IMSI, st.State = "", modem.Starting })
		_, err := s.gw.SetBudget(t.Context(), ops, "a", every())
		s.refusedWith(err, CodeModemNotReady)
		_, err = s.gw.ClearBudget(t.Context(), ops, "a")
		s.refusedWith(err, CodeModemNotReady)
		_, err = s.gw.Budget(t.Context(), "a")
		s.refusedWith(err, CodeModemNotReady)
		s.panel.show("a", func(st *modem.Status) { st.IMSI = "" })
		_, err = s.gw.SetBudget(t.Context(), ops, "a", every())
		s.must(err)
		if _, told := s.crew.limits[s.modem("a").SIM()]; !told {
			t.Errorf("told: %v", s.crew.limits)
		}
		s.panel.show("a", func(st *modem.Status) { st.State = modem.Down }) // it was there before
		_, err = s.gw.Budget(t.Context(), "a")
		s.must(err)
	})
}
