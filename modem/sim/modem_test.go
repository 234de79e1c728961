package sim

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestServe: any stream does as a port, one client at a time.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := NewNetwork(at0())
		m, err := n.NewModem(ModemConfig{})
		if err != nil {
			t.Fatal(err)
		}
		near, far := Pipe()
		served := make(chan error, 1)
		go func() { served <- m.Serve(far) }()
		c := &client{t: t, line: near}
		c.do("AT")
		if err := m.Serve(far); !errors.Is(err, ErrInUse) {
			t.Errorf("a second client: %v", err)
		}
		near.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		again := dial(t, m)
		again.do("AT")
		again.line.Close()
		dial(t, m).do("AT") // the one before has only just gone
		n.Close()
		if err := m.Serve(far); !errors.Is(err, ErrUnplugged) {
			t.Errorf("after Close: %v", err)
		}
		if _, err := n.NewModem(ModemConfig{}); err == nil {
			t.Error("a modem in a closed network")
		}
	})
}

// TestBootFault: a fault at each start strikes at each start.
func TestBootFault(t *testing.T) {
	noise := Fault{On: OnBoot, Do: URC, Text: "^RSSI:22", Interval: 3 * time.Second, For: 10 * time.Second}
	virtual(t, at0(), ModemConfig{Faults: []Fault{noise}}, func(t *testing.T, m *Modem, c *client) {
		if got := c.rest(time.Minute); got != "" {
			t.Errorf("before any start: %q", got)
		}
		for range 2 {
			if err := m.Reboot(); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(c.rest(time.Minute), "^RSSI:22\r\n"); got != 4 {
				t.Errorf("%d lines in ten seconds", got)
			}
		}
	})
}

// TestKeep: a long run over many numbers keeps what was asked for.
func TestKeep(t *testing.T) {
	n := NewNetwork(NetworkConfig{Keep: 2})
	asked := n.Handset("+1")
	for _, to := range []string{"+1", "+2", "+3", "+4", "+5"} {
		msg := Message{To: to}
		n.accept(&msg, plan{statuses: []byte{0}})
		n.deliver(msg)
	}
	if got := n.Messages(); len(got) != 2 || got[1].To != "+5" || n.Total() != 5 {
		t.Errorf("%d messages kept of %d", len(got), n.Total())
	}
	if len(n.handsets) != 3 || len(asked.Messages()) != 1 {
		t.Errorf("%d handsets kept", len(n.handsets))
	}
}

// TestPINStrict: what locks a SIM for good is told off.
func TestPINStrict(t *testing.T) {
	virtual(t, at0(), ModemConfig{PIN: "4321"}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0")
		c.want("AT+CPIN=1111", "ERROR")
		wantViolations(t, m)
		c.want("AT+CPIN=1111", "ERROR")
		wantViolations(t, m, ViolationSamePIN)
		c.want("AT+CPIN=4321", "OK") // right, and yet it could have been the end
		wantViolations(t, m, ViolationSamePIN, ViolationLastTry)
		if got := m.network.ViolationCount(); got[ViolationSamePIN] != 1 || len(got) != 2 {
			t.Errorf("%v", got)
		}
	})
}

// TestUnheard: what comes while the modem starts is counted, and no breach.
func TestUnheard(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		if err := m.Reboot(); err != nil {
			t.Fatal(err)
		}
		c.write("AT\rAT\r")
		c.rest(time.Second)
		if m.Unheard() != 2 {
			t.Errorf("%d", m.Unheard())
		}
		wantViolations(t, m)
	})
}
