package modem_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

func pinFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pinMemory is a PINMemory that outlives pools.
type pinMemory struct {
	mu    sync.Mutex
	tried map[string]bool // guarded by mu
	fails error
}

func (m *pinMemory) Tried(attempt string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tried[attempt], m.fails
}

func (m *pinMemory) Try(attempt string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tried == nil {
		m.tried = make(map[string]bool)
	}
	m.tried[attempt] = true
	return m.fails
}

func (m *pinMemory) Forget(attempt string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tried, attempt)
	return m.fails
}

func (m *pinMemory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.tried)
}

func locked(pin string) sim.ModemConfig {
	return sim.ModemConfig{Profile: sim.Generic(), PIN: pin}
}

// TestPINOfEachSIM: each SIM gets the PIN that its own settings name.
func TestPINOfEachSIM(t *testing.T) {
	one, two := locked("1111"), locked("2222")
	one.ICCID, two.ICCID = "8944000000000000001", "89440000000000000029"
	cards := []modem.Card{
		{Name: "two", ICCID: "89440000000000000029", PINFile: pinFile(t, "2222")},
		{Name: "one", ICCID: "894400000000000000", PINFile: pinFile(t, "1111\n")}, // without the check digit
	}
	starts(t, modem.PoolConfig{Cards: cards}, []sim.ModemConfig{one, two}, func(t *testing.T, b *bench, _ *journal) {
		b.sends("modem0")
		b.sends("modem1")
		for _, m := range b.net.Modems() {
			if m.PINTries() != 3 {
				t.Errorf("%d tries left", m.PINTries())
			}
		}
		b.unviolated()
	})
}

// TestPINByIMSI: a card known by its IMSI alone is recognised once it has been
// seen open.
func TestPINByIMSI(t *testing.T) {
	mc := locked("4321")
	mc.IMSI = "001010000000042"
	file := pinFile(t, "4321")
	starts(t, modem.PoolConfig{Cards: []modem.Card{{Name: "left", IMSI: mc.IMSI, PINFile: file}}}, []sim.ModemConfig{mc},
		func(t *testing.T, b *bench, _ *journal) {
			b.tells("modem0", modem.Parked, "set iccid and pin_file in a [sim.NAME]")
			if m := b.net.Modems()[0]; m.PINTries() != 3 {
				t.Errorf("%d tries left", m.PINTries())
			}
		})
	first := pinFile(t, "4321")
	starts(t, modem.PoolConfig{Cards: []modem.Card{{Name: "left", IMSI: mc.IMSI, PINFile: file}}, PINFile: first}, []sim.ModemConfig{mc},
		func(t *testing.T, b *bench, _ *journal) {
			line := b.line("modem0")
			if err := os.Remove(first); err != nil {
				t.Fatal(err)
			}
			b.net.Modems()[0].Reboot()
			<-line.Closed()
			b.sends("modem0")
		})
}

// TestPINIsTriedOnce: once a SIM, over restarts of the modem and of the daemon,
// until it is another PIN.
func TestPINIsTriedOnce(t *testing.T) {
	memory := &pinMemory{}
	file := pinFile(t, "1111")
	mc := locked("4321")
	mc.Profile.PINTries = "" // nobody tells how many are left
	starts(t, modem.PoolConfig{PINFile: file, PINs: memory}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
		m := b.net.Modems()[0]
		b.tells("modem0", modem.Parked, "not tried twice")
		m.Reboot()
		time.Sleep(time.Minute)
		b.tells("modem0", modem.Parked, "not tried twice")
		if m.PINTries() != 2 {
			t.Errorf("%d tries left", m.PINTries())
		}
	})
	if memory.count() != 1 {
		t.Fatalf("%d attempts are remembered", memory.count())
	}
	starts(t, modem.PoolConfig{PINFile: file, PINs: memory}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
		m := b.net.Modems()[0]
		b.tells("modem0", modem.Parked, "not tried twice")
		if m.PINTries() != 3 { // this one is new, and nothing was tried on it
			t.Errorf("%d tries left", m.PINTries())
		}
		if err := os.WriteFile(file, []byte("4321"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.sends("modem0")
		m.Reboot() // what was taken once is taken again
		b.tells("modem0", modem.Starting, "")
		b.sends("modem0")
	})
	if memory.count() != 1 {
		t.Errorf("%d attempts are remembered", memory.count())
	}
}

// TestPINNeedsItsMemory: without a durable note of the attempt there is none.
func TestPINNeedsItsMemory(t *testing.T) {
	memory := &pinMemory{fails: errors.New("disk full")}
	starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321"), PINs: memory}, []sim.ModemConfig{locked("4321")},
		func(t *testing.T, b *bench, _ *journal) {
			b.tells("modem0", modem.Parked, "not entered")
			if n := b.net.Modems()[0].PINTries(); n != 3 {
				t.Errorf("%d tries left", n)
			}
		})
}

// TestLastTryIsLeft: whichever command the modem tells the tries by, the last
// one is not used, nor is one of a SIM that has none.
func TestLastTryIsLeft(t *testing.T) {
	for _, query := range []string{"+CPINR", "+CPINC", "^CPIN", "+QPINC", "+SPIC", "^SPIC", "#PCT", "+UPINCNT"} {
		t.Run(query, func(t *testing.T) {
			mc := locked("4321")
			mc.Profile.PINTries = query
			file := pinFile(t, "1111")
			starts(t, modem.PoolConfig{PINFile: file}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
				m := b.net.Modems()[0]
				for _, pin := range []string{"1111", "2222"} {
					if err := os.WriteFile(file, []byte(pin), 0o600); err != nil {
						t.Fatal(err)
					}
					b.until("a try", func() bool { return m.PINTries() == map[string]int{"1111": 2, "2222": 1}[pin] })
				}
				if err := os.WriteFile(file, []byte("4321"), 0o600); err != nil { // even the right one
					t.Fatal(err)
				}
				b.tells("modem0", modem.Parked, "one try for its PIN left")
				time.Sleep(10 * time.Minute)
				if m.PINTries() != 1 {
					t.Errorf("%d tries left", m.PINTries())
				}
			})
		})
	}
}

// TestPINOfBusySIM: a PIN that the SIM was too busy to look at is given again.
func TestPINOfBusySIM(t *testing.T) {
	mc := locked("4321")
	mc.Faults = []sim.Fault{on(`^AT\+CPIN=`, sim.Fault{Do: sim.ReplyCME, Code: 14, Count: 2})}
	starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321")}, []sim.ModemConfig{mc}, func(_ *testing.T, b *bench, _ *journal) {
		b.sends("modem0")
	})
}

// TestPINWithoutAnswer: a PIN that was taken without a word is known to be
// right by the SIM that is open.
func TestPINWithoutAnswer(t *testing.T) {
	memory := &pinMemory{}
	mc := locked("4321")
	mc.Faults = []sim.Fault{on(`^AT\+CPIN=`, sim.Fault{Do: sim.Slow, After: 15 * time.Second, Count: 1})}
	starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321"), PINs: memory}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
		b.until("ready", func() bool {
			if said := b.status("modem0"); strings.Contains(said.Reason, "nothing on this port") {
				t.Fatalf("while it unlocks the SIM: %+v", said)
			}
			return b.status("modem0").State == modem.Ready
		})
		b.sends("modem0")
		if memory.count() != 0 {
			t.Error("it stays noted as tried")
		}
	})
}

// TestLocks: what +CPIN? says is told in words that help.
func TestLocks(t *testing.T) {
	for _, c := range []struct {
		says  string
		state modem.State
		words string
	}{
		{"SIM PUK", modem.Parked, "PUK"},
		{"PH-NET PIN", modem.Parked, "another operator"},
		{"PH-SP PIN", modem.Parked, "another operator"},
		{"PH-SIM PIN", modem.Parked, "another SIM"},
		{"PH_SIM PIN", modem.Parked, "another SIM"},
		{"NOT INSERTED", modem.Waiting, "no SIM"},
		{"NOT READY", modem.Waiting, "not ready"},
		{"SIM FAILURE", modem.Waiting, "reseat"},
		{"BLOCKED", modem.Parked, "another one is needed"},
		{"SOMETHING", modem.Parked, "SOMETHING"},
		{"SIM PIN2", modem.Ready, ""},
		{"SIM PUK2", modem.Ready, ""},
	} {
		t.Run(c.says, func(t *testing.T) {
			faults := []sim.Fault{on(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyText, Text: "+CPIN: " + c.says + "\r\n\r\nOK"})}
			starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: faults}}, func(_ *testing.T, b *bench, _ *journal) {
				b.tells("modem0", c.state, c.words)
			})
		})
	}
	for code, words := range map[int]string{10: "no SIM", 12: "PUK", 13: "reseat", 14: "busy", 40: "another SIM or operator", 262: "another one"} {
		t.Run(fmt.Sprint("CME ", code), func(t *testing.T) {
			faults := []sim.Fault{on(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyCME, Code: code, Count: 20})}
			starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: faults}}, func(_ *testing.T, b *bench, _ *journal) {
				b.until(words, func() bool { return strings.Contains(b.status("modem0").Reason, words) })
				b.sends("modem0")
			})
		})
	}
}

// TestPINAskedForByNumber: a modem may ask for the PIN by an error's number.
func TestPINAskedForByNumber(t *testing.T) {
	runRaw(t, []rawCase{{
		name:   "CME 11",
		config: modem.PoolConfig{PINFile: pinFile(t, "4321")},
		adjust: func(m *rawModem) {
			m.answers["AT+CPIN?"] = "\r\n+CME ERROR: 11\r\n"
			m.hooks[`AT+CPIN="4321"`] = func() { m.answers["AT+CPIN?"] = plain()["AT+CPIN?"] }
		},
		check: ready,
	}})
}
