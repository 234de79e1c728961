package wire

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// exchange is a legal dialogue of one command.
type exchange struct {
	cmd, payload string
	answers      []string // lines, the last one final
}

func exchanges() []exchange {
	return []exchange{
		{cmd: "", answers: []string{"OK"}},
		{cmd: "+CSQ", answers: []string{"+CSQ: 28,99", "OK"}},
		{cmd: "+CREG?", answers: []string{`+CREG: 2,1,"4048","0B78"`, "OK"}},
		{cmd: "+CGMI", answers: []string{"SIMCOM_Ltd", "OK"}},
		{cmd: "+CGMR", answers: []string{"Revision: M26FBR03A06-TTS", "OK"}},
		{cmd: "+CGSN", answers: []string{"490154203237518", "OK"}},
		{cmd: "+CNMI=?", answers: []string{"+CNMI: (0-3),(0-3),(0,2),(0,1),(0,1)", "OK"}},
		{cmd: "+CNMI=2,1,0,2", answers: []string{"ERROR"}},
		{cmd: "+CPIN?", answers: []string{"+CME ERROR: 14"}},
		{cmd: "+CMGR=3", answers: []string{"+CMGR: 0,,5", "001122334455", "OK"}},
		{cmd: "+CMGS=18", payload: pdu, answers: []string{"+CMGS: 7", "OK"}},
		{cmd: "+CMGS=18", payload: pdu, answers: []string{"+CMS ERROR: 38"}},
	}
}

// unasked are lines that a modem may say at any time.
func unasked() []string {
	return []string{
		"^RSSI:26", "^BOOT:123,0,0,0,6", `^HCSQ:"LTE",60,52,106,24`, "*PSUTTZ: 1", "$QCSIMSTAT: 1",
		"+CEREG: 1", "+CNSMOD: 4", "RING", `+CMTI: "SM",3`, "+CMTI: ,-1", "STIN: 25", "#QSS: 1",
		"+CMT: ,6|00112233445566", "+CDS: 6|00112233445566", "+CBM: 6|00112233445566",
	}
}

// dialect writes lines as some modem would.
type dialect struct {
	rng  *rand.Rand
	end  string
	lead string
	echo bool
}

func newDialect(rng *rand.Rand) dialect {
	ends := []string{"\r\n", "\r\r\n", "\n", "\r"}
	leads := []string{"", "\r\n", "\x00\r\n", "\n"}
	return dialect{rng: rng, end: ends[rng.IntN(len(ends))], lead: leads[rng.IntN(len(leads))], echo: rng.IntN(2) == 0}
}

func (d dialect) line(s string) string {
	blank := ""
	if d.rng.IntN(4) == 0 {
		blank = " "
	}
	return d.lead + s + blank + d.end
}

// chatter is up to three unasked lines, which are noted in said.
func (d dialect) chatter(said *[]string) string {
	out := ""
	for range d.rng.IntN(4) {
		u := unasked()[d.rng.IntN(len(unasked()))]
		*said = append(*said, u)
		head, body, two := strings.Cut(u, "|")
		out += d.line(head)
		if two {
			out += d.line(body)
		}
	}
	return out
}

// TestAnyDialect: whatever the dialect, the pieces it comes in and the lines
// that come between, the engine sees the same answer and no line is lost.
func TestAnyDialect(t *testing.T) {
	for seed := range uint64(1500) {
		rng := rand.New(rand.NewPCG(seed, 1))
		synctest.Test(t, func(t *testing.T) {
			x := exchanges()[rng.IntN(len(exchanges()))]
			d := newDialect(rng)
			said := []string{}

			first := d.chatter(&said)
			if d.echo {
				first = "AT" + x.cmd + "\r" + first
			}
			rest := ""
			for _, line := range x.answers {
				rest += d.chatter(&said) + d.line(line)
			}
			script := []turn{{"AT" + x.cmd + "\r", first + rest}}
			if x.payload != "" {
				echoed := ""
				if d.echo {
					echoed = x.payload + "\x1a" + d.end
				}
				script = []turn{{"AT" + x.cmd + "\r", first + d.lead + "> "}, {"\x1a", echoed + rest}}
			}

			r := newRig(t, Options{})
			heard := r.play(rng.IntN(6), script...)
			var info []string
			var err error
			if x.payload != "" {
				info, err = r.engine.SMSCommand(x.cmd, x.payload)
			} else {
				info, err = r.engine.Command(x.cmd)
			}
			synctest.Wait()
			final := x.answers[len(x.answers)-1]
			if !slices.Equal(info, append([]string(nil), x.answers[:len(x.answers)-1]...)) || (err == nil) != (final == "OK") {
				t.Errorf("seed %d: %s: got %q, %v", seed, x.cmd, info, err)
			}
			if got := r.heard(); !slices.Equal(got, said) {
				t.Errorf("seed %d: %s: heard\n%q, want\n%q", seed, x.cmd, got, said)
			}
			if f := r.wire.Flight(); f.Committed != (x.payload != "") {
				t.Errorf("seed %d: %+v", seed, f)
			}
			r.wire.Close()
			if wrote := <-heard; strings.Count(wrote, pdu) > 1 {
				t.Errorf("seed %d: payload written twice", seed)
			}
		})
		if t.Failed() {
			return
		}
	}
}

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
		defer w.stopTimer()
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
				w.mu.Unlock()
			}
		})
	}
}
