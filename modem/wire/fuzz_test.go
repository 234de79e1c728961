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

// states that FuzzWire has a Wire in: the command under way, if any.
func states() []string {
	return []string{
		"", "AT+CMGS=18\r", "AT+CMGS=18\r\x1a", "AT\r\n", "AT+CREG?\r\n", "AT+CSQ\r\n", "AT+CMGR=1\r\n", "AT+CGMI\r\n", "AT+CIMI\r\n",
		"AT+CUSD=1,\"*100#\",15\r\n", "AT+CNMI=?\r\n",
	}
}

// FuzzWire feeds anything to a Wire in any state of a command.
func FuzzWire(f *testing.F) {
	for state := range states() {
		f.Add([]byte("\r\n+CMGS: 7\r\n\r\nOK\r\n> "), uint8(state))
		f.Add([]byte("+CDS: 25\r\n0006D60B911326880736F4111011719551401110117195714000\r\n+CSQ: 1\r\nOK\r\n"), uint8(state))
		f.Add([]byte("+CUSD: 1,\"a\r\n> b\r\nOK\",15\r\nAT+C^RSSI:1\r\nSQ\r+CREG: 1\r+CREG: 0,1\rERROR\r"), uint8(state))
	}
	f.Add([]byte("AT+CMGS=18\r> "), uint8(1))
	f.Add([]byte("+CUSD\"\n+CUSD\"0\n"), uint8(1)) // one text without end in another
	f.Add([]byte("+CMS ERROR\r\nRDY\r\n+CFUN: 1\r\n"), uint8(2))
	f.Add([]byte("+CMT: \"\",,\"\"\r\nOK\r\n$GPGGA,,\r\n\xff\xfe>"), uint8(1))
	f.Fuzz(func(t *testing.T, octets []byte, state uint8) {
		w := New(&sink{}, Options{OnURC: func(URC) {}})
		command := states()[int(state)%len(states())]
		text, payload := strings.CutSuffix(command, "\x1a")
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		defer w.patience.stop()
		if payload {
			w.cmd.phase, w.cmd.payload = committed, echo{text: pdu}
		}
		for piece := range slices.Chunk(octets, 7) {
			w.feed(piece)
		}
		if len(w.pile) > maxPending || len(w.held) > maxHeld || len(w.quote.text) > maxQuoted+maxLine || len(w.partial) > maxLine {
			t.Errorf("%d messages, %d lines and %d octets wait", len(w.pile), len(w.held), len(w.quote.text))
		}
		w.flushPending()
		if w.quote.open || len(w.held) > 0 && w.cmd.phase == idle {
			t.Error("lines are held back for ever")
		}
		checkOut(t, w, command)
	})
}

// checkOut holds what the engine would read against what may be in it.
func checkOut(t *testing.T, w *Wire, command string) {
	t.Helper()
	out, prompt := strings.CutPrefix(string(w.out), ">")
	finals := 0
	for _, line := range strings.Split(out, "\n") {
		if finals > 0 && line != "" {
			t.Errorf("%q behind the final result", line)
		}
		final := finalResult([]byte(line)) != nil
		if final {
			finals++
		}
		if len(line) > maxLine || strings.HasPrefix(line, ">") {
			t.Errorf("line %q", line)
		}
		if strings.Contains(command, "CMGS") && line != "" && !final && !strings.HasPrefix(line, "+CMGS") {
			t.Errorf("line %q in a two-step command", line)
		}
	}
	if prompt && command != "AT+CMGS=18\r" {
		t.Error("a prompt although none was waited for")
	}
	if command == "" && len(w.out) > 0 || finals > 1 || len(w.out) > maxInfo+maxLine {
		t.Errorf("%d finals, %d octets: %q", finals, len(w.out), w.out[:min(len(w.out), 200)])
	}
}

func BenchmarkLine(b *testing.B) {
	for _, line := range []string{"+CSQ: 28,99", "^RSSI:26", "AT+CSQ", "+CDS: 4\r\n0011223344", "+CUSD: 1,\"a", "Battery low"} {
		b.Run(line, func(b *testing.B) {
			w := New(&sink{}, Options{OnURC: func(URC) {}})
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
