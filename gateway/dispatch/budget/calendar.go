package budget

import "time"

// calendar counts the days of a zone, from 1970-01-01 as 0.
type calendar struct{ zone *time.Location }

const secondsPerDay = 24 * 60 * 60

func (c calendar) day(t time.Time) int {
	y, m, d := t.In(c.zone).Date()
	return dayOf(y, m, d)
}

func dayOf(y int, m time.Month, d int) int {
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay)
}

func dateOf(day int) (y int, m time.Month, d int) {
	return time.Unix(int64(day)*secondsPerDay, 0).UTC().Date()
}

// monthOf is the day's month as 202601.
func monthOf(day int) int {
	y, m, _ := dateOf(day)
	return 100*y + int(m)
}

// monthBefore is the month before one like 202601.
func monthBefore(month int) int {
	if month%100 == 1 {
		return month - 100 + 11
	}
	return month - 1
}

// nextMonth is the first day of the month behind the day's.
func nextMonth(day int) int {
	y, m, _ := dateOf(day)
	return dayOf(y, m+1, 1)
}

// begins is the day's first instant. Where clocks are set forward at midnight
// there is none: the day begins when they are. Where they are set back to midnight
// there are two, and it begins at the first.
func (c calendar) begins(day int) time.Time {
	y, m, d := dateOf(day)
	t := time.Date(y, m, d, 0, 0, 0, 0, c.zone)
	switch {
	case c.day(t) < day:
		_, t = t.ZoneBounds()
	case c.day(t.Add(-1)) == day:
		start, _ := t.ZoneBounds()
		_, before := start.Add(-1).Zone()
		_, after := t.Zone()
		t = t.Add(time.Duration(after-before) * time.Second)
	}
	return t.UTC()
}
