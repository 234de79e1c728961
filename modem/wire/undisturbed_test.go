package wire

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
	"pgregory.net/rapid"
)

// outcome is what came of a dialogue: what the engine read, the final result
// at its end, and the unsolicited messages.
type outcome struct {
	info  []string
	final string
	urcs  []string
}

// run feeds a scenario to a Wire without an engine.
func (s scenario) run() (o outcome) {
	w := New(&sink{}, Options{OnURC: func(URC) {}})
	defer w.urcs.close()
	write := func(text string) string {
		if _, err := io.WriteString(w, text); err != nil {
			panic(err)
		}
		return text
	}
	hear := func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i := 0; len(text) > 0; i++ {
			n := min(len(text), s.pieces[i%len(s.pieces)])
			w.heardAt = time.Now()
			w.feed([]byte(text[:n]))
			text = text[n:]
		}
	}
	read := func() string {
		w.mu.Lock()
		defer w.mu.Unlock()
		out := string(w.out)
		w.out = w.out[:0]
		return out
	}
	if s.payload == "" {
		write("AT" + s.cmd + "\r\n")
		hear(s.toCmd)
	} else {
		write("AT" + s.cmd + "\r")
		hear(s.toCmd)
		if prompt := read(); prompt != ">" {
			o.final = fmt.Sprintf("no prompt but %q", prompt)
			return o
		}
		write(s.payload + "\x1a")
		hear(s.toPayload)
	}
	time.Sleep(quietFinal) // virtual: an answer without final result ends
	synctest.Wait()
	o.info = strings.Split(strings.TrimSuffix(read(), "\n"), "\n")
	o.final = o.info[len(o.info)-1]
	o.info = o.info[:len(o.info)-1]
	w.mu.Lock()
	defer w.mu.Unlock()
	w.patience.stop()
	w.flushPending()
	for _, u := range w.urcs.queue {
		o.urcs = append(o.urcs, strings.TrimSuffix(u.Line+"|"+u.Body, "|"))
	}
	return o
}

// differs tells how the outcome differs from that on a modem by the book, ""
// if it does not.
func (s scenario) differs(o outcome) string {
	bare := func(lines []string) string {
		return strings.ReplaceAll(strings.Join(lines, "\n"), ": ", ":") // modems leave the blank out
	}
	want := s.plain().run()
	switch {
	case bare(o.info) != bare(want.info) || o.final != want.final:
		return fmt.Sprintf("AT%s: got %q, %q; want %q, %q", s.cmd, o.info, o.final, want.info, want.final)
	case !slices.Equal(o.urcs, s.urcs):
		return fmt.Sprintf("AT%s: unsolicited\n%q, want\n%q", s.cmd, o.urcs, s.urcs)
	}
	return ""
}

// checkUndisturbed is the property that whatever the dialect, the pieces it
// comes in and the lines that come between, the answer is the same as on a
// modem by the book, and each unsolicited message comes out once, in order.
func checkUndisturbed(t *testing.T, draw source) (broken string) {
	s := drawScenario(draw)
	synctest.Test(t, func(*testing.T) { broken = s.differs(s.run()) })
	if broken != "" {
		broken += fmt.Sprintf("\nheard %q, then %q", s.toCmd, s.toPayload)
	}
	return broken
}

// from draws from rapid.
func from(t *rapid.T) source {
	return func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "") }
}

func TestUndisturbed(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		if broken := checkUndisturbed(t, from(rt)); broken != "" {
			rt.Fatal(broken)
		}
	})
}

func FuzzUndisturbed(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 16 {
		seed := make([]byte, 8*n)
		for i := range seed {
			seed[i] = byte(rng.Uint32())
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if broken := checkUndisturbed(t, octets(data)); broken != "" {
			t.Fatal(broken)
		}
	})
}

// TestAnyDialect is the same through the engine.
func TestAnyDialect(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(from(rt))
		said := ""
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			script := []turn{{"AT" + s.cmd + "\r", s.toCmd}}
			if s.payload != "" {
				script = append(script, turn{"\x1a", s.toPayload})
			}
			heard := r.play(s.pieces[0]%6, script...)
			o := outcome{}
			var err error
			if s.payload != "" {
				o.info, err = r.engine.SMSCommand(s.cmd, s.payload)
			} else {
				o.info, err = r.engine.Command(s.cmd)
			}
			time.Sleep(secondLine)
			o.final, o.urcs = finalOf(err), r.heard()
			said = s.differs(o)
			if f := r.wire.Flight(); said == "" && f.Committed != (s.payload != "") {
				said = fmt.Sprintf("%+v", f)
			}
			r.wire.Close()
			if wrote := <-heard; said == "" && strings.Count(wrote, pdu) > 1 {
				said = "the payload was written twice"
			}
		})
		if said != "" {
			rt.Fatalf("%s\nheard %q, then %q", said, s.toCmd, s.toPayload)
		}
	})
}

// finalOf is the final result that makes the engine return err.
func finalOf(err error) string {
	var cms at.CMSError
	var cme at.CMEError
	switch {
	case err == nil:
		return "OK"
	case errors.As(err, &cms):
		return "+CMS ERROR: " + string(cms)
	case errors.As(err, &cme):
		return "+CME ERROR: " + string(cme)
	}
	return err.Error()
}
