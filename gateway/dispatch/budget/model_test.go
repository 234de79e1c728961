package budget

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawLimits draws small ones, so that all are met.
func drawLimits(rt *rapid.T) Limits {
	some := func(label string, most int) int {
		if rapid.Bool().Draw(rt, label+"?") {
			return 0
		}
		return rapid.IntRange(1, most).Draw(rt, label)
	}
	l := Limits{
		PerMinute: some("per_minute", 5), PerHour: some("per_hour", 12), PerDay: some("per_day", 25),
		PerMonth: some("per_month", 50), RecipientsPerMonth: some("recipients_per_month", 5),
		SegmentsPerDay: some("segments_per_day", 30), SegmentsPerMonth: some("segments_per_month", 60),
		NoticesPerMinute: some("notices_per_minute", 3), NoticesPerDay: some("notices_per_day", 8),
		Reserve: some("reserve", 90),
	}
	if l.PerDay > 0 && rapid.Bool().Draw(rt, "warm_up?") {
		l.WarmUp = WarmUp{
			Days:  rapid.IntRange(2, 6).Draw(rt, "warm_up_days"),
			Start: rapid.IntRange(1, l.PerDay).Draw(rt, "warm_up_start"),
		}
	}
	return l
}

// drawLeap draws how far time goes on: within windows, over their ends, exactly
// to them.
func drawLeap(rt *rapid.T, b *bench) time.Duration {
	midnight := func(day int) time.Duration {
		y, m, d := b.clock.In(b.zone).Date()
		off := time.Duration(rapid.IntRange(-2, 2).Draw(rt, "beside")) * time.Second
		return max(0, time.Date(y, m, d+day, 0, 0, 0, 0, b.zone).Add(off).Sub(b.clock))
	}
	switch rapid.IntRange(0, 11).Draw(rt, "leap") {
	case 0:
		return time.Minute
	case 1:
		return time.Duration(rapid.IntRange(0, 3_700).Draw(rt, "seconds")) * time.Second
	case 2:
		return time.Minute - time.Microsecond
	case 3:
		return midnight(1)
	case 4:
		_, _, d := b.clock.In(b.zone).Date()
		if rapid.IntRange(0, 3).Draw(rt, "month") == 0 {
			return midnight(32 - d)
		}
		return time.Hour
	case 5:
		return midnight(rapid.IntRange(1, 3).Draw(rt, "days"))
	default:
		return time.Duration(rapid.IntRange(0, 20_000_000).Draw(rt, "µs")) * time.Microsecond
	}
}

// model is the ledger under test beside its journal.
type model struct {
	*bench
	journal
	limits  map[string]Limits
	changed bool
}

func (m *model) begin(rt *rapid.T) {
	c := Charge{
		SIM:      rapid.SampledFrom([]string{paris, lisbon}).Draw(rt, "sim"),
		Notice:   rapid.Bool().Draw(rt, "notice"),
		Segments: rapid.IntRange(0, 3).Draw(rt, "segments"),
	}
	if n := rapid.IntRange(0, 8).Draw(rt, "recipient"); n > 0 {
		c.Recipient = token(byte(n))
	}
	m.lim = m.limits[c.SIM]
	full := m.full(c, m.lim, m.clock)
	spent := m.charge(rt, c)
	if spent == nil {
		if len(full) > 0 {
			rt.Fatalf("it began, but %v have no room", full)
		}
		m.all = append(m.all, sent{Charge: c, begun: m.clock})
		return
	}
	if !slices.Contains(full, spent.Window) {
		rt.Fatalf("%v, but %v have no room", spent, full)
	}
	m.until(rt, c, spent.Until)
}

// until holds the ledger to when it says that the message may begin.
func (m *model) until(rt *rapid.T, c Charge, until time.Time) {
	stray := func(s sent) bool { return s.SIM == c.SIM && s.strayBy(until) }
	if until.IsZero() || slices.ContainsFunc(m.all, stray) {
		return
	}
	later := m.fork()
	later.clock = until.Add(-time.Microsecond)
	if later.charge(rt, c) == nil {
		rt.Fatalf("it may begin before %s", until)
	}
	later.clock = until
	if spent := later.charge(rt, c); spent != nil {
		rt.Fatalf("at that time: %v", spent)
	}
}

func (m *model) end(rt *rapid.T) {
	var air []int
	for i, s := range m.all {
		if s.inAir() {
			air = append(air, i)
		}
	}
	if len(air) == 0 {
		return
	}
	s := &m.all[rapid.SampledFrom(air).Draw(rt, "which")]
	// Of those that are alike the oldest is settled.
	s = &m.all[slices.IndexFunc(m.all, func(o sent) bool { return o.inAir() && o.like(s.Charge) })]
	s.Settlement = Settlement{Result: rapid.SampledFrom([]Result{Taken, Taken, Taken, Refused, Unsent}).Draw(rt, "result")}
	if s.Result == Refused {
		s.Cause = rapid.SampledFrom([]string{"cms 38", "cms 50"}).Draw(rt, "cause")
	}
	s.settled = m.clock
	m.lim = m.limits[s.SIM]
	m.settle(rt, s.Charge, s.Settlement)
}

// leap lets time go on; what is in the air for a day is not any more.
func (m *model) leap(d time.Duration) {
	m.pass(d)
	for i := range m.all {
		if s := &m.all[i]; s.strayBy(m.clock) {
			s.settled, s.Result = m.clock, Unsent
		}
	}
}

// look compares what is shown of the SIM.
func (m *model) look(rt *rapid.T, sim string) {
	m.lim = m.limits[sim]
	s, now := m.bench.standing(rt, sim), m.clock
	today := func(t time.Time) bool { return m.journal.day(t) == m.journal.day(now) }
	thisMonth := func(t time.Time) bool { return m.journal.month(t) == m.journal.month(now) }
	want := map[string][2]Use{
		"day":           {s.Day, {m.sum(sim, today, one), m.dayLimit(sim, m.lim, now)}},
		"month":         {s.Month, {m.sum(sim, thisMonth, one), m.lim.PerMonth}},
		"segments day":  {s.SegmentsDay, {m.sum(sim, today, segments), m.lim.SegmentsPerDay}},
		"notices day":   {s.NoticesDay, {m.sum(sim, today, notice), m.lim.NoticesPerDay}},
		"minute":        {s.Minute, {m.sum(sim, func(t time.Time) bool { return t.After(now.Add(-time.Minute)) }, one), m.lim.PerMinute}},
		"recipients":    {s.Recipients, {len(m.recipients(sim, now)), m.lim.RecipientsPerMonth}},
		"nothing taken": {{s.InAir, 0}, {m.sum(sim, func(time.Time) bool { return false }, one), 0}},
	}
	for name, uses := range want {
		if uses[0] != uses[1] {
			rt.Fatalf("%s of %s is %+v, want %+v", name, sim, uses[0], uses[1])
		}
	}
	for _, lane := range []bool{false, true} {
		opens := s.Codes
		if lane {
			opens = s.Notices
		}
		if full := m.full(Charge{SIM: sim, Notice: lane}, m.lim, now); opens.IsZero() != (len(full) == 0) {
			rt.Fatalf("notices %t: may begin from %s, but %v have no room", lane, opens, full)
		}
	}
	failed := map[string]int{}
	for _, f := range m.all {
		if f.SIM == sim && !f.inAir() && f.Result == Refused && thisMonth(f.settled) {
			failed["month "+f.Cause]++
			if today(f.settled) {
				failed[f.Cause]++
			}
		}
	}
	shown := map[string]int{}
	for cause, n := range s.Failures {
		shown[cause] = n
	}
	for cause, n := range s.FailuresMonth {
		shown["month "+cause] = n
	}
	if fmt.Sprint(shown) != fmt.Sprint(failed) {
		rt.Fatalf("failures are %v, want %v", shown, failed)
	}
}

// meet compares what is remembered of a recipient.
func (m *model) meet(rt *rapid.T, recipient []byte) {
	c := m.contactOf(rt, recipient)
	var taken []sent
	for _, s := range m.all {
		if s.taken() && string(s.Recipient) == string(recipient) {
			taken = append(taken, s)
		}
	}
	slices.SortStableFunc(taken, func(a, b sent) int { return a.settled.Compare(b.settled) })
	sims := map[string]bool{}
	for _, s := range taken {
		if m.journal.month(s.settled) == m.journal.month(m.clock) {
			sims[s.SIM] = true
		}
	}
	if len(c.SIMs) != len(sims) {
		rt.Fatalf("%v have sent to it, want %v", c.SIMs, sims)
	}
	for _, sim := range c.SIMs {
		if !sims[sim] {
			rt.Fatalf("%s has not sent to it", sim)
		}
	}
	if c.SIM == "" {
		return
	}
	last := taken[len(taken)-1].settled
	if age := last.Sub(c.At); age < 0 || age > 24*time.Hour {
		rt.Fatalf("newest at %s, told as %s", last, c.At)
	}
}

func TestModel(t *testing.T) {
	type place struct {
		zone  string
		start time.Time
	}
	places := []place{
		{"UTC", time.Date(2027, 12, 30, 20, 0, 0, 0, time.UTC)},
		{"Europe/Paris", time.Date(2026, 3, 28, 20, 0, 0, 0, time.UTC)},
		{"Europe/Paris", time.Date(2026, 10, 24, 20, 0, 0, 0, time.UTC)},
		{"America/Sao_Paulo", time.Date(2018, 11, 3, 20, 0, 0, 0, time.UTC)}, // no midnight
		{"America/Sao_Paulo", time.Date(2018, 2, 17, 20, 0, 0, 0, time.UTC)}, // 23 o'clock twice
		{"Pacific/Apia", time.Date(2011, 12, 29, 20, 0, 0, 0, time.UTC)},     // a day left out
	}
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.SampledFrom(places).Draw(rt, "place")
		zone := zoneOf(t, at.zone)
		m := &model{bench: newBench(zone, Limits{}), journal: journal{zone: zone}, limits: map[string]Limits{}}
		m.clock = at.start
		for _, sim := range []string{paris, lisbon} {
			m.limits[sim] = drawLimits(rt)
		}
		for range rapid.IntRange(1, 200).Draw(rt, "steps") {
			switch rapid.IntRange(0, 19).Draw(rt, "step") {
			default:
				m.begin(rt)
			case 8, 9, 10, 11, 12, 13:
				m.end(rt)
			case 14, 15, 16, 17:
				m.leap(drawLeap(rt, m.bench))
			case 18:
				m.Ledger = New(zone)
			case 19:
				m.look(rt, rapid.SampledFrom([]string{paris, lisbon}).Draw(rt, "look"))
				m.meet(rt, token(byte(rapid.IntRange(1, 8).Draw(rt, "meet"))))
				if rapid.IntRange(0, 19).Draw(rt, "change") == 0 {
					m.limits[paris], m.changed = drawLimits(rt), true
				}
			}
		}
		m.verdict(rt, lisbon, m.limits[lisbon])
		if !m.changed {
			m.verdict(rt, paris, m.limits[paris])
		}
	})
}
