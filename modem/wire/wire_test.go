package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine over a Wire, and the modem's end of the line.
type rig struct {
	t      testing.TB
	wire   *Wire
	engine *at.AT
	modem  net.Conn

	mu    sync.Mutex
	urcs  []URC
	signs []Sign
	late  []string
}

func newRig(t testing.TB, opts Options) *rig {
	t.Helper()
	ours, modem := net.Pipe()
	r := &rig{t: t, modem: modem}
	opts.OnURC = func(u URC) {
		r.mu.Lock()
		defer r.mu.Unlock()
		u.Received = time.Time{}
		r.urcs = append(r.urcs, u)
	}
	opts.OnSign = func(s Sign) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.signs = append(r.signs, s)
	}
	opts.OnLate = func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.late = append(r.late, line)
	}
	r.wire = New(ours, opts)
	r.engine = at.New(r.wire, at.WithTimeout(-1))
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	r.wire.Close()
	<-r.wire.Done()
	<-r.engine.Closed()
	r.modem.Close()
}

// heard are the unsolicited lines, the body behind a "|" where there is one.
func (r *rig) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := []string{}
	for _, u := range r.urcs {
		if u.Body != "" {
			u.Line += "|" + u.Body
		}
		lines = append(lines, u.Line)
	}
	return lines
}

// say writes to the Wire in pieces of size octets, 0 for all at once.
func (r *rig) say(s string, size int) {
	if size == 0 {
		size = max(len(s), 1)
	}
	for piece := range slices.Chunk([]byte(s), size) {
		if _, err := r.modem.Write(piece); err != nil {
			return
		}
	}
}

// turn is one thing that the modem waits for and what it says then.
type turn struct{ hears, says string }

// play lets the modem follow a script, and returns all that it has heard when
// the line is closed.
func (r *rig) play(size int, script ...turn) <-chan string {
	all := make(chan string, 1)
	go func() {
		var heard, fresh []byte
		buf := make([]byte, 4096)
		for {
			n, err := r.modem.Read(buf)
			heard, fresh = append(heard, buf[:n]...), append(fresh, buf[:n]...)
			for len(script) > 0 {
				i := bytes.Index(fresh, []byte(script[0].hears))
				if i < 0 {
					break
				}
				fresh = fresh[i+len(script[0].hears):]
				r.say(script[0].says, size)
				script = script[1:]
			}
			if err != nil {
				all <- string(heard)
				return
			}
		}
	}()
	return all
}

func TestAnswers(t *testing.T) {
	long := strings.Repeat("A", 70000)
	for _, c := range []struct {
		name, cmd, says string
		info            []string
		err             error
		urcs            []string
	}{
		{"plain", "+CSQ", "\r\n+CSQ: 28,0\r\n\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"echo", "+CSQ", "AT+CSQ\r\r\n+CSQ: 28,0\r\n\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"echo with an unsolicited line behind it", "+CSQ", "AT+CSQ^RSSI:26\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, []string{"^RSSI:26"}},
		{"vendor lines first", "+CSQ", "\r\n^RSSI:26\r\n\r\n^HCSQ:\"LTE\",60,52,106,24\r\n\r\n+CSQ: 28,99\r\n\r\nOK\r\n", []string{"+CSQ: 28,99"}, nil, []string{"^RSSI:26", `^HCSQ:"LTE",60,52,106,24`}},
		{"CR CR LF", "+CSQ", "\r\r\n+CSQ: 28,0\r\r\n\r\r\nOK\r\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"LF only", "+CSQ", "+CSQ: 28,0\nOK\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"CR only", "+CSQ", "+CSQ: 28,0\rOK\r", []string{"+CSQ: 28,0"}, nil, nil},
		{"blank behind OK", "+CSQ", "\r\n+CSQ: 28,0 \r\n\r\nOK \r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"NULs in front", "+CSQ", "\x00\x00\r\n\x00+CSQ: 28,0\r\n\x00\x00OK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"NUL flood", "+CSQ", strings.Repeat("\x00", 70000) + "\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"endless line", "+CSQ", long + "\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"NMEA", "+CSQ", "$GPGGA,1,2,3*47\r\n$GNRMC,,V*4D\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"binary", "+CSQ", "\x7e\x10\xff\xfe\x80ab\xff\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil},
		{"no space after colon", "+CPIN?", "+CPIN:READY\r\nOK\r\n", []string{"+CPIN:READY"}, nil, nil},
		{"CME without space", "+CPIN?", "+CME ERROR:50\r\n", nil, at.CMEError("50"), nil},
		{"CME text", "+CPIN?", "+CME ERROR: SIM not inserted\r\n", nil, at.CMEError("SIM not inserted"), nil},
		{"CMS without colon and number", "+CMGF=0", "+CMS ERROR\r\n", nil, at.CMSError("unknown"), nil},
		{"CMS without colon", "+CMGF=0", "+CMS ERROR 500\r\n", nil, at.CMSError("500"), nil},
		{"foreign final", "$TSSPCSW=?", "\r\nCOMMAND NOT SUPPORT\r\n", nil, at.ErrError, nil},
		{"too many parameters", "+CNMI=2,1,0,2,0", "TOO MANY PARAMETERS\r\n", nil, at.ErrError, nil},
		{"modem error", "+CSQ", "MODEM ERROR: 4\r\n", nil, at.ErrError, nil},
		{"extended error", "+CSQ", "+EXT ERROR: 6\r\n", nil, at.ErrError, nil},
		{"NA", "+CSQ", "NA\r\n", nil, at.ErrError, nil},
		{"identity", "+CGMI", "\r\nhuawei\r\n\r\nOK\r\n", []string{"huawei"}, nil, nil},
		{"several lines", "+CGMR", "V ICPR72_08w44.1\r\n24-11-08\r\n(c) Nokia\r\nOK\r\n", []string{"V ICPR72_08w44.1", "24-11-08", "(c) Nokia"}, nil, nil},
		{"words while it runs", "+CGMI", "RING\r\nhuawei\r\nNO CARRIER\r\nOK\r\n", []string{"huawei"}, nil, []string{"RING", "NO CARRIER"}},
		{"registration changes meanwhile", "+CREG?", "+CREG: 5\r\n+CREG: 2,1,\"4048\",\"0B78\"\r\nOK\r\n", []string{`+CREG: 2,1,"4048","0B78"`}, nil, []string{"+CREG: 5"}},
		{"other registration meanwhile", "+CREG?", "+CEREG: 1,\"4048\"\r\n+CREG: 0,1\r\nOK\r\n", []string{"+CREG: 0,1"}, nil, []string{`+CEREG: 1,"4048"`}},
		{"message meanwhile", "+CSQ", "+CMT: ,4\r\n0011223344\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, []string{"+CMT: ,4|0011223344"}},
		{"PDU late", "+CSQ", "+CDS: 4\r\n+CSQ: 28,0\r\n^RSSI:1\r\nOK\r\n0011223344\r\n", []string{"+CSQ: 28,0"}, nil, []string{"^RSSI:1", "+CDS: 4|0011223344"}},
		{"PDU of an answer stays", "+CMGR=1", "+CMT: ,4\r\n+CMGR: 1,,5\r\n001122334455\r\n0099887766\r\nOK\r\n", []string{"+CMGR: 1,,5", "001122334455"}, nil, []string{"+CMT: ,4|0099887766"}},
		{"one-line report in text mode", "+CSQ", "+CDS: 6,214,\"+3161\",145,\"25/11/23,16:00:00+00\",\"25/11/23,16:00:00+00\",0\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{`+CDS: 6,214,"+3161",145,"25/11/23,16:00:00+00","25/11/23,16:00:00+00",0`}},
		{"text message that says OK", "+CSQ", "+CMT: \"+33612345678\",,\"25/11/23,16:00:00+00\"\r\nOK\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{`+CMT: "+33612345678",,"25/11/23,16:00:00+00"|OK`}},
		{"prompt that nobody wants", "+CSQ", "\r\n> \r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, nil},
		{"late answer of a message", "+CSQ", "+CMGS: 41\r\n\r\nOK\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CMGS: 41"}},
	} {
		for _, size := range []int{0, 1, 3} {
			t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, Options{})
					r.play(size, turn{"AT" + c.cmd + "\r", c.says})
					info, err := r.engine.Command(c.cmd)
					synctest.Wait()
					if !slices.Equal(info, c.info) || !errors.Is(err, c.err) {
						t.Errorf("got %q, %v", info, err)
					}
					if got := r.heard(); !slices.Equal(got, c.urcs) && len(got)+len(c.urcs) > 0 {
						t.Errorf("unsolicited: %q", got)
					}
				})
			})
		}
	}
}

const pdu = "0011000B913316325476F80000000441E19008"

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

func TestLateAnswerFindsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", ""},
			turn{"AT+CSQ\r", "+CMGS: 41\r\nOK\r\n+CSQ: 1,0\r\nOK\r\n"})
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); !errors.Is(err, at.ErrClosed) {
			t.Fatalf("got %v", err)
		}
		<-r.engine.Closed()
		if !r.wire.Rearm(300*time.Millisecond, 3*time.Second) {
			t.Fatal("the port is gone")
		}
		r.engine = at.New(r.wire, at.WithTimeout(-1))
		if info, err := r.engine.Command("+CSQ"); err != nil || !slices.Equal(info, []string{"+CSQ: 1,0"}) {
			t.Errorf("got %q, %v", info, err)
		}
		if !slices.Contains(r.signs, Late) {
			t.Errorf("signs %v", r.signs)
		}
	})
}

func TestRearmWaitsForQuiet(t *testing.T) {
	for _, c := range []struct {
		name string
		line string
		want time.Duration
	}{
		{"silence", "", 300 * time.Millisecond},
		{"stray answers", "OK\r\n", 3 * time.Second},
		{"vendor noise", "^RSSI:3\r\n", 300 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				stop := make(chan struct{})
				go func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(200 * time.Millisecond):
							r.say(c.line, 0)
						}
					}
				}()
				r.wire.End()
				<-r.engine.Closed()
				begin := time.Now()
				r.wire.Rearm(300*time.Millisecond, 3*time.Second)
				if d := time.Since(begin); d != c.want {
					t.Errorf("took %v", d)
				}
				close(stop)
				time.Sleep(time.Second) // virtual: the talker ends
			})
		})
	}
}

func TestAnswerWithoutFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(0, turn{"AT+CPIN?\r", "\r\n+CPIN: READY\r\n"})
		begin := time.Now()
		info, err := r.engine.Command("+CPIN?")
		if err != nil || !slices.Equal(info, []string{"+CPIN: READY"}) || r.wire.Flight().Cause != Unfinished {
			t.Errorf("got %q, %v, %+v", info, err, r.wire.Flight())
		}
		if time.Since(begin) != time.Second {
			t.Errorf("took %v", time.Since(begin))
		}
	})
}

// TestAnswerThatDribbles: an answer that is still coming when the command's
// time is over is waited for; a chatter of other lines is none.
func TestAnswerThatDribbles(t *testing.T) {
	for _, c := range []struct {
		name, says string
		err        error
		cause      Cause
	}{
		{"answer", "\r\n+CMGF: 0\r\n\r\nOK\r\n", nil, Answered},
		{"chatter", strings.Repeat("^RSSI:9\r\n", 40), at.ErrClosed, Timeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.wire.Limit(2 * time.Second)
				said := make(chan struct{})
				go func() {
					defer close(said)
					buf := make([]byte, 100)
					if _, err := r.modem.Read(buf); err != nil {
						return
					}
					size := 1
					if c.name == "chatter" {
						size = 9
					}
					for piece := range slices.Chunk([]byte(c.says), size) {
						time.Sleep(300 * time.Millisecond)
						if _, err := r.modem.Write(piece); err != nil {
							return
						}
					}
				}()
				begin := time.Now()
				_, err := r.engine.Command("+CMGF?")
				if !errors.Is(err, c.err) || r.wire.Flight().Cause != c.cause {
					t.Errorf("got %v, %+v", err, r.wire.Flight())
				}
				if d := time.Since(begin); (d > 4*time.Second) != (c.err == nil) {
					t.Errorf("took %v", d)
				}
				r.wire.Close()
				<-said
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

func TestWriteThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		begin := time.Now()
		_, err := r.engine.SMSCommand("+CMGS=18", pdu) // nobody reads
		if f := r.wire.Flight(); err == nil || f.Cause != WriteFailed || f.Committed {
			t.Errorf("got %v, %+v", err, f)
		}
		if d := time.Since(begin); d != 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestPortGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(0, turn{"AT+CMGS=18\r", "\r\n> "})
		time.AfterFunc(time.Second, func() { r.modem.Close() })
		_, err := r.engine.SMSCommand("+CMGS=18", pdu)
		if f := r.wire.Flight(); !errors.Is(err, at.ErrClosed) || f.Cause != Gone || !f.Committed {
			t.Errorf("got %v, %+v", err, f)
		}
		<-r.wire.Gone()
		if !errors.Is(r.wire.Err(), io.EOF) {
			t.Errorf("the port's end is %v", r.wire.Err())
		}
		if r.wire.Rearm(time.Second, time.Second) {
			t.Error("rearmed without a port")
		}
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{Pace: 100 * time.Millisecond})
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

// TestBlockedHandler: a handler that waits holds up no answer, and messages
// outlive chatter.
func TestBlockedHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, modem := net.Pipe()
		release := make(chan struct{})
		var got []string
		w := New(ours, Options{OnURC: func(u URC) {
			<-release
			got = append(got, u.Line)
		}})
		engine := at.New(w, at.WithTimeout(-1))
		r := &rig{t: t, wire: w, engine: engine, modem: modem}
		r.play(0, turn{"AT+CSQ\r", "+CSQ: 1,0\r\nOK\r\n"})
		for range 3 * maxChatter {
			r.say("^RSSI:3\r\n", 0)
		}
		r.say("+CMTI: \"SM\",1\r\n", 0)
		if _, err := engine.Command("+CSQ"); err != nil {
			t.Error(err)
		}
		close(release)
		r.close()
		if n := len(got); n < maxChatter || n > 2*maxChatter+1 || got[n-1] != `+CMTI: "SM",1` {
			t.Errorf("got %d lines, the last %q", n, got[n-1])
		}
	})
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sent, received bytes.Buffer
		r := newRig(t, Options{Trace: func(out bool, b []byte) {
			mu.Lock()
			defer mu.Unlock()
			if out {
				sent.Write(b)
			} else {
				received.Write(b)
			}
		}})
		r.play(0, turn{"AT\r", "\r\nOK\r\n"})
		if _, err := r.engine.Command(""); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if sent.String() != "AT\r" || received.String() != "\r\nOK\r\n" {
			t.Errorf("sent %q, received %q", sent.String(), received.String())
		}
	})
}
