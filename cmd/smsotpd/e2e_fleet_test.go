package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// What the scenarios of fleets share: SIMs with names, and the operator's hands.

// carriers are the operators of a fleet's SIMs, in turn.
func carriers() []string { return []string{"20801", "20810", "20815"} }

// namedSIMs are the tables of as many SIMs, which are called sim0, sim1, … like
// their modems; extra is what else stands in the table of each.
func namedSIMs(count int, operators []string, extra func(i int) string) string {
	var s strings.Builder
	for i := range count {
		operator := operators[i%len(operators)]
		fmt.Fprintf(&s, "[sim.sim%d]\nimsi = \"%s%0*d\"\n%s\n", i, operator, 15-len(operator), i+1, extra(i))
	}
	return s.String()
}

// noon is a time zone in which it is about noon, so that no day ends while a test
// runs.
func noon() string {
	switch ahead := 12 - time.Now().UTC().Hour(); {
	case ahead > 0:
		return fmt.Sprintf("Etc/GMT-%d", ahead) // their signs are the other way round
	case ahead < 0:
		return fmt.Sprintf("Etc/GMT+%d", -ahead)
	}
	return "Etc/GMT"
}

// admin lets the installation's key do what operators may.
func (n *installation) admin() {
	n.t.Helper()
	n.key = strings.TrimSpace(n.run("keys", "add", "--config", "serve.toml", "--name", "ops", "--scopes", "verify,check,messages,read,admin"))
}

// allReady waits until each modem but those is ready.
func (n *installation) allReady(count int, but ...string) {
	n.t.Helper()
	for i := range count {
		if name := fmt.Sprint("modem", i); !slices.Contains(but, name) {
			n.awaitModem(name, "ready")
		}
	}
}

// order does what an operator does to a modem.
func (n *installation) order(modem, action string) {
	n.t.Helper()
	if status, err := n.call(http.MethodPost, "/v1/modems/"+modem+"/"+action, nil, nil); err != nil {
		n.t.Fatalf("%s %s: %d %v", action, modem, status, err)
	}
}

// window is one of the windows of a modem's budget.
func (n *installation) window(modem, name string) api.BudgetWindow {
	n.t.Helper()
	var b api.Budget
	if _, err := n.call(http.MethodGet, "/v1/modems/"+modem+"/budget", nil, &b); err != nil {
		n.t.Fatalf("the budget of %s: %v", modem, err)
	}
	for _, w := range b.Windows {
		if w.Name == name {
			return w
		}
	}
	n.t.Fatalf("%s has no window %s: %+v", modem, name, b)
	return api.BudgetWindow{}
}

// asked is the answer to a start: the verification, or the code of the refusal.
type asked struct {
	to string
	api.Verification
	refused string
}

// ask starts a verification and takes no for an answer.
func (n *installation) ask(to string) asked {
	a := asked{to: to}
	status, err := n.call(http.MethodPost, "/v1/verifications", api.Start{To: to}, &a.Verification)
	if err == nil {
		return a
	}
	problem := new(api.Problem)
	if !errors.As(err, &problem) || status != http.StatusServiceUnavailable {
		n.t.Errorf("start: %d %v", status, err)
		a.refused = "otherwise"
		return a
	}
	a.refused = problem.Code
	return a
}

// retryAfter is what a start that is refused is told to wait.
func (n *installation) retryAfter(to string) time.Duration {
	n.t.Helper()
	resp, body, err := n.do(http.MethodPost, "/v1/verifications", `{"to":"`+to+`"}`)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), `"no_capacity"`) {
		n.t.Fatalf("start: %v %s", err, body)
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		n.t.Errorf("Retry-After: %q", resp.Header.Get("Retry-After"))
	}
	return time.Duration(seconds) * time.Second
}

// flood asks for so many codes at once, to numbers from the given one on, and
// returns those that were started.
func (n *installation) flood(from, count int) (started []asked) {
	n.t.Helper()
	const atOnce = 100
	next, answers := make(chan int), make(chan asked)
	for range atOnce {
		go func() {
			for i := range next {
				answers <- n.ask(mobile(from + i))
			}
		}()
	}
	go func() {
		defer close(next)
		for i := range count {
			next <- i
		}
	}()
	for range count {
		switch a := <-answers; a.refused {
		case "":
			started = append(started, a)
		case "no_capacity":
		default:
			n.t.Errorf("refused as %s", a.refused)
		}
	}
	return started
}

// landed waits until a message is neither queued nor in the air.
func (n *installation) landed(id string) (m api.Message) {
	n.t.Helper()
	await(n.t, "a message to land", func() error {
		if m = n.message(id); m.Status == "queued" || m.Status == "sending" {
			return fmt.Errorf("%+v", m)
		}
		return nil
	})
	return m
}

// sentBy is how many messages the network took, by modem.
func (n *installation) sentBy() map[string]int {
	n.t.Helper()
	by := map[string]int{}
	for _, s := range n.sent() {
		by[fmt.Sprint("modem", s.Modem)]++
	}
	return by
}

// e2eRoutes has numbers of two regions go by the SIMs that the rules name, and
// by others only where the rule lets them.
func e2eRoutes(t *testing.T) {
	n := install(t, plan{modems: 4, air: "50ms", operators: carriers()[:2], regions: []string{"FR", "GB"}, config: `
[[route]]
name = "france"
regions = ["FR"]
labels = ["near"]
[[route]]
name = "britain"
regions = ["GB"]
labels = ["far"]
fallback = true
` + namedSIMs(4, carriers()[:2], func(i int) string {
		return fmt.Sprintf("labels = [%q]", []string{"near", "far"}[i/2])
	})})
	n.admin()
	n.serve()
	n.allReady(4)
	near, far := []string{"modem0", "modem1"}, []string{"modem2", "modem3"}
	goes := func(v api.Verification, by []string, why ...string) {
		t.Helper()
		m := n.settled(v.Message.ID, "delivered")
		if a := m.Attempts; len(a) != 1 || !slices.Contains(by, a[0].Modem) || !slices.Equal(a[0].Why[:min(len(a[0].Why), len(why))], why) {
			t.Errorf("to go by %v, since %q: %+v", by, why, m)
		}
	}
	begin := func(i int) (french, british api.Verification) {
		return n.begin(mobile(i)), n.begin(fmt.Sprintf("+447400%06d", 123_000+i))
	}
	for i := range 10 {
		french, british := begin(i)
		goes(french, near, "rule france")
		goes(british, far, "rule britain")
	}
	for _, name := range far {
		n.order(name, "pause")
	}
	french, british := begin(10)
	goes(french, near, "rule france")
	goes(british, near, "rule britain", "stands in for the SIMs of the rule")
	for i := range 2 {
		n.order(far[i], "resume")
		n.order(near[i], "pause")
	}
	french, british = begin(11)
	goes(british, far, "rule britain")
	if m := n.message(french.Message.ID); m.Status != "queued" || len(m.Attempts) != 0 {
		t.Errorf("without a SIM of its rule: %+v", m)
	}
	n.order(near[1], "resume")
	goes(french, near[1:], "rule france")
}
