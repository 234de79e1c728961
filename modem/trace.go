package modem

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"smsotpd/modem/wire"
)

// tracer writes down what passes over one open port, line by line, with
// nothing in it that only the operator may know: see redactor. A line is only
// ever judged as a whole, however it was cut on its way; what never becomes a
// line is told by its length.
//
// The first lines of a port are told again under the name that its modem turns
// out to have.
type tracer struct {
	sink func(modem, line string)
	name func() string
	now  func() time.Time

	mu sync.Mutex
	// Guarded by mu.
	redact   *redactor
	sent     traceLine
	received traceLine
	named    string   // under which the last line was told
	early    []string // the first lines
}

// traceLine is a line under way in one direction.
type traceLine struct {
	octets []byte
	more   int // octets beyond maxTraceLine
	began  time.Time
	broken bool // its beginning was told by its length alone
}

const (
	// maxTraceLine is above the longest line that means something.
	maxTraceLine = 4096
	// tracePause is how long half a line waits for its other half while the
	// other side speaks.
	tracePause = time.Second
	// maxEarly bounds the lines that are told again under another name: more
	// than a modem needs to be known by its name.
	maxEarly = 100
)

func newTracer(sink func(modem, line string), name func() string, now func() time.Time) *tracer {
	return &tracer{sink: sink, name: name, now: now, redact: newRedactor()}
}

// note writes a remark.
func (t *tracer) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breakOff(&t.sent, ">")
	t.breakOff(&t.received, "<")
	t.tell("#", text)
}

// toModem takes octets on their way to the modem.
func (t *tracer) toModem(octets []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.other(&t.received, "<")
	for _, c := range octets {
		switch c {
		case '\r', '\n':
			t.end(&t.sent, ">", "", func(line string) string { return t.redact.sent(line, false) })
		case 0x1a:
			t.end(&t.sent, ">", "<Ctrl-Z>", func(line string) string { return t.redact.sent(line, true) })
		case 0x1b:
			t.end(&t.sent, ">", "<ESC>", func(line string) string { return t.redact.sent(line, true) })
		default:
			t.sent.add(c, t.now)
		}
	}
}

// fromModem takes octets that came from the modem.
func (t *tracer) fromModem(octets []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.other(&t.sent, ">")
	for _, c := range octets {
		switch c {
		case '\r', '\n':
			t.end(&t.received, "<", "", t.redact.received)
		default:
			t.received.add(c, t.now)
		}
	}
}

func (l *traceLine) add(c byte, now func() time.Time) {
	if len(l.octets) == 0 {
		l.began = now()
	}
	if len(l.octets) == maxTraceLine {
		l.more++
		return
	}
	l.octets = append(l.octets, c)
}

// other looks at the half line of the other side: a prompt has no end, and
// what waits for long may never have one.
func (t *tracer) other(l *traceLine, mark string) {
	switch {
	case len(l.octets) == 0:
	case strings.TrimSpace(string(l.octets)) == ">" && !l.broken:
		t.tell(mark, ">")
		l.octets = l.octets[:0]
	case t.now().Sub(l.began) > tracePause:
		t.breakOff(l, mark)
	}
}

// breakOff tells the length of half a line. Nothing of the rest is shown.
func (t *tracer) breakOff(l *traceLine, mark string) {
	if n := len(l.octets) + l.more; n > 0 {
		t.tell(mark, fmt.Sprintf("«%d octets without a line's end»", n))
		*l = traceLine{octets: l.octets[:0], broken: true}
	}
}

// end tells a line that is whole.
func (t *tracer) end(l *traceLine, mark, terminator string, redact func(line string) string) {
	said, broken, more := l.octets, l.broken, l.more
	*l = traceLine{octets: l.octets[:0]}
	text, control := plain(said)
	switch {
	case broken || more > 0:
		if n := len(said) + more; n > 0 {
			text = fmt.Sprintf("«%d octets of a longer line»", n)
		} else {
			text = ""
		}
	default:
		if text != "" || terminator != "" {
			text = redact(text)
		}
		if control > 0 {
			text = strings.TrimLeft(fmt.Sprintf("%s «and %d control octets»", text, control), " ")
		}
	}
	if text = strings.TrimLeft(text+" "+terminator, " "); text != "" {
		t.tell(mark, strings.TrimRight(text, " "))
	}
}

// plain is a line without control characters, and how many it had.
func plain(octets []byte) (text string, control int) {
	kept := make([]byte, 0, len(octets))
	for _, c := range octets {
		if c >= ' ' && c != 0x7f {
			kept = append(kept, c)
		} else {
			control++
		}
	}
	return strings.TrimSpace(string(kept)), control
}

func (t *tracer) tell(mark, text string) {
	line := t.now().UTC().Format("15:04:05.000") + " " + mark + " " + text
	if name := t.name(); name != t.named {
		if t.named != "" {
			for _, e := range t.early {
				t.sink(name, e)
			}
		}
		t.named = name
	}
	if len(t.early) < maxEarly {
		t.early = append(t.early, line)
	}
	t.sink(t.named, line)
}

// tracedPort is a port whose traffic a tracer sees.
type tracedPort struct {
	wire.Port
	tracer *tracer
}

// traced is port, or port with a tracer over it where somebody wants traces.
func (w *worker) traced(port wire.Port, path string) wire.Port {
	sink := w.pool.cfg.Trace
	if sink == nil {
		return port
	}
	t := newTracer(sink, w.name, time.Now)
	t.note(time.Now().UTC().Format(time.DateOnly) + ": the port " + pathWords(path) + " is open; times are UTC")
	return tracedPort{port, t}
}

// Read implements wire.Port.
func (p tracedPort) Read(b []byte) (int, error) {
	n, err := p.Port.Read(b)
	p.tracer.fromModem(b[:n])
	if err != nil {
		p.tracer.note("the port can be read no more")
	}
	return n, err
}

// Write implements wire.Port. What is written is told before it is, so that
// no answer comes before its command.
func (p tracedPort) Write(b []byte) (int, error) {
	p.tracer.toModem(b)
	n, err := p.Port.Write(b)
	if err != nil {
		p.tracer.note(fmt.Sprintf("the port took %d of %d octets", n, len(b)))
	}
	return n, err
}

// Close implements io.Closer.
func (p tracedPort) Close() error {
	p.tracer.note("the port is closed")
	return p.Port.Close()
}
