package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"smsotpd/gateway/api"
)

// ser2net is the real one, between the simulated modem and the gateway.
type ser2net struct {
	t       *testing.T
	program string
	config  string
	address string
	cmd     *exec.Cmd
}

// newSer2net is not started yet, but has its address; accepter is tcp or
// telnet(rfc2217),tcp.
func newSer2net(t *testing.T) *ser2net {
	t.Helper()
	program, err := exec.LookPath("ser2net")
	if err != nil {
		program = "/usr/sbin/ser2net"
	}
	if _, err := os.Stat(program); err != nil {
		missing(t, "ser2net is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &ser2net{t: t, program: program, address: l.Addr().String()}
}

// start runs it over the device until the test ends.
func (s *ser2net) start(n *installation, accepter, device string) {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.address)
	n.write("ser2net.yaml", fmt.Sprintf("%%YAML 1.1\n---\nconnection: &modem\n  accepter: %s,%s,%s\n  connector: serialdev(nouucplock=true),%s,local\n",
		accepter, host, port, device))
	s.config = n.path("ser2net.yaml")
	s.again()
	s.t.Cleanup(s.kill)
}

func (s *ser2net) again() {
	s.t.Helper()
	s.cmd = exec.Command(s.program, "-n", "-c", s.config)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends it as a loss of power would.
func (s *ser2net) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // its state does not matter
		s.cmd = nil
	}
}

func e2eSer2netRaw(t *testing.T)    { throughSer2net(t, "tcp://", "tcp") }
func e2eSer2netTelnet(t *testing.T) { throughSer2net(t, "rfc2217://", "telnet(rfc2217),tcp") }

// throughSer2net sends over a modem that the real ser2net serves, which is
// killed while a message is on its way: before Ctrl-Z, and after it.
func throughSer2net(t *testing.T, scheme, accepter string) {
	server := newSer2net(t)
	n := install(t, plan{modems: 1, air: "100ms", ports: []string{"far=" + scheme + server.address}, script: `
[[fault]]
on = "prompt"
nth = 2
do = "no-prompt"
[[fault]]
on = "accepted"
nth = 3
do = "delay"
after = "3s"
`})
	n.write("serve.toml", "trace = [\"modem=far\"]\n"+readAll(n.path("serve.toml")))
	server.start(n, accepter, n.port(0))
	n.serve()
	n.awaitModem("far", "ready")
	traced := func() string { return readAll(n.state + "/trace-far.log") }

	first := n.begin(mobile(0))
	n.settled(first.Message.ID, "delivered")

	// Nothing was sent: the message is queued again and sent once.
	second := n.begin(mobile(1))
	await(t, "the modem to swallow the prompt", func() error {
		if !strings.Contains(readAll(n.sim.err), "do=no-prompt") {
			return errors.New("it has not seen the second AT+CMGS")
		}
		return nil
	})
	server.kill()
	down := n.awaitModem("far", "down")
	if !strings.Contains(down.Reason, "ser2net") && !strings.Contains(down.Reason, "is lost") {
		t.Errorf("why it is down: %q", down.Reason)
	}
	server.again()
	m := n.settled(second.Message.ID, "delivered")
	if len(m.Attempts) != 2 || m.PossibleDuplicate || *m.Attempts[0].Result != "temporary" || m.Attempts[0].Cause != "eof" {
		t.Errorf("killed before Ctrl-Z: %+v", m)
	}

	// The network has the message and nobody heard so: it is in doubt, and not
	// sent again unmarked.
	third := n.begin(mobile(2))
	n.received(mobile(2), 1)
	n.crashed.Store(true) // who has lost the line can't know that the modem is still at work
	server.kill()
	n.awaitModem("far", "down")
	server.again()
	n.awaitModem("far", "ready")
	m = n.settledAfterDoubt(third.Message.ID)
	if *m.Attempts[0].Result != "ambiguous" || m.Attempts[0].Cause != "eof" {
		t.Errorf("killed after Ctrl-Z: %+v", m)
	}
	for i, v := range []api.Verification{first, second, third} {
		got := n.sentTo()[mobile(i)]
		if len(got) != 1 && (i < 2 || len(got) != 2 || !m.PossibleDuplicate) {
			t.Errorf("message %d was sent %d times", i, len(got))
		}
		if verdict := n.check(v.ID, got[0].code()); !verdict.Valid {
			t.Errorf("a number did not get its own code: %+v", verdict)
		}
		for _, secret := range []string{mobile(i)[1:], got[0].code()} {
			if strings.Contains(traced(), secret) {
				t.Error("the trace has a number or a code in it")
			}
		}
	}
}
