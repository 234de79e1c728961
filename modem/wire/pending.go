package wire

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPending bounds the messages that wait for their second line, and
	// maxOthers the other lines that may come between the two.
	maxPending = 4
	maxOthers  = 8
	// secondLine is how long a second line may take.
	secondLine = 5 * time.Second
	// maxQuoted and maxQuotedLines bound a quoted text of several lines. That
	// of a USSD answer has 182 characters: 22.090, 23.038 6.1.2.3.
	maxQuoted      = 2048
	maxQuotedLines = 64
)

// message is one whose second line is still to come: an unsolicited one
// (27.005 3.4.1), or one in the answer of +CMGR or +CMGL.
type message struct {
	urc    URC
	octets int  // of the TPDU in the second line; 0 in text mode
	text   bool // the second line is text, and always the next one
	own    bool // it is the command's
	others int  // lines that came between
}

// parseHeader recognises
//
//	+CMT: [<alpha>],<length>      +CDS: <length>      +CBM: <length>
//
// in PDU mode, whose PDU some modems put into the same line, and
// +CMT: "<oa>",[<alpha>],"<scts>"… in text mode. There +CDS is a single line:
// no message is to come, but textMode is told.
func parseHeader(urc URC) (m message, ok, textMode bool) {
	kind, rest, found := strings.Cut(urc.Line, ":")
	if !found || kind != "+CMT" && kind != "+CDS" && kind != "+CBM" {
		return message{}, false, false
	}
	before, last := splitLast(rest)
	n, err := strconv.Atoi(last)
	switch {
	case err == nil && n > 0 && n <= 255 && before <= 1:
		return message{urc: urc, octets: n}, true, false
	case before > 0 && len(last) > 20 && len(last)%2 == 0 && isHex([]byte(last)):
		urc.Line, urc.Body = urc.Line[:strings.LastIndexByte(urc.Line, ',')], last
		return message{urc: urc}, true, false
	case kind == "+CDS":
		return message{}, false, before > 1
	}
	return message{urc: urc, text: true}, before > 0, false
}

// splitLast returns the last of the fields, which commas outside quotes part,
// and how many are before it.
func splitLast(s string) (before int, last string) {
	quoted, begin := false, 0
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ',' && !quoted:
			before, begin = before+1, i+1
		}
	}
	return before, strings.Trim(s[begin:], " ")
}

// fits tells how well line is m's second line: 3 if it is as long as the header
// says, 2 if it is without a service centre, as some modems print it, 1 if it
// could be a PDU, or once was one, 0 if it is none.
func (m *message) fits(line []byte) int {
	foreign := 0
	for _, c := range line {
		if !isHexDigit(c) {
			foreign++
		}
	}
	if foreign == 0 && len(line)%2 == 0 && len(line) >= 4 {
		smsc, _ := strconv.ParseUint(string(line[:2]), 16, 8)
		switch len(line) / 2 {
		case 1 + int(smsc) + m.octets:
			return 3
		case m.octets:
			return 2
		}
	}
	if len(line) > 20 && foreign <= 2 {
		return 1
	}
	return 0
}

// expect puts m on the pile of what waits for its second line.
func (w *Wire) expect(m message) {
	if len(w.pile) == maxPending {
		w.giveUp(0)
	}
	w.pile = append(w.pile, m)
	w.startOverdue(secondLine)
}

// takeBody takes a second line that something waits for. Of those that wait,
// the one that began last goes first; but a PDU that is as long as another
// one's header says is that one's.
func (w *Wire) takeBody(line []byte) bool {
	best, score := -1, 0
	for i := range slices.Backward(w.pile) {
		m := &w.pile[i]
		fit := m.fits(line)
		if fit == 1 && !m.own && w.awaitsOwn() {
			fit = 0 // a PDU of unknown length is the command's
		}
		if fit > score {
			best, score = i, fit
		}
	}
	if best < 0 {
		w.countOthers()
		return false
	}
	m := w.pile[best]
	w.pile = slices.Delete(w.pile, best, best+1)
	if m.own {
		w.info(line)
		return true
	}
	m.urc.Body = string(line)
	w.deliver(m.urc)
	return true
}

func (w *Wire) awaitsOwn() bool {
	return slices.ContainsFunc(w.pile, func(m message) bool { return m.own })
}

// countOthers notes that a line came between, and hands on the messages whose
// second line is not to be expected any more.
func (w *Wire) countOthers() {
	for i := 0; i < len(w.pile); {
		m := &w.pile[i]
		if m.others++; m.others >= maxOthers && !m.own {
			w.giveUp(i)
			continue
		}
		i++
	}
}

// giveUp hands on a message without its second line.
func (w *Wire) giveUp(i int) {
	m := w.pile[i]
	w.pile = slices.Delete(w.pile, i, i+1)
	if m.own {
		return
	}
	if m.text {
		w.sign(TextMode)
	}
	w.deliver(m.urc)
}

// textDue tells whether the next line is the text of a message.
func (w *Wire) textDue() bool { return len(w.pile) > 0 && w.pile[len(w.pile)-1].text }

// inText tells whether what comes is a text that the modem passes on: there
// ">" is no prompt and "OK" no result.
func (w *Wire) inText() bool { return w.quote.open || w.textDue() }

// takeText takes the line that textDue tells of.
func (w *Wire) takeText(line []byte) {
	m := w.pile[len(w.pile)-1]
	w.pile = w.pile[:len(w.pile)-1]
	m.urc.Body = string(line)
	w.sign(TextMode)
	w.deliver(m.urc)
}

// quote is an unsolicited +CUSD whose quoted text has several lines.
type quote struct {
	open  bool
	urc   URC
	lines int
	text  []byte // its lines so far, each behind a newline but the first
}

// opensQuote tells whether line is a +CUSD whose text goes on:
//
//	+CUSD: <m>,"<str>",<dcs>      27.007 7.15
func opensQuote(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("+CUSD")) {
		return false
	}
	_, text, quoted := bytes.Cut(line, []byte(`"`))
	return quoted && !closesQuote(text)
}

// closesQuote tells whether a text, from behind its first quotation mark on,
// has its last one. Those in the text itself are not marked as such.
func closesQuote(text []byte) bool {
	i := bytes.LastIndexByte(text, '"')
	if i < 0 {
		return false
	}
	tail := bytes.TrimSpace(text[i+1:])
	if dcs, ok := bytes.CutPrefix(tail, []byte(",")); ok {
		dcs = bytes.TrimSpace(dcs)
		return len(dcs) > 0 && len(bytes.Trim(dcs, "0123456789")) == 0
	}
	return len(tail) == 0 && bytes.Count(text, []byte(`"`))%2 == 1
}

// beginQuote holds an unsolicited line until its text is whole.
func (w *Wire) beginQuote(urc URC) {
	w.quote = quote{open: true, urc: urc, text: append(w.quote.text[:0], urc.Line...)}
	w.startOverdue(quietFinal)
}

// goOn adds a line to the text that is open. A text without end is given up:
// its lines then count for what they look like.
func (w *Wire) goOn(line []byte) {
	q := &w.quote
	q.text = append(append(q.text, '\n'), line...)
	if q.lines++; len(q.text) > maxQuoted || q.lines > maxQuotedLines {
		w.breakQuote()
		return
	}
	_, text, _ := bytes.Cut(q.text, []byte(`"`))
	if !closesQuote(text) {
		w.startOverdue(quietFinal)
		return
	}
	q.open, q.urc.Line = false, string(q.text)
	w.deliver(q.urc)
	w.startOverdue(secondLine)
}

// breakQuote gives the text up that is open.
func (w *Wire) breakQuote() {
	if !w.quote.open {
		return
	}
	q := w.quote
	w.quote = quote{}
	w.deliver(q.urc)
	w.replaying = true // a text that begins among them is given up too
	for line := range bytes.SplitSeq(q.text[len(q.urc.Line):], []byte("\n")) {
		if len(line) > 0 {
			w.line(line)
		}
	}
	w.replaying = false
	begun := bytes.Clone(w.partial)
	w.partial = w.partial[:0]
	w.feed(begun)
}

// startOverdue sets the alarm of what waits for its end, if anything does.
func (w *Wire) startOverdue(d time.Duration) {
	w.overdue.stop()
	if w.quote.open || len(w.pile) > 0 {
		w.overdue.set(d)
	}
}

// expirePending gives up what has waited too long for its end.
func (w *Wire) expirePending() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.overdue.isDue():
	case w.quote.open && len(w.partial) < maxQuoted && time.Since(w.heardAt) < quietFinal:
		w.startOverdue(quietFinal - time.Since(w.heardAt)) // its next line is coming
	case w.quote.open:
		w.breakQuote()
		w.startOverdue(secondLine)
	default:
		w.flushPending()
	}
}

// flushPending hands on all that waits for its end.
func (w *Wire) flushPending() {
	w.overdue.stop()
	w.breakQuote()
	for i := 0; i < len(w.pile); {
		if w.pile[i].own {
			i++
			continue
		}
		w.giveUp(i)
	}
}

// forgetOwn drops what waits for the answer of the command that is over.
func (w *Wire) forgetOwn() {
	w.pile = slices.DeleteFunc(w.pile, func(m message) bool { return m.own })
}
