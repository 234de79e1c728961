package budget

import (
	"fmt"
	"math"
)

// Limits are what a SIM may send. A limit of 0 is none.
type Limits struct {
	// PerMinute and PerHour hold for any 60 s and 3600 s, PerDay and PerMonth
	// for those of the ledger's zone.
	PerMinute, PerHour, PerDay, PerMonth int
	// RecipientsPerMonth are different ones.
	RecipientsPerMonth int
	// Segments are what an operator counts and bills.
	SegmentsPerDay, SegmentsPerMonth int
	// Notices have these limits of their own, besides all others.
	NoticesPerMinute, NoticesPerDay int
	// Reserve is what only codes may use of each limit on messages and
	// segments, in percent, rounded up; 0 to 90.
	Reserve int
	WarmUp  WarmUp
}

// WarmUp lets a new SIM send little at first: Start messages on the day on
// which the network first takes one, growing by the same factor every day to
// Limits.PerDay on day Days (the first is day 1). 0 days: none.
type WarmUp struct{ Days, Start int }

// fastest is the highest limit by the minute: no SIM sends faster, and each
// message of the last minute is kept.
const fastest = 600

// highest is more than any SIM sends in a month.
const highest = 1_000_000_000

// maxReserve leaves notices something.
const maxReserve = 90

// setting is a limit with its name in the configuration.
type setting struct {
	key   string
	value *int
}

func (l *Limits) settings() []setting {
	return []setting{
		{"per_minute", &l.PerMinute},
		{"per_hour", &l.PerHour},
		{"per_day", &l.PerDay},
		{"per_month", &l.PerMonth},
		{"segments_per_day", &l.SegmentsPerDay},
		{"segments_per_month", &l.SegmentsPerMonth},
		{"recipients_per_month", &l.RecipientsPerMonth},
		{"notices_per_minute", &l.NoticesPerMinute},
		{"notices_per_day", &l.NoticesPerDay},
		{"warm_up_days", &l.WarmUp.Days},
		{"warm_up_start", &l.WarmUp.Start},
		{"reserve", &l.Reserve},
	}
}

// Validate answers an error that names the limit that can't be meant so, or nil. One
// that another keeps from ever being reached is no error: whoever lowers a limit in
// a hurry need not look at all others.
func (l Limits) Validate() error {
	for _, s := range l.settings() {
		switch v := *s.value; {
		case v < 0:
			return fmt.Errorf("%s = %d is negative; 0 is no limit", s.key, v)
		case v > highest:
			return fmt.Errorf("%s = %d is more than %d; 0 is no limit", s.key, v, highest)
		}
	}
	switch {
	case l.Reserve > maxReserve:
		return fmt.Errorf("reserve = %d is out of range; it is a percentage of each limit, 0 to %d", l.Reserve, maxReserve)
	case l.PerMinute > fastest:
		return fmt.Errorf("per_minute = %d: no SIM sends more than %d messages a minute; 0 is no limit", l.PerMinute, fastest)
	case l.NoticesPerMinute > fastest:
		return fmt.Errorf("notices_per_minute = %d: no SIM sends more than %d messages a minute; 0 is no limit", l.NoticesPerMinute, fastest)
	}
	if err := l.validateWarmUp(); err != nil {
		return err
	}
	return l.validateReserve()
}

func (l Limits) validateWarmUp() error {
	w := l.WarmUp
	switch {
	case w.Days == 0 && w.Start > 0:
		return fmt.Errorf("warm_up_start = %d needs warm_up_days, the days until per_day is reached", w.Start)
	case w.Days == 0:
		return nil
	case l.PerDay == 0:
		return fmt.Errorf("warm_up_days = %d needs per_day, which the warm-up leads to", w.Days)
	case w.Days == 1:
		return fmt.Errorf("warm_up_days = 1 is no warm-up; it takes 2 days or more, 0 is none")
	case w.Start == 0:
		return fmt.Errorf("warm_up_days = %d needs warm_up_start, the messages of the first day", w.Days)
	case w.Start > l.PerDay:
		return fmt.Errorf("warm_up_start = %d is more than per_day = %d", w.Start, l.PerDay)
	}
	return nil
}

// validateReserve refuses a reserve that leaves notices nothing for ever.
func (l Limits) validateReserve() error {
	for _, s := range l.settings() {
		switch s.key {
		case "per_minute", "per_hour", "per_day", "per_month", "segments_per_day", "segments_per_month":
			if *s.value > 0 && l.share(*s.value) == 0 {
				return fmt.Errorf("reserve = %d leaves notices nothing of %s = %d", l.Reserve, s.key, *s.value)
			}
		}
	}
	return nil
}

// share is what notices may use of a limit.
func (l Limits) share(limit int) int { return limit - int((int64(limit)*int64(l.Reserve)+99)/100) }

// daily is the limit of the SIM's n-th day, the first being 1.
func (l Limits) daily(n int) int {
	w := l.WarmUp
	if l.PerDay == 0 || n >= w.Days || w.Start >= l.PerDay {
		return l.PerDay
	}
	grown := float64(max(n, 1)-1) / float64(w.Days-1)
	return int(math.Round(float64(w.Start) * math.Pow(float64(l.PerDay)/float64(w.Start), grown)))
}
