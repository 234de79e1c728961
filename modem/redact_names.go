package modem

import (
	"regexp"
	"strings"
)

// makersWords are the names of a maker, model or firmware, as in EC25EFAR06A03M4G,
// "Revision: M26FBR03A06-TTS" or 25.30.223. Of a line that has more digits than
// those need hardly anything is shown, nor is anything in hexadecimal.
func makersWords(line string) string {
	const most, mostDigits = 120, 14
	if isNumber(line) || len(line) >= 16 && isHexText(line) {
		return hidden(line)
	}
	var shown strings.Builder
	digits := 0
	line = line[:min(len(line), most)]
	for i := 0; i < len(line); {
		c := line[i]
		if !isDigit(c) {
			if c < ' ' || c > '~' {
				c = '.'
			}
			shown.WriteByte(c)
			i++
			continue
		}
		r := digitRun(line[i:])
		end := i + len(r.text)
		if r.telling(i > 0 && isLetter(line[i-1]) || end < len(line) && isLetter(line[end])) {
			shown.WriteString(hidden(r.text))
		} else {
			shown.WriteString(r.text)
			digits += r.digits
		}
		i = end
	}
	if digits > mostDigits {
		return hidden(line)
	}
	return shown.String()
}

// run is a number as people write it: digits, and between them the marks that
// group them.
type run struct {
	text           string
	digits, groups int
	dotted         bool // groups of three digits at most, single dots between them
}

// digitRun is the run that s begins with.
func digitRun(s string) run {
	r := run{dotted: true}
	end, long := 0, 0 // of the last group
	for i := 0; i < len(s) && (isDigit(s[i]) || strings.IndexByte(" .-/_,():+", s[i]) >= 0); i++ {
		if !isDigit(s[i]) {
			continue
		}
		if i > end || r.digits == 0 {
			r.groups++
			r.dotted = r.dotted && (r.digits == 0 || s[end:i] == ".")
			long = 0
		}
		r.digits++
		long++
		r.dotted = r.dotted && long <= 3
		end = i + 1
	}
	r.text = s[:end]
	return r
}

// telling tells runs that may be a phone number, a code or a PIN from those in
// the names of models and versions, which are short, and longer only beside
// letters or between dots.
func (r run) telling(besideLetter bool) bool {
	most := 3
	switch {
	case r.dotted && r.groups > 2:
		most = 7
	case r.dotted && r.groups == 2, besideLetter:
		most = 5
	}
	return r.digits > most
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// pathWords is the path of a port without the serial numbers that it may hold.
func pathWords(path string) string {
	return regexp.MustCompile(`\d{6,}`).ReplaceAllStringFunc(path, hidden)
}
