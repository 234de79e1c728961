package wire

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

func TestTwoSteps(t *testing.T) {
	const hears, sent = "AT+CMGS=18\r", pdu + "\x1a"
	type want struct {
		info     []string
		err      error
		cause    Cause
		prompts  int // extra ones
		written  bool
		duration time.Duration
	}
	for _, c := range []struct {
		name     string
		toCmd    string
		toText   string
		want     want
		unasked  []string
		restarts bool
	}{
		{"plain", "\r\n> ", "\r\n+CMGS: 7\r\n\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"zero", "\r\n> ", "\r\n+CMGS: 0\r\n\r\nOK\r\n", want{info: []string{"+CMGS: 0"}, written: true}, nil, false},
		{"no LF", "\r> ", "+CMGS:7\r\nOK\r\n", want{info: []string{"+CMGS:7"}, written: true}, nil, false},
		{"no space", "\r\n>", "+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"prompt with line end", "\r\n>\r\n", "+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"echo and prompt", hears + "> ", pdu + "\x1a\r\n+CMGS: 7\r\n\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"prompt right behind the echo", "AT+CMGS=18> ", "+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"echo on the prompt's line", hears + "\r\n> ", " " + pdu + "\r\n+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"with time stamp", "\r\n> ", "+CMGS: 124,\"25/11/23,16:00:00+00\"\r\nOK\r\n", want{info: []string{`+CMGS: 124,"25/11/23,16:00:00+00"`}, written: true}, nil, false},
		{"number alone", "\r\n> ", "7\r\n\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"number on a line of its own", "\r\n> ", "+CMGS:\r\n7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"said twice", "\r\n> ", "+CMGS: 7\r\n+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"a number, then the reference", "\r\n> ", "21\r\n+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"a number and nothing", "\r\n> ", "4\r\n", want{err: at.ErrClosed, cause: Timeout, written: true, duration: 180 * time.Second}, nil, false},
		{"small letters", "\r\n> ", "+cmgs: 7\r\nok\r\n", want{info: []string{"+CMGS: 7"}, written: true}, nil, false},
		{"refused", "\r\n> ", "+CMS ERROR: 38\r\n", want{err: at.CMSError("38"), written: true}, nil, false},
		{"refused before the prompt", "+CMS ERROR: 310\r\n", "", want{err: at.CMSError("310")}, nil, false},
		{"second prompt", "\r\n> ", "\r\n> \r\nERROR\r\n", want{err: at.ErrError, prompts: 1, written: true}, nil, false},
		{"OK without reference", "\r\n> ", "\x1b\r\nOK\r\n", want{written: true, duration: time.Second}, nil, false},
		{"report between", "\r\n> ", "+CDS: 4\r\n0011223344\r\n+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, []string{"+CDS: 4|0011223344"}, false},
		{"prompt inside a report", "+CDS: 4\r\n\r\n> ", "0011223344\r\n+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, []string{"+CDS: 4|0011223344"}, false},
		{"noise between", "^BOOT:1,0\r\n\r\n> ", "^RSSI:3\r\nfoo\r\n+CMGS: 7\r\n*PSUTTZ: 1\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, []string{"^BOOT:1,0", "^RSSI:3", "foo", "*PSUTTZ: 1"}, false},
		{"reference without final", "\r\n> ", "\r\n+CMGS: 7\r\n", want{info: []string{"+CMGS: 7"}, cause: Unfinished, written: true, duration: time.Second}, nil, false},
		{"no prompt", "", "", want{err: at.ErrError, cause: NoPrompt, duration: 10 * time.Second}, nil, false},
		{"silence", "\r\n> ", "", want{err: at.ErrClosed, cause: Timeout, written: true, duration: 180 * time.Second}, nil, false},
		{"restart", "\r\n> ", "RDY\r\n+CFUN: 1\r\n", want{err: at.ErrError, cause: Restart, written: true}, []string{"RDY", "+CFUN: 1"}, true},
		{"restart after the reference", "\r\n> ", "+CMGS: 7\r\nRDY\r\n", want{info: []string{"+CMGS: 7"}, err: at.ErrError, cause: Restart, written: true}, []string{"RDY"}, true},
		{"phonebook", "\r\n> ", "PB DONE\r\n", want{err: at.ErrClosed, cause: Timeout, written: true, duration: 180 * time.Second}, []string{"PB DONE"}, false},
		{"perhaps a restart", "\r\n> ", "SMS Ready\r\n", want{err: at.ErrClosed, cause: Timeout, written: true, duration: 10 * time.Second}, []string{"SMS Ready"}, false},
		{"late answer before the prompt", "+CMGS: 41\r\nOK\r\n\r\n> ", "+CMGS: 7\r\nOK\r\n", want{info: []string{"+CMGS: 7"}, written: true}, []string{"+CMGS: 41"}, false},
	} {
		for _, size := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, Options{})
					heard := r.play(size, turn{hears, c.toCmd}, turn{sent, c.toText})
					begin := time.Now()
					info, err := r.engine.SMSCommand("+CMGS=18", pdu)
					synctest.Wait()
					f := r.wire.Flight()
					if !slices.Equal(info, c.want.info) || !errors.Is(err, c.want.err) {
						t.Errorf("got %q, %v", info, err)
					}
					if f.Cause != c.want.cause || f.Committed != c.want.written || f.ExtraPrompts != c.want.prompts {
						t.Errorf("flight %+v", f)
					}
					if d := time.Since(begin); d != c.want.duration {
						t.Errorf("took %v", d)
					}
					if got := r.heard(); !slices.Equal(got, append([]string{}, c.unasked...)) {
						t.Errorf("unsolicited: %q", got)
					}
					if slices.Contains(r.signs, Restarted) != c.restarts {
						t.Errorf("signs %v", r.signs)
					}
					r.wire.Close()
					wrote := <-heard
					if n := strings.Count(wrote, pdu); n > 1 || (n == 1) != c.want.written {
						t.Errorf("the payload was written %d times", n)
					}
					if strings.Contains(wrote, "\x1b") != (c.want.cause == NoPrompt) {
						t.Errorf("heard %q", wrote)
					}
				})
			})
		}
	}
}

func TestLatePromptIsNotTheNextCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		heard := r.play(0, turn{"AT+CMGS=18\r", ""}, turn{"\x1b", ""}, turn{"AT+CSQ\r", "\r\n> \r\n+CSQ: 1,0\r\nOK\r\n"})
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err == nil {
			t.Fatal("no error without a prompt")
		}
		if info, err := r.engine.Command("+CSQ"); err != nil || len(info) != 1 {
			t.Errorf("got %q, %v", info, err)
		}
		r.wire.Close()
		if wrote := <-heard; strings.Contains(wrote, pdu) {
			t.Error("the payload was written at a late prompt")
		}
		if !slices.Contains(r.signs, Stray) {
			t.Errorf("signs %v", r.signs)
		}
	})
}

func TestWithEchoAPromptCountsAfterTheEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		heard := r.play(0,
			turn{"AT+CSQ\r", "AT+CSQ\r\r\n+CSQ: 1,0\r\nOK\r\n"},
			turn{"AT+CMGS=18\r", "\r\n> "}, // an old one; then nothing more
		)
		if _, err := r.engine.Command("+CSQ"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err == nil || r.wire.Flight().Cause != NoPrompt {
			t.Errorf("got %v, %+v", err, r.wire.Flight())
		}
		r.wire.Close()
		if wrote := <-heard; strings.Contains(wrote, pdu) {
			t.Error("the payload was written at a prompt before the echo")
		}
	})
}

// TestOddEcho: a modem that echoes AT+CMGS other than the rest, or not, gets no
// payload the first time, which may be a restart or an old prompt, and from the
// second time on it does.
func TestOddEcho(t *testing.T) {
	const csq, plain = "AT+CSQ\r\r\n+CSQ: 1,0\r\nOK\r\n", "\r\n+CSQ: 1,0\r\nOK\r\n"
	for _, c := range []struct {
		name, other, cmgs string
		cause             Cause
	}{
		{"echoed alone", plain, "AT+CMGS=18\r\r\n> ", Restart},
		{"alone not echoed", csq, "\r\n> ", NoPrompt},
		{"behind the prompt", csq, "\r\n> AT+CMGS=18\r", NoPrompt},
		{"garbled", csq, "AT+CGS=18\r\r\n> ", NoPrompt},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				var turns []turn
				ask := func() {
					for range echoIsOff {
						turns = append(turns, turn{"AT+CSQ\r", c.other})
					}
				}
				ask()
				turns = append(turns, turn{"AT+CMGS=18\r", c.cmgs}, turn{"\x1b", ""})
				ask()
				for range 3 {
					turns = append(turns, turn{"AT+CMGS=18\r", c.cmgs}, turn{"\x1a", "+CMGS: 7\r\n\r\nOK\r\n"})
				}
				r.play(0, turns...)
				talk := func() {
					for range echoIsOff {
						if _, err := r.engine.Command("+CSQ"); err != nil {
							t.Fatal(err)
						}
					}
				}
				talk()
				if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err == nil || r.wire.Flight().Cause != c.cause || r.wire.Flight().Committed {
					t.Errorf("got %v, %+v", err, r.wire.Flight())
				}
				talk()
				r.signs = nil
				for range 3 {
					if info, err := r.engine.SMSCommand("+CMGS=18", pdu); err != nil || !slices.Equal(info, []string{"+CMGS: 7"}) {
						t.Errorf("got %q, %v, %+v", info, err, r.wire.Flight())
					}
				}
				if len(r.signs) > 0 {
					t.Errorf("signs %v", r.signs)
				}
			})
		})
	}
}

// TestErrorBehindThePrompt: a modem that asks for the payload and refuses it
// in one breath gets none, and its refusal counts.
func TestErrorBehindThePrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		heard := r.play(0, turn{"AT+CMGS=18\r", "\r\n> \r\n+CMS ERROR: 38\r\n"}, turn{"AT\r", "\r\nOK\r\n"})
		_, err := r.engine.SMSCommand("+CMGS=18", pdu)
		if !errors.Is(err, at.CMSError("38")) || r.wire.Flight().Committed || r.wire.Flight().Cause != Answered {
			t.Errorf("got %v, %+v", err, r.wire.Flight())
		}
		if _, err := r.engine.Command(""); err != nil {
			t.Errorf("the next command: %v", err)
		}
		r.wire.Close()
		if wrote := <-heard; strings.Contains(wrote, pdu) {
			t.Error("the payload was written")
		}
	})
}

// TestEchoAnew: a modem that echoed no more and does again has started anew
// without a word. It may be in text mode, and gets no payload.
func TestEchoAnew(t *testing.T) {
	for _, says := range []string{"AT+CMGS=18\r\r\n> ", "AT+CMGS=18> "} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			heard := r.play(0, turn{"AT\r", "\r\nOK\r\n"}, turn{"AT\r", "\r\nOK\r\n"}, turn{"AT\r", "\r\nOK\r\n"}, turn{"AT+CMGS=18\r", says})
			for range 3 {
				if _, err := r.engine.Command(""); err != nil {
					t.Fatal(err)
				}
			}
			if len(r.signs) > 0 {
				t.Errorf("signs %v", r.signs)
			}
			_, err := r.engine.SMSCommand("+CMGS=18", pdu)
			if !errors.Is(err, at.ErrError) || r.wire.Flight().Committed || r.wire.Flight().Cause != Restart {
				t.Errorf("got %v, %+v", err, r.wire.Flight())
			}
			if !slices.Contains(r.signs, Restarted) {
				t.Errorf("signs %v", r.signs)
			}
			r.wire.Close()
			if wrote := <-heard; strings.Contains(wrote, pdu) || !strings.Contains(wrote, "\x1b") {
				t.Error("the modem was not freed from its prompt, or got the payload")
			}
		})
	}
}

func TestAbort(t *testing.T) {
	t.Run("before the prompt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			heard := r.play(0)
			time.AfterFunc(time.Second, r.wire.Abort)
			_, err := r.engine.SMSCommand("+CMGS=18", pdu)
			if f := r.wire.Flight(); err == nil || f.Cause != Aborted || f.Committed {
				t.Errorf("got %v, %+v", err, f)
			}
			r.wire.Close()
			if wrote := <-heard; wrote != "AT+CMGS=18\r\x1b" {
				t.Errorf("heard %q", wrote)
			}
		})
	})
	t.Run("before the command", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			heard := r.play(0, turn{"AT+CMGS=18\r", "\r\n> "})
			r.wire.Abort()
			_, err := r.engine.SMSCommand("+CMGS=18", pdu)
			if f := r.wire.Flight(); err == nil || f.Committed {
				t.Errorf("got %v, %+v", err, f)
			}
			r.wire.Close()
			if wrote := <-heard; strings.Contains(wrote, pdu) {
				t.Errorf("heard %q", wrote)
			}
		})
	})
	t.Run("after Ctrl-Z", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.play(0, turn{"AT+CMGS=18\r", "\r\n> "})
			time.AfterFunc(time.Second, r.wire.Abort)
			time.AfterFunc(2*time.Second, func() { r.say("+CMGS: 3\r\nOK\r\n", 0) })
			info, err := r.engine.SMSCommand("+CMGS=18", pdu)
			if err != nil || len(info) != 1 {
				t.Errorf("got %q, %v", info, err)
			}
		})
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.wire.SetPace(100 * time.Millisecond)
		r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{pdu + "\x1a", "+CMGS: 3\r\nOK\r\n"})
		begin := time.Now()
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err != nil || !r.wire.Flight().Committed {
			t.Errorf("got %v", err)
		}
		if d := time.Since(begin); d != 300*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}
