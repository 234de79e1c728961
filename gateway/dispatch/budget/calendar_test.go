package budget

import (
	"testing"
	"time"
)

func TestDaysBeginAtTheirFirstInstant(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"UTC", "2026-03-01", "2026-03-01T00:00:00Z"},
		{"Europe/Paris", "2026-03-29", "2026-03-28T23:00:00Z"},
		{"Europe/Paris", "2026-03-30", "2026-03-29T22:00:00Z"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"}, // 00:00 is 01:00
		{"America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00:00Z"}, // 24:00 is 23:00
		{"Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"},      // 00:00 is 01:00
		{"Asia/Amman", "2015-10-30", "2015-10-29T21:00:00Z"},        // 01:00 is 00:00
		{"Asia/Gaza", "2021-10-29", "2021-10-28T21:00:00Z"},
		{"Atlantic/Azores", "2026-10-25", "2026-10-25T00:00:00Z"},
		{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"}, // was left out
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"},
	} {
		date, err := time.Parse(time.DateOnly, c.day)
		must(t, err)
		l := New(zoneOf(t, c.zone))
		begins := l.begins(dayOf(date.Date()))
		if got := begins.Format(time.RFC3339); got != c.want {
			t.Errorf("%s in %s begins at %s, want %s", c.day, c.zone, got, c.want)
		}
		if l.day(begins.Add(-time.Microsecond)) >= dayOf(date.Date()) {
			t.Errorf("%s in %s has begun before", c.day, c.zone)
		}
	}
}

func TestMonths(t *testing.T) {
	for day := dayOf(2023, time.December, 1); day < dayOf(2025, time.February, 1); day++ {
		y, m, d := dateOf(day)
		if monthOf(day) != 100*y+int(m) {
			t.Errorf("%d-%d-%d is in %d", y, m, d, monthOf(day))
		}
		next := nextMonth(day)
		if _, _, first := dateOf(next); first != 1 || monthBefore(monthOf(next)) != monthOf(day) {
			t.Errorf("%d-%d-%d: the next month is %d, of which the one before is %d", y, m, d, monthOf(next), monthBefore(monthOf(next)))
		}
	}
}
