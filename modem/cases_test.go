package modem_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"smsotpd/modem"
)

// The cases are those of the collected facts about modems, by their numbers
// there; what is seen only with a queue above the driver is in cmd/smsotpd.

// TestCaseParsing: what comes from the modem in its own way means what it says.
func TestCaseParsing(t *testing.T) {
	t.Parallel()
	signal := func(dBm int) func(*testing.T, *bench, *rawModem) {
		return func(t *testing.T, b *bench, m *rawModem) {
			t.Helper()
			ready(t, b, m)
			if got := b.status("raw").SignalDBm; got != dBm {
				t.Errorf("signal of %d dBm, not %d", got, dBm)
			}
		}
	}
	set := func(pairs ...string) func(*rawModem) {
		return func(m *rawModem) {
			for i := 0; i < len(pairs); i += 2 {
				m.answers[pairs[i]] = pairs[i+1]
			}
		}
	}
	flood := func(octets string) func(*rawModem) {
		return func(m *rawModem) {
			csq := m.answers["AT+CSQ"]
			m.answers["AT+CSQ"] = octets + csq + octets
			accepted := m.accepted
			m.accepted = func(n int, p string) string { return octets + accepted(n, p) }
		}
	}
	runRaw(t, []rawCase{
		{name: "01 echo", adjust: set("AT+CSQ", "AT+CSQ\r\r\n+CSQ: 28,0\r\n\r\nOK\r\n"), check: signal(-57)},
		{
			name:   "02 vendor lines before the answer",
			adjust: set("AT+CSQ", "\r\n^RSSI:26\r\n\r\n^HCSQ:\"LTE\",60,52,106,24\r\n\r\n+CSQ: 28,99\r\n\r\nOK\r\n"),
			check:  signal(-57),
		},
		{
			name: "04 COMMAND NOT SUPPORT",
			adjust: set("AT+CMEE=1", "\r\nCOMMAND NOT SUPPORT\r\n", "AT+COPS?", "\r\nCOMMAND NOT SUPPORT\r\n",
				"AT+CGREG?", "\r\nTOO MANY PARAMETERS\r\n", "AT+CSMS=*", "\r\nCOMMAND NOT SUPPORT\r\n"),
			check: ready,
		},
		{name: "05 CPIN without OK", adjust: set("AT+CPIN?", "\r\n+CPIN: READY\r\n"), check: ready},
		{
			name:   "06 no space behind the colon",
			adjust: set("AT+CPIN?", "\r\n+CPIN:READY\r\n\r\nOK\r\n", "AT+CGREG?", "\r\n+CME ERROR:50\r\n", "AT+CSQ", "\r\n+CSQ:28,0\r\n\r\nOK\r\n"),
			check:  signal(-57),
		},
		{
			name: "07 CR CR LF",
			adjust: func(m *rawModem) {
				dialect(m, func(s string) string { return strings.ReplaceAll(s, "\r\n", "\r\r\n") })
			},
			check: ready,
		},
		{name: "08 NULs", adjust: flood(strings.Repeat("\x00", 70_000)), check: signal(-73)},
		{name: "08 NMEA", adjust: flood(strings.Repeat("$GPGSV,3,1,11,03,03,111,00*74\r\n", 300)), check: signal(-73)},
		{name: "09 single octets", adjust: func(m *rawModem) { m.slow = true }, check: ready},
		{
			name: "09 prompt in pieces",
			adjust: func(m *rawModem) {
				m.prompt = func(int) string { m.after(50*time.Millisecond, " "); return "\r\n>" }
			},
			check: ready,
		},
		{name: "11 CREG with a cell", adjust: set("AT+CREG?", "\r\n+CREG: 2,1,\"4048\",\"0B78\"\r\n\r\nOK\r\n", "AT+CEREG?", errorRaw, "AT+CGREG?", errorRaw), check: ready},
		{name: "11 CREG as unsolicited", adjust: set("AT+CREG?", "\r\n+CREG: 5\r\n\r\nOK\r\n", "AT+CEREG?", errorRaw, "AT+CGREG?", errorRaw), check: ready},
		{name: "11 CEREG for SMS only", adjust: set("AT+CREG?", "\r\n+CREG: 0,0\r\n\r\nOK\r\n", "AT+CEREG?", "\r\n+CEREG: 0,6\r\n\r\nOK\r\n", "AT+CGREG?", errorRaw), check: ready},
		{name: "12 LTE only", adjust: set("AT+CREG?", "\r\n+CREG: 0,2\r\n\r\nOK\r\n", "AT+CGREG?", "\r\n+CGREG: 0,2\r\n\r\nOK\r\n"), check: ready},
	})
}

// outcome is the check of one message, after which the next one goes out.
func outcome(want modem.Result) func(*testing.T, *bench, *rawModem) {
	return func(t *testing.T, b *bench, m *rawModem) {
		t.Helper()
		got := b.submit("raw", number, text)
		if got.Class != want.Class || got.Cause != want.Cause || got.Committed != want.Committed || got.Class == modem.Accepted && got.MR != want.MR {
			t.Errorf("%+v", got)
		}
		if want.OtherSIM != got.OtherSIM || want.Soon != got.Soon {
			t.Errorf("another SIM %v, wait %v", got.OtherSIM, got.Soon)
		}
		// What is only an answer leaves the modem as it was.
		m.mu.Lock()
		m.prompt = func(int) string { return promptRaw }
		m.accepted = func(int, string) string { return "\r\n+CMGS: 201\r\n" + okRaw }
		m.mu.Unlock()
		if next := b.submit("raw", "33698765432", "654321 is another code."); next.Class != modem.Accepted || next.MR != 201 {
			t.Errorf("the next message: %+v", next)
		}
	}
}

// TestCaseSending: what becomes of one message, and that the next one goes out
// and is credited with nothing that is not its own.
func TestCaseSending(t *testing.T) {
	t.Parallel()
	answer := func(s string) func(*rawModem) {
		return func(m *rawModem) { m.accepted = func(int, string) string { return s } }
	}
	prompts := func(s string) func(*rawModem) {
		return func(m *rawModem) { m.prompt = func(int) string { return s } }
	}
	accepted := func(mr byte) func(*testing.T, *bench, *rawModem) {
		return outcome(modem.Result{Class: modem.Accepted, MR: mr, Committed: true})
	}
	refused := func(class modem.Class, cause string, other bool, soon time.Duration) func(*testing.T, *bench, *rawModem) {
		return outcome(modem.Result{Class: class, Cause: cause, Committed: true, OtherSIM: other, Soon: soon})
	}
	unsure := func(cause string) func(*testing.T, *bench, *rawModem) {
		return outcome(modem.Result{Class: modem.Ambiguous, Cause: cause, Committed: true})
	}
	runRaw(t, []rawCase{
		{name: "13 accepted", check: accepted(7)},
		{name: "15 no space", adjust: answer("\r\n+CMGS:7\r\n\r\nOK\r\n"), check: accepted(7)},
		{name: "15 reference 0", adjust: answer("\r\n+CMGS: 0\r\n\r\nOK\r\n"), check: accepted(0)},
		{name: "15 with a time stamp", adjust: answer("\r\n+CMGS: 124,\"26/11/23,10:00:00+04\"\r\n\r\nOK\r\n"), check: accepted(124)},
		{name: "16 prompt without LF", adjust: prompts("\r> "), check: accepted(7)},
		{
			name: "16 prompt behind the echo",
			adjust: func(m *rawModem) {
				m.prompt = func(int) string { return m.heard[len(m.heard)-1] + "\r> " }
				for command, answer := range m.answers { // echo is on, and stays on
					if !strings.HasSuffix(command, "*") {
						m.answers[command] = command + "\r" + answer
					}
				}
				m.answers["ATE0"] = "ATE0\r\r\nERROR\r\n"
			},
			check: func(t *testing.T, b *bench, _ *rawModem) {
				if r := b.submit("raw", number, text); r.Class != modem.Accepted || r.MR != 7 {
					t.Errorf("%+v", r)
				}
			},
		},
		{
			name: "17 no prompt", adjust: prompts(""),
			check: func(t *testing.T, b *bench, m *rawModem) {
				outcome(modem.Result{Class: modem.Temporary, Cause: "no-prompt", OtherSIM: true})(t, b, m)
				if !m.asked("ESC") || len(m.payloads()) != 1 {
					t.Errorf("%q", m.commands())
				}
			},
		},
		{name: "18 late prompt", adjust: prompts(""), check: latePrompt},
		{
			name: "19 second prompt, then ERROR",
			adjust: func(m *rawModem) {
				m.accepted = func(int, string) string { return promptRaw + errorRaw }
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				unsure("error")(t, b, m)
				if n := len(m.payloads()); n != 2 { // the next one's is the other
					t.Errorf("%d payloads", n)
				}
			},
		},
		{
			name: "20 an answer after long silence",
			adjust: func(m *rawModem) {
				m.accepted = func(int, string) string {
					m.after(700*time.Millisecond, "\r\n+CMGS: 9\r\n\r\nOK\r\n") // of the 1 s that there is
					return ""
				}
			},
			check: accepted(9),
		},
		{name: "21 an answer after the time-out", adjust: answer(""), check: lateAnswer},
		{name: "23 ESC and OK", adjust: answer("\x1b\r\nOK\r\n"), check: unsure("no-reference")},
		{name: "24 CMS 38", adjust: answer("\r\n+CMS ERROR: 38\r\n"), check: refused(modem.Temporary, "cms-38", true, 0)},
		{name: "24 CMS 27", adjust: answer("\r\n+CMS ERROR: 27\r\n"), check: refused(modem.Temporary, "cms-27", true, 0)},
		{name: "26 CMS 1", adjust: answer("\r\n+CMS ERROR: 1\r\n"), check: refused(modem.Destination, "cms-1", false, 0)},
		{name: "27 CMS 41", adjust: answer("\r\n+CMS ERROR: 41\r\n"), check: refused(modem.Temporary, "cms-41", false, 500*time.Millisecond)},
		{name: "27 CMS 42", adjust: answer("\r\n+CMS ERROR: 42\r\n"), check: refused(modem.Temporary, "cms-42", false, 2*time.Second)},
		{name: "28 CMS 500", adjust: answer("\r\n+CMS ERROR: 500\r\n"), check: unsure("cms-500")},
		{name: "30 CMS 304", adjust: answer("\r\n+CMS ERROR: 304\r\n"), check: refused(modem.Ours, "cms-304", false, 0)},
		{
			name: "32 a restart behind Ctrl-Z", adjust: answer("\r\nRDY\r\n\r\n+CFUN: 1\r\n"),
			check: func(t *testing.T, b *bench, m *rawModem) {
				unsure("reboot")(t, b, m)
				prepared := 0
				for _, command := range m.commands() {
					if command == "AT+CMGF=0" {
						prepared++
					}
				}
				if prepared < 2 {
					t.Error("the next message went out before the modem was prepared anew")
				}
			},
		},
		{
			name: "36 a report before the answer",
			adjust: answer("\r\n+CDS: 25\r\n0006D60B911326880736F4111011719551401110117195714000\r\n" +
				"\r\n+CMGS: 7\r\n\r\nOK\r\n"),
			check: func(t *testing.T, b *bench, m *rawModem) {
				accepted(7)(t, b, m)
				sampleReport(t, b)
			},
		},
		{
			name:   "37 a report around the prompt",
			adjust: prompts("\r\n+CDS: 25\r\n" + promptRaw + "\r\n0006D60B911326880736F4111011719551401110117195714000\r\n"),
			check: func(t *testing.T, b *bench, m *rawModem) {
				accepted(7)(t, b, m)
				sampleReport(t, b)
			},
		},
	})
}

// latePrompt: the prompt of a message that was given up is not the next one's.
func latePrompt(t *testing.T, b *bench, m *rawModem) {
	if r := b.submit("raw", number, text); r.Committed || r.Class != modem.Temporary {
		t.Errorf("%+v", r)
	}
	m.mu.Lock()
	m.prompt = func(int) string { return promptRaw }
	m.mu.Unlock()
	m.say(promptRaw) // while the modem is resynchronised
	ready(t, b, m)
	said := m.commands()
	given := slices.Index(said, "ESC")
	again := slices.IndexFunc(said[given:], func(s string) bool { return strings.HasPrefix(s, "AT+CMGS=") })
	queries := 0
	for _, command := range said[given:][:again] {
		if strings.HasSuffix(command, "?") {
			queries++
		}
	}
	if queries < 2 {
		t.Errorf("only %d queries between ESC and the next message", queries)
	}
}

// lateAnswer: the answer to a message that timed out is credited to it, and
// never to the next.
func lateAnswer(t *testing.T, b *bench, m *rawModem) {
	late := make(chan modem.Result, 2)
	r := b.line("raw").Submit(context.Background(), modem.Submission{
		To: number, Text: text, Report: true, Late: func(r modem.Result) { late <- r },
	})
	if r.Class != modem.Ambiguous || r.Cause != "timeout" || !r.Committed {
		t.Errorf("%+v", r)
	}
	m.mu.Lock()
	m.accepted = func(int, string) string { return "\r\n+CMGS: 42\r\n" + okRaw }
	m.mu.Unlock()
	m.say("\r\n+CMGS: 41\r\n" + okRaw)
	if next := b.submit("raw", number, text); next.Class != modem.Accepted || next.MR != 42 {
		t.Errorf("the next message: %+v", next)
	}
	select {
	case r := <-late:
		if r.Class != modem.Accepted || r.MR != 41 {
			t.Errorf("late: %+v", r)
		}
	default:
		t.Error("the late answer was not told")
	}
}

// sampleReport checks that the report of the facts has come.
func sampleReport(t *testing.T, b *bench) {
	t.Helper()
	b.until("report", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.reports) > 0 })
	r := b.reports[0]
	if r.MR != 214 || r.Recipient != "31628870634" || r.Status != 0 || r.IMSI != "208011234567890" {
		t.Errorf("report of MR %d, status %d, with %d digits", r.MR, r.Status, len(r.Recipient))
	}
	if len(b.reports) != 1 {
		t.Errorf("%d reports", len(b.reports))
	}
}

// TestCaseForgotten is case 33: a modem that started anew and fell back into
// text mode gets no AT+CMGS before +CMGF? has said 0.
func TestCaseForgotten(t *testing.T) {
	runRaw(t, []rawCase{{
		name: "33 text mode and echo after a restart",
		check: func(t *testing.T, b *bench, m *rawModem) {
			ready(t, b, m)
			m.mu.Lock()
			m.turns["AT+CMGF?"] = []string{"\r\n+CMGF: 1\r\n" + okRaw, "\r\n+CMGF: 1\r\n" + okRaw}
			m.heard = nil
			m.mu.Unlock()
			line := b.line("raw")
			m.say("\r\nRDY\r\n")
			<-line.Closed()
			if r := b.submit("raw", number, text); r.Class != modem.Accepted {
				t.Fatalf("%+v", r)
			}
			asked := 0
			for _, command := range m.commands() {
				if command == "AT+CMGF?" {
					asked++
				}
				if strings.HasPrefix(command, "AT+CMGS=") {
					break
				}
			}
			if asked < 3 {
				t.Errorf("+CMGF? was asked %d times before the message: %q", asked, m.commands())
			}
		},
	}})
}

// TestTextModeWithoutAWord: a modem that has fallen into text mode and says
// nothing of it refuses the PDU as text, or its number. It is brought back, and
// the message sent.
func TestTextModeWithoutAWord(t *testing.T) {
	var cases []rawCase
	for _, code := range []string{"303", "304", "305"} {
		cases = append(cases, rawCase{
			name: code,
			check: func(t *testing.T, b *bench, m *rawModem) {
				line := b.line("raw")
				m.mu.Lock()
				pduMode := m.answers["AT+CMGF?"]
				textMode := strings.Replace(pduMode, "0", "1", 1)
				m.answers["AT+CMGF?"] = textMode
				m.hooks["AT+CMGF=0"] = func() { m.answers["AT+CMGF?"] = pduMode }
				m.accepted = func(n int, _ string) string {
					if n == 0 {
						return "\r\n+CMS ERROR: " + code + "\r\n"
					}
					return "\r\n+CMGS: 7\r\n" + okRaw
				}
				m.mu.Unlock()
				if r := send(line); r.Class != modem.Accepted || r.MR != 7 {
					t.Errorf("%+v", r)
				}
				<-line.Closed() // its other settings are lost too
				b.line("raw")
			},
		})
	}
	runRaw(t, cases)
}

// TestCaseOwnCode is case 35: a hundred messages at once, each number gets its
// own text.
func TestCaseOwnCode(t *testing.T) {
	b := start(t, at0(), modems(4), modem.PoolConfig{})
	done := make(chan modem.Result)
	for i := range 100 {
		line := b.line(fmt.Sprintf("modem%d", i%4))
		go func() {
			done <- line.Submit(context.Background(), modem.Submission{To: fmt.Sprintf("336123450%02d", i), Text: fmt.Sprintf("%06d is your code.", i)})
		}()
	}
	for range 100 {
		if r := <-done; r.Class != modem.Accepted {
			t.Errorf("%+v", r)
		}
	}
	got := b.net.Messages()
	for _, m := range got {
		if m.To[len(m.To)-2:] != m.Text[4:6] {
			t.Error("a number got another's text")
		}
	}
	if len(got) != 100 {
		t.Errorf("%d messages", len(got))
	}
	b.unviolated()
}
