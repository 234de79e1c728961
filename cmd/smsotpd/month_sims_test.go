package main

import (
	"fmt"
	"strings"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/modem/sim"
)

// monthSIM is one of the SIMs.
type monthSIM struct {
	name, operator, imsi, kind string
	limits                     budget.Limits
	silent                     bool // its modem never reports
	modem                      *sim.Modem
	path                       string
	ails                       []monthAilment
}

// monthAilment is a time in which a SIM can't send, or nothing comes of it.
type monthAilment struct {
	what     string
	from, to time.Time
}

// What ails a SIM.
const (
	monthBanned    = "banned"
	monthSwallows  = "swallows"
	monthOutage    = "without network"
	monthUnplugged = "unplugged"
)

// monthOperators have so many SIMs each.
func monthOperators() []struct {
	code string
	sims int
} {
	return []struct {
		code string
		sims int
	}{{"20801", 8}, {"20810", 7}, {"20820", 5}}
}

// monthKind is a kind of budget.
type monthKind struct {
	name   string
	limits budget.Limits
}

// monthKinds are the budgets for SIMs that would send so many messages a day if
// all sent the same: sized so that each of their limits binds at some hours.
func monthKinds(daily float64) []monthKind {
	n := func(f float64, least int) int { return max(least, int(f*daily)) }
	return []monthKind{
		{"by day", budget.Limits{PerMinute: 2, PerDay: n(1.5, 4)}},
		{"by hour", budget.Limits{PerHour: n(0.2, 3), PerMonth: n(25, 50)}},
		{"by recipients", budget.Limits{PerMinute: 3, RecipientsPerMonth: n(12, 24)}},
		{"warm-up", budget.Limits{PerDay: n(1.5, 4), Reserve: 20, WarmUp: budget.WarmUp{Days: 20, Start: 2}}},
		{"by month", budget.Limits{PerMinute: 1, PerDay: n(2, 6), PerMonth: n(16, 32)}},
	}
}

// monthKindOf deals the kinds out: few count recipients.
func monthKindOf(i int) int {
	return []int{0, 1, 0, 3, 4, 0, 2, 1, 0, 4}[i%10]
}

// configure writes the daemon's configuration, and reads it as the daemon does.
func (m *month) configure() {
	kinds := monthKinds(float64(*monthMessages) / float64(m.days*20))
	var text strings.Builder
	fmt.Fprintf(&text, "state_dir = %q\nallow_region = [\"FR\", \"GB\", \"BE\"]\n", m.state)
	fmt.Fprintf(&text, "[budget]\nzone = \"Europe/Paris\"\nper_day = 1\n") // nobody has this one
	for o, operator := range monthOperators() {
		for i := range operator.sims {
			kind := kinds[monthKindOf(len(m.sims))]
			s := &monthSIM{
				name: fmt.Sprintf("%c%d", 'a'+o, i+1), operator: operator.code, kind: kind.name, limits: kind.limits,
				imsi: fmt.Sprintf("%s%010d", operator.code, len(m.sims)+1),
			}
			m.sims = append(m.sims, s)
			m.byIMSI[s.imsi] = s
			fmt.Fprintf(&text, "[sim.%s]\nimsi = %q\n[sim.%s.budget]\n%s", s.name, s.imsi, s.name, monthBudget(s.limits))
		}
	}
	m.sim(monthSilent).silent = true
	m.config = validConfig(m.t, text.String())
	var err error
	m.zone, err = m.config.Budget.zone()
	m.must(err)
}

func monthBudget(l budget.Limits) string {
	return fmt.Sprintf("per_minute = %d\nper_hour = %d\nper_day = %d\nper_month = %d\nrecipients_per_month = %d\nreserve = %d\nwarm_up_days = %d\nwarm_up_start = %d\n",
		l.PerMinute, l.PerHour, l.PerDay, l.PerMonth, l.RecipientsPerMonth, l.Reserve, l.WarmUp.Days, l.WarmUp.Start)
}

// sim is the one with that name.
func (m *month) sim(name string) *monthSIM {
	for _, s := range m.sims {
		if s.name == name {
			return s
		}
	}
	m.t.Fatalf("there is no SIM %s", name)
	return nil
}

// The SIMs that something happens to.
const (
	monthBannedSIM   = "a1"
	monthSwallower   = "b3"
	monthFlapper     = "c3"
	monthSilent      = "a6"
	monthOutOperator = "20810"
)

// happen is what happens to the SIMs, each at its time.
func (m *month) happen() {
	at := func(day int, hour float64, do func()) {
		m.others.Go(func() {
			pause(time.Until(m.day(day, hour)))
			do()
		})
	}
	during := func(s *monthSIM, what string, from, to time.Time) {
		s.ails = append(s.ails, monthAilment{what, from, to})
	}
	banned, swallower := m.sim(monthBannedSIM), m.sim(monthSwallower)
	during(banned, monthBanned, m.day(5, 11), m.day(8, 12))
	at(5, 11, func() { m.must(banned.modem.Ban(50)) })
	at(8, 12, func() { m.must(banned.modem.Ban(0)) })
	at(6, 13.1, m.kill)
	during(swallower, monthSwallows, m.day(12, 9), m.day(14, 18))
	at(12, 9, func() { swallower.modem.Swallow(true) })
	at(14, 18, func() { swallower.modem.Swallow(false) })
	at(13, 19.1, m.kill)
	for _, s := range m.sims {
		if s.operator == monthOutOperator {
			during(s, monthOutage, m.day(16, 19), m.day(16, 20))
		}
	}
	at(16, 19, func() { m.network.Outage(monthOutOperator, true) })
	at(16, 20, func() { m.network.Outage(monthOutOperator, false) })
	at(20, 8, m.flap)
}

// flap lets a modem come and go for a day.
func (m *month) flap() {
	s, end := m.sim(monthFlapper), m.day(20, 22)
	for i := 0; time.Now().Before(end); i++ {
		away := time.Duration(10+i*37%50) * time.Second
		began := time.Now()
		m.unplug(s, away)
		m.mu.Lock()
		s.ails = append(s.ails, monthAilment{monthUnplugged, began, time.Now()})
		m.mu.Unlock()
		pause(time.Duration(120+i*71%240) * time.Second)
	}
}
