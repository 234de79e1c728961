package modem_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
)

// TestReferenceLags: a modem that says OK at once and gives the reference when
// the network has the message. The first one is in doubt until then, and no
// message gets another's reference.
func TestReferenceLags(t *testing.T) {
	const lag = 2500 * time.Millisecond
	runRaw(t, []rawCase{{
		name:   "OK first",
		config: modem.PoolConfig{Timeouts: modem.Timeouts{Quiet: 50 * time.Millisecond, Owed: 10 * time.Second}},
		adjust: func(m *rawModem) {
			m.accepted = func(n int, _ string) string {
				m.after(lag, fmt.Sprintf("\r\n+CMGS: %d\r\n", 40+n))
				return okRaw
			}
		},
		check: func(t *testing.T, b *bench, m *rawModem) {
			late := make(chan modem.Result, 1)
			r := b.line("raw").Submit(context.Background(), modem.Submission{
				To: number, Text: text, Late: func(r modem.Result) { late <- r },
			})
			if r.Class == modem.Ambiguous {
				r = <-late
			}
			if r.Class != modem.Accepted || r.MR != 40 {
				t.Errorf("the first: %+v", r)
			}
			for n := 1; n < 3; n++ {
				if r := b.submit("raw", number, text); r.Class != modem.Accepted || int(r.MR) != 40+n {
					t.Errorf("number %d: %+v", n, r)
				}
			}
			if n := len(m.payloads()); n != 3 {
				t.Errorf("%d payloads", n)
			}
		},
	}})
}

// TestEveryFinalTwice: a modem that says each final result twice has a habit, and
// works all the same.
func TestEveryFinalTwice(t *testing.T) {
	runRaw(t, []rawCase{
		{
			name: "every final twice",
			adjust: func(m *rawModem) {
				dialect(m, func(s string) string { return strings.Replace(s, okRaw, okRaw+okRaw, 1) })
			},
			check: func(t *testing.T, b *bench, m *rawModem) {
				for range 20 {
					if r := b.submit("raw", number, text); r.Class != modem.Accepted {
						t.Errorf("%+v", r)
					}
				}
				if n := b.told(modem.EventResync); n > 1 {
					t.Errorf("brought back %d times", n)
				}
			},
		},
	})
}

// TestTextModeTold: a modem that tells by the way that it is in text mode, when it
// is synchronised after a command that it left unanswered, is given no PDU as
// text.
func TestTextModeTold(t *testing.T) {
	times := quick()
	times.Health = 300 * time.Millisecond
	runRaw(t, []rawCase{{
		name:   "after a silence",
		config: modem.PoolConfig{Timeouts: times},
		check: func(t *testing.T, b *bench, m *rawModem) {
			line := b.line("raw")
			restarted := sync.OnceFunc(func() {
				m.answers["AT+CMGF?"] = "\r\n+CMGF: 1\r\n" + okRaw
				m.hooks["AT+CMGF=0"] = func() { m.answers["AT+CMGF?"] = "\r\n+CMGF: 0\r\n" + okRaw }
			})
			m.mu.Lock()
			m.turns["AT+CSQ"] = []string{""}
			m.hooks["AT+CSQ"] = restarted
			m.mu.Unlock()
			var heard []string
			told := 0
			b.until("look at the modem", func() bool { // and a synchronisation behind it
				heard = m.commands()
				told = slices.Index(heard, "AT+CSQ") // in preparation
				told += 1 + slices.Index(heard[told+1:], "AT+CSQ")
				return told > slices.Index(heard, "AT+CSQ") && slices.Contains(heard[told:], "AT+CREG?")
			})
			send(line)
			b.submit("raw", number, text)
			heard = m.commands()
			if mode, sent := slices.Index(heard[told:], "AT+CMGF=0"), slices.IndexFunc(heard[told:], func(s string) bool { return strings.HasPrefix(s, "AT+CMGS") }); mode < 0 || sent < mode {
				t.Errorf("heard %q", heard[told:])
			}
		},
	}})
}
