package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/modem"
)

// report writes the table.
func (m *month) report(ledgers []*monthLedger) {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nSIM\toperator\tbudget\tsent\trefused\tdelivered\tverified\tpeak use\tbreaker\tevents")
	for _, l := range ledgers {
		delivered, verified := m.shares(l.monthSIM)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", l.name, l.operator, l.kind, len(l.taken), m.refusals(l.monthSIM),
			delivered, verified, m.peak(l), m.breakers(l.monthSIM), m.kinds(l.monthSIM))
	}
	_ = w.Flush()
	m.t.Log(text.String())
	m.t.Log(m.summary(ledgers))
}

// refusals is how many attempts the network refused.
func (m *month) refusals(s *monthSIM) (n int) {
	for _, start := range m.starts {
		for _, a := range start.message.Attempts {
			if a.Modem == s.name && a.Result != modem.Accepted && a.Result != modem.Ambiguous && a.Result != "" {
				n++
			}
		}
	}
	return n
}

// shares are the parts of a SIM's messages that arrived, and whose codes were
// entered.
func (m *month) shares(s *monthSIM) (delivered, verified string) {
	sent, arrived, entered := 0, 0, 0
	for _, start := range m.starts {
		for _, msg := range start.taken {
			if msg.IMSI == s.imsi {
				sent++
			}
		}
		for _, a := range start.arrived {
			if a.imsi == s.imsi {
				arrived++
				if start.entered {
					entered++
				}
			}
		}
	}
	return monthPercent(arrived, sent), monthPercent(entered, sent)
}

func monthPercent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n)/float64(of))
}

// peak is the most of a budget that was used, and how often it was all.
func (m *month) peak(l *monthLedger) string {
	most, often := map[string]int{}, map[string]int{}
	limits := map[string]int{}
	for _, msg := range l.taken {
		for _, w := range l.windows(msg.Accepted) {
			n := l.used(w, msg.Accepted)
			if most[w.name] = max(most[w.name], n); n == w.limit {
				often[w.name]++
			}
			limits[w.name] = max(limits[w.name], w.limit)
		}
	}
	if limit := l.limits.RecipientsPerMonth; limit > 0 && len(l.taken) > 0 {
		limits["recipients"] = limit
		for _, msg := range l.taken {
			most["recipients"] = max(most["recipients"], len(l.recipients(msg.Accepted)))
		}
		if most["recipients"] == limit {
			often["recipients"]++
		}
	}
	var said []string
	for _, name := range slices.Sorted(maps.Keys(most)) {
		said = append(said, fmt.Sprintf("%s %d/%d", name, most[name], limits[name]))
		if often[name] > 0 {
			said[len(said)-1] += fmt.Sprintf(" (full %d×)", often[name])
		}
	}
	return strings.Join(said, ", ")
}

// breakers are when the SIM's breakers opened and closed.
func (m *month) breakers(s *monthSIM) string {
	var said []string
	for _, e := range m.events {
		if e.Modem == s.name && (e.Kind == dispatch.EventBreakerOpen || e.Kind == dispatch.EventBreakerClosed) {
			said = append(said, fmt.Sprintf("%s (%s) %s", strings.TrimPrefix(string(e.Kind), "breaker_"), monthRegion(e), m.clock(e.At)))
		}
	}
	if len(said) == 0 {
		return "-"
	}
	return strings.Join(said, ", ")
}

// kinds are how often what was told of the SIM.
func (m *month) kinds(s *monthSIM) string {
	counts := map[modem.EventKind]int{}
	for _, e := range m.events {
		if e.Modem == s.name {
			counts[e.Kind]++
		}
	}
	var said []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		said = append(said, fmt.Sprintf("%s %d", kind, counts[kind]))
	}
	return strings.Join(said, ", ")
}

// summary is what came of all codes.
func (m *month) summary(ledgers []*monthLedger) string {
	fates := map[monthFate]int{}
	moved, doubled, duplicates, entered, again, helped := 0, 0, 0, 0, 0, 0
	var waits []time.Duration
	for _, s := range m.starts {
		fate, _ := m.fate(s, ledgers)
		fates[fate]++
		if fate == monthArrived {
			waits = append(waits, s.arrived[0].at.Sub(s.at))
		}
		if len(s.taken) > 1 {
			doubled++
		}
		if len(s.arrived) > 1 {
			duplicates++
		}
		if s.entered {
			entered++
		}
		if s.again {
			if again++; fate == monthArrived {
				helped++
			}
		}
	}
	for _, n := range m.totals["smsotpd_messages_moved_total"] {
		moved += int(n)
	}
	loyal, times := m.loyalty()
	return fmt.Sprintf("%d starts: %d refused (503), %d arrived, %d impossible, %d lost; %d entered\n"+
		"%d moved to another operator, %d sent twice, %d arrived twice; %d asked again at the time that they were told, %d of them in vain\n"+
		"from start to phone: %s\n%s of %d messages to numbers that had one before came from the same SIM",
		len(m.starts), fates[monthRefused], fates[monthArrived], fates[monthImpossible], fates[monthLost], entered,
		moved, doubled, duplicates, again, again-helped, monthSpread(waits), monthPercent(loyal, times), times)
}

// monthSpread tells how times are distributed.
func monthSpread(all []time.Duration) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[int(share*float64(len(all)-1))].Round(100 * time.Millisecond)
	}
	return fmt.Sprintf("p50 %v, p95 %v, most %v", at(0.5), at(0.95), at(1))
}

// loyalty is how many messages came from the SIM that their recipient knew, of
// how many to such.
func (m *month) loyalty() (loyal, times int) {
	last := map[string]string{}
	for _, s := range m.starts {
		if len(s.taken) == 0 {
			continue
		}
		if before := last[s.to]; before != "" {
			if times++; before == s.taken[0].IMSI {
				loyal++
			}
		}
		last[s.to] = s.taken[len(s.taken)-1].IMSI
	}
	return loyal, times
}
