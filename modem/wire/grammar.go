package wire

import (
	"bytes"
	"strings"
)

// finalResult returns the V.250/27.005 form of a final result code in any of
// the dialects that modems have, nil if the line is none: "OK", "ERROR",
// "+CMS ERROR: <err>" or "+CME ERROR: <err>".
func finalResult(line []byte) []byte {
	if len(line) < 2 || len(line) > 120 {
		return nil
	}
	if len(line) == 2 {
		switch string(line) {
		case "OK", "ok", "Ok":
			return []byte("OK")
		case "NA":
			return []byte("ERROR")
		}
		return nil
	}
	if string(line) == "FAIL" || string(line) == "FAILED" {
		return []byte("ERROR")
	}
	if containsError(line) {
		return errorResult(string(line))
	}
	if !isPrefixMark(line[0]) && isRefusal(line) {
		return []byte("ERROR")
	}
	return nil
}

// containsError tells whether the word ERROR is in the line, in any letters.
func containsError(line []byte) bool {
	for i := 0; i+5 <= len(line); i++ {
		if line[i]|0x20 == 'e' && bytes.EqualFold(line[i:i+5], []byte("ERROR")) {
			return true
		}
	}
	return false
}

// isRefusal tells the words by which modems refuse a command, such as COMMAND
// NOT SUPPORT, TOO MANY PARAMETERS or Invalid command: something about a
// command, an operation or parameters that is said not to be right.
func isRefusal(line []byte) bool {
	if len(line) < 8 || len(line) > 40 || !isWords(line) {
		return false
	}
	n, subject, verdict, permit := 0, false, false, false
	var upper [16]byte
	for word := range bytes.FieldsSeq(line) {
		n++
		for i, c := range word[:min(len(word), len(upper))] {
			upper[i] = c &^ 0x20
		}
		switch string(upper[:min(len(word), len(upper))]) {
		case "COMMAND", "CMD", "OPERATION", "PARAMETER", "PARAMETERS", "PARAM", "SYNTAX":
			subject = true
		case "NOT", "INVALID", "UNKNOWN", "UNSUPPORTED", "UNRECOGNIZED", "UNDEFINED", "BAD", "WRONG", "TOO", "MISSING", "ILLEGAL":
			verdict = true
		case "SUPPORT", "SUPPORTED", "IMPLEMENTED", "ALLOWED":
			permit = true
		}
	}
	return verdict && (subject || permit && n == 2)
}

func isWords(line []byte) bool {
	for _, c := range line {
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == ' ') {
			return false
		}
	}
	return true
}

// errorResult is finalResult for lines with the word ERROR in them.
func errorResult(said string) []byte {
	line := capitals(said)
	for _, kind := range [...]string{"+CMS", "+CME", "CMS", "CME"} {
		rest, ok := strings.CutPrefix(line, kind)
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " :"), "ERROR"); !ok {
			continue
		}
		number := strings.Trim(said[len(said)-len(rest):], " :")
		if number == "" {
			number = "unknown"
		}
		return []byte("+" + strings.TrimPrefix(kind, "+") + " ERROR: " + number)
	}
	// ERROR, ERROR: 4, MODEM ERROR: 4, COMMAND ERROR, +EXT ERROR: 6 …
	word, behind, spaced := strings.Cut(strings.TrimPrefix(line, "+"), " ")
	if spaced && isUpper(word) && word != "ERROR" {
		word = behind
	}
	rest, ok := strings.CutPrefix(word, "ERROR")
	switch {
	case !ok || rest != "" && rest[0] != ':' && rest[0] != ' ':
		return nil
	case spaced && word == "ERROR" && !strings.Contains(said, "ERROR"): // a sentence
		return nil
	}
	return []byte("ERROR")
}

// capitals has the small letters of ASCII in capitals, octet for octet.
func capitals(s string) string {
	raw := []byte(s)
	for i, c := range raw {
		if 'a' <= c && c <= 'z' {
			raw[i] = c &^ 0x20
		}
	}
	return string(raw)
}

func isUpper(word string) bool {
	for i := range len(word) {
		if word[i] < 'A' || word[i] > 'Z' {
			return false
		}
	}
	return word != ""
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

func isHex(line []byte) bool {
	for _, c := range line {
		if !isHexDigit(c) {
			return false
		}
	}
	return true
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}
