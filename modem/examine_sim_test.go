package modem_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"smsotpd/modem"
)

// The daemon enters a PIN that is configured; doctor only says so, or what is
// wrong with its file.
func TestExamineWithPINFile(t *testing.T) {
	t.Parallel()
	c := answering("AT+CCID", "+CCID: 89440000000000000184", "OK") // which modems tell while the SIM is locked
	c.PIN = "1234"
	path, m := plugged(t, c)
	good, bad, gone := pinFile(t, "1234\n"), pinFile(t, "12a4"), filepath.Join(t.TempDir(), "gone")
	card := func(iccid, file string) modem.ExamineConfig {
		return modem.ExamineConfig{Cards: []modem.Card{{Name: "a", ICCID: iccid, PINFile: file}}}
	}
	for _, tt := range []struct {
		cfg   modem.ExamineConfig
		code  modem.FindingCode
		worst modem.Severity
		says  string
	}{
		{modem.ExamineConfig{PINFile: good}, modem.FoundPIN, modem.Warning, good},
		{card("89440000000000000184", good), modem.FoundPIN, modem.Warning, good},
		{card("8944000000000000018", good), modem.FoundPIN, modem.Warning, good}, // without the check digit
		{card("8944000000000000019", good), modem.FoundPIN, modem.Failing, "none is configured"},
		{modem.ExamineConfig{PINFile: bad}, modem.FoundPINFile, modem.Failing, bad + " must hold a PIN"},
		{modem.ExamineConfig{PINFile: gone}, modem.FoundPINFile, modem.Failing, "no such file"},
		{card("8944000000000000018", t.TempDir()), modem.FoundPINFile, modem.Failing, "is no regular file"},
	} {
		e := modem.Examine(context.Background(), tt.cfg, path)
		if !e.Has(tt.code) || e.Worst() != tt.worst || !strings.Contains(e.Findings[0].Problem, tt.says) {
			t.Errorf("%s: %+v", tt.says, e.Findings)
		}
		sound(t, e, tt.code, "")
	}
	unharmed(t, m)
}

// A PIN file is never waited for.
func TestPINFileThatIsNone(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", t.TempDir()} {
		if err := modem.CheckPINFile(path); err == nil || !strings.Contains(err.Error(), path+" is no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestSIMWithoutPower: a modem whose radio is off may say that it has no SIM in
// words of its own; the radio is turned on before that is believed.
func TestSIMWithoutPower(t *testing.T) {
	for _, says := range []string{"+CPIN: NOT INSERTED\r\n" + okRaw, "+CPIN: NOT READY\r\n" + okRaw, "+CME ERROR: 13\r\n"} {
		runRaw(t, []rawCase{{
			name: says,
			adjust: func(m *rawModem) {
				m.answers["AT+CPIN?"] = "\r\n" + says
				m.answers["AT+CFUN?"] = "\r\n+CFUN: 4\r\n" + okRaw
				m.hooks["AT+CFUN=1"] = func() {
					m.answers["AT+CPIN?"], m.answers["AT+CFUN?"] = plain()["AT+CPIN?"], plain()["AT+CFUN?"]
				}
			},
			check: ready,
		}})
	}
}
