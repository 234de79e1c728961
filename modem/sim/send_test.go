package sim

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSend(t *testing.T) {
	virtual(t, NetworkConfig{Air: Fixed(3 * time.Second), Report: Fixed(time.Second)}, ModemConfig{FirstMR: 255}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		began := time.Now()
		for _, want := range []string{"+CMGS: 255", "+CMGS: 0"} { // eight bits, and the modem's own
			if got := c.submit(); !strings.HasSuffix(strings.Join(got, " "), want+" OK") {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("two messages took %v in the air", took)
		}
		messages := m.network.Messages()
		if len(messages) != 2 {
			t.Fatalf("%d messages", len(messages))
		}
		got := messages[0]
		if got.To != helloTo || got.Text != "hello" || got.IMSI != m.IMSI() || got.From != m.Number() || got.Validity != 5*time.Minute ||
			!got.StatusReport || got.MR != 255 || got.Accepted.Sub(got.Submitted) != 3*time.Second {
			t.Errorf("to %s, %q, MR %d, validity %v", got.To, got.Text, got.MR, got.Validity)
		}
		h := m.network.Handset(helloTo)
		for range 2 {
			if msg, err := h.Next(t.Context()); err != nil || msg.Text != "hello" {
				t.Errorf("handset: %v", err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := h.Next(ctx); err == nil {
			t.Error("a third message")
		}
		wantViolations(t, m)
	})
}

// TestStrict holds what a driver must never do to an error, a violation and
// no message.
func TestStrict(t *testing.T) {
	const refused = "+CMS ERROR: 304"
	for _, c := range []struct {
		name, command, payload, final string
		violation                     ViolationKind
	}{
		{"sound", "AT+CMGS=19", hello, "OK", ""},
		{"small letters", "at+cmgs=19", strings.ToLower(hello), "OK", ""},
		{"the service centre's length octet counted", "AT+CMGS=20", hello, refused, ViolationLength},
		{"too short", "AT+CMGS=18", hello, refused, ViolationLength},
		{"a service centre, not counted", "AT+CMGS=19", "0791447779070000" + hello[2:], "OK", ""},
		{"a service centre, counted", "AT+CMGS=27", "0791447779070000" + hello[2:], refused, ViolationLength},
		{"not hexadecimal", "AT+CMGS=19", "x" + hello[1:], refused, ViolationNotHex},
		{"half an octet", "AT+CMGS=19", hello + "0", refused, ViolationNotHex},
		{"text", "AT+CMGS=19", "hello", refused, ViolationNotHex},
		{"empty", "AT+CMGS=19", "", refused, ViolationLength},
		{"no SMS-SUBMIT", "AT+CMGS=19", "0030" + hello[4:], refused, ViolationPDU},
		{"user data too short for its length", "AT+CMGS=18", hello[:len(hello)-2], refused, ViolationPDU},
		{"line ends in the PDU", "AT+CMGS=19", hello + "\r\n", "OK", ""},
		{"an echo's worth of characters", "AT+CMGS=19", hello + strings.Repeat("0", 3000), refused, ViolationLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				cl.write(c.command + "\r")
				cl.until(time.Second, "\r\n> ")
				cl.write(c.payload + "\x1a")
				got := cl.lines()
				if got[len(got)-1] != c.final {
					t.Errorf("%q, want %q", got, c.final)
				}
				if c.violation == "" {
					wantViolations(t, m)
				} else {
					wantViolations(t, m, c.violation)
				}
				if sent := m.network.Total(); (sent == 1) != (c.final == "OK") {
					t.Errorf("%d messages", sent)
				}
			})
		})
	}
}

func TestBadCMGS(t *testing.T) {
	for _, command := range []string{"AT+CMGS", "AT+CMGS=0", "AT+CMGS=300", `AT+CMGS="+33612345678"`, "AT+CMGS=19,145", "AT+CMGS="} {
		virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.want(command, "+CMS ERROR: 304")
			wantViolations(t, m, ViolationArguments)
		})
	}
}

func TestPrompt(t *testing.T) {
	air := NetworkConfig{Air: Fixed(time.Second), Report: Fixed(0)}
	t.Run("ESC gives up", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write("AT+CMGS=19\r")
			c.until(time.Second, "> ")
			c.write(hello[:10])
			c.want("\x1bAT+CMGF?", "OK") // the OK of ESC, and of the command next
			c.want("", "+CMGF: 0 / OK")
			wantViolations(t, m)
			if m.network.Total() != 0 {
				t.Error("something was sent")
			}
		})
	})
	t.Run("nobody waits for it", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write("AT+CMGS=19\r" + hello + "\x1a")
			if got := c.rest(time.Minute); got != "\r\n> " {
				t.Errorf("%q", got)
			}
			wantViolations(t, m, ViolationEarly)
			c.write(hello + "\x1a")
			if got := c.lines(); got[0] != "+CMGS: 0" {
				t.Errorf("%q", got)
			}
		})
	})
	t.Run("a PDU out of the blue", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write(hello + "\x1a")
			c.write(hello + "\r")
			c.want("AT", "OK")
			wantViolations(t, m, ViolationNoPrompt, ViolationNoPrompt)
		})
	})
	t.Run("no Ctrl-Z", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write("AT+CMGS=19\r")
			c.until(time.Second, "> ")
			c.write(hello + "\r")
			c.write("AT\r")
			if got := c.rest(time.Minute); got != "" {
				t.Errorf("%q", got)
			}
			wantViolations(t, m, ViolationNoCtrlZ)
		})
	})
	t.Run("a command in the air", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write("AT+CMGS=19\r")
			c.until(time.Second, "> ")
			c.write(hello + "\x1a")
			c.write("\x1b\r\n") // harmless
			c.write("AT+CSQ\r")
			if got := c.lines(); strings.Join(got, " ") != "+CMGS: 0 OK" {
				t.Errorf("%q", got)
			}
			if got := c.rest(time.Minute); strings.Contains(got, "CSQ") {
				t.Errorf("the command was answered: %q", got)
			}
			wantViolations(t, m, ViolationBusy)
		})
	})
	t.Run("unsolicited lines wait", func(t *testing.T) {
		virtual(t, air, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.prepare()
			c.write("AT+CREG=1\r")
			c.lines()
			c.write("AT+CMGS=19\r")
			c.until(time.Second, "> ")
			m.SetRegistration(5)
			m.Receive("+33600000000", "x")
			if got := c.rest(time.Minute); got != "" {
				t.Errorf("%q", got)
			}
			c.write(hello + "\x1a")
			got := c.until(time.Minute, "+CMT: ")
			if !strings.Contains(got, "+CMGS: 0\r\n\r\nOK\r\n\r\n+CREG: 5\r\n") {
				t.Errorf("%q", got)
			}
		})
	})
}

// TestTextMode: a driver that forgot AT+CMGF=0 sends a PDU as text to the
// number that its length makes.
func TestTextMode(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0+CMGF=1")
		c.write("AT+CMGS=19\r")
		c.until(time.Second, "\r\n> ")
		c.write(hello + "\x1a")
		if got := c.lines(); got[0] != "+CMGS: 0" {
			t.Errorf("%q", got)
		}
		wantViolations(t, m, ViolationTextMode)
		if msg := m.network.Messages()[0]; msg.To != "19" || msg.Text != hello {
			t.Error("another message was sent")
		}
		c.want(`AT+CSMP=49,0,65,0`, "OK")
		c.write(`AT+CMGS="+33612345678"` + "\r")
		c.until(time.Second, "\r\n> ")
		c.write("hel\blo\r")
		c.until(time.Second, "\r\n> ")
		c.write("you\x1a")
		c.lines()
		msg := m.network.Messages()[1]
		if msg.To != helloTo || msg.Text != "helo\nyou" || msg.PID != 65 || !msg.StatusReport || msg.Validity != 5*time.Minute {
			t.Errorf("to %s: %q", msg.To, msg.Text)
		}
		c.want(`AT+CMGS="bank"`, "+CMS ERROR: 305")
		c.want(`AT+CSCS="UCS2"`, "OK")
		c.write(`AT+CMGS="12"` + "\r")
		c.until(time.Second, "> ")
		c.write("0416\x1a")
		c.lines()
		if msg := m.network.Messages()[2]; msg.Text != "Ж" {
			t.Errorf("%q", msg.Text)
		}
	})
}

func TestNoServiceCentre(t *testing.T) {
	virtual(t, at0(), ModemConfig{SMSC: "none"}, func(t *testing.T, _ *Modem, c *client) {
		c.prepare()
		c.want("AT+CSCA?", "OK")
		if got := c.submit(); got[0] != "+CMS ERROR: 330" {
			t.Errorf("%q", got)
		}
		c.want(`AT+CSCA="+447797700000",145`, "OK")
		if got := c.submit(); got[0] != "+CMGS: 0" {
			t.Errorf("%q", got)
		}
	})
}

// TestReplaceType: a message of type 0x41 takes the place of the one before.
func TestReplaceType(t *testing.T) {
	h := &Handset{changed: make(chan struct{})}
	for _, msg := range []Message{
		{From: "1", Text: "a", PID: 0x41},
		{From: "1", Text: "b"},
		{From: "2", Text: "c", PID: 0x41},
		{From: "1", Text: "d", PID: 0x42},
		{From: "1", Text: "e", PID: 0x41},
	} {
		h.take(msg)
	}
	var texts string
	for _, msg := range h.Messages() {
		texts += msg.Text
	}
	if latest, ok := h.Latest(); texts != "bcde" || !ok || latest.Text != "e" {
		t.Errorf("on the phone: %s", texts)
	}
}

// TestLink: AT+CMMS keeps the link open for a while, and 1 only until it was
// not used in time.
func TestLink(t *testing.T) {
	nc := NetworkConfig{Air: Fixed(4 * time.Second), Report: Fixed(0), Setup: 3 * time.Second, LinkHeld: 2 * time.Second}
	silent := Fault{On: OnReport, Do: DropReport}
	for mode, want := range map[string]string{"0": "4s 4s 4s 4s 0", "1": "4s 1s 4s 4s 0", "2": "4s 1s 4s 1s 2"} {
		virtual(t, nc, ModemConfig{Faults: []Fault{silent}}, func(t *testing.T, _ *Modem, c *client) {
			c.prepare()
			c.want("AT+CMMS="+mode, "OK")
			var took []string
			for _, pause := range []time.Duration{0, time.Second, 5 * time.Second, time.Second} {
				c.rest(pause)
				began := time.Now()
				c.submit()
				took = append(took, time.Since(began).String())
			}
			got := strings.Join(took, " ") + " " + strings.TrimPrefix(c.do("AT+CMMS?")[0], "+CMMS: ")
			if got != want {
				t.Errorf("AT+CMMS=%s: %s, want %s", mode, got, want)
			}
		})
	}
}

// TestRefusedByNetwork: what a service centre may not take.
func TestRefusedByNetwork(t *testing.T) {
	for _, c := range []struct {
		name, pdu string
		nc        NetworkConfig
		want      string
	}{
		{"enhanced", "00090002812100000278000000000000", NetworkConfig{NoEnhancedValidity: true}, "+CMS ERROR: 198"},
		{"enhanced, taken", "00090002812100000278000000000000", NetworkConfig{NoReplace: true}, "+CMGS: 0"},
		{"replace", "000100028121410000", NetworkConfig{NoReplace: true}, "+CMS ERROR: 143"},
		{"replace, taken", "000100028121410000", NetworkConfig{NoEnhancedValidity: true}, "+CMGS: 0"},
	} {
		c.nc.Air = Fixed(0)
		virtual(t, c.nc, ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
			cl.prepare()
			cl.write(fmt.Sprintf("AT+CMGS=%d\r", len(c.pdu)/2-1))
			cl.until(time.Second, "> ")
			cl.write(c.pdu + "\x1a")
			if got := cl.lines()[0]; got != c.want || (m.network.Total() == 1) != strings.HasPrefix(c.want, "+CMGS") {
				t.Errorf("%s: %s, %d taken", c.name, got, m.network.Total())
			}
		})
	}
}
