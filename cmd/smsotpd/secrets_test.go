package main

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// secrets are numbers, and the codes that were sent to them.
type secrets struct {
	// needles tell what an octet string gives away, by length.
	needles map[int]map[string]string
	// begins has the first three octets of all needles, so that most places
	// are passed over quickly.
	begins [1 << 24]bool
	codes  map[string]bool
}

// What needles give away.
const (
	aNumber   = "a number"
	aCode     = "a code"
	aPIN      = "a PIN"
	aCard     = "a SIM's identity"
	fewOctets = "some octets of a number or code" // as chance has them, too
)

// seed is count mobile numbers without a pattern in their last seven digits.
func seed(count int) []string {
	numbers := make([]string, count)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("+3361%07d", (1_000_019+i*7_919_081)%10_000_000)
	}
	return numbers
}

func newSecrets(numbers []string) *secrets {
	s := &secrets{needles: map[int]map[string]string{}, codes: map[string]bool{}}
	for _, n := range numbers {
		national := strings.TrimPrefix(n, "+33")
		s.hideText(national, aNumber) // it is in every longer form, too
		s.hideOctets(semiOctets("33"+national), aNumber)
		s.hideOctets(semiOctets("0"+national), fewOctets)
	}
	return s
}

func (s *secrets) addCode(code string) {
	s.codes[code] = true
	s.hideOctets(ucs2(code), aCode)
	s.hideOctets(packed(code, 0), fewOctets) // in front of a text
}

// hideText hides what may be somewhere in a text, in the text's encodings.
func (s *secrets) hideText(text, what string) {
	s.hide(text, what)
	s.hideOctets(ucs2(text), what)
	for before := range 8 {
		s.hideOctets(packed(text, before), fewOctets)
	}
}

// hideIdentity hides digits that are hidden in part: they must not be there
// whole.
func (s *secrets) hideIdentity(digits string) {
	s.hideText(digits, aCard)
	s.hideOctets(semiOctets(digits), aCard)
}

func (s *secrets) hide(needle, what string) {
	if s.needles[len(needle)] == nil {
		s.needles[len(needle)] = map[string]string{}
	}
	s.needles[len(needle)][needle] = what
	s.begins[beginning([]byte(needle))] = true
}

// beginning is the first three octets of what has as many.
func beginning(data []byte) int { return int(data[0])<<16 | int(data[1])<<8 | int(data[2]) }

// hideOctets hides octets and their hexadecimal forms.
func (s *secrets) hideOctets(octets []byte, what string) {
	s.hide(string(octets), what)
	s.hide(hex.EncodeToString(octets), what)
	s.hide(strings.ToUpper(hex.EncodeToString(octets)), what)
}

// semiOctets is a number as PDUs carry it (3GPP TS 23.040 9.1.2.3).
func semiOctets(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "?" // 0xf
	}
	octets := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		octets = append(octets, (digits[i+1]-'0')<<4|(digits[i]-'0'))
	}
	return octets
}

// packed are the whole octets of a text in the GSM alphabet (TS 23.038 6.1.2.1)
// that has so many characters before it.
func packed(text string, before int) []byte {
	octets := make([]byte, (7*(before+len(text))+7)/8)
	for i := range len(text) {
		for bit := range 7 {
			if at := 7*(before+i) + bit; text[i]>>bit&1 == 1 {
				octets[at/8] |= 1 << (at % 8)
			}
		}
	}
	return octets[(7*before+7)/8 : 7*(before+len(text))/8]
}

// ucs2 is a text in UCS-2 (TS 23.038 6.2.3).
func ucs2(text string) []byte {
	var octets []byte
	for i := range len(text) {
		octets = append(octets, 0, text[i])
	}
	return octets
}

// sixDigits finds what may be a code: six digits that are not part of a longer
// run, of a word, or of a number's fraction. Times, sizes, ids and the IMSI
// hold runs of digits, too, of which one in 1,000 would be somebody's code.
var sixDigits = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])([0-9]{6})(?:[^0-9A-Za-z]|$)`)

// find counts what data gives away: distinct needles by what they are.
func (s *secrets) find(data []byte) map[string]int {
	found := map[string]string{}
	for i := range max(0, len(data)-2) {
		if !s.begins[beginning(data[i:])] {
			continue
		}
		for length, needles := range s.needles {
			here := data[i:min(i+length, len(data))]
			if what, ok := needles[string(here)]; ok {
				found[string(here)] = what
			}
		}
	}
	for rest := data; ; {
		m := sixDigits.FindSubmatchIndex(rest)
		if m == nil {
			break
		}
		if digits := string(rest[m[2]:m[3]]); s.codes[digits] {
			found[digits] = aCode
		}
		rest = rest[m[3]:] // the octet behind may be the one before the next
	}
	counts := map[string]int{}
	for _, what := range found {
		counts[what]++
	}
	return counts
}

// scan fails the test if data gives anything away. In octets that look random,
// as sealed ones do, 40 bits of a packed text come up by chance once in 10^12
// octets: with 2,000 such needles and some 10 MB in one run of 50. So two of them
// count for nothing; who keeps them keeps many. All else is rarer by far.
func (s *secrets) scan(t *testing.T, where string, data []byte) {
	t.Helper()
	counts := s.find(data)
	if counts[fewOctets] <= 2 {
		delete(counts, fewOctets)
	}
	if len(counts) > 0 {
		t.Errorf("%s (%d bytes) gives away: %v", where, len(data), counts)
	}
}

// A search that finds nothing must be one that could.
func TestSecretsAreFound(t *testing.T) {
	s := newSecrets([]string{"+33612345678"})
	s.addCode("904417")
	s.hideText("73519264", aPIN)
	s.hideIdentity("208011234567890")
	for data, want := range map[string]string{
		"to=+33612345678 ":                      aNumber,
		"0612345678":                            aNumber,
		"x\x33\x16\x32\x54\x76\xf8y":            aNumber,
		"0001000B913316325476F80000":            aNumber,
		"0001000b913316325476f80000":            aNumber,
		"904417 is your verification code.":     aCode,
		"code=904417":                           aCode,
		"code 111111/904417":                    aCode,
		"\x00904417\xff":                        aCode,
		"at 2026-11-23T16:47:36.904417Z":        "",
		"imsi=001019044170001":                  "",
		"id=0190-a904417bc":                     "",
		"took=904417ns":                         "",
		"AT+CPIN=\"73519264\"":                  aPIN,
		"003600310032003300340035003600370038":  aNumber,
		"003900300034003400310037":              aCode,
		"\x60\x21\x43\x65\x87":                  fewOctets,
		"IMSI 208011234567890":                  aCard,
		"IMSI 20801••••••••••":                  "",
		"\x39\x18\x8d\x16\xbb\x01 is your code": fewOctets,
		"39188d16b":                             "",
		"...39188D16BB01...":                    fewOctets,
	} {
		if got := s.find([]byte(data)); len(got) > 1 || want == "" && len(got) > 0 || want != "" && got[want] != 1 {
			t.Errorf("%q: %v, want %q", data, got, want)
		}
	}
}
