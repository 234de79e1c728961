package budget

import (
	"math"
	"time"

	"pgregory.net/rapid"
)

// sent is a message as the test remembers it.
type sent struct {
	Charge
	begun, settled time.Time // settled is zero in the air
	Settlement
}

func (s sent) inAir() bool { return s.settled.IsZero() }

// like says whether the ledger can't tell the two apart.
func (s sent) like(c Charge) bool {
	return s.SIM == c.SIM && s.Notice == c.Notice && s.segments() == c.segments() && string(s.Recipient) == string(c.Recipient)
}

// strayBy says whether it will be in the air for a day by then.
func (s sent) strayBy(at time.Time) bool { return s.inAir() && at.Sub(s.begun) >= 24*time.Hour }

func (s sent) taken() bool { return !s.inAir() && s.Result == Taken }

// journal is what happened, and knows by slow and simple means what may.
type journal struct {
	zone *time.Location
	all  []sent
}

func (j *journal) day(t time.Time) string   { return t.In(j.zone).Format("2006-01-02") }
func (j *journal) month(t time.Time) string { return t.In(j.zone).Format("2006-01") }

// sum counts the SIM's messages in the air and those taken at a time that
// within accepts, by weight.
func (j *journal) sum(sim string, within func(time.Time) bool, weight func(sent) int) int {
	n := 0
	for _, s := range j.all {
		if s.SIM == sim && (s.inAir() || s.taken() && within(s.settled)) {
			n += weight(s)
		}
	}
	return n
}

func one(sent) int { return 1 }

func segments(s sent) int { return s.segments() }

func notice(s sent) int {
	if s.Notice {
		return 1
	}
	return 0
}

// dayLimit is the limit of the day of now, in its warm-up.
func (j *journal) dayLimit(sim string, lim Limits, now time.Time) int {
	if lim.PerDay == 0 || lim.WarmUp.Days == 0 {
		return lim.PerDay
	}
	first := now
	for _, s := range j.all {
		if s.SIM == sim && s.taken() && s.settled.Before(first) {
			first = s.settled
		}
	}
	n := 1
	for name := j.day(first); name < j.day(now); n++ {
		date, _ := time.Parse("2006-01-02", name)
		name = date.AddDate(0, 0, 1).Format("2006-01-02")
	}
	if n >= lim.WarmUp.Days {
		return lim.PerDay
	}
	factor := math.Pow(float64(lim.PerDay)/float64(lim.WarmUp.Start), 1/float64(lim.WarmUp.Days-1))
	return int(math.Round(float64(lim.WarmUp.Start) * math.Pow(factor, float64(n-1))))
}

// full lists the windows that have no room for the message now.
func (j *journal) full(c Charge, lim Limits, now time.Time) (full []string) {
	check := func(key string, limit int, reserved bool, need int, within func(time.Time) bool, weight func(sent) int) {
		room := limit
		if c.Notice && reserved {
			room -= int(math.Ceil(float64(limit) * float64(lim.Reserve) / 100))
		}
		if limit > 0 && j.sum(c.SIM, within, weight)+need > room {
			full = append(full, key)
		}
	}
	lastMinute := func(t time.Time) bool { return t.After(now.Add(-time.Minute)) }
	lastHour := func(t time.Time) bool { return !t.Before(now.Truncate(time.Minute).Add(-time.Hour)) }
	today := func(t time.Time) bool { return j.day(t) == j.day(now) }
	thisMonth := func(t time.Time) bool { return j.month(t) == j.month(now) }

	check("per_minute", lim.PerMinute, true, 1, lastMinute, one)
	check("per_hour", lim.PerHour, true, 1, lastHour, one)
	check("per_day", j.dayLimit(c.SIM, lim, now), true, 1, today, one)
	check("per_month", lim.PerMonth, true, 1, thisMonth, one)
	check("segments_per_day", lim.SegmentsPerDay, true, c.segments(), today, segments)
	check("segments_per_month", lim.SegmentsPerMonth, true, c.segments(), thisMonth, segments)
	if c.Notice {
		check("notices_per_minute", lim.NoticesPerMinute, false, 1, lastMinute, notice)
		check("notices_per_day", lim.NoticesPerDay, false, 1, today, notice)
	}
	if c.Recipient != nil && lim.RecipientsPerMonth > 0 {
		known := j.recipients(c.SIM, now)
		known[string(c.Recipient)] = true
		if len(known) > lim.RecipientsPerMonth && len(known) > len(j.recipients(c.SIM, now)) {
			full = append(full, "recipients_per_month")
		}
	}
	return full
}

// recipients are those of the month and of the air.
func (j *journal) recipients(sim string, now time.Time) map[string]bool {
	known := map[string]bool{}
	for _, s := range j.all {
		if s.SIM == sim && s.Recipient != nil && (s.inAir() || s.taken() && j.month(s.settled) == j.month(now)) {
			known[string(s.Recipient)] = true
		}
	}
	return known
}

// verdict fails the test if any window was ever exceeded, by either clock.
func (j *journal) verdict(t rapid.TB, sim string, lim Limits) {
	begun := func(s sent) (time.Time, bool) { return s.begun, s.inAir() || s.taken() }
	taken := func(s sent) (time.Time, bool) { return s.settled, s.taken() }
	for clock, timeOf := range map[string]func(sent) (time.Time, bool){"begun": begun, "taken": taken} {
		var mine []sent
		for _, s := range j.all {
			if _, counts := timeOf(s); counts && s.SIM == sim {
				mine = append(mine, s)
			}
		}
		sliding := func(key string, limit int, d time.Duration, weight func(sent) int) {
			for _, last := range mine {
				end, _ := timeOf(last)
				n := 0
				for _, s := range mine {
					if at, _ := timeOf(s); at.After(end.Add(-d)) && !at.After(end) {
						n += weight(s)
					}
				}
				if limit > 0 && n > limit {
					t.Fatalf("%s: %d %s before %s, but %s is %d", sim, n, clock, end, key, limit)
				}
			}
		}
		calendared := func(key string, limit int, name func(time.Time) string, weight func(sent) int) {
			sums := map[string]int{}
			for _, s := range mine {
				at, _ := timeOf(s)
				if sums[name(at)] += weight(s); limit > 0 && sums[name(at)] > limit {
					t.Fatalf("%s: %d %s in %s, but %s is %d", sim, sums[name(at)], clock, name(at), key, limit)
				}
			}
		}
		seen := map[string]bool{}
		newcomer := func(s sent) int {
			at, _ := timeOf(s)
			key := j.month(at) + string(s.Recipient)
			if s.Recipient == nil || seen[key] {
				return 0
			}
			seen[key] = true
			return 1
		}
		sliding("per_minute", lim.PerMinute, time.Minute, one)
		sliding("notices_per_minute", lim.NoticesPerMinute, time.Minute, notice)
		sliding("per_hour", lim.PerHour, time.Hour, one)
		calendared("per_day", lim.PerDay, j.day, one)
		calendared("notices_per_day", lim.NoticesPerDay, j.day, notice)
		calendared("segments_per_day", lim.SegmentsPerDay, j.day, segments)
		calendared("per_month", lim.PerMonth, j.month, one)
		calendared("segments_per_month", lim.SegmentsPerMonth, j.month, segments)
		calendared("recipients_per_month", lim.RecipientsPerMonth, j.month, newcomer)
		// What is reserved is never used by notices alone either.
		if lim.Reserve > 0 {
			sliding("per_minute less its reserve", lim.share(lim.PerMinute), time.Minute, notice)
			sliding("per_hour less its reserve", lim.share(lim.PerHour), time.Hour, notice)
			calendared("per_day less its reserve", lim.share(lim.PerDay), j.day, notice)
			calendared("per_month less its reserve", lim.share(lim.PerMonth), j.month, notice)
		}
	}
}
