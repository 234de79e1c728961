package modem_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// counts are what has come in so far.
func (b *bench) counts() (reports, inbound int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.reports), len(b.inbound)
}

// told counts the events of a kind.
func (b *bench) told(kind modem.EventKind) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, e := range b.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// within waits for a condition by long steps, for virtual time.
func (b *bench) within(d time.Duration, what string, holds func() bool) {
	b.t.Helper()
	const step = 500 * time.Millisecond
	for begin := time.Now(); !holds(); time.Sleep(step) {
		if time.Since(begin) > d {
			b.t.Fatalf("no %s; %+v", what, b.pool.Statuses())
		}
	}
}

// accepts is a message that the modem accepts, sooner or later.
func (b *bench) accepts(name string) {
	b.t.Helper()
	b.within(15*time.Minute, "message sent", func() bool { return send(b.line(name)).Class == modem.Accepted })
}

// TestEveryKindOfModemHandsOver: whatever a modem's way, its reports and
// messages come, each once, and again after many.
func TestEveryKindOfModemHandsOver(t *testing.T) {
	for _, name := range sim.ProfileNames() {
		p, err := sim.ProfileNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routes := !slices.Contains(p.Unknown, "+CNMI")
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				m := b.net.Modems()[0]
				for i := range 3 {
					b.accepts("modem0")
					m.Receive("+33698765432", fmt.Sprint("message ", i))
					b.within(15*time.Minute, "message", func() bool { _, n := b.counts(); return n > i || !routes && len(p.Memories) == 0 })
					b.within(15*time.Minute, "report", func() bool { n, _ := b.counts(); return n > i || p.NoReports || p.CNMIIgnored || !routes })
				}
				time.Sleep(3 * time.Minute) // virtual: nothing comes twice
				if r, n := b.counts(); r > 3 || n > 3 {
					t.Errorf("%d reports, %d messages", r, n)
				}
				b.unviolated()
			})
		})
	}
}

// TestHandlerFails: what a handler does not keep is offered again, and stays
// where it is stored till then.
func TestHandlerFails(t *testing.T) {
	stores := sim.Generic()
	stores.CNMI = [5]string{"0-2", "0,1", "0", "0,2", "0,1"}
	for _, p := range []sim.Profile{sim.Generic(), stores} {
		t.Run(p.CNMI[1], func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				b.line("modem0")
				failing, asked := true, 0
				b.mu.Lock()
				b.keep = func() error {
					asked++
					if failing {
						return errors.New("the disk is full")
					}
					return nil
				}
				b.mu.Unlock()
				const messages = 15
				for i := range messages {
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
				}
				time.Sleep(10 * time.Minute)
				b.mu.Lock()
				failing = false
				if asked < 2 || asked > 100*messages {
					t.Errorf("asked %d times in ten minutes", asked)
				}
				b.mu.Unlock()
				b.within(15*time.Minute, "messages", func() bool { _, n := b.counts(); return n >= messages })
				time.Sleep(10 * time.Minute)
				if _, n := b.counts(); n != messages {
					t.Errorf("%d messages", n)
				}
			})
		})
	}
}

// TestStoredBefore: what a modem has stored while nobody was there is handed
// on, in whichever memory it is, and its room is free then.
func TestStoredBefore(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*sim.Profile)
	}{
		{"from 0", func(p *sim.Profile) { p.FirstIndex = 0 }},
		{"from 1", func(p *sim.Profile) { p.FirstIndex = 1 }},
		{"empty is OK", func(p *sim.Profile) { p.EmptyIsOK = true }},
		{"many", func(p *sim.Profile) { p.Memories = []sim.Memory{{Name: "ME", Slots: 150}} }},
		{"third memory refused", func(p *sim.Profile) { p.MemoriesCount = 2 }},
		{"lists refused", func(p *sim.Profile) { p.Answers = map[string][]string{"AT+CPMS=?": {"ERROR"}} }},
		{"lists empty", func(p *sim.Profile) { p.Answers = map[string][]string{"AT+CPMS=?": {"+CPMS: (),(),()", "OK"}} }},
		{"state refused", func(p *sim.Profile) { p.Answers = map[string][]string{"AT+CPMS?": {"+CMS ERROR: 500"}} }},
		{"CPMS unknown", func(p *sim.Profile) {
			p.Answers = map[string][]string{"AT+CPMS?": {"ERROR"}, "AT+CPMS=?": {"ERROR"}}
		}},
		{"unanswered now and then", func(p *sim.Profile) { p.Faults = []sim.Fault{on(`^AT\+CM(GR|GD)`, sim.Fault{Do: sim.Mute, Every: 7})} }},
		{"deletion refused at first", func(p *sim.Profile) {
			p.Faults = []sim.Fault{on(`^AT\+CMGD`, sim.Fault{Do: sim.ReplyCMS, Code: 500, Count: 9})}
		}},
		{"deletion done but unanswered", func(p *sim.Profile) {
			p.Faults = []sim.Fault{on(`^AT\+CMGD`, sim.Fault{Do: sim.Slow, After: 12 * time.Second, Every: 4})}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := sim.Generic()
			p.Memories = []sim.Memory{{Name: "SM", Slots: 20}}
			p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
			c.change(&p)
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				count := 2 * p.Memories[0].Slots
				for i := range count { // more than there is room for
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
				}
				b.within(6*time.Hour, "messages", func() bool { _, n := b.counts(); return n >= count })
				time.Sleep(15 * time.Minute)
				b.mu.Lock()
				defer b.mu.Unlock()
				texts := map[string]bool{}
				for _, in := range b.inbound {
					if texts[in.Text] {
						t.Errorf("%s: twice", in.Text)
					}
					texts[in.Text] = true
				}
				if len(texts) != count {
					t.Errorf("%d of %d messages", len(texts), count)
				}
			})
		})
	}
}

// TestDeletionInDoubt: a deletion that was not answered may have been done, and
// what has come to the place since is not deleted unread.
func TestDeletionInDoubt(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 1}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"}
	p.Faults = []sim.Fault{on(`^AT\+CMGD`, sim.Fault{Do: sim.Hang, For: 11 * time.Second, Every: 2})} // it is done then
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		b.line("modem0")
		const messages = 12
		for i := range messages {
			b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
		}
		b.within(2*time.Hour, "messages", func() bool { _, n := b.counts(); return n == messages })
	})
}

// TestUndecodable: what can't be decoded is handed on as it is, directly or
// from a memory, and holds up nothing.
func TestUndecodable(t *testing.T) {
	stores := sim.Generic()
	stores.CNMI = [5]string{"0-2", "0,1", "0", "0,2", "0,1"}
	for _, p := range []sim.Profile{sim.Generic(), stores} {
		t.Run(p.CNMI[1], func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				b.line("modem0")
				m := b.net.Modems()[0]
				bad := []byte{0x04, 0x0b, 0x91, 0x33, 0x16, 0x32, 0x54, 0x76, 0xf8, 0, 0, 0x62, 0x11, 0x90, 0x51, 0x12, 0x72, 0x40, 0xa0, 0x41}
				m.ReceiveTPDU(bad)
				m.Receive("+33698765432", "good")
				b.within(15*time.Minute, "both", func() bool { _, n := b.counts(); return n == 2 })
				b.mu.Lock()
				i := slices.IndexFunc(b.inbound, func(in modem.Inbound) bool { return in.Undecodable })
				if i < 0 || string(b.inbound[i].PDU) != string(bad) || b.inbound[1-i].Text != "good" || b.inbound[i].Modem != "modem0" {
					t.Errorf("undecodable: %d", i)
				}
				b.mu.Unlock()
				if n := b.told(modem.EventUnreadable); n != 1 {
					t.Errorf("told %d times", n)
				}
			})
		})
	}
}

// TestWrongPlace: a report that is not where it was announced is found, and
// the modem told to hand reports over directly, where it can.
func TestWrongPlace(t *testing.T) {
	p := sim.Generic()
	p.ReportAnnouncement, p.EmptyIsOK = `"SM",1`, true
	p.Faults = []sim.Fault{on(`^AT\+CNMI=.,.,0,1`, sim.Fault{Do: sim.ReplyError})} // it refuses at first
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		b.line("modem0")
		b.net.Modems()[0].ClearFaults()
		for i := range 3 {
			b.accepts("modem0")
			b.within(15*time.Minute, "report", func() bool { n, _ := b.counts(); return n > i })
		}
		if n := b.told(modem.EventRouting); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// TestFullMemory: a full memory is told of, emptied and no message is lost;
// sending goes on.
func TestFullMemory(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 10}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"}
	p.FullMessage = `^SMMEMFULL: "%s"`
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		time.Sleep(5 * time.Second)
		begin := time.Now()
		for i := range 25 {
			b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
		}
		for range 5 {
			if r := send(line); r.Class != modem.Accepted {
				t.Errorf("%+v", r)
			}
		}
		if d := time.Since(begin); d > time.Minute {
			t.Errorf("five messages took %v", d)
		}
		b.within(15*time.Minute, "messages", func() bool { _, n := b.counts(); return n == 25 })
		if d := time.Since(begin); d > 5*time.Minute {
			t.Errorf("emptied after %v", d)
		}
		if b.told(modem.EventStoreFull) == 0 {
			t.Error("nobody was told")
		}
	})
}

// TestNoRoomToSend: a modem that refuses to send for want of room is emptied
// of what can be kept, and sends then; what can't be kept stays, also while it
// is parked.
func TestNoRoomToSend(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 5}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"}
	for _, keeps := range []bool{true, false} {
		t.Run(fmt.Sprint(keeps), func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				line := b.line("modem0")
				failing := !keeps
				b.mu.Lock()
				b.keep = func() error {
					if failing {
						return errors.New("the disk is full")
					}
					return nil
				}
				b.mu.Unlock()
				time.Sleep(10 * time.Second)
				for i := range 5 {
					b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
				}
				b.fault(0, sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 322, Count: 1})
				r := send(line)
				if keeps && r.Class != modem.Accepted || !keeps && (r.Class != modem.SIM || r.CMS != 322) {
					t.Errorf("%+v", r)
				}
				if !keeps {
					line.Park("the memory is full", 20*time.Minute)
					time.Sleep(time.Minute)
					b.mu.Lock()
					failing = false
					b.mu.Unlock()
				}
				b.within(15*time.Minute, "messages", func() bool { _, n := b.counts(); return n == 5 })
			})
		})
	}
}

// TestMemorySelectedInSilence: a modem that loses its settings without a word has
// another memory selected than it was told. Nothing is deleted from that one.
func TestMemorySelectedInSilence(t *testing.T) {
	p := sim.Generic()
	p.CNMI[3] = "0,2" // reports are stored, in a memory of their own
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, sim.NetworkConfig{Air: sim.Fixed(3 * time.Second), Report: sim.Fixed(0)})
		var pc modem.PoolConfig
		b.inMemory([]sim.ModemConfig{{Profile: p}}, &pc)
		b.patience = time.Hour
		read, release := make(chan struct{}), make(chan struct{})
		b.held = sync.OnceFunc(func() {
			close(read)
			<-release
		})
		calls := 0
		b.keep = func() error {
			if calls++; calls == 1 { // of the message, which is before the report
				return errors.New("the disk is full")
			}
			return nil
		}
		b.run(pc)
		defer b.stop()
		line := b.line("modem0")
		time.Sleep(20 * time.Second) // its memories have been looked through
		time.AfterFunc(time.Second, func() { b.net.Modems()[0].Receive("+33698765432", "a message") })
		send(line)
		<-read
		time.Sleep(time.Second) // so is the report, from the other memory
		b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Forget, Count: 1})
		time.AfterFunc(time.Second, func() { close(release) })
		send(line)
		b.within(15*time.Minute, "message", func() bool { _, n := b.counts(); return n == 1 })
		b.within(15*time.Minute, "reports", func() bool { n, _ := b.counts(); return n == 2 })
	})
}

// TestFloodOfAnnouncements: announcements of what isn't there cost a bounded
// number of commands.
func TestFloodOfAnnouncements(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		for i := range 600 {
			b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Text: fmt.Sprintf(`+CMTI: "SM",%d`, i%400), Count: 1})
		}
		for range 3 {
			if r := send(line); r.Class != modem.Accepted {
				t.Errorf("%+v", r)
			}
		}
		b.net.Modems()[0].Receive("+33698765432", "after it")
		b.within(15*time.Minute, "message", func() bool { _, n := b.counts(); return n == 1 })
	})
}

// TestTextModeHandsOver: what comes as in text mode is understood, and PDU
// mode seen to.
func TestTextModeHandsOver(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Count: 1, Text: `+CDS: 6,7,"+33612345678",145,"26/11/09,15:21:27+04","26/11/09,15:21:29+04",0`})
		b.within(15*time.Minute, "report", func() bool { n, _ := b.counts(); return n == 1 })
		<-line.Closed()
		b.line("modem0")
		b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Count: 1, Text: "+CMT: \"+33612345678\",,\"26/11/09,15:21:27+04\"\r\nOK or not"})
		b.within(15*time.Minute, "message", func() bool { _, n := b.counts(); return n == 1 })
		b.mu.Lock()
		defer b.mu.Unlock()
		if r := b.reports[0]; r.MR != 7 || r.Recipient != "33612345678" || r.Status != 0 || !r.SCTS.Equal(time.Date(2026, 11, 9, 14, 21, 27, 0, time.UTC)) {
			t.Errorf("MR %d, status %d, SCTS %v", r.MR, r.Status, r.SCTS)
		}
		text, _, err := modem.DecodeParts([][]byte{b.inbound[0].PDU})
		if in := b.inbound[0]; in.From != "+33612345678" || in.Text != "OK or not" || err != nil || !strings.Contains(text, "OK or") {
			t.Errorf("from %q: %q", in.From, in.Text)
		}
	})
}

// TestHandedOverInOddForms: a report whose PDU is in the header's line, or comes
// too late behind it, is taken, and so are texts in UCS-2.
func TestHandedOverInOddForms(t *testing.T) {
	const (
		report = "0006D60B911326880736F4111011719551401110117195714000"
		ucs2   = "002B00330033003600310032003300340035003600370038" // +33612345678
		times  = `"26/11/09,15:21:27+04"`
	)
	for _, c := range []struct {
		name             string
		first, then      string
		behind           time.Duration
		reports, inbound int
	}{
		{"a report in one line", "+CDS: " + report, "", 0, 1, 0},
		{"a report in one line, in quotes", `+CDS: "` + report + `"`, "", 0, 1, 0},
		{"a message in one line", "+CMT: " + storedPDU, "", 0, 0, 1},
		{"a late report", "+CDS: 25", report, 7 * time.Second, 1, 0},
		{"a late message", "+CMT: ,24", storedPDU, 7 * time.Second, 0, 1},
		{"no message", storedPDU, storedPDU, time.Second, 0, 0},
		{"a report in UCS-2", "+CDS: 6,7,\"" + ucs2 + "\",145," + times + "," + times + ",0", "", 0, 1, 0},
		{"a message in UCS-2", "+CMT: \"" + ucs2 + "\",," + times + "\r\n00680065006C006C006F", "", 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, _ *memory) {
				b.line("modem0")
				b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Count: 1, Text: c.first})
				if c.then != "" {
					b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Count: 1, After: c.behind, Text: c.then})
				}
				time.Sleep(20 * time.Second)
				if r, n := b.counts(); r != c.reports || n != c.inbound {
					t.Fatalf("%d reports, %d messages", r, n)
				}
				b.mu.Lock()
				defer b.mu.Unlock()
				for _, r := range b.reports {
					if r.Recipient != "31628870634" && r.Recipient != "33612345678" {
						t.Error("another recipient")
					}
				}
				for _, in := range b.inbound {
					if in.From != "+33612345678" || in.Text != "hello" {
						t.Errorf("from %q: %q", in.From, in.Text)
					}
				}
			})
		})
	}
}
