package wire

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

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
		w.Start()
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
