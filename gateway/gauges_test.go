package gateway

import (
	"testing"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/modem"
)

func limits(l budget.Limits) func(*Options) {
	return func(o *Options) {
		p := dispatch.DefaultPolicy()
		p.Limits = l
		o.Dispatch = &p
	}
}

func TestBudgetGauges(t *testing.T) {
	inWorld(t, limits(budget.Limits{PerMinute: 5, PerDay: 20, RecipientsPerMonth: 10}), func(t *testing.T, w *world) {
		a := w.radio.plug("a", takes(time.Second))
		w.start(alice, "")
		w.start(alice, "")
		w.pass(5 * time.Second)
		w.counted("smsotpd_budget_used", map[string]float64{"a minute ": 2, "a day ": 2, "a recipients ": 1})
		w.counted("smsotpd_budget_limit", map[string]float64{"a minute ": 5, "a day ": 20, "a recipients ": 10})
		w.counted("smsotpd_capacity_spent", map[string]float64{"": 0})
		w.pass(2 * time.Minute) // nothing happens but that time goes by
		w.counted("smsotpd_budget_used", map[string]float64{"a minute ": 0, "a day ": 2, "a recipients ": 1})

		// A SIM that is away is still told of, until another is in its modem.
		a.unplug()
		w.pass(24 * time.Hour)
		w.counted("smsotpd_budget_used", map[string]float64{"a minute ": 0, "a day ": 0, "a recipients ": 1})
		w.radio.nameless = true
		w.radio.plug("a", takes(time.Second))
		w.pass(time.Second)
		w.counted("smsotpd_budget_used", map[string]float64{"a minute ": 0, "a day ": 0, "a recipients ": 0})
	})
}

func TestNoCapacityGauge(t *testing.T) {
	inWorld(t, limits(budget.Limits{PerDay: 1}), func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		w.start(alice, "")
		w.pass(5 * time.Second)
		_, err := w.gw.Start(t.Context(), Call{Caller: "test"}, StartRequest{To: bob})
		w.refusedWith(err, CodeNoCapacity)
		w.counted("smsotpd_no_capacity_total", map[string]float64{"": 1})
		w.pass(59 * time.Second)
		w.counted("smsotpd_capacity_spent", map[string]float64{"": 1})
		w.pass(time.Second)
		w.counted("smsotpd_capacity_spent", map[string]float64{"": 0})
	})
}

func TestRateGauges(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(2, modem.SIM, "cms-38", takes(0)))
		w.radio.plug("b", takes(0))
		w.counted("smsotpd_sim_rate", map[string]float64{})
		v := w.start(alice, "")
		w.pass(5 * time.Second)
		heard := w.radio.heard()
		if !w.check(v.ID, heard[len(heard)-1].code()).Valid {
			t.Fatal("the code is not valid")
		}
		rates := w.counts("smsotpd_sim_rate")
		if len(heard) == 2 && rates["success a "] != 0 || rates["success b "] != 1 || rates["verified b "] != 1 {
			t.Errorf("after %d tries: %v", len(heard), rates)
		}
		if _, told := rates["delivery b "]; told {
			t.Errorf("no report came or was missed: %v", rates)
		}
		w.counted("smsotpd_breaker_open", map[string]float64{"a ": 0, "b ": 0})
	})
}

// What sends no message is not refused for lack of budget, and not counted as if.
func TestNoCapacityCountsRefusals(t *testing.T) {
	inWorld(t, limits(budget.Limits{PerDay: 1}), func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		first := w.start(alice, "subject")
		w.pass(5 * time.Second)
		if again := w.start(alice, "subject"); again.ID != first.ID {
			t.Fatal("it was not continued")
		}
		_, err := w.gw.Resend(t.Context(), Call{}, first.ID)
		w.refusedWith(err, CodeCooldown)
		w.counted("smsotpd_no_capacity_total", map[string]float64{"": 0})
		w.counted("smsotpd_capacity_spent", map[string]float64{"": 0})
		w.pass(time.Minute)
		_, err = w.gw.Resend(t.Context(), Call{}, first.ID)
		w.refusedWith(err, CodeNoCapacity)
		w.counted("smsotpd_no_capacity_total", map[string]float64{"": 1})
	})
}
