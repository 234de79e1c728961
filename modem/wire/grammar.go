package wire

import (
	"bytes"
	"strconv"
	"strings"
)

// finalResult returns the V.250/27.005 form of a final result code in any of
// the dialects that modems have, nil if the line is none: "OK", "ERROR",
// "+CMS ERROR: <err>" or "+CME ERROR: <err>".
func finalResult(line []byte) []byte {
	if len(line) < 2 || len(line) > 120 {
		return nil
	}
	switch line[0] {
	case 'O', 'o':
		if bytes.EqualFold(line, []byte("OK")) {
			return []byte("OK")
		}
	case 'N', 'T', 'I', 'U', 'C':
		switch string(line) {
		case "NA", "COMMAND NOT SUPPORT", "COMMAND NOT SUPPORTED", "NOT SUPPORTED", "NOT SUPPORT",
			"TOO MANY PARAMETERS", "INVALID COMMAND", "UNKNOWN COMMAND", "INVALID PARAMETERS":
			return []byte("ERROR")
		}
	}
	if bytes.Contains(line, []byte("ERROR")) {
		return errorResult(string(line))
	}
	return nil
}

// errorResult is finalResult for lines with the word ERROR in them.
func errorResult(line string) []byte {
	for _, kind := range [...]string{"+CMS", "+CME", "CMS", "CME"} {
		rest, ok := strings.CutPrefix(line, kind)
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " :"), "ERROR"); !ok {
			continue
		}
		number := strings.Trim(rest, " :")
		if number == "" {
			number = "unknown"
		}
		return []byte("+" + strings.TrimPrefix(kind, "+") + " ERROR: " + number)
	}
	// ERROR, ERROR: 4, MODEM ERROR: 4, COMMAND ERROR, +EXT ERROR: 6 …
	word, rest, spaced := strings.Cut(strings.TrimPrefix(line, "+"), " ")
	if spaced && isUpper(word) && word != "ERROR" {
		word = rest
	}
	if rest, ok := strings.CutPrefix(word, "ERROR"); ok && (rest == "" || rest[0] == ':' || rest[0] == ' ') {
		return []byte("ERROR")
	}
	return nil
}

func isUpper(word string) bool {
	for i := range len(word) {
		if word[i] < 'A' || word[i] > 'Z' {
			return false
		}
	}
	return word != ""
}

// isPrefixMark tells the characters that begin an extended answer or an
// unsolicited line: "+" of the standards, the others of vendors.
func isPrefixMark(c byte) bool { return strings.IndexByte("+^$*#%&!@", c) >= 0 }

// isUnsolicited tells lines that are no answer unless a command with their
// prefix is running.
func isUnsolicited(line []byte) bool {
	if isPrefixMark(line[0]) {
		return len(line) > 1 && isAlnum(line[1])
	}
	switch string(line) {
	case "RING", "RDY", "READY", "Call Ready", "SMS Ready", "SMS DONE", "PB DONE", "START", "SYSSTART",
		"NO CARRIER", "NO ANSWER", "NO DIALTONE", "BUSY", "NORMAL POWER DOWN", "POWERED DOWN", "POWER DOWN",
		"PBREADY", "SMSREADY", "SIM READY", "MODEM:STARTUP", "IIII", "UNDER-VOLTAGE WARNNING", "OVER-VOLTAGE WARNNING":
		return true
	}
	return bytes.HasPrefix(line, []byte("STIN:"))
}

// signOf tells what an unsolicited line says of the modem's own state, 0 if
// nothing. ^BOOT is none: Huawei repeats it while alive.
func signOf(line []byte) Sign {
	switch string(line) {
	case "RDY", "START", "SYSSTART", "^SYSSTART", "MODEM:STARTUP", "+CFUN: 1", "+CFUN:1",
		"NORMAL POWER DOWN", "POWERED DOWN", "POWER DOWN":
		return Restarted
	case "Call Ready", "SMS Ready", "SMS DONE", "PB DONE", "PBREADY", "SMSREADY", "SIM READY",
		"+QIND: SMS DONE", "+CPIN: READY", "+CPIN:READY":
		return Settled
	}
	switch {
	case bytes.HasPrefix(line, []byte("^CINIT")):
		return Settled
	case bytes.HasPrefix(line, []byte("+CMGS:")):
		return Late
	}
	return 0
}

// reportsRegistration tells +CREG: <stat>[,"<lac>",…], which is unsolicited,
// from +CREG: <n>,<stat>…, which answers (27.007 7.2, 10.1.20, 10.1.22).
func reportsRegistration(line []byte) bool {
	prefix, rest, ok := bytes.Cut(line, []byte(":"))
	if !ok || !bytes.HasSuffix(prefix, []byte("REG")) {
		return false
	}
	_, second, ok := bytes.Cut(rest, []byte(","))
	if !ok {
		return true
	}
	second, _, _ = bytes.Cut(second, []byte(","))
	second = bytes.TrimSpace(second)
	return len(second) == 0 || len(second) > 2 || second[0] == '"'
}

// carriesMessage tells the lines that are kept when others are dropped.
func carriesMessage(line string) bool {
	for _, prefix := range [...]string{"+CMT", "+CDS", "+CBM"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// pduHeader is the first line of an unsolicited message whose second line is
// still to come: 27.005 3.4.1.
type pduHeader struct {
	urc      URC
	octets   int  // of the TPDU in the second line; 0 in text mode
	textMode bool // the second line is text, and always the next one
	patience int  // how many other lines may come between
}

func (h *pduHeader) pending() bool { return h.patience > 0 }

// parseHeader recognises
//
//	+CMT: [<alpha>],<length>      +CDS: <length>      +CBM: <length>
//
// in PDU mode and +CMT: "<oa>",[<alpha>],"<scts>"… in text mode, where +CDS is
// a single line.
func parseHeader(urc URC) pduHeader {
	kind, rest, ok := strings.Cut(urc.Line, ":")
	if !ok || kind != "+CMT" && kind != "+CDS" && kind != "+CBM" {
		return pduHeader{}
	}
	fields := strings.Split(rest, ",")
	last := strings.TrimSpace(fields[len(fields)-1])
	n, err := strconv.Atoi(last)
	most := 1
	if kind == "+CMT" {
		most = 2
	}
	switch {
	case err == nil && n > 0 && n <= 255 && len(fields) <= most:
		return pduHeader{urc: urc, octets: n, patience: 8}
	case kind == "+CDS" && len(fields) > 1:
		return pduHeader{textMode: true}
	case kind != "+CDS" && len(fields) > 2:
		return pduHeader{urc: urc, textMode: true, patience: 1}
	}
	return pduHeader{}
}

// fits tells whether line is the second line. A PDU that is as long as the
// header says always is; another one only if no command is running that has
// PDUs in its own answer.
func (h *pduHeader) fits(line []byte, id string) bool {
	if h.textMode {
		return true
	}
	if len(line) < 4 || len(line)%2 != 0 || !isHex(line) {
		return false
	}
	smsc, _ := strconv.ParseUint(string(line[:2]), 16, 8)
	if len(line)/2 == 1+int(smsc)+h.octets || len(line)/2 == h.octets {
		return true
	}
	return id != "+CMGR" && id != "+CMGL" && len(line) > 20
}

func isHex(line []byte) bool {
	for _, c := range line {
		if !('0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
