package wire

import (
	"bytes"
	"strings"
)

// isPrefixMark tells the characters that begin an extended answer or an
// unsolicited line: "+" of the standards, the others of vendors.
func isPrefixMark(c byte) bool { return strings.IndexByte("+^$*#%&!@_", c) >= 0 }

// isUnsolicited tells lines that are no answer unless a command with their
// prefix is running.
func isUnsolicited(line []byte) bool {
	i := 0
	for i < len(line) && i < 3 && isPrefixMark(line[i]) {
		i++
	}
	if i > 0 {
		return i < len(line) && isAlnum(line[i])
	}
	return isAnnouncement(line)
}

// isAnnouncement tells unsolicited lines without a prefix: those of V.250 and
// 27.007, and what vendors say of starts, power, the SIM and calls. An unknown
// one is told by being no answer of the command that is running.
func isAnnouncement(line []byte) bool {
	if line[0] < 'A' || len(line) > 64 {
		return false
	}
	switch string(line) {
	case "RING", "NO CARRIER", "NO ANSWER", "NO DIALTONE", "BUSY", "RDY", "READY", "Ready", "START", "STARTUP", "APP RDY",
		"PBREADY", "SMSREADY", "IIII", "RAT CHANGE", "CLOSED":
		return true
	}
	if head, _, told := bytes.Cut(line, []byte(":")); told {
		switch string(head) {
		case "STIN", "DST", "MODEM", "VOICE CALL", "MISSED_CALL", "SIMCARD":
			return true
		}
		return false
	}
	for _, end := range [...]string{" READY", " DONE", " POWER DOWN", "POWERED DOWN", " WARNING", " WARNNING", " UPDATING"} {
		if i := len(line) - len(end); i >= 0 && strings.EqualFold(string(line[i:]), end) {
			return true
		}
	}
	return bytes.HasPrefix(line, []byte("SYSSTART"))
}

// signOf tells what an unsolicited line says of the modem's own state, 0 if
// nothing. ^BOOT is none: Huawei repeats it while alive.
func signOf(line []byte) Sign {
	if len(line) > 64 {
		return 0
	}
	text := string(line)
	if !isPrefixMark(line[0]) {
		return signOfWords(text)
	}
	id, rest, _ := strings.Cut(text, ":")
	rest = strings.TrimSpace(rest)
	switch id {
	case "+CFUN":
		if rest == "1" {
			return Restarted
		}
	case "+CPIN":
		if rest == "READY" || rest == "SIM PIN" {
			return Settled
		}
	case "+WIND": // Wavecom: ready for basic commands, for all of them, the SIM's services
		switch rest {
		case "3":
			return Restarted
		case "1", "4", "7", "16":
			return Settled
		}
	case "+QIND":
		if strings.HasSuffix(rest, " DONE") {
			return Settled
		}
	case "+CMGS":
		return Late
	case "#QSS": // Telit: the SIM's state
		return Settled
	}
	switch word := strings.TrimLeft(id, "+^*"); {
	case strings.HasPrefix(word, "SYSSTART"), strings.HasPrefix(word, "SHUTDOWN"), word == "MATREADY", strings.HasPrefix(word, "EMRDY"):
		return Restarted
	case word == "CINIT", word == "PBREADY", word == "SMSREADY":
		return Settled
	}
	return 0
}

// signOfWords is signOf for lines without a prefix.
func signOfWords(text string) Sign {
	switch text {
	case "READY":
		return 0
	case "RDY", "Ready", "APP RDY", "START", "STARTUP", "MODEM:STARTUP":
		return Restarted
	case "SMS DONE", "PB DONE":
		return Settled
	}
	switch {
	case strings.HasPrefix(text, "SYSSTART"), strings.HasSuffix(text, "POWER DOWN"), strings.HasSuffix(text, "POWERED DOWN"):
		return Restarted
	case strings.HasSuffix(text, "READY"), strings.HasSuffix(text, " Ready"):
		return Settled
	}
	return 0
}

// lingers tells the signs of a modem having become ready that some give while
// alive too, and so say little of what is in the air.
func lingers(line []byte) bool {
	return bytes.HasSuffix(line, []byte("PB DONE")) || bytes.HasPrefix(line, []byte("+CPIN")) || bytes.HasPrefix(line, []byte("#QSS"))
}

// carriesMessage tells the lines that are kept when others are dropped.
func carriesMessage(line string) bool {
	for _, prefix := range [...]string{"+CMT", "+CDS", "+CBM", "+CUSD"} {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}

// isSentence tells NMEA sentences, which GNSS ports print: "$GPGGA,…".
func isSentence(line []byte) bool {
	if line[0] != '$' {
		return false
	}
	for i, c := range line[1:] {
		switch {
		case c == ',':
			return i > 2 && i < 12
		case !('A' <= c && c <= 'Z' || '0' <= c && c <= '9'):
			return false
		}
	}
	return false
}
