package main

import (
	"slices"
	"time"

	"smsotpd/modem/sim"
)

// monthLedger is what one SIM's network took, by the simulator's log, and what
// the SIM might have sent besides: a model of budgets that shares nothing with
// the gateway's.
type monthLedger struct {
	*monthSIM
	zone  *time.Location
	taken []sim.Message // in the order of their time
	first time.Time     // the day of the first
}

func (m *month) ledgers() []*monthLedger {
	all := make([]*monthLedger, len(m.sims))
	for i, s := range m.sims {
		l := &monthLedger{monthSIM: s, zone: m.zone}
		for _, msg := range m.taken {
			if msg.IMSI == s.imsi {
				l.taken = append(l.taken, msg)
			}
		}
		slices.SortStableFunc(l.taken, func(a, b sim.Message) int { return a.Accepted.Compare(b.Accepted) })
		if len(l.taken) > 0 {
			l.first = l.dayOf(l.taken[0].Accepted)
		}
		all[i] = l
	}
	return all
}

func (l *monthLedger) dayOf(t time.Time) time.Time {
	y, month, d := t.In(l.zone).Date()
	return time.Date(y, month, d, 0, 0, 0, 0, l.zone)
}

func (l *monthLedger) monthOf(t time.Time) time.Time {
	y, month, _ := t.In(l.zone).Date()
	return time.Date(y, month, 1, 0, 0, 0, 0, l.zone)
}

// until is how many were taken up to a time.
func (l *monthLedger) until(t time.Time) int {
	n, _ := slices.BinarySearchFunc(l.taken, t, func(msg sim.Message, t time.Time) int {
		if msg.Accepted.After(t) {
			return 1
		}
		return -1
	})
	return n
}

// daily is the limit of the day: that of the warm-up, if there is one.
func (l *monthLedger) daily(t time.Time) int {
	limit, warm := l.limits.PerDay, l.limits.WarmUp
	if warm.Days == 0 {
		return limit
	}
	if l.first.IsZero() || t.Before(l.first) {
		return warm.Start
	}
	// Days are counted by the calendar; none of these months has summer time.
	day := int(l.dayOf(t).Sub(l.first)/(24*time.Hour)) + 1
	return monthRamp(warm.Start, limit, day, warm.Days)
}

// monthWindow is one limit and the time back from t in which it counts.
type monthWindow struct {
	name  string
	limit int
	from  time.Time // not before; what is at it counts
}

func (l *monthLedger) windows(t time.Time) []monthWindow {
	all := []monthWindow{
		{"minute", l.limits.PerMinute, t.Add(-time.Minute + 1)},
		{"hour", l.limits.PerHour, t.Add(-time.Hour + 1)},
		{"day", l.daily(t), l.dayOf(t)},
		{"month", l.limits.PerMonth, l.monthOf(t)},
	}
	return slices.DeleteFunc(all, func(w monthWindow) bool { return w.limit == 0 })
}

// used is what of the window counts, of those taken up to t.
func (l *monthLedger) used(w monthWindow, t time.Time) int {
	return l.until(t) - l.until(w.from.Add(-1))
}

// recipients are those of the month of t, up to t.
func (l *monthLedger) recipients(t time.Time) map[string]bool {
	known := map[string]bool{}
	for _, msg := range l.taken[l.until(l.monthOf(t).Add(-1)):l.until(t)] {
		known[msg.To] = true
	}
	return known
}

// full says whether a message to the recipient would be one recipient too many.
func (l *monthLedger) full(to string, t time.Time) bool {
	if l.limits.RecipientsPerMonth == 0 {
		return false
	}
	known := l.recipients(t)
	return len(known) >= l.limits.RecipientsPerMonth && !known[to]
}

// works says whether something comes of what the SIM is given from then on for a
// while.
func (l *monthLedger) works(t time.Time, while time.Duration) bool {
	return !slices.ContainsFunc(l.ails, func(a monthAilment) bool {
		return t.Add(while).After(a.from) && t.Before(a.to.Add(monthRecovery))
	})
}

// monthRecovery is how long a modem takes after what ailed it.
const monthRecovery = 2 * time.Minute

// known are the windows as the gateway is known to have them, that an hour
// counts in whole minutes.
func (l *monthLedger) known(t time.Time) []monthWindow {
	all := l.windows(t)
	for i := range all {
		if all[i].name == "hour" {
			all[i].from = t.Truncate(time.Minute).Add(-time.Hour)
		}
	}
	return all
}

// room is how many more messages to the recipient the SIM could have begun from t
// to until, had it been given nothing but what it was given up to t.
func (l *monthLedger) room(to string, t, until time.Time) int {
	if l.full(to, t) || !l.works(t, until.Sub(t)) {
		return 0
	}
	const step = 5 * time.Second
	enough := 100
	if known := l.recipients(t); l.limits.RecipientsPerMonth > 0 && !known[to] {
		enough = l.limits.RecipientsPerMonth - len(known)
	}
	more := []time.Time{}
	for at := t; !at.After(until) && len(more) < enough; {
		if slices.ContainsFunc(l.known(at), func(w monthWindow) bool {
			n := l.until(t) - l.until(w.from.Add(-1))
			for _, m := range more {
				if !m.Before(w.from) {
					n++
				}
			}
			return n >= w.limit
		}) {
			at = at.Add(step)
			continue
		}
		more = append(more, at)
	}
	return len(more)
}

// could says whether the SIM, given all that it was given, could have taken one
// more message to the recipient at some time between the two.
func (l *monthLedger) could(to string, from, until time.Time) (time.Time, bool) {
	const step, lasting = 5 * time.Second, 20 * time.Second
	since := time.Time{}
	for at := from; !at.After(until); at = at.Add(step) {
		free := l.works(at, lasting) && !l.full(to, at) && !slices.ContainsFunc(l.known(at), func(w monthWindow) bool {
			return l.used(w, at) >= w.limit
		})
		switch {
		case !free:
			since = time.Time{}
		case since.IsZero():
			since = at
		case at.Sub(since) >= lasting:
			return since, true
		}
	}
	return time.Time{}, false
}
