package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// monthRamp is the limit of the n-th day of a warm-up.
func monthRamp(start, limit, n, days int) int {
	if n >= days || start >= limit {
		return limit
	}
	return int(math.Round(float64(start) * math.Pow(float64(limit)/float64(start), float64(n-1)/float64(days-1))))
}

// judge compares what the gateway did and told with what the networks took and
// what phones got.
func (m *month) judge() {
	ledgers := m.ledgers()
	m.report(ledgers)
	for what, n := range m.wrong {
		m.t.Errorf("%d times: %s", n, what)
	}
	for _, l := range ledgers {
		m.judgeBudget(l)
	}
	m.judgeCodes(ledgers)
	m.judgeRefusals(ledgers)
	m.judgeEvents()
	for _, s := range m.sims {
		for _, v := range s.modem.Violations() {
			if v.Kind != sim.ViolationBusy && v.Kind != sim.ViolationAck && v.Kind != sim.ViolationNoPrompt {
				m.t.Errorf("%s was told what no modem should be, at %v: %s", s.name, v.At, v.Kind)
			}
		}
	}
}

// judgeBudget: no window ever holds more than its limit.
func (m *month) judgeBudget(l *monthLedger) {
	for _, msg := range l.taken {
		at := msg.Accepted
		for _, w := range l.windows(at) {
			if n := l.used(w, at); n > w.limit {
				m.t.Errorf("%s has sent %d in a %s, at most %d may be: at %s", l.name, n, w.name, w.limit, m.clock(at))
				return
			}
		}
		if limit := l.limits.RecipientsPerMonth; limit > 0 && len(l.recipients(at)) > limit {
			m.t.Errorf("%s has sent to more than %d recipients in a month", l.name, limit)
			return
		}
	}
}

// clock is a time as the operator reads it, with the day of the month.
func (m *month) clock(t time.Time) string {
	local := t.In(m.zone)
	return fmt.Sprintf("day %d %s", int(local.Sub(m.began).Hours()/24)+1, local.Format("15:04:05"))
}

// monthFate is what came of a code.
type monthFate int

const (
	monthArrived monthFate = iota
	monthRefused
	// monthImpossible: no SIM could carry it.
	monthImpossible
	monthLost
)

// fate is what came of a code, and why it is lost.
func (m *month) fate(s *monthStart, ledgers []*monthLedger) (monthFate, string) {
	if s.refusal != nil {
		return monthRefused, ""
	}
	if len(s.arrived) > 0 && s.arrived[0].at.Before(s.v.ExpiresAt) {
		return monthArrived, ""
	}
	if m.quiet() && m.swallowed(s) {
		return monthImpossible, "" // no report was to be expected
	}
	const least = 20 * time.Second // queue.Policy.MinLife
	for _, l := range ledgers {
		if slices.ContainsFunc(s.taken, func(msg sim.Message) bool { return msg.IMSI == l.imsi }) {
			continue
		}
		if at, could := l.could(s.to, s.at, s.v.ExpiresAt.Add(-least)); could {
			return monthLost, fmt.Sprintf("%s could have carried it at %s", l.name, m.clock(at))
		}
	}
	return monthImpossible, ""
}

// swallowed says whether the code was taken from a SIM that swallows.
func (m *month) swallowed(s *monthStart) bool {
	return slices.ContainsFunc(s.taken, func(msg sim.Message) bool {
		return slices.ContainsFunc(m.byIMSI[msg.IMSI].ails, func(a monthAilment) bool {
			return a.what == monthSwallows && msg.Accepted.After(a.from) && msg.Accepted.Before(a.to)
		})
	})
}

// judgeCodes: no code is lost, nobody gets two that differ or three.
func (m *month) judgeCodes(ledgers []*monthLedger) {
	shown, impossible := 0, 0
	fault := func(s *monthStart, format string, args ...any) {
		if shown++; shown <= 10 {
			m.t.Errorf("%s: to %.4s of %s, %s, attempts %+v, taken %s", fmt.Sprintf(format, args...), s.to, m.clock(s.at), s.message.Status, s.message.Attempts, m.carriers(s))
		}
	}
	for _, s := range m.starts {
		switch fate, why := m.fate(s, ledgers); fate {
		case monthLost:
			fault(s, "a code is lost: %s", why)
		case monthImpossible:
			impossible++
			m.t.Logf("no SIM could carry what was taken on at %s: %s, taken %s", m.clock(s.at), s.message.Status, m.carriers(s))
		}
		codes := map[string]bool{}
		for _, a := range s.arrived {
			codes[a.code] = true
		}
		switch {
		case s.refusal != nil && len(s.taken) > 0:
			fault(s, "sent although it was refused")
		case len(codes) > 1:
			fault(s, "a phone got two codes")
		case len(s.taken) > 2:
			fault(s, "sent %d times", len(s.taken))
		case len(s.taken) == 2 && !s.message.PossibleDuplicate:
			fault(s, "sent twice and not marked")
		case s.entered && s.message.Status != queue.Delivered:
			fault(s, "entered and not delivered")
		}
	}
	if shown > 10 {
		m.t.Errorf("and %d more", shown-10)
	}
	// What is let in has room, but for what is sent twice meanwhile and for a
	// month's last recipients.
	if most := max(3, len(m.starts)/1000); impossible > most {
		m.t.Errorf("%d codes were taken on that no SIM could carry", impossible)
	}
	if loyal, times := m.loyalty(); loyal*100 < 75*times {
		m.t.Errorf("only %d of %d messages to numbers that had one before came from the same SIM", loyal, times)
	}
}

func (m *month) carriers(s *monthStart) (all []string) {
	for _, msg := range s.taken {
		all = append(all, m.byIMSI[msg.IMSI].name+" at "+m.clock(msg.Accepted))
	}
	return all
}

// judgeRefusals: a code is refused only if what waits already takes all that the
// SIMs could send in nine tenths of the time in which it may be begun; the rest is
// for what others take in the air.
func (m *month) judgeRefusals(ledgers []*monthLedger) {
	const life = 9 * (5*time.Minute - 20*time.Second) / 10
	refused, shown := 0, 0
	for i, s := range m.starts {
		if s.refusal == nil {
			continue
		}
		refused++
		room, where := 0, ""
		for _, l := range ledgers {
			if n := l.room(s.to, s.at, s.at.Add(life)); n > 0 {
				room += n
				where += fmt.Sprintf(" %s %d", l.name, n)
			}
		}
		if waiting := m.waiting(i); room > waiting+m.beginning(s.at)+1 && !m.unsettled(s.at) {
			if shown++; shown <= 10 {
				m.t.Errorf("a code was refused at %s, for %v, although there was room for %d (%s ) and %d waited", m.clock(s.at), s.refusal.RetryAfter, room, where, waiting)
			}
		}
	}
	if shown > 10 {
		m.t.Errorf("and %d more", shown-10)
	}
	if refused == 0 && !m.quiet() {
		m.t.Error("no code was ever refused: the budgets are too large for this month")
	}
}

// waiting is how many codes were waiting to be taken when the i-th was asked for;
// those that were asked for at the same time may have come before it.
func (m *month) waiting(i int) (n int) {
	now := m.starts[i].at
	first := i
	for first > 0 && now.Sub(m.starts[first-1].at) < 6*time.Minute {
		first--
	}
	for _, s := range m.starts[first:] {
		if s.at.Sub(now) > time.Second {
			break
		}
		if s.refusal == nil && !slices.ContainsFunc(s.taken, func(msg sim.Message) bool { return msg.Accepted.Before(now) }) {
			n++
		}
	}
	return n
}

// beginning is how many codes were just given to a modem: for a moment they count
// as waiting and as sent.
func (m *month) beginning(now time.Time) (n int) {
	for _, s := range m.starts {
		for _, a := range s.message.Attempts {
			if now.Sub(a.StartedAt).Abs() < time.Second {
				n++
			}
		}
	}
	return n
}

// unsettled says whether a gateway had just begun.
func (m *month) unsettled(t time.Time) bool {
	return slices.ContainsFunc(m.killed, func(at time.Time) bool { return t.After(at) && t.Sub(at) < time.Minute })
}

// toldOf are the events of a kind that a SIM's modem has its name on.
func (m *month) toldOf(s *monthSIM, kind modem.EventKind) (at []time.Time) {
	for _, e := range m.events {
		if e.Modem == s.name && e.Kind == kind {
			at = append(at, e.At)
		}
	}
	return at
}

// judgeEvents: what happened is told, and nothing that did not.
func (m *month) judgeEvents() {
	total := func(kind modem.EventKind) (n int) {
		for _, s := range m.sims {
			n += len(m.toldOf(s, kind))
		}
		return n
	}
	for _, kind := range []modem.EventKind{dispatch.EventBudgetLow, dispatch.EventBudgetSpent, modem.EventUp, modem.EventDown} {
		if total(kind) == 0 {
			m.t.Errorf("%s was never told", kind)
		}
	}
	for _, e := range m.events {
		metric := m.totals["smsotpd_modem_events_total"]
		if metric[string(e.Kind)+" "+e.Modem+" "] == 0 && metric[e.Modem+" "+string(e.Kind)+" "] == 0 {
			m.t.Errorf("%s of %s is in no metric", e.Kind, e.Modem)
			break
		}
	}
	m.judgeBreakers()
	for _, s := range m.sims {
		if at := m.toldOf(s, dispatch.EventBudgetSpent); s.limits.PerHour > 0 && !m.quiet() && len(at) > 0 {
			m.t.Errorf("%s was told to be spent at %s, for what the hour brings back", s.name, m.clock(at[0]))
		}
	}
	flapper := m.sim(monthFlapper)
	if ups, times := len(m.toldOf(flapper, modem.EventUp)), len(flapper.ails); ups < times {
		m.t.Errorf("%s came %d times, told were %d", flapper.name, times, ups)
	}
}

// judgeBreakers: a SIM that is banned or swallows is found out, comes back, and
// no other is blamed.
func (m *month) judgeBreakers() {
	// Within so many messages, and after so long, that is known: probes may have used
	// the day up, and little is asked for at night.
	const most, back = 30, 18 * time.Hour
	for _, s := range m.sims {
		opened, closed := m.toldOf(s, dispatch.EventBreakerOpen), m.toldOf(s, dispatch.EventBreakerClosed)
		if s.name == monthSwallower && m.quiet() {
			continue
		}
		if s.name != monthBannedSIM && s.name != monthSwallower {
			if len(opened) > 0 {
				m.t.Errorf("%s was blamed at %s though nothing was wrong with it", s.name, m.clock(opened[0]))
			}
			continue
		}
		ail := s.ails[0]
		if len(opened) == 0 || opened[0].Before(ail.from) || opened[0].After(ail.to) {
			m.t.Errorf("%s %s from %s to %s, and its breaker opened at %v", s.name, ail.what, m.clock(ail.from), m.clock(ail.to), opened)
			continue
		}
		if n := m.tried(s, ail.from, opened[0]); n > most {
			m.t.Errorf("%s %s, and its breaker opened after %d messages", s.name, ail.what, n)
		}
		if m.reopened(s) {
			m.t.Errorf("a breaker of %s opened more than once: at %v", s.name, opened)
		}
		if len(closed) == 0 || closed[len(closed)-1].Before(ail.to) || closed[len(closed)-1].Sub(ail.to) > back {
			m.t.Errorf("%s was well from %s on, and its breaker closed at %v", s.name, m.clock(ail.to), closed)
		}
	}
}

// reopened says whether a breaker of the SIM, altogether or for one region, was
// told to have opened more than once.
func (m *month) reopened(s *monthSIM) bool {
	times := map[string]int{}
	for _, e := range m.events {
		if e.Modem == s.name && e.Kind == dispatch.EventBreakerOpen {
			times[monthRegion(e)]++
		}
	}
	for _, n := range times {
		if n > 1 {
			return true
		}
	}
	return false
}

// monthRegion is the region that a breaker is about, "all" for none.
func monthRegion(e modem.Event) string {
	if region, _, ok := strings.Cut(e.Detail, ": "); ok {
		return strings.TrimPrefix(region, "in ")
	}
	return "all"
}

// tried is how many messages the SIM was given between the two.
func (m *month) tried(s *monthSIM, from, to time.Time) (n int) {
	for _, start := range m.starts {
		for _, a := range start.message.Attempts {
			if a.Modem == s.name && a.StartedAt.After(from) && !a.StartedAt.After(to) {
				n++
			}
		}
	}
	return n
}
