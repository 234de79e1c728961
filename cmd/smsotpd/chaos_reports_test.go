package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// TestChaosReports has the delivery reports of 200 messages, two to each number,
// come shuffled, twice, late and not at all, with bad news among them, in virtual
// time. In the end each message is in the state that follows from the reports
// that the simulator handed over, and went out again only where that is meant.
func TestChaosReports(t *testing.T) {
	two := []string{"20801", "20810"}
	for name, c := range map[string]struct {
		operators []string
		failover  bool
	}{
		"TwoOperators":      {two, true},
		"TwoOperatorsAgain": {two, true},
		"WithoutFailover":   {two, false},
		"OneOperator":       {two[:1], true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { newReportRun(t, c.operators, c.failover).run() })
		})
	}
}

// reportRun is a gateway over modems whose reports are mistreated.
type reportRun struct {
	*chaos
	failover bool
	registry *prometheus.Registry
	messages []string // ids
	began    time.Time
}

func newReportRun(t *testing.T, operators []string, failover bool) *reportRun {
	r := &reportRun{failover: failover, registry: prometheus.NewRegistry()}
	r.chaos = newChaos(t, chaosPlan{
		messages: 200, time: 6 * time.Minute, quick: 1, operators: operators,
		air: sim.LogNormal(time.Second, 4*time.Second), report: sim.LogNormal(400*time.Millisecond, 2*time.Second),
		reports: sim.ReportChaos{Drop: 0.15, Double: 0.2, Late: 0.2, After: sim.LogNormal(time.Minute, 4*time.Minute), Shuffle: 4},
		adapt: func(o *gateway.Options) {
			policy := dispatch.DefaultPolicy()
			policy.Failover = failover
			o.Dispatch, o.Metrics = &policy, r.registry
		},
	})
	return r
}

func (r *reportRun) run() {
	defer r.network.Close()
	r.over = true // nobody types a code
	r.plug()
	for _, m := range r.network.Modems() {
		for _, f := range []sim.Fault{
			{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{70}, Every: 7},
			{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{99}, Every: 11},
			{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{48, 0}, Every: 5},
		} {
			if err := m.AddFault(f); err != nil {
				r.t.Fatal(err)
			}
		}
	}
	d := r.serve(r.database())
	r.daemon.Store(d)
	defer d.stop()
	r.began = time.Now()
	for i := range r.plan.messages {
		v, err := d.gw.Start(context.Background(), gateway.Call{Caller: "chaos"}, gateway.StartRequest{To: mobile(i / 2)})
		if err != nil {
			r.t.Fatal(err)
		}
		r.messages = append(r.messages, v.MessageID)
		pause(r.plan.time / time.Duration(r.plan.messages))
	}
	pause(chaosLife + 30*time.Minute) // longer than any report takes
	synctest.Wait()
	r.judge()
}

// copyOf is a message as the network took it, and what was reported of it.
type copyOf struct {
	sim.Message
	delivered, failed, gaveUp bool
	// first is when the first report came, zero for never.
	first time.Time
}

// copies are what the network took, each with what its modem was handed of it.
func (r *reportRun) copies() []*copyOf {
	var all []*copyOf
	for _, m := range r.network.Messages() {
		c := &copyOf{Message: m}
		for _, report := range r.reported[m.To] {
			if of := report.Message; of.Modem != m.Modem || of.MR != m.MR || !of.Accepted.Equal(m.Accepted) {
				continue
			}
			if c.first.IsZero() {
				c.first = report.at
			}
			c.delivered = c.delivered || report.Status < 32
			c.failed = c.failed || report.Status >= 64
			c.gaveUp = c.gaveUp || report.Status >= 96
		}
		all = append(all, c)
	}
	return all
}

// judge holds all messages to the copies of them.
func (r *reportRun) judge() {
	r.mu.Lock()
	defer r.mu.Unlock()
	copies := r.copies()
	r.judgePhones(copies)
	tally := map[queue.State]int{}
	doubled, moved, left := 0, 0, 0
	for _, id := range r.messages {
		m, err := r.daemon.Load().gw.Message(context.Background(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		var own []*copyOf
		for _, a := range m.Attempts {
			if at := slices.IndexFunc(copies, func(c *copyOf) bool { return c.is(a) }); at >= 0 {
				own = append(own, copies[at])
				copies = slices.Delete(copies, at, at+1)
			}
		}
		tally[m.Status]++
		if wrong := r.wrong(m, own); wrong != "" {
			r.t.Errorf("%s: %s, attempts %+v", wrong, m.Status, m.Attempts)
		}
		if len(own) == 2 && own[0].delivered && own[1].delivered {
			doubled++
		}
		if wasMoved(own) {
			moved++
		} else if len(own) == 1 && silent(own[0]) && m.CreatedAt.Sub(r.began) > r.plan.time/3 {
			left++
		}
	}
	if len(copies) > 0 {
		r.t.Errorf("%d messages were sent that the gateway doesn't know of", len(copies))
	}
	counted := r.counters()
	r.t.Logf("%v; %d moved, %d doubled, %d left; counted: %v", tally, moved, doubled, left, counted)
	if counted["smsotpd_messages_doubled_total"] != doubled {
		r.t.Errorf("%d messages were reported twice, and %d are counted", doubled, counted["smsotpd_messages_doubled_total"])
	}
	// One that was to be moved may be reported on just before it goes.
	if at := counted["smsotpd_messages_moved_total"]; at < moved || at > moved+3 {
		r.t.Errorf("%d messages were moved, and %d are counted", moved, at)
	}
	// Where most reports are missing for a while, none is waited for.
	if can := r.failover && len(r.plan.operators) > 1; can && left > moved/10 {
		r.t.Errorf("%d messages are left without a report, though another operator is there", left)
	}
	if can := r.failover && len(r.plan.operators) > 1; can != (moved > 0) {
		r.t.Errorf("%d messages were moved", moved)
	}
}

// silent tells whether no report came for longer than one is ever waited for.
func silent(c *copyOf) bool { return c.first.IsZero() || c.first.Sub(c.Accepted) > 95*time.Second }

// judgePhones holds the phones to what arrives: a copy that the service centre
// delivers is there once, whatever is reported of it.
func (r *reportRun) judgePhones(copies []*copyOf) {
	arrive := map[string]int{}
	for _, c := range copies {
		if slices.ContainsFunc(c.Reports, func(status byte) bool { return status < 32 }) {
			arrive[c.To]++
		} else if c.delivered {
			r.t.Errorf("reported as delivered, and it never was: %v", c.Reports)
		}
	}
	for to, codes := range r.arrived {
		if len(codes) != arrive[to] {
			r.t.Errorf("a phone has %d messages, not %d", len(codes), arrive[to])
		}
		delete(arrive, to)
	}
	if len(arrive) > 0 {
		r.t.Errorf("%d phones have nothing", len(arrive))
	}
}

// wasMoved tells whether a message went out again since no report came.
func wasMoved(own []*copyOf) bool {
	return len(own) == 2 && (own[0].first.IsZero() || own[0].first.After(own[1].Submitted))
}

// is tells whether the attempt is what sent the copy.
func (c *copyOf) is(a gateway.Attempt) bool {
	return a.Result == modem.Accepted && a.Modem == fmt.Sprint("ttyUSB", c.Modem) && a.MR == int(c.MR) &&
		!c.Accepted.Before(a.StartedAt) && !c.Accepted.Truncate(time.Microsecond).After(a.SettledAt)
}

// wrong says what the gateway's word on a message differs in from what follows
// from its copies, "" for nothing.
func (r *reportRun) wrong(m gateway.Message, own []*copyOf) string {
	want := queue.Undelivered
	for _, c := range own {
		switch {
		case c.delivered:
			want = queue.Delivered
		case !c.failed && want == queue.Undelivered:
			want = queue.Unconfirmed
		}
	}
	switch {
	case len(own) != len(m.Attempts):
		return fmt.Sprintf("%d of %d attempts are known to the network", len(own), len(m.Attempts))
	case len(own) == 0 || len(own) > 2:
		return fmt.Sprintf("sent %d times", len(own))
	case m.Status != want:
		return "not " + string(want)
	case len(own) == 1, !wasMoved(own) && own[0].gaveUp: // what the centre gave up may go again
		return ""
	case !wasMoved(own) || !r.failover:
		return "sent again without a reason"
	case own[0].IMSI[:5] == own[1].IMSI[:5]:
		return "moved to the same operator"
	case !m.PossibleDuplicate:
		return "moved and not marked"
	}
	return ""
}

// counters are the values of all counters without labels.
func (r *reportRun) counters() map[string]int {
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	values := map[string]int{}
	for _, f := range families {
		if c := f.GetMetric()[0].GetCounter(); c != nil && len(f.GetMetric()) == 1 {
			values[f.GetName()] = int(c.GetValue())
		}
	}
	maps.DeleteFunc(values, func(_ string, v int) bool { return v == 0 })
	return values
}
