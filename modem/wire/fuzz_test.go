package wire

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// sink is a port that takes all and says nothing.
type sink struct {
	io.Reader
	written bytes.Buffer
}

func (s *sink) Write(b []byte) (int, error)      { return s.written.Write(b) }
func (s *sink) Close() error                     { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// FuzzWire feeds anything to a Wire in any state of a command.
func FuzzWire(f *testing.F) {
	f.Add([]byte("\r\n+CMGS: 7\r\n\r\nOK\r\n> "), uint8(2))
	f.Add([]byte("+CDS: 25\r\n0006D60B911326880736F4111011719551401110117195714000\r\n"), uint8(0))
	f.Add([]byte("AT+CMGS=18\r> "), uint8(1))
	f.Add([]byte("+CMS ERROR\r\nRDY\r\n+CFUN: 1\r\n"), uint8(3))
	f.Add([]byte("+CMT: \"\",,\"\"\r\nOK\r\n$GPGGA,,\r\n\xff\xfe>"), uint8(1))
	f.Fuzz(func(t *testing.T, octets []byte, state uint8) {
		w := newWire(&sink{}, Options{OnURC: func(URC) {}})
		var want string
		switch state % 4 {
		case 1:
			want = "AT+CREG?\r\n"
		case 2, 3:
			want = "AT+CMGS=18\r"
		}
		if want != "" {
			if _, err := w.Write([]byte(want)); err != nil {
				t.Fatal(err)
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		defer w.patience.stop()
		if state%4 == 3 {
			w.cmd.phase, w.cmd.payload = committed, echo{text: pdu}
		}
		for piece := range slices.Chunk(octets, 7) {
			w.feed(piece)
		}
		checkOut(t, w, state%4)
	})
}

// checkOut holds what the engine would read against what may be in it.
func checkOut(t *testing.T, w *Wire, state uint8) {
	t.Helper()
	prompts := bytes.Count(w.out, []byte(">")) // inside lines too
	lines := strings.Split(strings.TrimPrefix(string(w.out), ">"), "\n")
	finals := 0
	for _, line := range lines {
		if finalResult([]byte(line)) != nil && line != "" {
			finals++
		}
		if len(line) > maxLine || strings.HasPrefix(line, ">") {
			t.Errorf("line %q", line)
		}
		if (state == 2 || state == 3) && line != "" && finalResult([]byte(line)) == nil && !strings.HasPrefix(line, "+CMGS") {
			t.Errorf("line %q in a two-step command", line)
		}
	}
	if state != 2 && strings.HasPrefix(string(w.out), ">") {
		t.Errorf("a prompt although none was waited for (%d)", prompts)
	}
	if state == 0 && len(w.out) > 0 || finals > 1 || len(w.out) > maxInfo+maxLine || len(w.partial) > maxLine {
		t.Errorf("%d finals, %d octets: %q", finals, len(w.out), w.out[:min(len(w.out), 200)])
	}
}

func BenchmarkLine(b *testing.B) {
	for _, line := range []string{"+CSQ: 28,99", "^RSSI:26", "AT+CSQ"} {
		b.Run(line, func(b *testing.B) {
			w := newWire(&sink{}, Options{OnURC: func(URC) {}})
			raw := fmt.Appendf(nil, "\r\n%s\r\n", line)
			w.cmd = newCommand("AT+CSQ", false)
			b.ReportAllocs()
			for b.Loop() {
				w.mu.Lock()
				w.feed(raw)
				w.out, w.cmd.octets, w.urcs.queue = w.out[:0], 0, w.urcs.queue[:0]
				w.held, w.cmd.answers = w.held[:0], 0 // as the final result does
				w.mu.Unlock()
			}
		})
	}
}
