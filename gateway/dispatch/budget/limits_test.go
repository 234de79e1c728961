package budget

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	good := []Limits{
		{},
		{PerMinute: 6, PerHour: 60, PerDay: 200, PerMonth: 3000, RecipientsPerMonth: 500, Reserve: 30},
		{PerMinute: 6, PerDay: 6},
		{PerMinute: 10, PerHour: 7, PerDay: 5, PerMonth: 4, RecipientsPerMonth: 9}, // only the last counts
		{SegmentsPerDay: 100, PerDay: 100, SegmentsPerMonth: 100},
		{NoticesPerMinute: 2, NoticesPerDay: 20, PerDay: 20},
		{PerDay: 100, WarmUp: WarmUp{Days: 14, Start: 10}},
		{PerDay: 100, WarmUp: WarmUp{Days: 2, Start: 100}},
		{PerMinute: 600, Reserve: 90},
		{SegmentsPerMonth: 1_000_000_000, Reserve: 90},
	}
	for _, l := range good {
		if err := l.Validate(); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	bad := map[string]Limits{
		"per_minute = -1 is negative":                       {PerMinute: -1},
		"per_hour = -1 is negative":                         {PerHour: -1},
		"per_day = -1 is negative":                          {PerDay: -1},
		"per_month = -1 is negative":                        {PerMonth: -1},
		"recipients_per_month = -1 is negative":             {RecipientsPerMonth: -1},
		"segments_per_day = -1 is negative":                 {SegmentsPerDay: -1},
		"segments_per_month = -1 is negative":               {SegmentsPerMonth: -1},
		"notices_per_minute = -1 is negative":               {NoticesPerMinute: -1},
		"notices_per_day = -1 is negative":                  {NoticesPerDay: -1},
		"reserve = -1 is negative":                          {Reserve: -1},
		"warm_up_days = -1 is negative":                     {WarmUp: WarmUp{Days: -1}},
		"warm_up_start = -1 is negative":                    {WarmUp: WarmUp{Start: -1}},
		"reserve = 91 is out of range":                      {Reserve: 91},
		"per_month = 1000000001 is more than 1000000000":    {PerMonth: 1_000_000_001, Reserve: 50},
		"per_minute = 601: no SIM":                          {PerMinute: 601},
		"notices_per_minute = 601: no SIM":                  {NoticesPerMinute: 601},
		"warm_up_start = 5 needs warm_up_days":              {PerDay: 9, WarmUp: WarmUp{Start: 5}},
		"warm_up_days = 5 needs per_day":                    {WarmUp: WarmUp{Days: 5, Start: 1}},
		"warm_up_days = 1 is no warm-up":                    {PerDay: 9, WarmUp: WarmUp{Days: 1, Start: 1}},
		"warm_up_days = 5 needs warm_up_start":              {PerDay: 9, WarmUp: WarmUp{Days: 5}},
		"warm_up_start = 10 is more than per_day = 9":       {PerDay: 9, WarmUp: WarmUp{Days: 5, Start: 10}},
		"reserve = 50 leaves notices nothing of per_minute": {PerMinute: 1, Reserve: 50},
		"reserve = 1 leaves notices nothing of per_day = 1": {PerDay: 1, Reserve: 1},
	}
	for says, l := range bad {
		if err := l.Validate(); err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", l, err, says)
		}
	}
}

// No reserve is lost to the machine's word, which on some boards has 32 bits.
func TestShareOfAHighLimit(t *testing.T) {
	if got := (Limits{Reserve: 90}).share(1_000_000_000); got != 100_000_000 {
		t.Error(got)
	}
}

func TestWarmUpGrowsToTheDailyLimit(t *testing.T) {
	l := Limits{PerDay: 200, WarmUp: WarmUp{Days: 5, Start: 10}}
	want := []int{10, 10, 21, 45, 95, 200, 200}
	for n, limit := range want {
		if got := l.daily(n); got != limit {
			t.Errorf("day %d has %d, want %d", n, got, limit)
		}
	}
	l = Limits{PerDay: 7, WarmUp: WarmUp{Days: 30, Start: 1}}
	for n := 1; n < 40; n++ {
		if a, b := l.daily(n), l.daily(n+1); a < 1 || b < a || b > 7 {
			t.Errorf("day %d has %d, the next %d", n, a, b)
		}
	}
	if got := l.daily(30); got != 7 {
		t.Errorf("day 30 has %d", got)
	}
	if got := (Limits{PerDay: 7}).daily(1); got != 7 {
		t.Errorf("without a warm-up day 1 has %d", got)
	}
}
