package modem

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// answer returns the last line with the command's prefix, without it, and
// whether there is one. A line that came while the command ran may be
// unsolicited; it then says the same thing, only newer.
func answer(info []string, prefix string) (string, bool) {
	for i := len(info) - 1; i >= 0; i-- {
		if rest, ok := strings.CutPrefix(info[i], prefix); ok {
			return strings.TrimSpace(strings.TrimLeft(rest, ": ")), true
		}
	}
	return "", false
}

// fields splits an answer at its commas outside quotes and parentheses, and
// takes blanks and quotes off.
func fields(s string) []string {
	var out []string
	depth, quoted, start := 0, false, 0
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s), s[i] == ',' && depth == 0 && !quoted:
			out = append(out, strings.Trim(s[start:i], "\" "))
			start = i + 1
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '(' && !quoted:
			depth++
		case s[i] == ')' && !quoted:
			depth--
		}
	}
	return out
}

// digits returns the longest line of between least and most digits in info,
// free of prefix and quotes; modems print +CGSN: "…" or the number alone.
func digits(info []string, least, most int) string {
	best := ""
	for _, line := range info {
		if i := strings.LastIndexByte(line, ':'); i >= 0 {
			line = line[i+1:]
		}
		line, _, _ = strings.Cut(line, ",")
		line = strings.Trim(line, "\" ")
		if len(line) >= least && len(line) <= most && len(line) > len(best) && strings.Trim(line, "0123456789") == "" {
			best = line
		}
	}
	return best
}

// text returns what an identification command (+CGMI, +CGMM, +CGMR) says, in
// one line of at most 60 octets.
func text(info []string, prefix string) string {
	for _, line := range info {
		rest, _ := strings.CutPrefix(line, prefix)
		if s := shown(strings.Trim(rest, "\": "), 60); s != "" {
			return s
		}
	}
	return ""
}

// shown is what of s may be shown on a terminal, at most so many octets.
func shown(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s[:min(len(s), most)])
	return strings.TrimSpace(s)
}

// number is the first number in the answer to a command; ok is whether there is
// one.
func number(info []string, prefix string) (n int, ok bool) {
	s, told := answer(info, prefix)
	if !told {
		return 0, false
	}
	return value(fields(s)[0])
}

// value is a number however modems write it: 0, 00, "0", (0), "0;" or
// "0 registered". What can't be read is unknown, and never 0.
func value(s string) (n int, ok bool) {
	s = strings.TrimLeft(s, " \"'(")
	end := 0
	for end < len(s) && (isDigit(s[end]) || end == 0 && s[end] == '-') {
		end++
	}
	if end < len(s) && strings.IndexByte(" \"');.", s[end]) < 0 {
		return 0, false
	}
	n, err := strconv.Atoi(s[:end])
	return n, err == nil
}

// inPDUMode reads the answer to AT+CMGF?, which few modems give in words; told
// is whether it can be read.
func inPDUMode(info []string) (pdu, told bool) {
	if mode, ok := number(info, "+CMGF"); ok {
		return mode == 0, true
	}
	said, _ := answer(info, "+CMGF")
	said = strings.ToUpper(said)
	pdu = strings.Contains(said, "PDU")
	return pdu, pdu || strings.Contains(said, "TEXT")
}

// withoutAT is a command as session.command wants it.
func withoutAT(cmd string) string { return cmd[min(len("AT"), len(cmd)):] }

// maxParameter is far above all values that a parameter can have.
const maxParameter = 255

// ranges reads the value lists of a test command's answer, as in
//
//	(0-3),(0,1,2),(0,2),(0-2),(0,1)
//
// one set of numbers a parameter; a lone number is a set of one.
func ranges(s string) []map[int]bool {
	var sets []map[int]bool
	for _, field := range fields(s) {
		set := make(map[int]bool)
		for _, part := range strings.Split(strings.Trim(field, "() "), ",") {
			from, to, isRange := strings.Cut(strings.TrimSpace(part), "-")
			a, err := strconv.Atoi(strings.TrimSpace(from))
			b := a
			if err == nil && isRange {
				b, err = strconv.Atoi(strings.TrimSpace(to))
			}
			if err != nil || a < 0 || b > maxParameter {
				continue
			}
			for n := a; n <= b; n++ {
				set[n] = true
			}
		}
		sets = append(sets, set)
	}
	return sets
}
