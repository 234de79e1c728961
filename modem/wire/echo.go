package wire

import (
	"bytes"
	"strings"
)

// echo is a text that the modem may send back as it gets it. Unsolicited
// lines can cut it into pieces.
type echo struct {
	text string
	at   int // octets that have come back so far
}

// rest is what has not come back yet.
func (e *echo) rest() string { return e.text[e.at:] }

// whole tells whether all of it has come back.
func (e *echo) whole() bool { return e.at == len(e.text) }

// cut takes off line what goes on with the echo. What is behind a piece of it
// is an unsolicited line.
func (e *echo) cut(line []byte) (behind []byte, ok bool) {
	for e.at > 0 && len(line) > 0 && line[0] != ' ' && strings.HasPrefix(e.rest(), " ") {
		e.at++ // blanks at the ends of a line are gone
	}
	want, n := e.rest(), 0
	for n < len(line) && n < len(want) && line[n] == want[n] {
		n++
	}
	switch {
	case n == 0 && e.at > 0 && len(line) > 1 && strings.HasSuffix(e.text, string(line)):
		e.at = len(e.text) // the last piece, even if what was before it was not told apart
		return nil, true
	case n == 0:
		return line, false
	case n == len(want) && (n == len(line) || isPrefixMark(line[n]) || e.at == 0 && line[n] != ':' && !isAlnum(line[n])):
		e.at = len(e.text)
		return bytes.TrimLeft(line[n:], " "), true
	case n == len(line):
		e.at += n
		return nil, true
	}
	for n = min(n, len(line)-1); n > 0; n-- {
		if isPrefixMark(line[n]) && isUnsolicited(line[n:]) && !isCommand(line[n:]) {
			e.at += n
			return line[n:], true
		}
	}
	return line, false
}

// isCommand tells +CMGF? and +CMGF=0, which are the ends of some echo, from
// unsolicited lines.
func isCommand(line []byte) bool {
	i := bytes.IndexAny(line, ":?=")
	return i >= 0 && line[i] != ':'
}

// stripEcho removes the echo of the command or of its payload; modems put it
// back on after a restart, and print other things inside it and right behind.
func (w *Wire) stripEcho(line []byte) []byte {
	c := &w.cmd
	if c.phase == idle || c.phase == aborting {
		return w.stripStale(line)
	}
	if !c.echoed {
		if behind, ok := c.echo.cut(line); ok {
			c.echoed = c.echo.whole()
			return behind
		}
	} else if again := (echo{text: c.text}); len(line) >= len(c.text) {
		if behind, ok := again.cut(line); ok && again.whole() {
			return behind
		}
	}
	if c.phase >= writing {
		if !c.payload.whole() {
			if behind, ok := c.payload.cut(line); ok {
				return behind
			}
		}
		if len(line) >= 8 && strings.Contains(c.payload.text, string(line)) {
			return nil
		}
	}
	return w.stripStale(line)
}

// stripStale drops the echo of what was written before the command under way.
func (w *Wire) stripStale(line []byte) []byte {
	rest, ok := bytes.CutPrefix(line, []byte("AT"))
	if !ok || len(rest) > 0 && !isPrefixMark(rest[0]) {
		return line
	}
	w.strayed()
	if len(rest) > 0 && bytes.IndexByte(rest, ':') >= 0 && !isCommand(rest) {
		return rest
	}
	return nil
}

// settleEcho notes whether the modem echoes, by the command that has ended. One
// that did not and does again has started anew.
func (w *Wire) settleEcho(cause Cause) {
	switch c := &w.cmd; {
	case c.twoStep && w.echoOdd: // says nothing of the others
	case c.echoed:
		if w.unechoed >= echoIsOff {
			w.sign(Restarted)
		}
		w.echoOn, w.unechoed = true, 0
	default:
		w.echoOn = false
		if cause == Answered {
			w.unechoed++
		}
	}
}
