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
		case len(w.partial) == 0 && (c <= ' ' || c >= 0x7f && !w.inText()):
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
	if w.inText() {
		return false
	}
	return len(w.partial) == 0 || w.cmd.phase == prompting && string(bytes.TrimRight(w.partial, " ")) == w.cmd.echo.rest()
}

// prompt handles a ">". Where the modem echoes, one that comes before the echo
// belongs to an earlier command. One that echoes anew has started anew, and is
// perhaps in text mode: it gets no payload. One that does the same again, after
// it was prepared anew, has its own way with this command.
func (w *Wire) prompt() {
	if len(w.partial) > 0 {
		w.cmd.echoed = true
		w.partial = w.partial[:0]
	}
	switch w.cmd.phase {
	case prompting:
		missing, anew := w.echoOn && !w.cmd.echoed, w.cmd.echoed && w.unechoed >= echoIsOff
		before := w.echoOdd
		w.echoOdd = missing || anew
		if w.echoOdd && !before {
			if anew {
				w.sign(Restarted)
				w.abort(Restart)
			}
			return
		}
		w.cmd.phase = prompted
		w.out = append(w.out, '>')
		w.readable.Broadcast()
	case prompted, writing, committed:
		w.flight.ExtraPrompts++
	case aborting:
	case idle, answering:
		w.asked = true
		w.strayed()
		w.sign(Stray)
	}
}

// line decides what a line is: a part of a text, an echo, the second line of
// a message, a final result, an unsolicited line, or a part of the answer.
func (w *Wire) line(line []byte) {
	switch {
	case w.quote.open:
		w.goOn(line)
		return
	case w.textDue():
		w.takeText(line)
		return
	}
	if line = w.stripEcho(line); len(line) == 0 {
		return
	}
	w.recase(line)
	if len(w.pile) > 0 && w.takeBody(line) {
		return
	}
	if final := finalResult(line); final != nil {
		w.final(final)
		return
	}
	switch {
	case w.own(line):
		w.answer(line)
	case w.cmd.twoStep && w.cmd.phase >= writing && w.cmd.phase != aborting && isReference(line):
		w.numbered(line)
	case isSentence(line):
	case isUnsolicited(line):
		w.unsolicited(line)
	case !utf8.Valid(line):
		w.salvage(line)
	case w.answersBare(line):
		w.info(line)
	default:
		if w.cmd.phase == idle {
			w.strayed()
		}
		w.deliver(URC{Line: string(line), Received: time.Now()})
	}
}

// recase puts the prefix of the command's answer into capitals, which some
// modems don't.
func (w *Wire) recase(line []byte) {
	if id := w.cmd.id; w.cmd.phase != idle && len(line) >= len(id) && line[0] == '+' && bytes.EqualFold(line[:len(id)], []byte(id)) {
		copy(line, id)
	}
}

// salvage takes what is behind the noise in a line: a binary frame of a
// diagnostics port has no line end.
func (w *Wire) salvage(line []byte) {
	tail := line[bytes.LastIndexFunc(line, func(r rune) bool { return r >= utf8.RuneSelf })+1:]
	for len(tail) > 0 && tail[0] >= utf8.RuneSelf {
		tail = tail[1:]
	}
	if len(tail) > 0 && (isPrefixMark(tail[0]) || finalResult(tail) != nil) {
		w.line(tail)
	}
}

func (w *Wire) final(final []byte) {
	c := &w.cmd
	switch ok := string(final) == "OK"; {
	case c.phase == idle && string(final) == w.result && time.Since(w.flight.Ended) < together:
		w.result = "" // said twice
	case bytes.HasPrefix(final, []byte("+CMS")) && (c.phase == idle || w.owed && c.phase == answering && !c.ofMessages()):
		w.adrift = true
		w.late(final)
	case c.phase == idle:
		w.adrift = true
		w.strayed()
		w.sign(Stray)
	case c.phase == aborting:
		w.strayed()
	case ok && !c.lateOK.IsZero() && time.Since(c.lateOK) < quietFinal:
		c.lateOK = time.Time{}
	case ok && c.earlyOK:
	case ok && (c.phase == writing || c.phase == committed) && w.comesEarly():
		c.earlyOK, c.refAt = true, time.Now() // some modems say OK before the reference
		w.patience.set(w.untilFinal())
	default:
		w.finish(Answered, final)
	}
}

// unsolicited takes a line out of the stream.
func (w *Wire) unsolicited(line []byte) {
	c := &w.cmd
	sign := signOf(line)
	if sign == Restarted && c.phase == answering && c.text == "AT+CFUN=1" && bytes.HasPrefix(line, []byte("+CFUN")) {
		sign = Settled // it has done what it was told
	}
	switch sign {
	case Restarted:
		if c.phase != idle && c.phase != aborting {
			w.finish(Restart, []byte("ERROR"))
		}
		w.sign(Restarted)
	case Settled:
		if (c.phase == writing || c.phase == committed) && !c.earlyOK && c.answers == 0 && !lingers(line) {
			w.patience.set(min(w.opts.SettledTimeout, time.Until(c.until)))
		}
		w.sign(Settled)
	case Late: // its OK follows
		if c.phase != idle {
			c.lateOK = time.Now()
		}
		w.late(line)
	}
	urc := URC{Line: string(line), Received: time.Now()}
	if opensQuote(line) && !w.replaying {
		w.beginQuote(urc)
		return
	}
	m, ok, textMode := parseHeader(urc)
	if textMode {
		w.sign(TextMode)
	}
	switch {
	case !ok:
		w.deliver(urc)
	case m.urc.Body != "":
		w.deliver(m.urc)
	default:
		w.expect(m)
	}
}

// strayed notes that something came that nobody waited for.
func (w *Wire) strayed() { w.strayAt = time.Now() }

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '_'
}
