package wire

import (
	"bytes"
	"strings"
	"time"
)

// shape is what the answer of a command consists of.
type shape int

const (
	nothing  shape = iota // no line is an answer: AT, AT+CFUN=1
	prefixed              // lines with the command's prefix: +CPMS: …
	oneLine               // one such line, which modems also say unasked: +CREG?
	messages              // headers with the prefix, and a line behind each: +CMGR=1
	number                // a line with a number in it, prefixed or not: +CIMI
	freeText              // lines of any text: +CGMI
)

// shapeOf tells the shape of the answer to id+form, form being what follows
// the name: "", "?", "=?" or "=<values>".
func shapeOf(id, form string) shape {
	set := form != "" && form != "?" && form != "=?"
	switch {
	case id == "" || !isPrefixMark(id[0]): // the basic commands of V.250
		if strings.HasPrefix(id, "I") {
			return freeText
		}
		return nothing
	case isSpontaneous(id) && set:
		return nothing
	case isSpontaneous(id) && form != "=?":
		return oneLine
	}
	switch id {
	case "+CMGR", "+CMGL":
		return messages
	case "+CGSN", "+GSN", "+CIMI":
		return number
	case "+CMGS", "+CNUM", "+CPAS", "+CEER", "+CNMA":
		return prefixed
	}
	switch {
	case isCardID(id):
		return number
	case form == "":
		return freeText
	}
	return prefixed
}

// isSpontaneous tells the prefixes of queries that modems also say unasked.
func isSpontaneous(id string) bool {
	switch id {
	case "+CREG", "+CGREG", "+CEREG", "+C5GREG", "+CSQ", "+CESQ", "+CPIN", "+CFUN":
		return true
	}
	return false
}

// isCardID tells the vendors' commands for the SIM's number, +CCID, ^ICCID,
// +QCCID, +CICCID and so on; they answer each by its own or another's prefix.
func isCardID(id string) bool { return strings.HasSuffix(id, "CCID") }

// own tells whether the line has the prefix of the command's answers and
// comes at a time when it can be one.
func (w *Wire) own(line []byte) bool {
	c := &w.cmd
	if c.phase != answering && c.phase != writing && c.phase != committed {
		return false
	}
	switch c.shape {
	case nothing:
		return false
	case number:
		if prefix, _, ok := bytes.Cut(line, []byte(":")); ok && isCardID(c.id) && isPrefixMark(line[0]) && isCardID(string(prefix)) {
			return true
		}
	case freeText:
		if c.id == "I" && bytes.HasPrefix(line, []byte("+GCAP")) {
			return true
		}
	case messages:
		if c.id == "+CMGR" && bytes.HasPrefix(line, []byte("+CMGL:")) {
			return true // so some answer it
		}
	}
	rest, ok := bytes.CutPrefix(line, []byte(c.id))
	if !ok || !isPrefixMark(c.id[0]) || len(rest) > 0 && isAlnum(rest[0]) {
		return false
	}
	return c.id != "+CUSD" || c.query && bytes.IndexByte(rest, '"') < 0
}

// answer takes a line with the command's own prefix. Such a line can also be
// an unsolicited one: what comes second goes both ways, and whoever asked
// takes the better line.
func (w *Wire) answer(line []byte) {
	c := &w.cmd
	c.answers++
	c.lateOK = time.Time{} // the OK of what came before would have come by now
	switch {
	case c.shape == oneLine:
		w.hold(line)
	case c.query && c.answers > 1:
		w.unsolicited(line)
	}
	if c.phase == idle { // the unsolicited reading ended the command
		return
	}
	if c.shape != oneLine && !c.twoStep {
		w.info(line)
	}
	switch {
	case c.shape == messages:
		w.expectOwn(line)
	case c.twoStep:
		w.referred(line)
	case c.query && c.phase == answering:
		w.patience.set(quietFinal)
	}
}

// expectOwn expects the line behind the header of a message: a PDU if the
// header says how long it is, a text of any kind if not.
func (w *Wire) expectOwn(header []byte) {
	_, rest, _ := strings.Cut(string(header), ":")
	rest = strings.TrimSpace(rest)
	_, last := splitLast(rest)
	n := 0
	for _, c := range []byte(last) {
		if c < '0' || c > '9' || n > 255 {
			n = 0
			break
		}
		n = 10*n + int(c-'0')
	}
	w.cmd.textMode = n == 0 || strings.HasPrefix(rest, `"`)
	if !w.cmd.textMode {
		w.expect(message{own: true, octets: n})
	}
}

// heldLine is an unsolicited line, or one that may be the answer.
type heldLine struct {
	URC
	own bool
}

// maxHeld bounds the unsolicited lines that wait for an answer's end.
const maxHeld = 256

// hold keeps a line that is the answer or unsolicited, and all unsolicited
// ones behind it, until the final result tells which it is. Of several, one
// in the form of an answer goes before one in that of an unsolicited line,
// and the later before the earlier.
func (w *Wire) hold(line []byte) {
	c := &w.cmd
	if c.answered || c.answers > 1 && signOf(line) == Restarted {
		w.unsolicited(line)
		return
	}
	held := heldLine{URC{Line: string(line), Received: time.Now()}, true}
	if len(w.held) == 0 || !reportsRegistration(line) || reportsRegistration([]byte(w.held[w.best].Line)) {
		w.best = len(w.held)
	}
	w.held = append(w.held, held)
}

// release hands on what hold kept; answered tells whether one is the answer.
// What is but looks like an unsolicited line goes both ways: the modem may have
// answered by OK alone.
func (w *Wire) release(answered bool) {
	if len(w.held) == 0 {
		return
	}
	held, best := w.held, w.best
	w.held, w.best, w.cmd.answered = nil, 0, true
	if answered {
		w.info([]byte(held[best].Line))
	} else {
		best = -1
	}
	for i, h := range held {
		if i == best && !reportsRegistration([]byte(h.Line)) {
			continue
		}
		if h.own && i != best {
			w.sign(signOf([]byte(h.Line)))
		}
		w.deliver(h.URC)
	}
	w.held = held[:0]
}

// deliver hands on an unsolicited line.
func (w *Wire) deliver(u URC) {
	if len(w.held) > 0 {
		if w.held = append(w.held, heldLine{URC: u}); len(w.held) > maxHeld {
			w.release(true)
		}
		return
	}
	w.urcs.put(u, carriesMessage(u.Line))
}

// answersBare tells whether a line without prefix is part of the answer.
func (w *Wire) answersBare(line []byte) bool {
	c := &w.cmd
	if c.phase != answering {
		return false
	}
	switch c.shape {
	case freeText:
		return true
	case number:
		digits := 0
		for _, b := range line {
			if '0' <= b && b <= '9' {
				digits++
			}
		}
		return digits >= 5
	case messages:
		// A PDU may be in quotes, in several lines, or without a header.
		rest := bytes.Trim(line, "\" ")
		return c.textMode || len(rest) > 1 && isHex(rest)
	}
	// Some modems leave the prefix out.
	return c.query && (line[0] == '"' || line[0] == '(' || '0' <= line[0] && line[0] <= '9')
}

// info hands a line of the answer to the engine, which would take some for a
// prompt or a final result.
func (w *Wire) info(line []byte) {
	line = bytes.TrimLeft(line, "> ")
	if len(line) == 0 || bytes.HasPrefix(line, []byte("ERROR")) {
		return
	}
	w.cmd.infoAt = time.Now()
	if w.cmd.octets += len(line) + 1; w.cmd.octets <= maxInfo {
		w.emit(line)
	}
}
