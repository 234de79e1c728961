package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// What befalls a user with bad luck.

// gauge reads a metric without labels.
func (n *installation) gauge(name string) int {
	n.t.Helper()
	match := regexp.MustCompile(`(?m)^` + name + ` ([0-9.e+]+)$`).FindSubmatch(n.raw(http.MethodGet, "/metrics", ""))
	if match == nil {
		n.t.Fatalf("there is no metric %s", name)
	}
	value, err := strconv.ParseFloat(string(match[1]), 64)
	if err != nil {
		n.t.Fatal(err)
	}
	return int(value)
}

// awaitUnready waits until the gateway says that it can't send.
func (n *installation) awaitUnready() {
	n.t.Helper()
	await(n.t, "the gateway not to be ready", func() error {
		if status, _ := n.call(http.MethodGet, "/readyz", nil, nil); status != http.StatusServiceUnavailable {
			return fmt.Errorf("it is: %d", status)
		}
		return nil
	})
}

// e2eFlappingPort has a loose plug: one modem comes and goes again and
// again, under two names, at any moment, while messages are sent.
func e2eFlappingPort(t *testing.T) {
	random := dice(t)
	n := install(t, plan{modems: 2, air: "60ms", ports: []string{"modem*"}})
	n.serve()
	n.awaitModem("modem0", "ready")
	n.awaitModem("modem1", "ready")
	goroutines, files := n.gauge("go_goroutines"), n.gauge("process_open_fds")

	vs := make([]api.Verification, 0, 100)
	for i := range 25 {
		for range 4 {
			vs = append(vs, n.begin(mobile(len(vs))))
		}
		n.sim.tell(t, "unplug 0")
		<-time.After(time.Duration(random.IntN(200)) * time.Millisecond)
		n.sim.tell(t, "plug 0 %s", n.path(fmt.Sprint("modem", 4+i%2)))
		<-time.After(time.Duration(random.IntN(900)) * time.Millisecond)
	}
	back := n.awaitModem("modem0", "ready")
	if len(n.modems()) != 2 {
		t.Errorf("the modems are %+v", n.modems())
	}
	doubts := 0
	for _, m := range n.allDelivered(vs, 0) {
		if m.PossibleDuplicate {
			doubts++
		}
	}
	t.Logf("%d in doubt; back as %s", doubts, back.Port)
	n.deliverAll(200, 4)
	await(t, "what the flapping opened to be closed", func() error {
		g, f := n.gauge("go_goroutines"), n.gauge("process_open_fds")
		if g > goroutines+20 || f > files+20 {
			return fmt.Errorf("%d goroutines after %d, %d files after %d", g, goroutines, f, files)
		}
		return nil
	})
}

// e2eSwappedPorts plugs two modems in the other way round, restarts one,
// takes a SIM and the network away.
func e2eSwappedPorts(t *testing.T) {
	n := install(t, plan{modems: 2, air: "50ms"})
	n.serve()
	imei := []string{n.awaitModem("modem0", "ready").IMEI, n.awaitModem("modem1", "ready").IMEI}

	n.sim.tell(t, "unplug 0")
	n.sim.tell(t, "unplug 1")
	n.awaitModem("modem0", "down")
	n.awaitModem("modem1", "down")
	n.sim.tell(t, "plug 0 %s", n.port(1))
	n.sim.tell(t, "plug 1 %s", n.port(0))
	for i, name := range []string{"modem0", "modem1"} {
		if m := n.awaitModem(name, "ready"); m.IMEI != imei[i] || m.Port != n.port(1-i) {
			t.Errorf("swapped: %+v", m)
		}
	}
	n.deliverAll(0, 8)

	// The network of the one and the SIM of the other.
	n.sim.tell(t, "network 0 off")
	n.sim.tell(t, "sim 1 out")
	v := n.begin(mobile(20))
	await(t, "the modems to say what they lack", func() error {
		all := n.modems()
		zero, one := all["modem0"], all["modem1"]
		if zero.Status != "waiting" || one.Status != "waiting" && one.Status != "parked" || zero.Reason == "" || one.Reason == "" {
			return fmt.Errorf("%+v", all)
		}
		return nil
	})
	t.Logf("they say: %q, %q", n.modems()["modem0"].Reason, n.modems()["modem1"].Reason)
	n.awaitUnready()
	n.sim.tell(t, "network 0 on")
	n.sim.tell(t, "sim 1 in")
	n.settled(v.Message.ID, "delivered")
	n.ready()

	// A restart in the midst of sending.
	vs := make([]api.Verification, 30)
	for i := range vs {
		vs[i] = n.begin(mobile(100 + i))
	}
	n.awaitModem("modem0", "sending")
	n.sim.tell(t, "reboot 0")
	n.allDelivered(vs, 100)
}

// e2eOnePortForTwo points two gateways at one modem: the second says who
// has it, and takes over when the first ends.
func e2eOnePortForTwo(t *testing.T) {
	first := install(t, plan{modems: 1, air: "50ms"})
	first.serve()
	first.ready()
	second := install(t, plan{ports: []string{"shared=" + first.port(0)}})
	second.serve()
	m := second.awaitModem("shared", "down")
	if !strings.Contains(m.Reason, "in use by") || !strings.Contains(m.Reason, strconv.Itoa(first.gateway.cmd.Process.Pid)) {
		t.Errorf("the port of another: %+v", m)
	}
	waits := second.begin(mobile(1))
	first.deliverAll(10, 5)
	if m := second.message(waits.Message.ID); m.Status != "queued" {
		t.Errorf("without a modem of its own: %+v", m)
	}
	first.stop()
	second.settled(waits.Message.ID, "delivered")

	// Killed, it lets go as well.
	first.serve()
	first.awaitModem("modem0", "down")
	second.crash()
	first.crashed.Store(true)
	first.awaitModem("modem0", "ready")
	first.deliverAll(20, 3)
}

// e2eStubbornClients opens many connections that ask and never read, or
// never come to the end of asking; others are served, and a stop is not held
// up.
func e2eStubbornClients(t *testing.T) {
	n := install(t, plan{modems: 1, air: "0s"})
	n.serve()
	n.ready()
	host := strings.TrimPrefix(n.address(), "http://")
	for i := range 300 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(1) // the least that the kernel takes
		}
		ask := "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
		switch i % 3 {
		case 0: // many questions, no ear for the answers
			ask = strings.Repeat(ask, 50)
		case 1:
			ask = ask[:30]
		case 2:
			ask = "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + n.key +
				"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
		}
		if _, err := io.WriteString(conn, ask); err != nil {
			t.Fatal(err)
		}
	}
	n.deliverAll(0, 20)
	n.stop()
}

// e2eFrozen stops the gateway's clockwork with messages in the air, as a
// suspended machine does, and kills it again and again while it starts.
func e2eFrozen(t *testing.T) {
	random := dice(t)
	n := install(t, plan{modems: 2, air: "300ms"})
	n.serve()
	n.ready()
	vs := make([]api.Verification, 12)
	for i := range vs {
		vs[i] = n.begin(mobile(i))
	}
	for range 3 {
		n.awaitModem("modem0", "sending")
		for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := n.gateway.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if signal == syscall.SIGSTOP {
				<-time.After(time.Duration(500+random.IntN(1000)) * time.Millisecond)
			}
		}
	}
	for _, m := range n.allDelivered(vs, 0) {
		if len(m.Attempts) != 1 || m.PossibleDuplicate {
			t.Errorf("after standing still: %+v", m)
		}
	}

	more := n.begin(mobile(50))
	n.settled(more.Message.ID, "delivered")
	waits := n.begin(mobile(51))
	for range 20 {
		n.crash()
		n.gateway = launch(t, n.dir, "gateway", "serve", "--config", "serve.toml")
		<-time.After(time.Duration(random.IntN(150)) * time.Millisecond)
	}
	n.crash()
	n.serve()
	if v := n.verification(more.ID); v.Status != "pending" {
		t.Errorf("after many starts: %+v", v)
	}
	m := n.settled(waits.Message.ID, "delivered")
	if got := n.sentTo()[mobile(51)]; len(got) != 1 && !m.PossibleDuplicate {
		t.Errorf("sent %d times: %+v", len(got), m)
	}
}

// holdPorts keeps the names of the modems' terminals from being given to another
// test's, which a link that is left behind would lead to.
func (n *installation) holdPorts(modems int) {
	n.t.Helper()
	for i := range modems {
		f, err := os.OpenFile(n.port(i), os.O_RDONLY|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
		if err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { _ = f.Close() })
	}
}

// e2eAllModemsDie takes every modem away at once, with messages in the
// air, as when a hub loses its power; ten seconds later they are back.
func e2eAllModemsDie(t *testing.T) {
	n := install(t, plan{modems: 2, air: "500ms"})
	n.serve()
	n.ready()
	vs := make([]api.Verification, 10)
	for i := range vs {
		vs[i] = n.begin(mobile(i))
	}
	n.awaitModem("modem0", "sending")
	n.awaitModem("modem1", "sending")
	n.holdPorts(2)
	n.sim.kill() // its links stay behind and lead nowhere
	n.awaitModem("modem0", "down")
	n.awaitModem("modem1", "down")
	n.awaitUnready()
	for i := range 2 {
		if err := os.Remove(n.port(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
	n.simulate(plan{modems: 2, air: "50ms"})
	n.ready()
	for i, v := range vs {
		m := n.settled(v.Message.ID, "delivered")
		if got := n.sentTo()[mobile(i)]; len(got) == 0 || len(got) > 1 && !m.PossibleDuplicate {
			t.Errorf("sent %d times: %+v", len(got), m)
		}
	}
	n.deliverAll(50, 4)
}
