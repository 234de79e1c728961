package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// e2eBudgets kills the gateway again and again while six SIMs of three operators
// send what they may: what it says that each has sent is what the network took,
// and what may be in doubt; no SIM sends more than it may, and all of what they
// may is used; recipients keep their SIM, and orders stand.
func e2eBudgets(t *testing.T) {
	const kills = 4
	limits := []int{20, 22, 24, 26, 18, 9}
	const idle = "modem5"
	n := install(t, plan{modems: len(limits), air: "200ms", operators: carriers(), config: fmt.Sprintf(`
[budget]
zone = %q
per_day = 1
[fleet]
failover = false
stick = "30s"
`, noon()) + namedSIMs(len(limits), carriers(), func(i int) string {
		return fmt.Sprintf("budget.per_day = %d", limits[i])
	})})
	n.admin()
	n.serve()
	n.allReady(len(limits))
	n.order(idle, "pause")
	b := &budgetBook{installation: n, limits: limits}

	const total = 48
	random := dice(t)
	asking := n.askSteadily(total)
	for i := range kills {
		await(t, "some messages", func() error {
			if got := len(n.sent()); got < (i+1)*total/(kills+2) {
				return errors.New("too few")
			}
			return nil
		})
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
		n.crash()
		n.serve()
	}
	for to, id := range <-asking {
		b.landed(to, id)
	}
	n.allReady(len(limits), idle)
	b.agrees()

	parked := b.lowered("modem4")
	n.crash()
	n.serve()
	n.allReady(len(limits), idle, parked)
	n.awaitModem(idle, "paused")
	n.awaitModem(parked, "parked")
	if got := n.sentBy()[idle]; got > 0 {
		t.Errorf("%d messages went by a modem that is paused", got)
	}
	b.known(parked)
	if status, err := n.call(http.MethodDelete, "/v1/modems/"+parked+"/budget", nil, nil); err != nil {
		t.Fatalf("%d %v", status, err)
	}
	n.awaitModem(parked, "ready")
	b.exhausts(1000, idle)
	n.order(idle, "resume")
	n.awaitModem(idle, "ready")
	b.exhausts(2000)
	b.raised(3000, func() {
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		n.crash()
		n.serve()
	})
}

// budgetBook holds what the gateway says of its SIMs' budgets to what they sent.
type budgetBook struct {
	*installation
	limits   []int
	messages []api.Message
	by       []string // number of each
}

// landed waits until the message of a verification is sent, and ends what is in
// doubt of it: nothing is sent again.
func (b *budgetBook) landed(to, id string) api.Message {
	b.t.Helper()
	m := b.installation.landed(b.verification(id).Message.ID)
	if m.Status == "ambiguous" {
		if _, err := b.call(http.MethodDelete, "/v1/verifications/"+id, nil, nil); err != nil {
			b.t.Error(err)
		}
		m = b.installation.landed(m.ID)
	}
	b.messages, b.by = append(b.messages, m), append(b.by, to)
	return m
}

// agrees compares what the gateway says that each SIM has sent with the messages
// and with what the network took, and returns how many more the SIMs may send.
func (b *budgetBook) agrees(but ...string) (left int) {
	b.t.Helper()
	sent, doubts := map[string]int{}, map[string]int{}
	for _, m := range b.messages {
		for _, a := range m.Attempts {
			switch *a.Result {
			case "ambiguous":
				doubts[a.Modem]++
				sent[a.Modem]++
			case "accepted":
				sent[a.Modem]++
			}
		}
	}
	took, modems := b.sentBy(), b.modems()
	for i, limit := range b.limits {
		name := fmt.Sprint("modem", i)
		w := b.window(name, "per_day")
		if w.Used != sent[name] || modems[name].SentToday != sent[name] || w.Limit == nil || *w.Limit != limit {
			b.t.Errorf("%s has sent %d of %d, and is said to have sent %d, %+v", name, sent[name], limit, modems[name].SentToday, w)
		}
		if sent[name] > limit || took[name] > sent[name] || took[name]+doubts[name] < sent[name] || took[name] > limit {
			b.t.Errorf("%s may send %d and is said to have sent %d, %d of them in doubt; the network took %d", name, limit, sent[name], doubts[name], took[name])
		}
		held := false
		for _, other := range but {
			held = held || name == other
		}
		if !held {
			left += limit - w.Used
		}
	}
	b.t.Logf("sent %v, in doubt %v, the network took %v; %d are left", sent, doubts, took, left)
	return left
}

// lowered sets the limit of a modem's SIM below what it has sent: that SIM is
// parked, and the others go on.
func (b *budgetBook) lowered(name string) string {
	b.t.Helper()
	used := b.window(name, "per_day").Used
	if used < 2 {
		b.t.Fatalf("%s has sent %d", name, used)
	}
	one := 1
	if status, err := b.call(http.MethodPut, "/v1/modems/"+name+"/budget", api.Limits{PerDay: &one}, nil); err != nil {
		b.t.Fatalf("%d %v", status, err)
	}
	m := b.awaitModem(name, "parked")
	if words := fmt.Sprintf("%d of 1 messages today", used); !strings.Contains(m.Reason, "its budget is spent until") || !strings.Contains(m.Reason, words) {
		b.t.Errorf("parked, since %q", m.Reason)
	}
	b.ready()
	for i := range 3 {
		to := mobile(500 + i)
		if m := b.landed(to, b.begin(to).ID); m.Attempts[0].Modem == name {
			b.t.Errorf("it sends: %+v", m)
		}
	}
	return name
}

// known sends once more to some that got their first code from a SIM that may
// send: they get it from the same one.
func (b *budgetBook) known(but string) {
	b.t.Helper()
	const each = 2
	count := map[string]int{}
	for i, m := range b.messages[:len(b.messages):len(b.messages)] {
		if by := m.Attempts[0].Modem; len(m.Attempts) != 1 || by == but || count[by] == each {
			continue
		}
		count[m.Attempts[0].Modem]++
		again := b.landed(b.by[i], b.begin(b.by[i]).ID)
		if a := again.Attempts; len(a) != 1 || a[0].Modem != m.Attempts[0].Modem || len(a[0].Why) != 1 || a[0].Why[0] != "the recipient knows this SIM" {
			b.t.Errorf("the first went by %s, and then: %+v", m.Attempts[0].Modem, again)
		}
	}
	if len(count) != 4 {
		b.t.Errorf("recipients know only %v", count)
	}
}

// exhausts asks for far more than the SIMs may send, all at once: exactly what
// is left is started, and all of it is sent.
func (b *budgetBook) exhausts(from int, but ...string) {
	b.t.Helper()
	left := b.agrees(but...)
	started := b.flood(from, left+60)
	if len(started) != left {
		b.t.Errorf("%d are left, and %d were started", left, len(started))
	}
	for _, a := range started {
		b.landed(a.to, a.ID)
	}
	if left := b.agrees(but...); left != 0 {
		b.t.Errorf("%d are left over", left)
	}
	for i := range b.limits {
		if name := fmt.Sprint("modem", i); b.modems()[name].Status != "paused" {
			b.awaitModem(name, "parked")
		}
	}
	if wait := b.retryAfter(mobile(from + 900)); wait < time.Hour {
		b.t.Errorf("all of today is spent, and it is to be asked again in %v", wait)
	}
}

// raised gives each SIM more, of which all is asked for while the gateway is
// killed twice: even so none sends more than it may.
func (b *budgetBook) raised(from int, kill func()) {
	b.t.Helper()
	const more = 5
	for i := range b.limits {
		b.limits[i] += more
		if status, err := b.call(http.MethodPut, fmt.Sprintf("/v1/modems/modem%d/budget", i), api.Limits{PerDay: &b.limits[i]}, nil); err != nil {
			b.t.Fatalf("%d %v", status, err)
		}
	}
	answers := make(chan asked)
	const asking = 2 * more * 6
	for i := range asking {
		go func() { answers <- b.askOn(mobile(from + i)) }()
	}
	kill()
	kill()
	b.allReadyOrSpent()
	var started []asked
	for range asking {
		switch a := <-answers; a.refused {
		case "":
			started = append(started, a)
		case "no_capacity":
		default:
			b.t.Errorf("refused as %s", a.refused)
		}
	}
	for _, a := range started {
		// One that was in doubt, and for whose second try nothing is left, waits.
		await(b.t, "what can be sent", func() error {
			if m := b.message(a.Message.ID); m.Status == "sending" || m.Status == "queued" && b.room() {
				return fmt.Errorf("%+v", m)
			}
			return nil
		})
		if _, err := b.call(http.MethodDelete, "/v1/verifications/"+a.ID, nil, nil); err != nil {
			b.t.Error(err)
		}
		b.landed(a.to, a.ID)
	}
	b.agrees()
}

// askOn asks until the gateway says yes or has no room.
func (n *installation) askOn(to string) asked {
	a := asked{to: to, refused: "silence"}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); <-tick.C {
		_, err := n.call(http.MethodPost, "/v1/verifications", api.Start{To: to}, &a.Verification, "Idempotency-Key", "start "+to)
		if err == nil {
			a.refused = ""
			return a
		}
		if problem := new(api.Problem); errors.As(err, &problem) {
			a.refused = problem.Code
			return a
		}
	}
	return a
}

// allReadyOrSpent waits until no modem is on its way to be ready.
func (b *budgetBook) allReadyOrSpent() {
	b.t.Helper()
	await(b.t, "the modems", func() error {
		for _, m := range b.modems() {
			if m.Status != "ready" && m.Status != "sending" && m.Status != "parked" {
				return fmt.Errorf("%+v", m)
			}
		}
		return nil
	})
}

// room says whether any SIM may send.
func (b *budgetBook) room() bool {
	for _, m := range b.modems() {
		if m.Status == "ready" || m.Status == "sending" {
			return true
		}
	}
	return false
}
