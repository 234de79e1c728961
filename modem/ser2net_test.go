package modem_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// ser2net is the real one, serving device on a port of its own.
type ser2net struct {
	t       *testing.T
	config  string
	program string
	address string // 127.0.0.1:PORT
	cmd     *exec.Cmd
}

// serveOverTCP runs ser2net over device until the test ends; accepter is tcp
// or telnet(rfc2217),tcp.
func serveOverTCP(t *testing.T, accepter, device string) *ser2net {
	t.Helper()
	program, err := exec.LookPath("ser2net")
	if err != nil {
		program = "/usr/sbin/ser2net"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ser2net is not installed")
		}
		t.Skip("ser2net is not installed")
	}
	s := &ser2net{t: t, program: program, config: filepath.Join(t.TempDir(), "ser2net.yaml"), address: freeAddress(t)}
	host, port, _ := net.SplitHostPort(s.address)
	text := fmt.Sprintf(`%%YAML 1.1
---
connection: &modem
  accepter: %s,%s,%s
  connector: serialdev(nouucplock=true),%s,local
`, accepter, host, port, device)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *ser2net) start() {
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
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// TestSer2net: a modem behind the real ser2net sends, reports and survives the
// server's death in either phase of a message.
func TestSer2net(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, accepter, scheme string }{
		{"raw", "tcp", "tcp"},
		{"found to be RFC 2217", "telnet(rfc2217),tcp", "tcp"},
		{"RFC 2217", "telnet(rfc2217),tcp", "rfc2217"},
		{"telnet alone", "telnet,tcp", "tcp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			link := filepath.Join(t.TempDir(), "modem")
			server := serveOverTCP(t, c.accepter, link)
			struck := make(faults, 10)
			network := at0()
			network.Logger = slog.New(slog.NewTextHandler(struck, nil))
			b := newBench(t, network)
			m, err := b.net.NewModem(sim.ModemConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Open(link); err != nil {
				t.Fatal(err)
			}
			times := quick()
			times.Prompt, times.Final = 20*time.Second, 20*time.Second
			b.run(modem.PoolConfig{Ports: []string{"far=" + c.scheme + "://" + server.address}, Timeouts: times})
			t.Cleanup(b.stop)

			if r := b.submit("far", number, text); r.Class != modem.Accepted {
				t.Fatalf("%+v", r)
			}
			b.until("report", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.reports) == 1 })

			// Before Ctrl-Z nothing was sent.
			b.fault(0, sim.Fault{On: sim.OnPrompt, Do: sim.NoPrompt, Count: 1})
			r := b.dying(server, struck)
			if r.Committed || r.Class != modem.Temporary || r.Cause != "eof" || len(b.net.Messages()) != 1 {
				t.Errorf("killed before the prompt: %+v, %d sent", r, len(b.net.Messages()))
			}
			server.start()
			if r := b.submit("far", number, text); r.Class != modem.Accepted {
				t.Errorf("after the first restart: %+v", r)
			}

			// After it the message is in doubt.
			b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Slow, After: time.Second, Count: 1})
			r = b.dying(server, struck)
			if !r.Committed || r.Class != modem.Ambiguous || r.Cause != "eof" {
				t.Errorf("killed after Ctrl-Z: %+v", r)
			}
			server.start()
			if r := b.submit("far", "33700000001", "next"); r.Class != modem.Accepted {
				t.Errorf("after the second restart: %+v", r)
			}
			all := b.net.Messages()
			if len(all) != 4 || all[3].Text != "next" || all[3].To != "+33700000001" {
				t.Errorf("%d sent", len(all))
			}
			for _, v := range m.Violations() {
				// Who has lost the line to a modem can't see it still at work.
				if v.Kind != sim.ViolationBusy {
					t.Errorf("violation: %+v", v)
				}
			}
		})
	}
}

// faults hears of each fault that strikes, from the simulator's log.
type faults chan struct{}

func (f faults) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("msg=fault")) {
		f <- struct{}{}
	}
	return len(line), nil
}

// dying submits a message and kills the server when the fault strikes it.
func (b *bench) dying(server *ser2net, struck faults) modem.Result {
	b.t.Helper()
	line := b.line("far")
	result := make(chan modem.Result, 1)
	go func() {
		result <- line.Submit(context.Background(), modem.Submission{To: number, Text: text})
	}()
	select {
	case <-struck:
	case <-time.After(b.patience):
		b.t.Error("the fault never struck")
	}
	server.kill()
	return <-result
}
