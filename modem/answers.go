package modem

import (
	"fmt"
	"strconv"
	"strings"
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
		if s := strings.Trim(rest, "\": "); s != "" {
			return s[:min(len(s), 60)]
		}
	}
	return ""
}

// registration is <stat> of +CREG and its kin: 27.007 7.2.
type registration int

const (
	regUnknown   registration = -1
	regIdle      registration = 0
	regSearching registration = 2
	regDenied    registration = 3
)

// usable tells whether SMS can be sent: registered at home or roaming, also
// for SMS only (6, 7) or with CSFB not preferred (9, 10).
func (r registration) usable() bool {
	switch r {
	case 1, 5, 6, 7, 9, 10:
		return true
	}
	return false
}

// parseRegistration reads all shapes that modems use:
//
//	+CREG: <n>,<stat>[,<lac>,<ci>[,<act>]]   the answer
//	+CREG: <stat>[,<lac>,<ci>[,<act>]]       unsolicited, or a modem's habit
//
// A second field of more than two characters is a <lac>.
func parseRegistration(info []string, prefix string) registration {
	stat := regUnknown
	for _, line := range info {
		rest, ok := strings.CutPrefix(line, prefix)
		if !ok {
			continue
		}
		f := strings.Split(strings.TrimLeft(rest, ": "), ",")
		pick := strings.TrimSpace(f[0])
		if len(f) > 1 {
			if second := strings.TrimSpace(f[1]); len(second) == 1 || len(second) == 2 && second[0] != '"' {
				pick = second
			}
		}
		if n, err := strconv.Atoi(pick); err == nil {
			stat = registration(n)
		}
	}
	return stat
}

// reason says in words why r is not usable.
func (r registration) reason() string {
	switch r {
	case regIdle:
		return "not registered, and not searching for a network"
	case regSearching:
		return "searching for a network"
	case regDenied:
		return "the network denies registration: is the SIM active?"
	}
	return "not registered with a network"
}

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
			if err != nil {
				continue
			}
			b := a
			if isRange {
				if b, err = strconv.Atoi(strings.TrimSpace(to)); err != nil || b > a+16 {
					continue
				}
			}
			for n := a; n <= b; n++ {
				set[n] = true
			}
		}
		sets = append(sets, set)
	}
	return sets
}

// indications lists the AT+CNMI settings worth trying, best first: delivery
// reports routed directly (<ds>=1), then announced (2), then none; messages
// routed directly (<mt>=2), then announced (1), then none; 27.005 3.4.1. What
// the modem advertises goes first, but not alone: it may advertise what it
// refuses, and refuse to advertise.
func indications(advertised string) []string {
	sets := ranges(advertised)
	offered := func(param, value int) bool {
		return len(sets) <= param || len(sets[param]) == 0 || sets[param][value]
	}
	var likely, rest []string
	for _, ds := range [...]int{1, 2, 0} {
		for _, mt := range [...]int{2, 1, 0} {
			for _, mode := range [...]int{2, 1} {
				for _, bfr := range [...]int{0, 1} {
					s := fmt.Sprintf("%d,%d,0,%d,%d", mode, mt, ds, bfr)
					if offered(0, mode) && offered(1, mt) && offered(3, ds) && offered(4, bfr) {
						likely = append(likely, s)
					} else if mode == 2 && bfr == 0 {
						rest = append(rest, s)
					}
				}
			}
		}
	}
	return append(likely, rest...)
}

// dBm turns <rssi> of +CSQ into dBm, 0 if unknown: 27.007 8.5.
func dBm(info []string) int {
	s, ok := answer(info, "+CSQ")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(fields(s)[0])
	switch {
	case err != nil || n < 0:
		return 0
	case n <= 31:
		return -113 + 2*n
	case n >= 100 && n <= 191: // TD-SCDMA and some LTE modems
		return n - 216
	}
	return 0
}

// operatorName is <oper> of +COPS?, "" if there is none: 27.007 7.3.
func operatorName(info []string) string {
	s, _ := answer(info, "+COPS")
	if f := fields(s); len(f) >= 3 {
		return strings.ToValidUTF8(f[2][:min(len(f[2]), 40)], "")
	}
	return ""
}

// storedIndex reads +CMTI: <mem>,<index> and +CDSI: <mem>,<index>; ok is
// false where nothing is stored, as in "+CMTI: ,-1".
func storedIndex(line string) (mem string, index int, ok bool) {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) != 2 {
		return "", 0, false
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 {
		return "", 0, false
	}
	if len(f[0]) != 2 || strings.Trim(f[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", n, f[0] == ""
	}
	return f[0], n, true
}

// pduLength is the TPDU's length in octets by the header line of +CMT, +CDS,
// +CBM or +CMGR, its last number; 0 if there is none.
func pduLength(line string) int {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
