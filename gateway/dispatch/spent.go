package dispatch

import (
	"fmt"
	"strings"
	"time"

	"smsotpd/gateway/dispatch/budget"
)

// parts are those of a budget that don't come back by the minute, with their
// words.
func parts(s budget.Standing) []struct {
	words string
	use   budget.Use
} {
	return []struct {
		words string
		use   budget.Use
	}{
		{"messages in an hour", s.Hour},
		{"messages today", s.Day},
		{"messages this month", s.Month},
		{"recipients this month", s.Recipients},
		{"segments today", s.SegmentsDay},
		{"segments this month", s.SegmentsMonth},
	}
}

// spentFor is how long from the given time on nothing can be sent; 0 also where
// only what is in the air bars it.
func spentFor(s budget.Standing, at time.Time) time.Duration {
	if s.Codes.IsZero() || never(s.Codes) {
		return 0
	}
	return max(0, s.Codes.Sub(at))
}

// Spent says in words, at a time of the store, why a SIM can send nothing for more
// than a minute; "" if it can.
func Spent(s budget.Standing, at time.Time) string {
	if spentFor(s, at) < time.Minute {
		return ""
	}
	return "its budget is spent until " + s.Codes.UTC().Format("2006-01-02 15:04 MST") + ": " + inNumbers(s)
}

// low says whether less than the given percentage of one of them is left.
func low(s budget.Standing, percent int) bool {
	for _, part := range parts(s)[1:] { // the hour comes back soon enough
		if u := part.use; u.Limit > 0 && (u.Limit-u.Used)*100 < percent*u.Limit {
			return true
		}
	}
	return false
}

// inNumbers is how much of a budget is used, as "180 of 200 messages today".
func inNumbers(s budget.Standing) string {
	var said []string
	for _, part := range parts(s) {
		if part.use.Limit > 0 {
			said = append(said, fmt.Sprintf("%d of %d %s", part.use.Used, part.use.Limit, part.words))
		}
	}
	return strings.Join(said, ", ")
}
