package modem

import (
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"
)

// talker is a port whose modem hands over a report before anything is asked.
type talker struct {
	said   bool
	closed chan struct{}
	once   sync.Once
}

func (p *talker) Read(b []byte) (int, error) {
	if !p.said {
		p.said = true
		return copy(b, "+CDS: 25\r\n0006D60B911326880736F4111011719551401110117195714000\r\n"), nil
	}
	<-p.closed
	return 0, io.EOF
}

func (p *talker) Write(b []byte) (int, error)      { return len(b), nil }
func (p *talker) SetWriteDeadline(time.Time) error { return nil }

func (p *talker) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// A session stands before what its modem says is handled. The race detector
// sees where it doesn't.
func TestModemThatSpeaksFirst(t *testing.T) {
	for range 50 {
		in := newIncoming(nil, nil)
		done := make(chan struct{})
		go func() { in.run(); close(done) }()
		s := newSession(&talker{closed: make(chan struct{})}, Timeouts{}.withDefaults(), slog.New(slog.DiscardHandler), in)
		for range 100 {
			runtime.Gosched() // the handler is to be first
		}
		s.close()
		<-s.wire.Done()
		in.close()
		<-done
	}
}

// What comes from a modem that goes again before it has said who it is belongs
// to the one that was there last, unless it has shown that it is another.
func TestOwner(t *testing.T) {
	last := identity{imei: "1", imsi: "10"}
	for _, c := range []struct {
		name      string
		now, want identity
	}{
		{"nothing known yet", identity{}, last},
		{"the same modem, its SIM unread", identity{imei: "1", model: "new"}, last},
		{"another modem, its SIM unread", identity{imei: "2"}, identity{imei: "2"}},
		{"another SIM", identity{imei: "1", imsi: "11"}, identity{imei: "1", imsi: "11"}},
	} {
		s := &session{incoming: &incoming{}, about: c.now}
		if got := s.owner(); got != c.now {
			t.Errorf("%s, and none before: %+v", c.name, got)
		}
		s.incoming.seen.Store(&last)
		if got := s.owner(); got != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
