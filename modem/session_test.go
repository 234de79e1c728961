package modem

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem/wire"
)

// lagging is a modem that takes one command after the other, and its time for
// each. It keeps what is written meanwhile.
type lagging struct {
	lag      time.Duration
	deaf     time.Duration // how long it hears nothing behind an answer
	echoes   bool          // also a line without a command, as that of ESC
	unknown  string        // a query that it leaves unanswered
	sleeps   time.Duration // after which silence it loses the next line; 0: never
	heard    time.Time     // when the last octet came
	spoke    atomic.Int64  // when it last answered, in nanoseconds
	commands chan string
	said     *io.PipeReader
	voice    *io.PipeWriter
	partial  []byte
}

func newLagging(lag time.Duration) *lagging {
	m := &lagging{lag: lag, commands: make(chan string, 100)}
	m.said, m.voice = io.Pipe()
	go m.run()
	return m
}

func (m *lagging) run() {
	for command := range m.commands {
		time.Sleep(m.lag)
		if command != "" && command == m.unknown {
			continue
		}
		m.spoke.Store(time.Now().UnixNano())
		answer := "\r\nOK\r\n"
		if command == "" {
			answer = "\r"
		}
		if name, ok := strings.CutSuffix(command, "?"); ok {
			answer = "\r\n" + strings.TrimPrefix(name, "AT") + ": 0,1" + answer
		}
		if _, err := io.WriteString(m.voice, answer); err != nil {
			return
		}
	}
}

func (m *lagging) Read(p []byte) (int, error) { return m.said.Read(p) }

func (m *lagging) Write(p []byte) (int, error) {
	slept := m.sleeps > 0 && time.Since(m.heard) > m.sleeps
	m.heard = time.Now()
	for _, c := range p {
		if slept {
			slept = c != '\r'
			continue
		}
		switch {
		case c != '\r':
			m.partial = append(m.partial, c)
		default:
			if command := bytes.TrimLeft(m.partial, "\x1b"); (m.echoes || len(command) > 0) && time.Since(time.Unix(0, m.spoke.Load())) >= m.deaf {
				m.commands <- string(command)
			}
			m.partial = m.partial[:0]
		}
	}
	return len(p), nil
}

func (m *lagging) Close() error { close(m.commands); return m.said.Close() }

func (m *lagging) SetWriteDeadline(time.Time) error { return nil }

// over is a session over a modem.
func over(m *lagging) (s *session, end func()) {
	s = newSession(m, Timeouts{}.withDefaults(), slog.New(slog.DiscardHandler), newIncoming(nil, nil))
	return s, func() {
		s.wire.End()
		s.close()
		<-s.wire.Done()
	}
}

// TestSlowModemIsSynchronised: a modem whose every answer comes after the next
// command was written is waited for until it owes none.
func TestSlowModemIsSynchronised(t *testing.T) {
	for _, lag := range []time.Duration{0, 1400 * time.Millisecond, 1600 * time.Millisecond, 2900 * time.Millisecond} {
		t.Run(lag.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, end := over(newLagging(lag))
				defer end()
				begin := time.Now()
				if err := s.resync(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); took > time.Minute {
					t.Errorf("took %v", took)
				}
				for _, id := range []string{"+COPS", "+CSCA", "+CNMI"} {
					info, err := s.command(context.Background(), id+"?", limitQuick)
					if _, told := answer(info, id); err != nil || !told {
						t.Errorf("%s? was answered by %q, %v", id, info, err)
					}
				}
			})
		})
	}
}

// TestGapIsLearnt: a modem that loses what comes right behind its answers is
// given time; one that only doesn't know a query is not.
func TestGapIsLearnt(t *testing.T) {
	for _, c := range []struct {
		name    string
		deaf    time.Duration
		echoes  bool
		unknown string
		gap     time.Duration
	}{
		{"none", 0, false, "", 0},
		{"20 ms", 20 * time.Millisecond, false, "", 20 * time.Millisecond},
		{"90 ms", 90 * time.Millisecond, false, "", 100 * time.Millisecond},
		{"300 ms", 300 * time.Millisecond, false, "", 400 * time.Millisecond},
		{"also behind the echo of ESC", 390 * time.Millisecond, true, "", 400 * time.Millisecond},
		{"unknown query", 0, false, "AT+CMGF?", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newLagging(0)
				m.deaf, m.echoes, m.unknown = c.deaf, c.echoes, c.unknown
				s, end := over(m)
				defer end()
				begin := time.Now()
				if err := s.resync(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(begin); s.gap != c.gap || took > 20*time.Second {
					t.Errorf("gap %v after %v", s.gap, took)
				}
				for range 3 {
					if _, err := s.command(context.Background(), "+CSQ", limitQuick); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

// TestSleeper: a modem that loses the first line after a pause is woken before
// one, once that is known; one that only hung once is not.
func TestSleeper(t *testing.T) {
	for _, sleeps := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := newLagging(0)
			m.sleeps = sleeps
			s, end := over(m)
			defer end()
			if err := s.resync(t.Context()); err != nil {
				t.Fatal(err)
			}
			lost := 0
			for range 6 {
				time.Sleep(10 * time.Second)
				if _, err := s.command(context.Background(), "+CSQ", limitQuick); err != nil {
					if lost++; s.resync(t.Context()) != nil {
						t.Fatal("mute")
					}
				}
			}
			if want := map[bool]int{true: asleepTwice}[sleeps > 0]; lost != want {
				t.Errorf("%d commands were lost, want %d", lost, want)
			}
		})
	}
}

// TestStraysAreBounded: of answers that nothing asked for only a few count, so
// that a modem with the habit works all the same; after a while they do again.
func TestStraysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &session{signed: make(chan struct{}, 1)}
		count := func() (n int) {
			for range 100 {
				s.suspect.Store(false)
				s.onSign(wire.Stray)
				if s.suspect.Load() {
					n++
				}
				time.Sleep(time.Second)
			}
			return n
		}
		if n := count(); n != maxStrays || s.strays.Load() != 100 {
			t.Errorf("%d of %d count", n, s.strays.Load())
		}
		time.Sleep(strayFor)
		if n := count(); n != maxStrays {
			t.Errorf("later %d count", n)
		}
	})
}
