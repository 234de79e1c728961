package modem

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// redactor turns whole lines between host and modem into what may be shown to
// anybody. It works by what is known to be harmless: names of commands and
// answers, numbers of up to three digits, words that 27.007 and vendors have,
// what a modem is called. Of all else only the kind and the length are told.
type redactor struct {
	command string // the last one sent, without arguments: AT+CGMI
	sending int    // octets of the TPDU that AT+CMGS has announced, 0: none
	coming  int    // the same of the modem's next PDU
	body    int    // how many of the next lines are part of a text
	named   bool   // the answer of the last command has told a name or identity
	// private: a text came, whose further lines may look like anything. Hardly
	// anything is shown until a command was sent after it and answered, and
	// another is sent: since says how far that has come.
	private bool
	since   privacy

	number, span, basic, extended, answer *regexp.Regexp
}

// privacy is what has happened since a text came.
type privacy int

const (
	textCame privacy = iota
	commandSent
	commandAnswered
)

// maxBodyLines bounds how much a quotation mark that is never closed hides.
const maxBodyLines = 32

func newRedactor() *redactor {
	return &redactor{
		number:   regexp.MustCompile(`^-?\d{1,3}$`),
		span:     regexp.MustCompile(`^\d{1,3}-\d{1,3}$`),
		basic:    regexp.MustCompile(`^AT([EQVSIZXMLW&]{1,2}\d?)*$`),
		extended: regexp.MustCompile(`^(AT[+^$*#%!@&][A-Z]{1,12}\d?)(=\?|\?|=(.*))?$`),
		answer:   regexp.MustCompile(`^([+^$*#%!@&][A-Z]{1,12}\d?):\s*(.*)$`),
	}
}

// sent is a line from the host; payload says that Ctrl-Z or ESC ended it.
func (r *redactor) sent(line string, payload bool) string {
	if payload {
		announced := r.sending
		r.sending = 0
		return withPDU(line, announced, true)
	}
	switch {
	case r.private && r.since == commandAnswered:
		r.private, r.body = false, 0
	case r.private:
		r.since = commandSent
	}
	command, shown := r.commandLine(line)
	r.command, r.named, r.sending = command, false, 0
	if command == "AT+CMGS" || command == "AT+CMGW" {
		r.sending = lastNumber(line)
	}
	return shown
}

// commandLine is a command line's name and what may be shown of it.
func (r *redactor) commandLine(line string) (name, shown string) {
	if r.basic.MatchString(line) {
		return line, line
	}
	m := r.extended.FindStringSubmatch(line)
	switch {
	case m == nil && strings.HasPrefix(line, "AT"):
		return "AT", "AT" + hidden(line[2:])
	case m == nil:
		return "", hidden(line)
	case strings.HasPrefix(m[2], "=") && m[2] != "=?":
		return m[1], m[1] + "=" + r.fields(m[3], false)
	}
	return m[1], line
}

// received is a line from the modem.
func (r *redactor) received(line string) string {
	if rest, prompt := strings.CutPrefix(line, ">"); prompt {
		return ">" + hidden(strings.TrimLeft(rest, " "))
	}
	if r.coming > 0 && isHexText(line) {
		announced := r.coming
		r.coming = 0
		return withPDU(line, announced, false)
	}
	inBody := r.body > 0
	if inBody {
		r.body--
		if r.body > 0 && strings.Contains(line, `"`) {
			r.body = 0
		}
	}
	switch m := r.answer.FindStringSubmatch(line); {
	case isFinal(line):
		if r.since == commandSent {
			r.since = commandAnswered
		}
		return line
	case inBody:
		return hidden(line)
	case strings.HasPrefix(line, "AT"): // an echo
		_, shown := r.commandLine(line)
		return shown
	case m != nil:
		return r.answered(line, m[1], m[2])
	}
	return r.bare(line)
}

// answered is a line with a name in front.
func (r *redactor) answered(line, name, rest string) string {
	switch name {
	case "+CMT", "+CDS", "+CBM", "+CMGR", "+CMGL":
		r.announced(rest)
		return name + ": " + r.fields(rest, false)
	case "+CUSD":
		r.hush()
		if strings.Count(rest, `"`)%2 == 1 { // its text goes on in the next lines
			r.body = maxBodyLines
		}
		return name + ": " + r.fields(rest, false)
	case "+CMGS":
		return name + ": " + r.fields(rest, false)
	}
	if r.private {
		return hidden(line)
	}
	switch name {
	case "+CGMI", "+CGMM", "+CGMR", "+GMI", "+GMM", "+GMR":
		return name + ": " + r.once(makersWords, rest)
	case "+CGSN", "+GSN", "+CIMI", "+CCID", "+ICCID", "+QCCID", "^ICCID":
		return name + ": " + r.once(identifier, strings.Trim(rest, `"`))
	}
	return name + ": " + r.fields(rest, name == "+COPS")
}

// announced notes what follows the first line of a message.
func (r *redactor) announced(rest string) {
	if strings.Count(rest, `"`) < 4 && strings.Count(rest, ",") < 4 {
		if r.coming = lastNumber(rest); r.coming > 0 {
			return
		}
	}
	r.hush()
	r.body = 1
}

// hush notes that a text has come.
func (r *redactor) hush() { r.private, r.since = true, textCame }

// bare is a line without a name: an unsolicited word, an identification, or a
// text.
func (r *redactor) bare(line string) string {
	switch {
	case r.private:
		return hidden(line)
	case isKnownWord(line), isErrorInWords(line):
		return line
	}
	switch r.command {
	case "AT+CGMI", "AT+CGMM", "AT+CGMR", "AT+GMI", "AT+GMM", "AT+GMR", "ATI":
		return r.once(makersWords, line)
	case "AT+CGSN", "AT+GSN", "AT+CIMI", "AT+CCID", "AT+ICCID", "AT+QCCID", "AT^ICCID":
		return r.once(identifier, line)
	}
	return hidden(line)
}

// once shows a line of the answer to a command that asks for a name or an
// identity, the first alone: what follows may be anything.
func (r *redactor) once(show func(string) string, line string) string {
	if r.named {
		return hidden(line)
	}
	r.named = true
	return show(line)
}

// fields shows what may be shown of a list of values; names of operators are
// let through where they are letters.
func (r *redactor) fields(list string, letters bool) string {
	var shown strings.Builder
	depth := 0
	for list != "" {
		if list[0] == '"' {
			value, rest, closed := strings.Cut(list[1:], `"`)
			switch {
			case value == "", isKnownWord(value), letters && isLetters(value):
				shown.WriteString(`"` + value + `"`)
			default:
				shown.WriteString(`"` + hidden(value) + `"`)
			}
			if !closed {
				break
			}
			list = rest
			continue
		}
		end := strings.IndexAny(list, `",;()`)
		if end == 0 {
			switch list[0] {
			case '(':
				depth++
			case ')':
				depth--
			}
			shown.WriteByte(list[0])
			list = list[1:]
			continue
		}
		if end < 0 {
			end = len(list)
		}
		value := strings.TrimSpace(list[:end])
		switch {
		case value == "", r.number.MatchString(value), depth > 0 && r.span.MatchString(value), isKnownWord(value):
			shown.WriteString(value)
		default:
			shown.WriteString(hidden(value))
		}
		list = list[end:]
	}
	return shown.String()
}

// identifier is an IMEI, IMSI or ICCID, of which the beginning tells the make,
// the network or the issuer.
func identifier(line string) string {
	const told = 5
	if n := len(line); n < 14 || n > 20 || strings.Trim(line, "0123456789") != "" {
		return hidden(line)
	}
	return line[:told] + hidden(line[told:])
}

// withPDU shows the structure of a PDU, SMSC address included, whose TPDU has
// the announced length; of any other line only the length.
func withPDU(line string, announced int, submit bool) string {
	octets, err := hex.DecodeString(line)
	if err != nil || announced == 0 || len(octets) == 0 {
		return hidden(line)
	}
	smsc := 1 + int(octets[0])
	if smsc > 12 || len(octets) != smsc+announced {
		return hidden(line)
	}
	what, ok := structure(octets[smsc:], submit)
	if !ok {
		return hidden(line)
	}
	return fmt.Sprintf("«PDU: SMSC %d octets, %s»", smsc-1, what)
}

// structure tells of a TPDU (TS 23.040 9.2.2) what is neither number nor
// text; ok is false where it is not one beyond doubt.
func structure(tpdu []byte, submit bool) (what string, ok bool) {
	rest := tpdu
	take := func(n int) []byte {
		if n > len(rest) {
			rest, ok = nil, false
			return make([]byte, n)
		}
		var head []byte
		head, rest = rest[:n], rest[n:]
		return head
	}
	ok = true
	fo := take(1)[0]
	kind := fo & 3
	what = fmt.Sprintf("first octet %02X", fo)
	if submit && kind == 1 || !submit && kind == 2 {
		what += fmt.Sprintf(", MR %d", take(1)[0])
	}
	address := take(2)
	if address[0] > 20 || address[1]&0x80 == 0 {
		return "", false
	}
	take((int(address[0]) + 1) / 2)
	what += fmt.Sprintf(", address of %d, type %02X", address[0], address[1])
	if !submit && kind == 2 { // SMS-STATUS-REPORT
		take(14)
		return what + fmt.Sprintf(", status %02X", take(1)[0]), ok
	}
	if submit != (kind == 1) {
		return "", false
	}
	head := take(2)
	what += fmt.Sprintf(", PID %02X, DCS %02X", head[0], head[1])
	switch format := fo >> 3 & 3; {
	case !submit:
		take(7)
	case format == 2:
		what += fmt.Sprintf(", VP %02X", take(1)[0])
	case format != 0:
		take(7)
	}
	length := int(take(1)[0])
	if length > 160 || len(rest) > 140 || len(rest) != length && len(rest) != (length*7+7)/8 {
		return "", false
	}
	return what + fmt.Sprintf(", user data of %d in %d octets", length, len(rest)), ok
}

// hidden tells the kind and the length of what is not shown.
func hidden(s string) string {
	switch {
	case s == "":
		return ""
	case strings.Trim(s, "0123456789") == "":
		return fmt.Sprintf("«%d digits»", len(s))
	case isHexText(s):
		return fmt.Sprintf("«%d hex digits»", len(s))
	}
	return fmt.Sprintf("«%d characters»", len(s))
}

// isFinal tells final results, whose numbers are those of errors.
func isFinal(line string) bool {
	switch line {
	case "OK", "ERROR", "NO CARRIER", "NO ANSWER", "NO DIALTONE", "BUSY", "COMMAND NOT SUPPORT", "TOO MANY PARAMETERS", "NA":
		return true
	}
	for _, kind := range [...]string{"+CMS ERROR", "+CME ERROR", "MODEM ERROR"} {
		if rest, ok := strings.CutPrefix(line, kind); ok {
			n := strings.TrimLeft(rest, ": ")
			return len(n) <= 3 && strings.Trim(n, "0123456789") == ""
		}
	}
	return false
}

// isErrorInWords tells errors as AT+CMEE=2 has them.
func isErrorInWords(line string) bool {
	for _, kind := range [...]string{"+CMS ERROR:", "+CME ERROR:"} {
		if words, ok := strings.CutPrefix(line, kind); ok {
			return isLetters(words)
		}
	}
	return false
}

// isKnownWord tells words of the standards and of vendors that stand alone or
// in a list.
func isKnownWord(s string) bool {
	switch s {
	case "SM", "ME", "MT", "SR", "BM", "TA", "SM_P", "ME_P", "MT_P", "DC", "EN", "FD", "LD", "MC", "ON", "RC",
		"GSM", "UCS2", "IRA", "HEX", "UTF-8", "8859-1", "PCCP437", "PCDN",
		"READY", "NOT READY", "SIM PIN", "SIM PUK", "SIM PIN2", "SIM PUK2", "PH-SIM PIN", "PH-FSIM PIN", "PH-FSIM PUK",
		"PH-NET PIN", "PH-NET PUK", "PH-NETSUB PIN", "PH-SP PIN", "PH-CORP PIN", "NOT INSERTED", "BLOCKED",
		"REC READ", "REC UNREAD", "STO SENT", "STO UNSENT", "ALL", "SC",
		"LTE", "UMTS", "WCDMA", "CDMA", "TDD", "FDD", "NR5G", "HSPA", "HSPA+", "EDGE", "NONE", "NOSERVICE", "NO SERVICE",
		"RDY", "RING", "START", "SYSSTART", "Call Ready", "SMS Ready", "SMS DONE", "PB DONE", "PBREADY", "SMSREADY", "SIM READY",
		"NORMAL POWER DOWN", "POWERED DOWN", "POWER DOWN", "MODEM:STARTUP", "UNDER-VOLTAGE WARNNING", "OVER-VOLTAGE WARNNING",
		"+CGSM", "+FCLASS", "+DS", "+ES", "^BOOT", "^SYSSTART", "^CINIT":
		return true
	}
	return false
}

func isLetters(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != ' ' && c != '-' && c != '.' && c != '&' && !('A' <= c && c <= 'Z') && !('a' <= c && c <= 'z') {
			return false
		}
	}
	return len(s) <= 30 && !isHexText(strings.ReplaceAll(s, " ", ""))
}

func isHexText(s string) bool {
	return len(s) >= 2 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// lastNumber is the number behind the last comma or "=", 0 if there is none
// that can be a TPDU's length.
func lastNumber(s string) int {
	s = strings.TrimSpace(s[strings.LastIndexAny(s, ",=")+1:])
	if len(s) == 0 || len(s) > 3 || strings.Trim(s, "0123456789") != "" {
		return 0
	}
	n := 0
	for i := range len(s) {
		n = 10*n + int(s[i]-'0')
	}
	return n
}
