package modem_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// storedPDU is an SMS-DELIVER of 24 octets that says hello.
const storedPDU = "00040B913316325476F80000" + "62119051127240" + "05E8329BFD06"

// holds has the modem say that it has one message of 20, which is gone once it
// is deleted at the index.
func (m *rawModem) holds(index, total int) {
	line := func(used int) string {
		u := fmt.Sprintf(`%d,%d`, used, total)
		return "\r\n+CPMS: \"SM\"," + u + ",\"SM\"," + u + ",\"SM\"," + u + "\r\n" + okRaw
	}
	m.answers["AT+CPMS?"] = line(1)
	m.answers["AT+CPMS=*"] = fmt.Sprintf("\r\n+CPMS: 1,%d,1,%d,1,%d\r\n%s", total, total, total, okRaw)
	cmd := fmt.Sprint("=", index)
	m.hooks["AT+CMGD"+cmd] = func() {
		m.answers["AT+CPMS?"] = line(0)
		m.answers["AT+CMGR"+cmd] = m.answers["AT+CMGR=*"]
		m.answers["AT+CMGL=4"] = okRaw
	}
}

// fetched is the check that the message was handed on once, and then deleted.
func fetched(index int) func(*testing.T, *bench, *rawModem) {
	return func(t *testing.T, b *bench, m *rawModem) {
		t.Helper()
		b.until("message", func() bool { _, n := b.counts(); return n > 0 })
		b.until("deletion", func() bool { return m.asked(fmt.Sprint("AT+CMGD=", index)) })
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.inbound) != 1 || b.inbound[0].Text != "hello" {
			t.Errorf("%d messages", len(b.inbound))
		}
	}
}

// TestStoredMessagesAreFound: what is stored is read, however a modem says that
// a place is empty, in whatever form it gives a message, and wherever that is.
func TestStoredMessagesAreFound(t *testing.T) {
	const (
		listOf = "\r\n+CMGL: %d,0,,24\r\n" + storedPDU + "\r\n" + okRaw
		shown  = "\r\n+CMGR: 0,,24\r\n" + storedPDU + "\r\n" + okRaw
	)
	var cases []rawCase
	for _, empty := range []string{"+CMS ERROR: 500", "+CME ERROR: 22", "+CMS ERROR: 302", "+CMS ERROR: invalid index"} {
		cases = append(cases, rawCase{"empty is " + empty, modem.PoolConfig{}, func(m *rawModem) {
			m.holds(17, 20)
			m.answers["AT+CMGR=*"], m.answers["AT+CMGR=17"] = "\r\n"+empty+"\r\n", shown
			m.answers["AT+CMGL=4"] = errorRaw
		}, fetched(17)})
	}
	for name, says := range map[string]string{
		"PDU in the header": "+CMGR: 0,,24," + storedPDU, "no header": storedPDU, "prefix of a list": "+CMGL: 0,,24\r\n" + storedPDU,
		"entry of a list": "+CMGL: 3,0,,24\r\n" + storedPDU, "two lines": "+CMGR: 0,,24\r\n" + storedPDU[:20] + "\r\n" + storedPDU[20:],
		"quotes": "+CMGR: 0,,24\r\n\"" + storedPDU + `"`,
	} {
		cases = append(cases, rawCase{name, modem.PoolConfig{}, func(m *rawModem) {
			m.holds(3, 20)
			m.answers["AT+CMGR=3"] = "\r\n" + says + "\r\n" + okRaw
			m.answers["AT+CMGL=4"] = errorRaw
		}, fetched(3)})
	}
	cases = append(cases,
		rawCase{"beyond the end", modem.PoolConfig{}, func(m *rawModem) {
			m.holds(300, 10)
			m.answers["AT+CMGR=300"], m.answers["AT+CMGL=4"] = shown, fmt.Sprintf(listOf, 300)
		}, fetched(300)},
		rawCase{"by a list only", modem.PoolConfig{}, func(m *rawModem) {
			m.holds(3, 10)
			m.answers["AT+CMGR=*"], m.answers["AT+CMGL=4"] = errorRaw, fmt.Sprintf(listOf, 3)
		}, fetched(3)},
		rawCase{"in no way", modem.PoolConfig{}, func(m *rawModem) { m.holds(3, 10) }, func(t *testing.T, b *bench, m *rawModem) {
			t.Helper()
			b.until("word of it", func() bool { return b.told(modem.EventUnreadable) == 1 && m.asked("AT+CMGL=4") })
			ready(t, b, m)
		}},
	)
	runRaw(t, cases)
}

// TestLookGoesOn: places that can't be read keep a look from none behind them.
func TestLookGoesOn(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 20}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
	p.Faults = []sim.Fault{
		on(`^AT\+CMGR=[02468]$`, sim.Fault{Do: sim.ReplyCMS, Code: 500}), on(`^AT\+CMGR=[13579]$`, sim.Fault{Do: sim.ReplyCMS, Code: 302}),
		on(`^AT\+CMGL`, sim.Fault{Do: sim.ReplyError}),
	}
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		for i := range 13 { // nine of them can't be read
			b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
		}
		b.within(10*time.Minute, "messages", func() bool { _, n := b.counts(); return n == 4 })
		b.within(20*time.Minute, "word of the others", func() bool { return b.told(modem.EventUnreadable) == 1 })
		b.within(time.Minute, "notice", func() bool { return strings.Contains(b.status("modem0").Notice, "does not give: 9") })
		b.net.Modems()[0].ClearFaults()
		b.within(20*time.Minute, "the others", func() bool { _, n := b.counts(); return n == 13 })
		b.within(20*time.Minute, "end of the notice", func() bool { return b.status("modem0").Notice == "" })
	})
}

// TestListThatHangs: a modem that hangs over a list is given none again.
func TestListThatHangs(t *testing.T) {
	p := sim.Generic()
	p.CMGLHangs = 500 * time.Second
	p.Memories = []sim.Memory{{Name: "SM", Slots: 20}}
	p.Answers = map[string][]string{"AT+CPMS?": {`+CPMS: "SM",2,20,"SM",2,20,"SM",2,20`, "OK"}}
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		time.Sleep(2 * time.Hour) // virtual
		b.accepts("modem0")
		if n := b.net.ViolationCount()[sim.ViolationHangs]; n != 1 {
			t.Errorf("listed %d times", n)
		}
		if !strings.Contains(b.status("modem0").Notice, "does not give: 2") {
			t.Errorf("%q", b.status("modem0").Notice)
		}
	})
}

// TestNoListWithoutNeed: what comes unannounced while places are read, or behind
// a look that ended early, is not missed: a list might hang the modem.
func TestNoListWithoutNeed(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 50}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
	p.CMGLHangs = 500 * time.Second
	p.Faults = []sim.Fault{
		on(`^AT\+CM(GR|GD)`, sim.Fault{Do: sim.Slow, After: 700 * time.Millisecond, Every: 2}),
		{On: sim.OnTime, Do: sim.URC, Text: "RDY", Interval: 19 * time.Second, For: 15 * time.Minute}, // ends looks early
	}
	inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
		b.line("modem0")
		const messages = 300
		for i := range messages {
			b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
			time.Sleep(time.Duration(i%7) * 1300 * time.Millisecond)
		}
		b.within(2*time.Hour, "messages", func() bool { _, n := b.counts(); return n >= messages })
		b.unviolated()
	})
}

// TestPlacesThatMove: on a modem that fills the gap which a deleted message
// leaves, no message is deleted in the place of another.
func TestPlacesThatMove(t *testing.T) {
	p := sim.Generic()
	p.Memories = []sim.Memory{{Name: "SM", Slots: 50}}
	p.CNMI = [5]string{"0-2", "0", "0", "0", "0,1"} // all is stored, and nothing told
	p.ClosesGaps = true
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, at0())
		var pc modem.PoolConfig
		b.inMemory([]sim.ModemConfig{{Profile: p}}, &pc)
		b.patience = time.Hour
		b.held = sync.OnceFunc(func() { <-time.After(time.Minute) }) // as many are read as can be
		b.run(pc)
		defer b.stop()
		b.line("modem0")
		const messages = 48
		for i := range messages {
			b.net.Modems()[0].Receive("+33698765432", fmt.Sprint("message ", i))
		}
		texts := map[string]bool{}
		b.within(time.Hour, "messages", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, in := range b.inbound {
				texts[in.Text] = true
			}
			return len(texts) == messages
		})
	})
}
