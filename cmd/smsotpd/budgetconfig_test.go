package main

import (
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
)

func TestNoBudgetUnlessConfigured(t *testing.T) {
	config := validConfig(t, "[sim.left]\nimsi = \"208011234567890\"")
	if got := config.limits("left"); got != (budget.Limits{}) {
		t.Errorf("%+v", got)
	}
	if zone, err := config.Budget.zone(); err != nil || zone != time.UTC || config.Budget.low() != 10 {
		t.Errorf("%v, %v, %d", zone, err, config.Budget.low())
	}
}

// A SIM's table changes single keys of the common one, for that SIM alone.
func TestBudgetOfOneSIM(t *testing.T) {
	config := validConfig(t, `
[budget]
per_minute = 10
per_hour = 20
per_day = 30
per_month = 400
recipients_per_month = 50
segments_per_day = 60
segments_per_month = 700
notices_per_minute = 8
notices_per_day = 9
reserve = 10
warm_up_days = 11
warm_up_start = 2
zone = "Europe/Paris"
low = 0
[sim.left]
imsi = "208011234567890"
[sim.left.budget]
per_minute = 0
per_day = 35
warm_up_start = 12
[sim.right]
imsi = "208011234567891"
`)
	common := budget.Limits{
		PerMinute: 10, PerHour: 20, PerDay: 30, PerMonth: 400, RecipientsPerMonth: 50, SegmentsPerDay: 60, SegmentsPerMonth: 700,
		NoticesPerMinute: 8, NoticesPerDay: 9, Reserve: 10,
	}
	common.WarmUp.Days, common.WarmUp.Start = 11, 2
	left := common
	left.PerMinute, left.PerDay, left.WarmUp.Start = 0, 35, 12
	for sim, want := range map[string]budget.Limits{"left": left, "right": common, "": common, "none": common} {
		if got := config.limits(sim); got != want {
			t.Errorf("%q: %+v, want %+v", sim, got, want)
		}
	}
	if zone, err := config.Budget.zone(); err != nil || zone.String() != "Europe/Paris" || config.Budget.low() != 0 {
		t.Errorf("%v, %v, %d", zone, err, config.Budget.low())
	}
}

func TestBudgetErrors(t *testing.T) {
	const sim = "[sim.left]\nimsi = \"208011234567890\"\n[sim.left.budget]\n"
	for text, want := range map[string]string{
		"[budget]\nper_month = -1":                                    "budget.per_month = -1 is negative",
		"[budget]\nreserve = 91":                                      "budget.reserve = 91 is out of range",
		"[budget]\nreserve = 90":                                      "",
		"[budget]\nlow = -1":                                          "budget.low must be between 0 and 99 percent",
		"[budget]\nzone = \"Local\"":                                  "budget.zone: there is no time zone",
		"[budget]\nzone = \"../etc/passwd\"":                          "budget.zone: there is no time zone",
		"[budget]\nwarm_up_days = 7":                                  "budget.warm_up_days = 7 needs per_day",
		"[budget]\nper_day = 9\nwarm_up_days = 7":                     "budget.warm_up_days = 7 needs warm_up_start",
		"[budget]\nper_day = 9\nwarm_up_days = 7\nwarm_up_start = 10": "budget.warm_up_start = 10 is more than per_day = 9",
		"[budget]\nper_day = 9\nwarm_up_days = 7\nwarm_up_start = 9":  "",
		"[budget]\nper_day = 9\nwarm_up_start = 9":                    "budget.warm_up_start = 9 needs warm_up_days",
		sim + "per_day = -1":                                          "sim.left.budget.per_day = -1 is negative",
		sim + "warm_up_days = 3":                                      "sim.left.budget.warm_up_days = 3 needs per_day",
		sim + "per_day = 0\n[budget]\nper_day = 9\nwarm_up_days = 7\nwarm_up_start = 2":                                      "sim.left.budget.warm_up_days = 7 needs per_day",
		sim + "per_day = 0\nwarm_up_days = 0\nwarm_up_start = 0\n[budget]\nper_day = 9\nwarm_up_days = 7\nwarm_up_start = 2": "",
		sim + "per_day = 1\n[budget]\nwarm_up_days = 7":                                                                      "budget.warm_up_days = 7 needs per_day",
	} {
		_, err := configOf(t, text)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", text, err)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
