package modem_test

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// on are faults that strike each command with the pattern.
func on(pattern string, f sim.Fault) sim.Fault {
	f.On, f.Match = sim.OnCommand, regexp.MustCompile(pattern)
	return f
}

// TestModemsThatKnowLittle: what a modem refuses as unknown, answers by OK
// alone or leaves unanswered keeps it from sending only for a while.
func TestModemsThatKnowLittle(t *testing.T) {
	const (
		mode     = `^AT\+CMGF\?`
		networks = `^AT\+C(E|G|5G)?REG\?`
		queries  = `^AT\+[A-Z0-9]+\?`
		most     = `^AT\+(C[^PM]|C?GSN|CMEE|CPMS|I|Q)|^AT\+C[A-Z0-9]+\?|^ATQ`
	)
	for _, c := range []struct {
		name    string
		pattern string
		do      sim.Fault
		within  time.Duration
	}{
		{"mode refused", mode, sim.Fault{Do: sim.ReplyError}, 10 * time.Second},
		{"mode by OK alone", mode, sim.Fault{Do: sim.BareOK}, 10 * time.Second},
		{"mode unanswered", mode, sim.Fault{Do: sim.Mute}, 30 * time.Second},
		{"registration refused", networks, sim.Fault{Do: sim.ReplyError}, 30 * time.Second},
		{"registration not supported", networks, sim.Fault{Do: sim.ReplyCME, Code: 4}, 30 * time.Second},
		{"registration by OK alone", networks, sim.Fault{Do: sim.BareOK}, 30 * time.Second},
		{"SIM's state refused", `^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyCME, Code: 100}, 30 * time.Second},
		{"IMSI refused", `^AT\+CIMI`, sim.Fault{Do: sim.ReplyError}, 10 * time.Second},
		{"all queries by OK alone", queries, sim.Fault{Do: sim.BareOK}, 60 * time.Second},
		{"all queries refused", queries, sim.Fault{Do: sim.ReplyText, Text: "COMMAND NOT SUPPORT"}, 60 * time.Second},
		{"all queries unanswered", queries, sim.Fault{Do: sim.Mute}, 2 * time.Minute},
		{"most commands refused", most, sim.Fault{Do: sim.ReplyCME, Code: 3}, 60 * time.Second},
		{"most commands unanswered", most, sim.Fault{Do: sim.Mute}, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{on(c.pattern, c.do)}}}, func(t *testing.T, b *bench, _ *memory) {
				b.patience = c.within
				line := b.line("modem0")
				if r := send(line); r.Class != modem.Accepted {
					t.Errorf("%+v", r)
				}
				time.Sleep(2 * time.Minute) // virtual: it is looked after, and stays
				if !b.open(line) || b.status("modem0").State != modem.Ready {
					t.Errorf("%+v", b.status("modem0"))
				}
				b.unviolated()
			})
		})
	}
}

// TestTextModeIsNeverBelieved: a modem that says that it is in text mode gets
// no message, whatever it says to AT+CMGF=0.
func TestTextModeIsNeverBelieved(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{
		on(`^AT\+CMGF\?`, sim.Fault{Do: sim.ReplyText, Text: "+CMGF: 1\r\n\r\nOK"}),
	}}}, func(t *testing.T, b *bench, _ *memory) {
		time.Sleep(10 * time.Minute)
		if st := b.status("modem0"); st.State != modem.Waiting || !strings.Contains(st.Reason, "text mode") {
			t.Errorf("%+v", st)
		}
	})
}

// TestIMSIThatComesLate: a SIM that kept its IMSI back is known once it tells.
func TestIMSIThatComesLate(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{
		on(`^AT\+CIMI`, sim.Fault{Do: sim.ReplyError, Count: 4}),
	}}}, func(t *testing.T, b *bench, _ *memory) {
		if line := b.line("modem0"); line.IMSI() != "imei-"+line.IMEI() {
			t.Error("it was told at once")
		}
		b.until("IMSI", func() bool { return b.line("modem0").IMSI() == b.net.Modems()[0].IMSI() })
	})
}

// TestGarbledIMEI: a port whose modem names another IMEI than before keeps its
// name: nobody else has it.
func TestGarbledIMEI(t *testing.T) {
	b := start(t, at0(), []sim.ModemConfig{{Faults: []sim.Fault{
		on(`^AT\+CGSN`, sim.Fault{Do: sim.ReplyText, Text: "860000000000001\r\n\r\nOK", Count: 1}),
	}}}, modem.PoolConfig{})
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Text: "RDY", Count: 1})
	<-line.Closed()
	b.until("the true IMEI", func() bool { return b.line("modem0").IMEI() == b.net.Modems()[0].IMEI() })
}

// TestSlowModem: one that takes two seconds for each answer is no mute one.
func TestSlowModem(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{
		on(`^AT`, sim.Fault{Do: sim.Slow, After: 2 * time.Second}),
	}}}, func(t *testing.T, b *bench, _ *memory) {
		b.patience = 5 * time.Minute
		if r := send(b.line("modem0")); r.Class != modem.Accepted {
			t.Errorf("%+v", r)
		}
	})
}

// journal is a log that a test can read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.text.String(), s)
}

// TestLogTellsChanges: a port that stays mute is told of once, not at each
// try, and a stop is no trouble of the modem.
func TestLogTellsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, at0())
		ports := &memory{ports: make(map[string]*sim.Modem)}
		for name, faults := range map[string][]sim.Fault{
			"mute": {on(`^AT`, sim.Fault{Do: sim.Hang})},
			"good": nil,
		} {
			m, err := b.net.NewModem(sim.ModemConfig{Faults: faults})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Plug(""); err != nil {
				t.Fatal(err)
			}
			ports.put(name, m)
		}
		b.patience = time.Minute
		log := &journal{}
		b.run(modem.PoolConfig{
			Opener: ports, Ports: []string{"mute", "good"},
			Timeouts: modem.Timeouts{Quiet: 300 * time.Millisecond},
			Logger:   slog.New(slog.NewTextHandler(log, nil)),
		})
		b.line("good")
		time.Sleep(30 * time.Minute)
		if n := log.count("modem is down"); n != 1 {
			t.Errorf("told %d times that the port is mute", n)
		}
		if st := b.status("mute"); st.State != modem.Down {
			t.Errorf("%+v", st)
		}
		b.stop()
		if n := log.count("looked after"); n != 0 {
			t.Errorf("the stop was taken for trouble %d times", n)
		}
	})
}

// TestUnreadableReport: a delivery report that can't be read is told of,
// without what is in it, and holds up nothing.
func TestUnreadableReport(t *testing.T) {
	const short = "0006D60B911326880736F4"
	log := &journal{}
	b := start(t, at0(), modems(1), modem.PoolConfig{Logger: slog.New(slog.NewTextHandler(log, nil))})
	b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnPayload, Do: sim.URC, Text: "+CDS: 10\r\n" + short, Count: 1})
	if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
		t.Errorf("%+v", r)
	}
	b.until("log line", func() bool { return log.count("could not be read") == 1 })
	if log.count(short) > 0 || log.count("31628870634") > 0 {
		t.Error("the log holds the report")
	}
}
