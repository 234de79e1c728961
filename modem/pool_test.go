package modem_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// at0 is a network whose messages are in the air for no time.
func at0() sim.NetworkConfig {
	return sim.NetworkConfig{Air: sim.Fixed(0), Report: sim.Fixed(0)}
}

func modems(n int) []sim.ModemConfig { return make([]sim.ModemConfig, n) }

const (
	number = "33612345678"
	text   = "123456 is your verification code."
)

func TestSend(t *testing.T) {
	b := start(t, at0(), []sim.ModemConfig{{FirstMR: 7}}, modem.PoolConfig{})
	r := b.submit("modem0", number, text)
	if r.Class != modem.Accepted || r.MR != 7 || !r.Committed || r.Cause != "" {
		t.Errorf("%+v", r)
	}
	if r.Began.IsZero() || r.CommittedAt.Before(r.Began) || r.Ended.Before(r.Began) {
		t.Errorf("times: %+v", r)
	}
	got := b.net.Messages()
	if len(got) != 1 || got[0].To != "+"+number || got[0].Text != text {
		t.Error("the network has something else")
	}
	b.until("report", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.reports) == 1 })
	rep := b.reports[0]
	if rep.MR != 7 || rep.Recipient != number || rep.Outcome() != modem.Delivered || rep.IMSI != b.net.Modems()[0].IMSI() {
		t.Errorf("report of MR %d, status %d", rep.MR, rep.Status)
	}
	line := b.line("modem0")
	if line.IMEI() != b.net.Modems()[0].IMEI() || line.IMSI() != b.net.Modems()[0].IMSI() {
		t.Error("the line has another identity than the modem")
	}
	st := b.status("modem0")
	if st.State != modem.Ready || st.Reason != "" || st.Model == "" || !st.Registered || st.Port != b.path(0) {
		t.Errorf("status %+v", st)
	}
	b.unviolated()
}

// unviolated checks that the driver kept to the protocol.
func (b *bench) unviolated() {
	b.t.Helper()
	for _, m := range b.net.Modems() {
		for _, v := range m.Violations() {
			b.t.Errorf("violation: %+v", v)
		}
	}
}

// TestFaults: what becomes of a message when something goes wrong with it,
// and that the next one goes its way.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		fault     sim.Fault
		class     modem.Class
		cause     string
		committed bool
		sent      int  // by the faulty submission
		same      bool // the line stays open
	}{
		{"CMS 1", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 1}, modem.Destination, "cms-1", true, 0, true},
		{"CMS 38", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 38}, modem.Temporary, "cms-38", true, 0, true},
		{"CMS 41", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 41}, modem.Temporary, "cms-41", true, 0, true},
		{"CMS 304", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 304}, modem.Ours, "cms-304", true, 0, true},
		{"CMS 330", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 330}, modem.Accepted, "", true, 1, true},
		{"CMS 500, sent", sim.Fault{On: sim.OnAccepted, Do: sim.ReplyCMS, Code: 500}, modem.Ambiguous, "cms-500", true, 1, false},
		{"CMS 500, not sent", sim.Fault{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 500}, modem.Ambiguous, "cms-500", true, 0, false},
		{"CMS 310 before the prompt", sim.Fault{On: sim.OnCMGS, Do: sim.ReplyCMS, Code: 310}, modem.SIM, "cms-310", false, 0, false},
		{"CMS 304 before the prompt", sim.Fault{On: sim.OnCMGS, Do: sim.ReplyCMS, Code: 304}, modem.Temporary, "cms-304", false, 0, false},
		{"bare ERROR at once", sim.Fault{On: sim.OnPayload, Do: sim.ReplyError}, modem.Temporary, "error", true, 0, false},
		{"second prompt", sim.Fault{On: sim.OnPayload, Do: sim.SecondPrompt}, modem.Accepted, "", true, 1, true},
		{"OK without reference", sim.Fault{On: sim.OnAccepted, Do: sim.BareOK}, modem.Ambiguous, "no-reference", true, 1, false},
		{"no prompt", sim.Fault{On: sim.OnPrompt, Do: sim.NoPrompt}, modem.Temporary, "no-prompt", false, 0, false},
		{"late prompt", sim.Fault{On: sim.OnPrompt, Do: sim.LatePrompt, After: 550 * time.Millisecond}, modem.Temporary, "no-prompt", false, 0, false},
		{"prompt without LF", sim.Fault{On: sim.OnPrompt, Do: sim.PromptNoLF}, modem.Accepted, "", true, 1, true},
		{"prompt without space", sim.Fault{On: sim.OnPrompt, Do: sim.PromptNoSpace}, modem.Accepted, "", true, 1, true},
		{"mute after acceptance", sim.Fault{On: sim.OnAccepted, Do: sim.Mute}, modem.Ambiguous, "timeout", true, 1, false},
		{"slow answer", sim.Fault{On: sim.OnAccepted, Do: sim.Slow, After: 700 * time.Millisecond}, modem.Accepted, "", true, 1, true},
		{"unplugged at the prompt", sim.Fault{On: sim.OnPrompt, Do: sim.Unplug, Back: 50 * time.Millisecond}, modem.Temporary, "eof", false, 0, false},
		{"unplugged after acceptance", sim.Fault{On: sim.OnAccepted, Do: sim.Unplug, Back: 50 * time.Millisecond}, modem.Ambiguous, "eof", true, 1, false},
		{"single bytes", sim.Fault{On: sim.OnCMGS, Do: sim.SplitBytes}, modem.Accepted, "", true, 1, true},
		{"noise", sim.Fault{On: sim.OnPayload, Do: sim.NMEA}, modem.Accepted, "", true, 1, true},
		{"NULs", sim.Fault{On: sim.OnPayload, Do: sim.NULFlood, Size: 60000}, modem.Accepted, "", true, 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, at0(), modems(1), modem.PoolConfig{})
			line := b.line("modem0")
			c.fault.Count = 1
			b.fault(0, c.fault)
			r := line.Submit(context.Background(), modem.Submission{To: number, Text: text})
			if r.Class != c.class || r.Cause != c.cause || r.Committed != c.committed {
				t.Errorf("got %+v", r)
			}
			if got := len(b.net.Messages()); got != c.sent {
				t.Errorf("%d sent", got)
			}
			if b.open(line) != c.same {
				t.Errorf("line open: %v", !c.same)
			}
			// Whatever it was, the next message goes its way, with its own text.
			if r := b.submit("modem0", "33700000001", "next"); r.Class != modem.Accepted {
				t.Errorf("next message: %+v", r)
			}
			all := b.net.Messages()
			if len(all) != c.sent+1 {
				t.Fatalf("%d messages", len(all))
			}
			if last := all[c.sent]; last.To != "+33700000001" || last.Text != "next" {
				t.Error("the last is not the next one")
			}
			b.unviolated()
		})
	}
}

func (b *bench) open(line *modem.Line) bool {
	select {
	case <-line.Closed():
		return false
	default:
		return true
	}
}

// TestManyAtOnce: 100 submissions over four modems, each number gets exactly
// its own text.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(4), modem.PoolConfig{})
	var sending sync.WaitGroup
	for i := range 100 {
		line := b.line(fmt.Sprintf("modem%d", i%4))
		sending.Go(func() {
			r := line.Submit(context.Background(), modem.Submission{To: fmt.Sprintf("336000000%02d", i), Text: fmt.Sprintf("code %06d", i*7)})
			if r.Class != modem.Accepted {
				t.Errorf("%d: %+v", i, r)
			}
		})
	}
	sending.Wait()
	for i := range 100 {
		phone := b.net.Handset(fmt.Sprintf("+336000000%02d", i))
		b.until("message", func() bool { return len(phone.Messages()) > 0 })
		got := phone.Messages()
		if len(got) != 1 || got[0].Text != fmt.Sprintf("code %06d", i*7) {
			t.Errorf("number %d got %d messages, or another's", i, len(got))
		}
	}
	b.unviolated()
}

// TestHangTouchesNobodyElse: one modem hangs in the middle of AT+CMGS while
// another one goes on.
func TestHangTouchesNobodyElse(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(2), modem.PoolConfig{})
	hung := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Hang, For: 2500 * time.Millisecond, Count: 1})
	result := make(chan modem.Result, 1)
	go func() {
		result <- hung.Submit(context.Background(), modem.Submission{To: number, Text: text})
	}()
	for i := range 20 {
		if r := b.submit("modem1", "33700000001", fmt.Sprint("message ", i)); r.Class != modem.Accepted {
			t.Errorf("the other modem: %+v", r)
		}
	}
	if r := <-result; r.Class != modem.Ambiguous || r.Cause != "timeout" || !r.Committed {
		t.Errorf("the hung one: %+v", r)
	}
	// Its late answer comes at the end of the hang, and is nobody's.
	if r := b.submit("modem0", "33700000002", "after"); r.Class != modem.Accepted || r.MR != lastMR(b, 0) {
		t.Errorf("after the hang: %+v", r)
	}
}

// lastMR is the reference that the network last gave to the modem.
func lastMR(b *bench, i int) byte {
	all := b.net.Messages()
	for n := len(all) - 1; n >= 0; n-- {
		if all[n].Modem == i {
			return all[n].MR
		}
	}
	return 0
}

// TestLateAnswer: the answer of a message that timed out comes while the
// modem answers other commands; it is not credited to the next message.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), []sim.ModemConfig{{FirstMR: 41}}, modem.PoolConfig{})
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Mute, Count: 1})
	b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.URC, Text: "+CMGS: 41\r\n\r\nOK", After: 1300 * time.Millisecond, Count: 1})
	if r := line.Submit(context.Background(), modem.Submission{To: number, Text: text}); r.Cause != "timeout" {
		t.Fatalf("%+v", r)
	}
	if r := b.submit("modem0", "33700000001", "next"); r.Class != modem.Accepted || r.MR != 42 {
		t.Errorf("next message: %+v", r)
	}
}

func TestReboot(t *testing.T) {
	profile := sim.SIM800() // comes back with echo, and says RDY
	profile.TextMode = true
	profile.Boot = []sim.BootStep{{After: 0, Line: "RDY", Listens: true}, {After: 0, Line: "+CFUN: 1"}, {After: 50 * time.Millisecond, Line: "SMS Ready"}}
	b := start(t, at0(), []sim.ModemConfig{{Profile: profile}}, modem.PoolConfig{})
	b.until("quiet after the start", func() bool { return b.submit("modem0", "33700000000", "first").Class == modem.Accepted })
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnPayload, Do: sim.Reboot, Count: 1})
	r := line.Submit(context.Background(), modem.Submission{To: number, Text: text})
	if r.Class != modem.Ambiguous || r.Cause != "reboot" || !r.Committed {
		t.Errorf("%+v", r)
	}
	b.until("message after the reboot", func() bool { return b.submit("modem0", "33700000001", "next").Class == modem.Accepted })
	b.unviolated()
	for _, m := range b.net.Messages() {
		if m.To == "+"+number || !strings.HasPrefix(m.To, "+337") {
			t.Error("a message that was lost in the reboot was sent, or to a wrong number")
		}
	}
}

// TestForgottenSettings: a modem that says RDY while idle has lost its
// settings; no message is sent before they are back.
func TestForgottenSettings(t *testing.T) {
	profile := sim.Generic()
	profile.TextMode = true
	b := start(t, at0(), []sim.ModemConfig{{Profile: profile}}, modem.PoolConfig{})
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.Forget, Count: 1})
	b.fault(0, sim.Fault{On: sim.OnTime, Do: sim.URC, Text: "RDY", Count: 1})
	<-line.Closed()
	if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
		t.Errorf("%+v", r)
	}
	if got := b.net.Messages(); len(got) != 1 || got[0].To != "+"+number {
		t.Error("it went elsewhere")
	}
	b.unviolated()
}

// TestForgottenSilently: a modem that says nothing of its restart gives itself
// away by its echo; the message waits until it is set up again.
func TestForgottenSilently(t *testing.T) {
	profile := sim.Generic()
	profile.TextMode = true
	b := start(t, at0(), []sim.ModemConfig{{Profile: profile}}, modem.PoolConfig{})
	b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Forget, Count: 1})
	if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
		t.Fatalf("%+v", r)
	}
	if r := send(b.line("modem0")); r.Committed {
		t.Errorf("%+v", r)
	}
	b.until("message sent", func() bool { return b.submit("modem0", number, text).Class == modem.Accepted })
	if got := b.net.Messages(); len(got) != 2 || got[1].To != "+"+number {
		t.Errorf("%d messages, or one went elsewhere", len(got))
	}
	b.unviolated()
}

// TestForgottenWhilePrepared: the same while it is being set up.
func TestForgottenWhilePrepared(t *testing.T) {
	profile := sim.Generic()
	profile.TextMode = true
	b := start(t, at0(), []sim.ModemConfig{{Profile: profile, Faults: []sim.Fault{
		on(`^AT\+COPS`, sim.Fault{Do: sim.Forget, Count: 1}),
	}}}, modem.PoolConfig{})
	b.until("message sent", func() bool { return b.submit("modem0", number, text).Class == modem.Accepted })
	b.unviolated()
}

func TestUnplug(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		back func(*bench) string
	}{
		{"same name", func(b *bench) string { return b.path(0) }},
		{"other name", func(b *bench) string { return b.path(5) }},
		{"longer name", func(b *bench) string { return b.path(0) + "-1" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, at0(), modems(1), modem.PoolConfig{})
			line := b.line("modem0")
			m := b.net.Modems()[0]
			m.Unplug()
			<-line.Closed()
			b.until("status down", func() bool { return b.status("modem0").State == modem.Down })
			if st := b.status("modem0"); st.Reason == "" || st.IMEI != m.IMEI() {
				t.Errorf("%+v", st)
			}
			if r := line.Submit(context.Background(), modem.Submission{To: number, Text: text}); r.Committed || r.Class != modem.Temporary {
				t.Errorf("on a closed line: %+v", r)
			}
			if err := m.Plug(c.back(b)); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
				t.Errorf("%+v", r)
			}
			if d := time.Since(begin); d > 4*time.Second {
				t.Errorf("ready after %v", d)
			}
			if st := b.status("modem0"); st.Port != c.back(b) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestStrangerNextDoor: another modem that appears beside the lost one's port
// is not taken for it, and does not hide it.
func TestStrangerNextDoor(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(2), modem.PoolConfig{Ports: []string{"DIR/modem0"}})
	m, stranger := b.net.Modems()[0], b.net.Modems()[1]
	stranger.Unplug()
	line := b.line("modem0")
	m.Unplug()
	<-line.Closed()
	if err := stranger.Plug(b.path(6)); err != nil {
		t.Fatal(err)
	}
	b.until("stranger looked at", func() bool { return b.status("modem0").Port == b.path(6) })
	if err := m.Plug(b.path(7)); err != nil {
		t.Fatal(err)
	}
	if line := b.line("modem0"); line.IMEI() != m.IMEI() || b.status("modem0").Port != b.path(7) {
		t.Errorf("modem0 is %+v", b.status("modem0"))
	}
	if n := len(b.pool.Statuses()); n != 1 {
		t.Errorf("%d statuses", n)
	}
}

// TestOrder: modems keep their names when they come back in another order.
func TestOrder(t *testing.T) {
	t.Parallel()
	for _, ports := range [][]string{{"DIR/modem0", "DIR/modem1"}, {"DIR/modem?"}} {
		t.Run(ports[0], func(t *testing.T) {
			b := start(t, at0(), modems(2), modem.PoolConfig{Ports: ports})
			a, z := b.net.Modems()[0], b.net.Modems()[1]
			first, second := b.line("modem0"), b.line("modem1")
			a.Unplug()
			z.Unplug()
			<-first.Closed()
			<-second.Closed()
			if a.Plug(b.path(1)) != nil || z.Plug(b.path(0)) != nil {
				t.Fatal("plug")
			}
			if line := b.line("modem0"); line.IMEI() != a.IMEI() {
				t.Error("modem0 is another modem now")
			}
			if line := b.line("modem1"); line.IMEI() != z.IMEI() {
				t.Error("modem1 is another modem now")
			}
			if all := b.pool.Statuses(); len(all) != 2 || all[0].Port != b.path(1) || all[1].Port != b.path(0) {
				t.Errorf("%+v", all)
			}
		})
	}
}

// TestGlobFollows: a modem that comes back under another name that the glob
// matches keeps its own.
func TestGlobFollows(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(1), modem.PoolConfig{Ports: []string{"stick=DIR/modem*"}})
	m := b.net.Modems()[0]
	for i := range 3 {
		line := b.line("stick")
		if line.IMEI() != m.IMEI() {
			t.Fatal("not the modem")
		}
		m.Unplug()
		<-line.Closed()
		if err := m.Plug(b.path(10 + i)); err != nil {
			t.Fatal(err)
		}
	}
	b.line("stick")
	b.until("one status", func() bool {
		all := b.pool.Statuses()
		return len(all) == 1 && all[0].Port == b.path(12)
	})
}

// TestBlockedWrite: a modem that takes no octets costs its message no more
// than the write's deadline, and the others nothing.
func TestBlockedWrite(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(2), modem.PoolConfig{})
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnCMGS, Do: sim.BlockWrites, For: 2 * time.Second, Count: 1})
	fill := modem.Submission{To: number, Text: strings.Repeat("x", 160)}
	var last modem.Result
	b.until("blocked write", func() bool {
		last = line.Submit(context.Background(), fill)
		return last.Class != modem.Accepted
	})
	if last.Committed && last.Class != modem.Ambiguous {
		t.Errorf("%+v", last)
	}
	if r := b.submit("modem1", number, text); r.Class != modem.Accepted {
		t.Errorf("the other modem: %+v", r)
	}
	if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
		t.Errorf("after the block: %+v", r)
	}
}

func TestAbortedByContext(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(1), modem.PoolConfig{})
	line := b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnPrompt, Do: sim.NoPrompt, Count: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if r := line.Submit(ctx, modem.Submission{To: number, Text: text}); r.Class != modem.Temporary || r.Cause != "canceled" || r.Committed {
		t.Errorf("%+v", r)
	}
	// After Ctrl-Z the answer is waited for.
	line = b.line("modem0")
	b.fault(0, sim.Fault{On: sim.OnAccepted, Do: sim.Slow, After: 200 * time.Millisecond, Count: 1})
	ctx, cancel = context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if r := line.Submit(ctx, modem.Submission{To: number, Text: text}); r.Class != modem.Accepted {
		t.Errorf("%+v", r)
	}
}

func TestPark(t *testing.T) {
	t.Parallel()
	b := start(t, at0(), modems(1), modem.PoolConfig{})
	line := b.line("modem0")
	line.Park("no credit", 300*time.Millisecond)
	<-line.Closed()
	b.until("parked", func() bool { st := b.status("modem0"); return st.State == modem.Parked && st.Reason == "no credit" })
	begin := time.Now()
	line = b.line("modem0")
	if d := time.Since(begin); d < 200*time.Millisecond {
		t.Errorf("back after %v", d)
	}
	// A failure that closes the line first doesn't keep it from being parked.
	b.fault(0, sim.Fault{On: sim.OnCMGS, Do: sim.ReplyCMS, Code: 310, Count: 1})
	if r := line.Submit(context.Background(), modem.Submission{To: number, Text: text}); r.Class != modem.SIM || b.open(line) {
		t.Errorf("%+v", r)
	}
	b.line("modem0") // prepared again meanwhile
	line.Park("no SIM", 300*time.Millisecond)
	b.until("parked again", func() bool { st := b.status("modem0"); return st.State == modem.Parked && st.Reason == "no SIM" })
	b.line("modem0")
}

// TestWaiting: each condition that is not met is told in words and waited
// for.
func TestWaiting(t *testing.T) {
	command := func(pattern string, f sim.Fault) sim.Fault {
		f.On, f.Match = sim.OnCommand, regexp.MustCompile(pattern)
		return f
	}
	for _, c := range []struct {
		name   string
		fault  sim.Fault
		reason string
	}{
		{"SIM busy", command(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyCME, Code: 14, Count: 5}), "the SIM is busy"},
		{"no SIM", command(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyCME, Code: 10, Count: 5}), "no SIM"},
		{"message service", command(`^AT\+CMGF=0`, sim.Fault{Do: sim.ReplyError, Count: 5}), "message service"},
		{"not registered", sim.Fault{On: sim.OnTime, Do: sim.NotRegistered, For: 200 * time.Millisecond}, "network"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, at0(), []sim.ModemConfig{{Faults: []sim.Fault{c.fault}}}, modem.PoolConfig{})
			b.until("state waiting", func() bool {
				st := b.status("modem0")
				return st.State == modem.Waiting && strings.Contains(st.Reason, c.reason)
			})
			if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestPIN(t *testing.T) {
	t.Parallel()
	file := func(t *testing.T, pin string) string {
		path := t.TempDir() + "/pin"
		if err := os.WriteFile(path, []byte(pin+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("right", func(t *testing.T) {
		b := start(t, at0(), []sim.ModemConfig{{PIN: "4321"}}, modem.PoolConfig{PINFile: file(t, "4321")})
		if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
			t.Errorf("%+v", r)
		}
	})
	t.Run("wrong", func(t *testing.T) {
		path := file(t, "1111")
		b := start(t, at0(), []sim.ModemConfig{{PIN: "4321"}}, modem.PoolConfig{PINFile: path})
		b.until("parked", func() bool {
			st := b.status("modem0")
			return st.State == modem.Parked && strings.Contains(st.Reason, "not tried twice")
		})
		m := b.net.Modems()[0]
		m.Unplug()
		b.until("down", func() bool { return b.status("modem0").State == modem.Down })
		if err := m.Plug(b.path(0)); err != nil {
			t.Fatal(err)
		}
		b.until("parked again", func() bool { return b.status("modem0").State == modem.Parked })
		if m.PINTries() != 2 {
			t.Errorf("%d tries left", m.PINTries())
		}
		if err := os.WriteFile(path, []byte("4321"), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := b.submit("modem0", number, text); r.Class != modem.Accepted {
			t.Errorf("with the right PIN: %+v", r)
		}
	})
	t.Run("none", func(t *testing.T) {
		b := start(t, at0(), []sim.ModemConfig{{PIN: "4321"}}, modem.PoolConfig{})
		b.until("parked", func() bool {
			st := b.status("modem0")
			return st.State == modem.Parked && strings.Contains(st.Reason, "no PIN file")
		})
	})
}

func TestInbound(t *testing.T) {
	b := start(t, at0(), modems(1), modem.PoolConfig{})
	b.line("modem0")
	b.net.Modems()[0].Receive("+33698765432", "STOP, s'il vous plaît €")
	b.until("message", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.inbound) == 1 })
	if in := b.inbound[0]; in.From != "+33698765432" || in.Text != "STOP, s'il vous plaît €" || in.IMSI != b.net.Modems()[0].IMSI() {
		t.Errorf("from %q: %q", in.From, in.Text)
	}
}

// TestProfiles: each published profile is prepared, sends and reports.
