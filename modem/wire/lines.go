package wire

import (
	"bytes"
	"time"
	"unicode/utf8"
)

// feed splits octets into lines and prompts. Lines end with CR or LF in any
// number; a prompt is ">" at the beginning of a line and has no end.
func (w *Wire) feed(octets []byte) {
	for _, c := range octets {
		switch {
		case c == '\r' || c == '\n':
			line := clean(w.partial)
			w.partial = w.partial[:0]
			if !w.skipping && len(line) > 0 {
				w.heardAt = time.Time{}
				w.line(line)
			}
			w.skipping = false
		case w.skipping:
		case c == '>' && w.atPrompt():
			w.prompt()
		case len(w.partial) == 0 && (c <= ' ' || c >= 0x7f):
			// NULs, blanks and line noise before a line mean nothing.
		case len(w.partial) == maxLine:
			w.skipping = true
		default:
			w.partial = append(w.partial, c)
		}
	}
}

// clean removes control characters and trailing blanks, in place.
func clean(line []byte) []byte {
	kept := line[:0]
	for _, c := range line {
		if c >= ' ' && c != 0x7f {
			kept = append(kept, c)
		}
	}
	return bytes.TrimRight(kept, " ")
}

// atPrompt tells whether a ">" here is a prompt. Some modems print it right
// behind the echo.
func (w *Wire) atPrompt() bool {
	return len(w.partial) == 0 || w.cmd.phase == prompting && string(w.partial) == w.cmd.text
}

// prompt handles a ">". Where the modem echoes, one that comes before the echo
// belongs to an earlier command. One that echoes anew has started anew, and is
// perhaps in text mode: it gets no payload.
func (w *Wire) prompt() {
	if len(w.partial) > 0 {
		w.cmd.echoed = true
		w.partial = w.partial[:0]
	}
	switch w.cmd.phase {
	case prompting:
		if w.echoOn && !w.cmd.echoed {
			return
		}
		if w.cmd.echoed && w.unechoed >= echoIsOff {
			w.abort(Restart)
			return
		}
		w.cmd.phase = prompted
		w.out = append(w.out, '>')
		w.readable.Broadcast()
	case prompted, writing, committed:
		w.flight.ExtraPrompts++
	case aborting:
	case idle, answering:
		w.stray()
	}
}

// line decides what a line is: an echo, the second line of an unsolicited
// one, a final result, an unsolicited one, or a part of the answer.
func (w *Wire) line(line []byte) {
	if line = w.stripEcho(line); len(line) == 0 {
		return
	}
	if w.header.pending() && w.takeBody(line) {
		return
	}
	if final := finalResult(line); final != nil {
		w.final(final)
		return
	}
	switch own := w.own(line); {
	case own:
		w.answer(line)
	case isNoise(line):
	case isUnsolicited(line):
		w.unsolicited(line)
	case w.cmd.phase == answering:
		w.info(line)
	case w.cmd.twoStep && w.cmd.phase != idle:
		// Between CMGS and its final result nothing but its answer counts.
	default:
		w.strayAt = time.Now()
		w.urcs.put(URC{Line: string(line), Received: w.strayAt}, false)
	}
}

// stripEcho removes the echo of the command or of its payload; modems put it
// back on after a restart, and print other things right behind it.
func (w *Wire) stripEcho(line []byte) []byte {
	c := &w.cmd
	if c.phase == idle || c.phase == aborting {
		if bytes.HasPrefix(line, []byte("AT+")) || string(line) == "AT" {
			w.strayAt = time.Now()
			return nil
		}
		return line
	}
	if rest, ok := bytes.CutPrefix(line, []byte(c.text)); ok && (len(rest) == 0 || !isAlnum(rest[0])) {
		c.echoed = true
		return bytes.TrimLeft(rest, " ")
	}
	if c.phase >= writing && len(line) >= 8 && bytes.Contains([]byte(c.payload), line) {
		return nil
	}
	return line
}

// own tells whether the line has the prefix of the command's answers and
// comes at a time when it can be one.
func (w *Wire) own(line []byte) bool {
	c := &w.cmd
	if c.id == "" || c.phase != answering && c.phase != writing && c.phase != committed {
		return false
	}
	rest, ok := bytes.CutPrefix(line, []byte(c.id))
	return ok && !isAlnum(c.id[0]) && (len(rest) == 0 || !isAlnum(rest[0]))
}

// answer hands on a line with the command's own prefix. Such a line can also
// be an unsolicited one (+CREG: 1 while +CREG? runs): what looks like it, or
// comes second, goes both ways, and whoever asked takes the better line.
func (w *Wire) answer(line []byte) {
	c := &w.cmd
	c.answers++
	if c.query && (c.answers > 1 || reportsRegistration(line)) {
		w.unsolicited(line)
	}
	if c.phase == idle { // the unsolicited reading ended the command
		return
	}
	w.info(line)
	if c.query && c.phase == answering || c.twoStep && c.phase == committed {
		w.startTimer(quietFinal)
	}
}

func (w *Wire) info(line []byte) {
	if w.cmd.octets += len(line) + 1; w.cmd.octets <= maxInfo {
		w.emit(line)
	}
}

func (w *Wire) final(final []byte) {
	switch {
	case w.cmd.phase == idle && bytes.HasPrefix(final, []byte("+CMS")):
		w.late(final)
	case w.cmd.phase == idle:
		w.stray()
	case w.cmd.phase == aborting:
		w.strayAt = time.Now()
	case w.lateOK && string(final) == "OK":
		w.lateOK = false
	default:
		w.finish(Answered, final)
	}
}

// unsolicited takes a line out of the stream.
func (w *Wire) unsolicited(line []byte) {
	switch signOf(line) {
	case Restarted:
		if w.cmd.phase != idle && w.cmd.phase != aborting {
			w.finish(Restart, []byte("ERROR"))
		}
		w.sign(Restarted)
	case Settled:
		if w.cmd.phase == writing || w.cmd.phase == committed {
			w.startTimer(min(w.opts.SettledTimeout, time.Until(w.cmd.until)))
		}
		w.sign(Settled)
	case Late: // its OK follows
		w.lateOK = w.cmd.phase != idle
		w.late(line)
	}
	urc := URC{Line: string(line), Received: time.Now()}
	if h := parseHeader(urc); h.pending() {
		w.flushHeader()
		w.header = h
		return
	} else if h.textMode {
		w.sign(TextMode)
	}
	w.urcs.put(urc, carriesMessage(urc.Line))
}

func (w *Wire) stray() {
	w.strayAt = time.Now()
	w.sign(Stray)
}

// takeBody takes the second line of the unsolicited one that is pending, if
// this is it. Other lines may come between the two.
func (w *Wire) takeBody(line []byte) bool {
	h := &w.header
	if !h.fits(line, w.cmd.id) {
		if h.patience--; h.patience == 0 {
			w.flushHeader()
		}
		return false
	}
	h.urc.Body = string(line)
	w.flushHeader()
	return true
}

// flushHeader hands on the pending line, whether or not its second line came.
func (w *Wire) flushHeader() {
	if !w.header.pending() {
		return
	}
	if w.header.textMode {
		w.sign(TextMode)
	}
	w.urcs.put(w.header.urc, true)
	w.header = pduHeader{}
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
}

// isNoise tells NMEA sentences (GNSS ports) and binary frames (diagnostics).
func isNoise(line []byte) bool {
	if len(line) > 6 && line[0] == '$' && line[6] == ',' {
		for _, c := range line[1:6] {
			if !('A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
				return false
			}
		}
		return true
	}
	return !isPrefixMark(line[0]) && !utf8.Valid(line)
}
