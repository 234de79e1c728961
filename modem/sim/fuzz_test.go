package sim

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// FuzzCommands holds the modem to any bytes of a client, in chunks that "|"
// divides, with seconds between them: no panic, no more memory than bounded, and
// a modem that answers once it has been started anew.
func FuzzCommands(f *testing.F) {
	for _, seed := range []string{
		"ATE0|AT+CMGS=19\r|" + hello + "\x1a",
		"AT+CUSD=1,\"*101#\",15\r|AT+CUSD=1,\"1\"\r",
		"AT+CPMS=\"ME\",,\"SR\";+CMGR=1;+CMGD=1,4\r|AT+CMGL=4\r",
		"AT+CNMI=2,2,0,1,0;+CSMS=1\rAT+CNMA\r|AT+CPIN=\"1\",\"2\"\r|A/",
		"AT+CMGF=1\r|AT+CMGS=\"12\"\r|x\b\ry\x1a|\x1b",
		"AT+CFUN=1,1\rAT\r|AT+CFUN=0;+CREG=2;+CEREG=5;+CREG?\r",
		"AT+CSCS=\"UCS2\"\r|AT+CUSD=1,\"002A\",72\r|AT+CPINR=\"SIM PIN\"\r|ATS3?V0Q1&F\r",
	} {
		f.Add(seed, uint8(0))
	}
	all := profiles()
	f.Fuzz(func(t *testing.T, input string, kind uint8) {
		if len(input) > 10_000 {
			t.Skip()
		}
		synctest.Test(t, func(t *testing.T) {
			config := ModemConfig{Profile: all[int(kind)%len(all)], Ports: composite(), PIN: strings.Repeat("1234", int(kind)/len(all)%2)}
			config.Profile.CMGLHangs, config.Profile.Sleeps = 0, 0
			m, c := bench(t, at0(), config)
			for chunk := range strings.SplitSeq(input, "|") {
				c.write(chunk)
				c.rest(2 * time.Second)
				m.Receive("12", "x")
			}
			if err := m.Reboot(); err != nil {
				t.Fatal(err)
			}
			c.rest(5 * time.Second)
			c.do("ATE0")
			c.do("AT")
			c.line.Close()
			m.network.Close()
		})
	})
}

// FuzzControl holds live control and scripts to any line: no panic.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{
		`fault on = "payload", do = "hang", for = "90s"`, `ussd 0 code = "*1#", text = "x", menu = [{code = "1"}]`,
		`message 0 from = "Bank", text = "Ж", order = [1]`, "pdu 0 44ff", "in 0 +12 x", "network 0 3", "signal 0 99", "list", "unplug 0", "plug 0 ", "sim 0 out",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.HasPrefix(strings.TrimSpace(line), "plug") {
			t.Skip() // it may name any path
		}
		if fault, err := ParseFault(strings.TrimPrefix(line, "fault ")); err == nil && (fault.Do == Unplug || fault.Size > 1000) {
			t.Skip()
		}
		n := NewNetwork(at0())
		defer n.Close()
		if _, err := n.NewModem(ModemConfig{}); err != nil {
			t.Fatal(err)
		}
		reply, err := n.Command(line)
		if err == nil && utf8.ValidString(line) && !utf8.ValidString(reply) {
			t.Errorf("%q", reply)
		}
	})
}
