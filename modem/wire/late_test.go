package wire

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

// TestLateAnswerIsHandedOver: what a modem answers to a message that nobody
// waits for any more is handed over, and is no answer to what runs meanwhile.
func TestLateAnswerIsHandedOver(t *testing.T) {
	for _, c := range []struct {
		name, says string
		busy       bool // AT+CSQ is running
		want       []string
	}{
		{"reference while idle", "\r\n+CMGS: 41\r\n\r\nOK\r\n", false, []string{"+CMGS: 41"}},
		{"reference without blank", "+CMGS:41\r\n", false, []string{"+CMGS:41"}},
		{"refusal while idle", "\r\n+CMS ERROR:38\r\n", false, []string{"+CMS ERROR: 38"}},
		{"bare error while idle", "\r\nERROR\r\n", false, nil},
		{"report while idle", "+CDS: 4\r\n0011223344\r\n", false, nil},
		{"refusal meanwhile", "+CMS ERROR: 38\r\n+CSQ: 7,0\r\nOK\r\n", true, []string{"+CMS ERROR: 38"}},
		{"reference meanwhile", "+CMGS: 41\r\n\r\nOK\r\n+CSQ: 7,0\r\nOK\r\n", true, []string{"+CMGS: 41"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", ""}, turn{"AT+CSQ\r", c.says})
				if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err == nil {
					t.Fatal("no time-out")
				}
				<-r.engine.Closed()
				r.wire.Rearm(300*time.Millisecond, 3*time.Second)
				r.engine = at.New(r.wire, at.WithTimeout(-1))
				if c.busy {
					if info, err := r.engine.Command("+CSQ"); err != nil || !slices.Equal(info, []string{"+CSQ: 7,0"}) {
						t.Errorf("got %q, %v", info, err)
					}
				} else {
					r.say(c.says, 0)
				}
				synctest.Wait()
				if !slices.Equal(r.late, c.want) || slices.Contains(r.signs, Late) != (c.want != nil) {
					t.Errorf("late %q, signs %v", r.late, r.signs)
				}
			})
		})
	}
}

// TestRearmAwaitsAReference: behind an answer that nobody asked for, as who opens
// the port of a modem at work hears it, a reference may come.
func TestRearmAwaitsAReference(t *testing.T) {
	for says, want := range map[string]time.Duration{
		"\r\n+CMS ERROR: 500\r\n": referenceLag,
		"\r\nOK\r\n":              referenceLag,
		"\r\n+CREG: 1\r\n":        300 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.say(says, 0)
			synctest.Wait()
			begin := time.Now()
			if !r.wire.Rearm(300*time.Millisecond, 3*time.Second) || time.Since(begin) != want {
				t.Errorf("%q: armed after %v, want %v", says, time.Since(begin), want)
			}
		})
	}
}

// TestRearmEndsAPrompt: a prompt that comes while the wire is being made ready
// would take the next command for a payload.
func TestRearmEndsAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		heard := r.play(0)
		time.AfterFunc(200*time.Millisecond, func() { r.say("\r\n> ", 0) })
		if !r.wire.Rearm(300*time.Millisecond, 3*time.Second) {
			t.Fatal("the port is gone")
		}
		r.wire.Close()
		if wrote := <-heard; wrote != "\x1b" {
			t.Errorf("wrote %q", wrote)
		}
	})
}

// TestReferenceWithoutFinal: a modem that says no OK behind a reference is waited
// for a second, also after a command that it left unanswered; from the second
// time on that is its habit. Only one that answered nothing since its port was
// opened may be at work for somebody else.
func TestReferenceWithoutFinal(t *testing.T) {
	for _, c := range []struct {
		met  bool
		took time.Duration
	}{{true, quietFinal}, {false, adriftFinal}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			var turns []turn
			if c.met {
				turns = append(turns, turn{"AT\r", "OK\r\n"})
			}
			turns = append(turns, turn{"AT+COPS?\r", ""})
			for range 2 {
				turns = append(turns, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", "+CMGS: 7\r\n"})
			}
			r.play(0, turns...)
			if c.met {
				if _, err := r.engine.Command(""); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.engine.Command("+COPS?"); err == nil {
				t.Fatal("no time-out")
			}
			<-r.engine.Closed()
			r.wire.Rearm(300*time.Millisecond, 3*time.Second)
			r.engine = at.New(r.wire, at.WithTimeout(-1))
			for i, took := range []time.Duration{c.took, quietFinal} {
				begin := time.Now()
				info, err := r.engine.SMSCommand("+CMGS=18", pdu)
				f := r.wire.Flight()
				if err != nil || !slices.Equal(info, []string{"+CMGS: 7"}) || time.Since(begin) != took || f.Cause != Unfinished || f.Bare != (i > 0) {
					t.Errorf("met %v, message %d: %q, %v after %v, %+v", c.met, i, info, err, time.Since(begin), f)
				}
			}
		})
	}
}

// TestLongList: a list is read to its end, however slowly it comes, and a modem
// that falls silent within it is not waited for.
func TestLongList(t *testing.T) {
	for _, c := range []struct {
		messages int
		ends     bool
		took     time.Duration
	}{{18, true, 18 * 1500 * time.Millisecond}, {4, false, 8 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.play(0, turn{"AT+CMGL=4\r", ""})
			for i := range c.messages {
				says := "\r\n+CMGL: 1,1,,4\r\n0011223344\r\n"
				if i == c.messages-1 && c.ends {
					says += "OK\r\n"
				}
				time.AfterFunc(time.Duration(i+1)*1500*time.Millisecond, func() { r.say(says, 0) })
			}
			begin := time.Now()
			info, err := r.engine.Command("+CMGL=4")
			if c.ends != (err == nil) && len(info) == 0 || c.ends && len(info) != 2*c.messages || time.Since(begin).Round(time.Second) != c.took.Round(time.Second) {
				t.Errorf("%d lines, %v after %v, %+v", len(info), err, time.Since(begin), r.wire.Flight())
			}
		})
	}
}
