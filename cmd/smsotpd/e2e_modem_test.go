package main

import (
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// watch asks for the modems all the time until the returned function is called,
// which gives every (status, reason) that a modem showed, by name, in order.
func (n *installation) watch() func() map[string][]string {
	seen := map[string][]string{}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			for name, m := range n.modems() {
				now := strings.TrimSuffix(m.Status+": "+m.Reason, ": ")
				if was := seen[name]; len(was) == 0 || was[len(was)-1] != now {
					seen[name] = append(was, now)
				}
				if (m.Status == "ready" || m.Status == "sending") != (m.Reason == "") && m.Status != "starting" {
					n.t.Errorf("%s with the reason %q", m.Status, m.Reason)
				}
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return func() map[string][]string {
		close(stop)
		watching.Wait()
		return seen
	}
}

// showed says whether a modem showed a line that begins like this.
func showed(seen []string, prefix string) bool {
	for _, s := range seen {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// deliverAll starts verifications of the numbers and waits until each message
// is delivered, sent once unless it is marked, and carries the code of its
// verification.
func (n *installation) deliverAll(from, count int) []api.Message {
	n.t.Helper()
	vs := make([]api.Verification, count)
	for i := range vs {
		vs[i] = n.begin(mobile(from + i))
	}
	return n.allDelivered(vs, from)
}

func (n *installation) allDelivered(vs []api.Verification, from int) []api.Message {
	n.t.Helper()
	messages := make([]api.Message, len(vs))
	for i, v := range vs {
		messages[i] = n.settled(v.Message.ID, "delivered")
	}
	sent := n.sentTo()
	for i, m := range messages {
		got := sent[mobile(from+i)]
		if len(got) != 1 && !(len(got) == 2 && m.PossibleDuplicate) {
			n.t.Fatalf("sent %d times: %+v", len(got), m)
		}
		if verdict := n.check(vs[i].ID, got[0].code()); !verdict.Valid {
			n.t.Errorf("a number did not get its own code: %+v", verdict)
		}
	}
	return messages
}

// e2eHangs lets one modem stand still twice: before it asks for the payload,
// and with the payload in the air. The other goes on, and nobody waits but the
// messages that the hung modem has.
func e2eHangs(t *testing.T) {
	n := install(t, plan{modems: 2, air: "100ms", script: `
[[fault]]
modem = 0
on = "cmgs"
nth = 3
do = "hang"
for = "15s"
[[fault]]
modem = 0
on = "payload"
nth = 5
do = "hang"
for = "25s"
`})
	n.serve()
	n.awaitModem("modem0", "ready")
	n.awaitModem("modem1", "ready")
	seen := n.watch()

	// The prompt that never came means that nothing was sent: the other
	// modem takes the message over.
	messages := n.deliverAll(0, 20)
	refused := 0
	for _, m := range messages {
		if m.PossibleDuplicate {
			t.Errorf("not committed, and yet in doubt: %+v", m)
		}
		if a := m.Attempts; len(a) > 1 {
			refused++
			if len(a) != 2 || *a[0].Result != "temporary" || a[0].Cause != "no-prompt" || a[0].Modem != "modem0" || a[1].Modem != "modem1" {
				t.Errorf("the message that the hang met: %+v", m)
			}
		}
	}
	if refused != 1 {
		t.Errorf("%d messages met the hang", refused)
	}

	// After Ctrl-Z the answer is waited for, and it comes.
	n.awaitModem("modem0", "ready")
	began := time.Now()
	vs := make([]api.Verification, 20)
	for i := range vs {
		vs[i] = n.begin(mobile(100 + i))
	}
	await(t, "the messages of the other modem", func() error {
		waiting := 0
		for _, v := range vs {
			switch m := n.message(v.Message.ID); {
			case m.Status == "queued":
				waiting += 2
			case m.Status == "sending":
				waiting++
			}
		}
		if waiting > 1 {
			return errors.New("more than the one in the hung modem")
		}
		return nil
	})
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the hang held up others for %v", took)
	}
	if m := n.modems()["modem0"]; m.Status != "sending" {
		t.Errorf("the hung modem is %+v", m)
	}
	for _, m := range n.allDelivered(vs, 100) {
		if len(m.Attempts) != 1 || m.PossibleDuplicate {
			t.Errorf("an answer that came late: %+v", m)
		}
	}
	states := seen()
	if other := states["modem1"]; showed(other, "down") || showed(other, "starting") || showed(other, "parked") {
		t.Errorf("the other modem was %q", other)
	}
	t.Logf("modem0 was %q", states["modem0"])
}

// e2eUnplugged takes a modem away, with a message in the air, and gives it
// back under another name that the glob of --modem matches.
func e2eUnplugged(t *testing.T) {
	n := install(t, plan{modems: 2, air: "400ms", ports: []string{"modem*"}})
	n.serve()
	n.awaitModem("modem0", "ready")
	n.awaitModem("modem1", "ready")
	seen := n.watch()

	vs := make([]api.Verification, 12)
	for i := range vs {
		vs[i] = n.begin(mobile(i))
	}
	n.awaitModem("modem0", "sending")
	n.sim.tell(t, "unplug 0")
	gone := n.awaitModem("modem0", "down")
	if gone.Reason == "" || gone.Registered {
		t.Errorf("unplugged: %+v", gone)
	}
	n.sim.tell(t, "plug 0 %s", n.path("modem7"))
	back := n.awaitModem("modem0", "ready")
	if back.Port != "modem7" && back.Port != n.path("modem7") {
		t.Errorf("back: %+v", back)
	}
	if all := n.modems(); len(all) != 2 {
		t.Errorf("the modems are %+v", all)
	}
	twice := 0
	for _, m := range n.allDelivered(vs, 0) {
		if m.PossibleDuplicate {
			twice++
			if first := m.Attempts[0]; first.Modem != "modem0" || *first.Result != "ambiguous" {
				t.Errorf("in doubt: %+v", m)
			}
		}
	}
	if twice > 1 {
		t.Errorf("%d messages in doubt by one unplugging", twice)
	}
	n.deliverAll(50, 6)
	states := seen()
	if other := states["modem1"]; showed(other, "down") || showed(other, "starting") || showed(other, "parked") {
		t.Errorf("the other modem was %q", other)
	}
	if !showed(states["modem0"], "down: ") {
		t.Errorf("the modem was %q", states["modem0"])
	}
}

// e2eRenumbered has ports that are configured by name, as by /dev/ttyUSB0: a
// modem that returns beside its old name is found there, and a stranger that
// appears there is left alone.
func e2eRenumbered(t *testing.T) {
	n := install(t, plan{modems: 3, air: "50ms"})
	n.write("serve.toml", strings.ReplaceAll(readAll(n.path("serve.toml")), ", '"+n.port(2)+"'", ""))
	n.sim.tell(t, "unplug 2")
	await(t, "an unplugged modem", func() error {
		if _, err := os.Lstat(n.port(2)); err == nil {
			return errors.New("it is still there")
		}
		return nil
	})
	n.serve()
	n.awaitModem("modem0", "ready")
	n.awaitModem("modem1", "ready")
	imei := n.modems()["modem0"].IMEI

	n.sim.tell(t, "unplug 0")
	n.awaitModem("modem0", "down")
	// First a modem that nobody configured, then the lost one.
	n.sim.tell(t, "plug 2 %s", n.path("modem4"))
	n.sim.tell(t, "plug 0 %s", n.path("modem5"))
	back := n.awaitModem("modem0", "ready")
	if back.IMEI != imei || back.Port != n.path("modem5") {
		t.Errorf("back: %+v, was %s", back, imei)
	}
	n.deliverAll(0, 6)
	for _, s := range n.sent() {
		if s.Modem == 2 {
			t.Error("a modem that nobody configured was used")
		}
	}
	if all := n.modems(); len(all) != 2 {
		t.Errorf("the modems are %+v", all)
	}

	// And home again.
	n.sim.tell(t, "unplug 0")
	n.awaitModem("modem0", "down")
	n.sim.tell(t, "plug 0 %s", n.port(0))
	if back := n.awaitModem("modem0", "ready"); back.IMEI != imei || back.Port != n.port(0) {
		t.Errorf("home: %+v, was %s", back, imei)
	}
	n.deliverAll(50, 6)
}
