package modem_test

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// memory opens simulated modems without ptys, so that time can be virtual.
type memory struct {
	mu    sync.Mutex
	ports map[string]*sim.Modem // guarded by mu
	id    int                   // counts pluggings; guarded by mu
}

func (o *memory) Open(path string) (wire.Port, error) {
	o.mu.Lock()
	m := o.ports[path]
	o.mu.Unlock()
	if m == nil {
		return nil, fs.ErrNotExist
	}
	return m.Dial()
}

func (o *memory) Lookup(path string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ports[path] == nil {
		return ""
	}
	return fmt.Sprint(o.id)
}

func (o *memory) Glob(string) []string { return nil }

func (o *memory) put(path string, m *sim.Modem) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.id++
	o.ports[path] = m
}

// inMemory makes the modems, gives them power and puts them where pc finds them.
func (b *bench) inMemory(configs []sim.ModemConfig, pc *modem.PoolConfig) *memory {
	b.t.Helper()
	ports := &memory{ports: make(map[string]*sim.Modem)}
	pc.Opener, pc.Ports = ports, nil
	pc.Timeouts = modem.Timeouts{Quiet: 300 * time.Millisecond}
	for i, mc := range configs {
		m, err := b.net.NewModem(mc)
		if err != nil {
			b.t.Fatal(err)
		}
		if err := m.Plug(""); err != nil {
			b.t.Fatal(err)
		}
		name := fmt.Sprintf("modem%d", i)
		ports.put(name, m)
		pc.Ports = append(pc.Ports, name)
	}
	return ports
}

// inVirtualTime runs a pool with its default time-outs over modems in memory,
// which have just been given power.
func inVirtualTime(t *testing.T, configs []sim.ModemConfig, test func(*testing.T, *bench, *memory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, at0())
		var pc modem.PoolConfig
		ports := b.inMemory(configs, &pc)
		b.patience = time.Hour
		b.run(pc)
		defer b.stop()
		test(t, b, ports)
	})
}

func send(line *modem.Line) modem.Result {
	return line.Submit(context.Background(), modem.Submission{To: number, Text: text, Report: true})
}

// TestKnock: what became of a modem while nobody talked to it shows before it is
// given a message: one in text mode gets none as text, and one that hangs gives
// its message back at once.
func TestKnock(t *testing.T) {
	for name, do := range map[string]sim.Action{"text mode": sim.TextModeOn, "hang": sim.Hang} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, _ *memory) {
				m := b.net.Modems()[0]
				line := b.line("modem0")
				time.Sleep(12 * time.Second) // nobody looks after it so soon
				f := sim.Fault{On: sim.OnCommand, Do: do, Count: 1}
				if do == sim.TextModeOn {
					f = sim.Fault{On: sim.OnTime, Do: do, Count: 1, After: time.Millisecond}
				}
				if err := m.AddFault(f); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				begin := time.Now()
				if r := send(line); !r.GivenBack() || time.Since(begin) > 4*time.Second {
					t.Errorf("%+v after %v", r, time.Since(begin))
				}
				<-line.Closed()
				m.ClearFaults()
				if do == sim.Hang {
					if err := m.Reboot(); err != nil {
						t.Fatal(err)
					}
				}
				b.accepts("modem0")
				b.unviolated()
			})
		})
	}
}

func TestBootsOfAllProfiles(t *testing.T) {
	for _, p := range []sim.Profile{sim.Generic(), sim.SIM800(), sim.Quectel(), sim.Huawei()} {
		t.Run(p.Name, func(t *testing.T) {
			var boot time.Duration
			for _, step := range p.Boot {
				boot = max(boot, step.After)
			}
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				begin := time.Now()
				b.until("message", func() bool { return send(b.line("modem0")).Class == modem.Accepted })
				if late := time.Since(begin) - boot; late > 5*time.Second {
					t.Errorf("ready %v after the boot of %v", late, boot)
				}
				b.unviolated()
			})
		})
	}
}

// TestAnswerTimes: a late answer counts up to 180 s after Ctrl-Z.
func TestAnswerTimes(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault sim.Fault
		class modem.Class
		cause string
		took  time.Duration
	}{
		{"62 s", sim.Fault{On: sim.OnAccepted, Do: sim.Slow, After: 62 * time.Second}, modem.Accepted, "", 62 * time.Second},
		{"CMS 350 after 135 s", sim.Fault{On: sim.OnPayload, Do: sim.Slow, After: 135 * time.Second}, modem.Accepted, "", 135 * time.Second},
		{"no prompt", sim.Fault{On: sim.OnPrompt, Do: sim.NoPrompt}, modem.Temporary, "no-prompt", 10 * time.Second},
		{"silence", sim.Fault{On: sim.OnAccepted, Do: sim.Mute}, modem.Ambiguous, "timeout", 180 * time.Second},
		{"blocked", sim.Fault{On: sim.OnCommand, Match: regexp.MustCompile("CMGS"), Do: sim.Hang, For: time.Hour}, modem.Temporary, "no-prompt", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, _ *memory) {
				line := b.line("modem0")
				c.fault.Count = 1
				b.fault(0, c.fault)
				r := send(line)
				if r.Class != c.class || r.Cause != c.cause {
					t.Errorf("%+v", r)
				}
				if took := r.Ended.Sub(r.Began); took.Round(time.Second) != c.took {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestOwedAnswer: after a time-out the next message waits until the answer
// has come or a minute is over.
func TestOwedAnswer(t *testing.T) {
	for _, late := range []time.Duration{181 * time.Second, 190 * time.Second, time.Hour} {
		t.Run(late.String(), func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{FirstMR: 41}}, func(t *testing.T, b *bench, _ *memory) {
				line := b.line("modem0")
				b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Mute, Count: 1})
				b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.URC, Text: "+CMGS: 41\r\n\r\nOK", After: late, Count: 1})
				begin := time.Now()
				if r := send(line); r.Cause != "timeout" {
					t.Fatalf("%+v", r)
				}
				r := send(b.line("modem0"))
				if r.Class != modem.Accepted || r.MR != 42 {
					t.Errorf("next message: %+v", r)
				}
				if d, most := r.Began.Sub(begin), min(late, 240*time.Second)+5*time.Second; d > most {
					t.Errorf("next message after %v, not %v", d, most)
				}
			})
		})
	}
}

func TestReplugIsQuick(t *testing.T) {
	instant := sim.Generic()
	instant.Boot = []sim.BootStep{{Listens: true}}
	inVirtualTime(t, []sim.ModemConfig{{Profile: instant}}, func(t *testing.T, b *bench, ports *memory) {
		line := b.line("modem0")
		m := b.net.Modems()[0]
		ports.put("modem0", nil)
		m.Unplug()
		<-line.Closed()
		time.Sleep(20 * time.Second) // virtual
		if st := b.status("modem0"); st.State != modem.Down || !strings.Contains(st.Reason, "plugged in") {
			t.Errorf("%+v", st)
		}
		if err := m.Plug(""); err != nil {
			t.Fatal(err)
		}
		ports.put("modem0", m)
		begin := time.Now()
		b.line("modem0")
		if d := time.Since(begin); d > 2*time.Second {
			t.Errorf("ready after %v", d)
		}
	})
}

// TestIdleModemIsWatched: what happens to a modem between messages is noticed
// and told, and mends itself.
func TestIdleModemIsWatched(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  sim.Fault
		state  modem.State
		reason string
	}{
		{"registration lost", sim.Fault{On: sim.OnTime, After: time.Minute, Do: sim.NotRegistered, For: 5 * time.Minute}, modem.Waiting, "network"},
		{"SIM removed", sim.Fault{On: sim.OnTime, After: time.Minute, Do: sim.RemoveSIM, For: 5 * time.Minute}, modem.Waiting, "SIM"},
		{"mute", sim.Fault{On: sim.OnCommand, Match: regexp.MustCompile("CSQ"), Nth: 4, Do: sim.Hang, For: 5 * time.Minute}, modem.Parked, "does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{c.fault}}}, func(t *testing.T, b *bench, _ *memory) {
				line := b.line("modem0")
				<-line.Closed()
				b.until("state", func() bool {
					st := b.status("modem0")
					return st.State == c.state && strings.Contains(st.Reason, c.reason)
				})
				if r := send(b.line("modem0")); r.Class != modem.Accepted {
					t.Errorf("%+v", r)
				}
			})
		})
	}
}

// TestNoise: a modem that chatters all the time still sends.
func TestNoise(t *testing.T) {
	for _, text := range []string{"^RSSI:26", "SMS Ready", "+CREG: 1", "^BOOT:1,0,0,0,6"} {
		t.Run(text, func(t *testing.T) {
			faults := []sim.Fault{{On: sim.OnTime, Do: sim.URC, Text: text, Interval: 200 * time.Millisecond}}
			inVirtualTime(t, []sim.ModemConfig{{Faults: faults}}, func(t *testing.T, b *bench, _ *memory) {
				begin := time.Now()
				for sent := 0; sent < 20; {
					if send(b.line("modem0")).Class == modem.Accepted {
						sent++
					}
				}
				if d := time.Since(begin); d > 30*time.Second {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

// TestTwins: of two ports of one modem one is used, and the other says why
// it isn't; it takes over when the first is gone.
func TestTwins(t *testing.T) {
	same := sim.ModemConfig{IMEI: "490154203237518", IMSI: "001010000000009"}
	inVirtualTime(t, []sim.ModemConfig{same, same}, func(t *testing.T, b *bench, ports *memory) {
		var used, other string
		b.until("one ready, one not", func() bool {
			for _, st := range b.pool.Statuses() {
				switch {
				case st.State == modem.Ready:
					used = st.Port
				case st.State == modem.Down && strings.Contains(st.Reason, "same modem"):
					other = st.Port
				}
			}
			return used != "" && other != ""
		})
		b.line(used)
		ports.put(used, nil)
		for i, m := range b.net.Modems() {
			if fmt.Sprintf("modem%d", i) == used {
				m.Unplug()
			}
		}
		b.until("the other one in use", func() bool {
			st := b.status(used)
			return st.State == modem.Ready && st.Port == other
		})
	})
}

// TestOddModems: what a modem can't do, or does in its own way, keeps it from
// nothing else.
func TestOddModems(t *testing.T) {
	always := func(pattern string, f sim.Fault) []sim.Fault {
		f.On, f.Match = sim.OnCommand, regexp.MustCompile(pattern)
		return []sim.Fault{f}
	}
	for _, c := range []struct {
		name   string
		faults []sim.Fault
	}{
		{"CPIN without OK", always(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyText, Text: "+CPIN: READY"})},
		{"CNMI unanswered", always(`^AT\+CNMI=\?`, sim.Fault{Do: sim.Mute})},
		{"CSMS unanswered", always(`^AT\+CSMS`, sim.Fault{Do: sim.Mute})},
		{"COPS unanswered", always(`^AT\+COPS`, sim.Fault{Do: sim.Mute})},
		{"no IMEI", always(`^AT\+C?GSN`, sim.Fault{Do: sim.ReplyText, Text: "COMMAND NOT SUPPORT"})},
		{"no model", always(`^AT\+CGM[IMR]`, sim.Fault{Do: sim.ReplyError})},
		{"no CMEE", always(`^AT\+CMEE`, sim.Fault{Do: sim.ReplyError})},
		{"no CFUN", always(`^AT\+CFUN`, sim.Fault{Do: sim.ReplyCME, Code: 3})},
		{"CSCA empty", always(`^AT\+CSCA\?`, sim.Fault{Do: sim.BareOK})},
		{"CME 14 at all that touches the SIM", always(`^AT\+(CPIN|CIMI|CSCA)`, sim.Fault{Do: sim.ReplyCME, Code: 14, Count: 8})},
		{"CME 515 after CFUN=1", always(`^AT\+(CPIN|CIMI)`, sim.Fault{Do: sim.ReplyCME, Code: 515, Count: 2})},
		{"CREG unknown", always(`^AT\+CREG\?`, sim.Fault{Do: sim.ReplyError})},
		{"LTE only", always(`^AT\+CREG\?`, sim.Fault{Do: sim.ReplyText, Text: "+CREG: 0,2\r\n\r\nOK"})},
		{"registered for SMS only", always(`^AT\+C(E|G|5G)?REG\?`, sim.Fault{Do: sim.ReplyText, Text: "+CREG: 0,6\r\n\r\nOK"})},
		{"OK with a blank", always(`^AT`, sim.Fault{Do: sim.URC, Text: "^BOOT:1,0,0,0,88", Every: 2})},
		{"binary noise", always(`^AT`, sim.Fault{Do: sim.Noise, Size: 300, Every: 3})},
		{"bytes one by one", []sim.Fault{{On: sim.OnTime, Do: sim.SplitBytes}}},
		{"a silent command now and then", always(`^AT`, sim.Fault{Do: sim.Mute, Every: 9})},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Faults: c.faults}}, func(t *testing.T, b *bench, _ *memory) {
				b.patience = 5 * time.Minute
				b.until("message sent", func() bool { return send(b.line("modem0")).Class == modem.Accepted })
				b.unviolated()
			})
		})
	}
}

// TestStoredMessages: a modem that only announces what it stores has it read,
// handed on and deleted.
func TestStoredMessages(t *testing.T) {
	stores := sim.Generic()
	stores.CNMI = [5]string{"0-2", "0,1", "0", "0,2", "0,1"}
	wrong := stores
	wrong.ReportAnnouncement = `"SM",0`
	for _, p := range []sim.Profile{stores, wrong} {
		t.Run(p.ReportAnnouncement, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				b.patience = 5 * time.Minute
				for i := range 60 { // more than a memory holds
					b.until("message sent", func() bool { return send(b.line("modem0")).Class == modem.Accepted })
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
					b.until("message", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.inbound) > i })
					if p.ReportAnnouncement == "" {
						b.until("report", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.reports) > i })
					}
				}
			})
		})
	}
}

// TestLeftAtAPrompt: a process that was killed left the modem waiting for a
// payload; the next one's commands don't become its text.
func TestLeftAtAPrompt(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, ports *memory) {
		line := b.line("modem0")
		m := b.net.Modems()[0]
		ports.put("modem0", nil)
		m.Unplug()
		<-line.Closed()
		if err := m.Plug(""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second) // virtual: it starts
		client, err := m.Dial()
		if err != nil {
			t.Fatal(err)
		}
		for _, cmd := range []string{"AT\r", "AT+CMGF=0\r", "AT+CMGS=18\r", "0011000B91"} {
			if _, err := client.Write([]byte(cmd)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		client.Close()
		synctest.Wait()
		ports.put("modem0", m)
		b.until("message sent", func() bool { return send(b.line("modem0")).Class == modem.Accepted })
		if got := b.net.Messages(); len(got) != 1 || got[0].To != "+"+number {
			t.Errorf("%d messages", len(got))
		}
	})
}

// A report that comes the moment the SIM is back, before the driver has read
// whose it is, is that SIM's.
func TestReportOfASIMThatWasAway(t *testing.T) {
	inVirtualTime(t, modems(1), func(t *testing.T, b *bench, _ *memory) {
		m := b.net.Modems()[0]
		b.fault(0, sim.Fault{On: sim.OnReport, Do: sim.DelayReport, After: 10 * time.Second})
		if r := send(b.line("modem0")); r.Class != modem.Accepted {
			t.Fatalf("%+v", r)
		}
		m.SetSIMPresent(false)
		if r := send(b.line("modem0")); r.Class != modem.SIM {
			t.Fatalf("without a SIM: %+v", r)
		}
		time.Sleep(20 * time.Second) // virtual
		m.SetSIMPresent(true)
		b.until("report", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.reports) == 1 })
		if got := b.reports[0].IMSI; got != m.IMSI() {
			t.Errorf("the report is of SIM %q, not %q", got, m.IMSI())
		}
	})
}

// A SIM that was taken out just when its IMSI was asked for is known before
// anything is credited to it.
func TestIMSIOfASIMThatWasAway(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{
		{On: sim.OnCommand, Match: regexp.MustCompile(`^AT\+CIMI$`), Count: 3, Do: sim.ReplyError},
	}}}, func(t *testing.T, b *bench, _ *memory) {
		if got := b.line("modem0").IMSI(); got != b.net.Modems()[0].IMSI() {
			t.Errorf("IMSI %q", got)
		}
	})
}

// A message does not wait for a modem that hangs over a look of its own: it is
// given back in time for another to take it.
func TestMessageIsGivenBackByAModemThatHangs(t *testing.T) {
	inVirtualTime(t, modems(1), func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		b.fault(0, sim.Fault{On: sim.OnCommand, Match: regexp.MustCompile(`^AT\+CREG\?`), Do: sim.Slow, After: 9500 * time.Millisecond, Count: 1})
		time.Sleep(31 * time.Second) // virtual; it is being looked after now
		began := time.Now()
		if r := send(line); !r.GivenBack() || time.Since(began) > 6*time.Second {
			t.Errorf("after %v: %+v", time.Since(began), r)
		}
		if r := send(b.line("modem0")); r.Class != modem.Accepted {
			t.Errorf("the next: %+v", r)
		}
	})
}
