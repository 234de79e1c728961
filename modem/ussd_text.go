package modem

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7"
)

// ussdForm is one way in which modems want a code.
type ussdForm struct {
	name   string
	encode func(string) string
	dcs    string // behind the code, "" for none
}

func (f ussdForm) command(code string) string {
	return fmt.Sprintf(`+CUSD=1,"%s"%s`, f.encode(code), f.dcs)
}

const (
	formPacked = "packed"
	// defaultDCS is the default alphabet in an unspecified language, TS 23.038
	// clause 5.
	defaultDCS = ",15"
)

// ussdForms are the forms worth trying, the likeliest first: text in the set
// that AT+CSCS says, or, as Huawei's sticks want it, packed septets in
// hexadecimal digits.
func ussdForms(manufacturer, charset string) []ussdForm {
	text := ussdForm{"text", func(code string) string { return code }, defaultDCS}
	switch strings.ToUpper(charset) {
	case "UCS2":
		text = ussdForm{"ucs2", func(code string) string { return hexOf(asUCS2(code)) }, defaultDCS}
	case "HEX":
		text = ussdForm{"hex", func(code string) string { return hexOf(septets(code)) }, defaultDCS}
	}
	bare := ussdForm{text.name + " without dcs", text.encode, ""}
	packed := ussdForm{formPacked, func(code string) string { return hexOf(packUSSD(septets(code))) }, defaultDCS}
	if strings.Contains(strings.ToLower(manufacturer), "huawei") {
		return []ussdForm{packed, text, bare}
	}
	return []ussdForm{text, bare, packed}
}

func hexOf(octets []byte) string { return strings.ToUpper(hex.EncodeToString(octets)) }

// septets are the code in the default alphabet, which has all of its
// characters.
func septets(code string) []byte {
	codec.Lock()
	defer codec.Unlock()
	out, err := gsm7.Encode([]byte(code))
	if err != nil {
		return []byte(code)
	}
	return out
}

// packUSSD packs septets as TS 23.038 6.1.2.3.1 has it: CR fills seven spare
// bits, which would else be an @, and stands behind a CR that would else be
// taken for that. gsm7.Pack7BitUSSD also puts one over what is no spare bit.
func packUSSD(septets []byte) []byte {
	switch n := len(septets); {
	case n%8 == 7, n%8 == 0 && n > 0 && septets[n-1] == '\r':
		septets = append(slices.Clip(septets), '\r')
	}
	return gsm7.Pack7Bit(septets, 0)
}

// unpackUSSD is the reverse. gsm7.Unpack7BitUSSD takes some last letters for the
// CR.
func unpackUSSD(octets []byte) []byte {
	septets := gsm7.Unpack7Bit(octets, 0)
	n := len(septets)
	filler := n > 0 && septets[n-1] == '\r' && (n%8 == 0 || n%8 == 1 && n > 1 && septets[n-2] == '\r')
	if filler {
		n--
	}
	return septets[:n]
}

func asUCS2(code string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(code)) {
		out = append(out, byte(unit>>8), byte(unit))
	}
	return out
}

// ussdSaid is a +CUSD line.
type ussdSaid struct {
	m    int // 0 done, 1 more is wanted, 2 ended, 3 other, 4 not supported, 5 time-out
	text string
	// told: there is a text, be it empty.
	told bool
	dcs  int // -1 if not told
}

// parseUSSD reads
//
//	+CUSD: <m>[,<str>[,<dcs>]]
//
// where the text may have quotation marks, commas and line ends of its own, or
// lack its quotation marks.
func parseUSSD(line string) (said ussdSaid, ok bool) {
	rest, ok := strings.CutPrefix(line, "+CUSD")
	if !ok {
		return said, false
	}
	number, rest, told := strings.Cut(strings.TrimLeft(rest, ": "), ",")
	m, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || m < 0 || m > 9 {
		return said, false
	}
	said = ussdSaid{m: m, told: told, dcs: -1}
	rest = strings.TrimLeft(rest, " ")
	if body, quoted := strings.CutPrefix(rest, `"`); quoted {
		said.text = body
		if end := strings.LastIndexByte(body, '"'); end >= 0 {
			said.text = body[:end]
			said.dcs = number0(strings.TrimLeft(body[end+1:], ", "))
		}
		return said, true
	}
	said.text = strings.TrimSpace(rest)
	if end := strings.LastIndexByte(rest, ','); end >= 0 && number0(rest[end+1:]) >= 0 {
		said.text, said.dcs = strings.TrimSpace(rest[:end]), number0(rest[end+1:])
	}
	return said, true
}

// number0 is a number from 0 to 255, -1 if s is none.
func number0(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 8)
	if err != nil {
		return -1
	}
	return int(n)
}

// reply is what the line says to whoever asked.
func (s ussdSaid) reply(u *ussd) (USSDReply, error) {
	switch {
	case s.m <= 2 && s.told && (s.text != "" || s.m < 2):
		return USSDReply{Text: s.decode(u.form == formPacked, u.charset), More: s.m == 1}, nil
	case s.m <= 1:
		return USSDReply{More: s.m == 1}, nil
	case s.m == 5:
		return USSDReply{}, ErrUSSDSilent
	}
	return USSDReply{}, ErrUSSDRefused
}

// Alphabets of cell broadcast and USSD data coding schemes.
type ussdAlphabet int

const (
	ussdDefault ussdAlphabet = iota
	ussdData
	ussdUCS2
)

// alphabet is <dcs> by TS 23.038 clause 5; marked: the text begins with the
// language that it is in.
func (s ussdSaid) alphabet() (a ussdAlphabet, marked bool) {
	if s.dcs < 0 {
		return ussdDefault, false
	}
	general := [...]ussdAlphabet{ussdDefault, ussdData, ussdUCS2, ussdDefault}[s.dcs>>2&3]
	switch s.dcs >> 4 {
	case 1:
		switch s.dcs {
		case 0x10:
			return ussdDefault, true
		case 0x11:
			return ussdUCS2, true
		}
	case 4, 5, 6, 7, 9:
		return general, false
	case 15:
		if s.dcs&4 != 0 {
			return ussdData, false
		}
	}
	return ussdDefault, false
}

// decode is the text. Modems give it as text, or in hexadecimal digits as
// UCS-2, packed septets or septets one an octet, and the data coding scheme
// tells which only at times: what makes sense as hexadecimal digits is read so.
func (s ussdSaid) decode(packed bool, charset string) string {
	alphabet, marked := s.alphabet()
	text := plainText(s.text)
	octets, err := hex.DecodeString(strings.TrimSpace(s.text))
	if err == nil && len(octets) > 0 {
		if isNumber(text) {
			text = s.digits(alphabet, octets, packed, charset)
		} else {
			text = s.hexadecimal(alphabet, octets, packed, charset)
		}
	}
	return tidyUSSD(withoutLanguage(text, alphabet, marked))
}

// withoutLanguage takes the mark of its language off a text that begins with
// one: two letters and CR, or in UCS-2 one unit.
func withoutLanguage(text string, alphabet ussdAlphabet, marked bool) string {
	switch {
	case marked && alphabet == ussdUCS2:
		_, size := utf8.DecodeRuneInString(text)
		return text[size:]
	case marked && len(text) > 3 && (text[2] == '\r' || text[2] == '\n'):
		return text[3:]
	}
	return text
}

// digits are a text of decimal digits alone, and that is what it says: a
// balance, a number, a code. Hexadecimal they are only where the modem has said
// so, by the data coding scheme, by AT+CSCS or by wanting the code so: 27.007
// 7.15.
func (s ussdSaid) digits(alphabet ussdAlphabet, octets []byte, packed bool, charset string) string {
	ucs2 := strings.EqualFold(charset, "UCS2")
	switch {
	case alphabet == ussdData && isPrintable(octets):
	case alphabet != ussdData && (alphabet == ussdUCS2 || packed || ucs2 || strings.EqualFold(charset, "HEX")):
	default:
		return plainText(s.text)
	}
	return s.hexadecimal(alphabet, octets, packed, charset)
}

// hexadecimal is what the octets say, or the text as it came if that is
// nothing.
func (s ussdSaid) hexadecimal(alphabet ussdAlphabet, octets []byte, packed bool, charset string) string {
	even := len(octets)%2 == 0
	text := ""
	switch {
	case alphabet == ussdUCS2 && even:
		return decodeUCS2(octets)
	case alphabet == ussdUCS2:
	case strings.EqualFold(charset, "UCS2") && even && !packed, looksUCS2(octets):
		return decodeUCS2(octets)
	case alphabet == ussdData:
		return plainText(string(octets))
	case packed:
		text = fromSeptets(unpackUSSD(octets))
	case strings.EqualFold(charset, "HEX"):
		text = fromSeptets(octets)
	case len(octets) >= leastGuess && oneCase(s.text):
		text = guess(octets)
	}
	if text == "" {
		return plainText(s.text)
	}
	return text
}

// leastGuess is the number of octets below which a word such as FADE is not
// taken for hexadecimal digits unless the modem says so.
const leastGuess = 4

// guess is what octets say that nobody has told the form of, "" if they make no
// sense: packed septets, behind which the spare bits are 0 (TS 23.038 6.1.2.3.1),
// or septets one an octet.
func guess(octets []byte) string {
	if spare := len(octets) % 7; octets[len(octets)-1]>>(8-spare) == 0 {
		if text := fromSeptets(unpackUSSD(octets)); sensible(text) {
			return text
		}
	}
	if text := fromSeptets(octets); sensible(text) {
		return text
	}
	return ""
}

// isNumber tells digits alone.
func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// oneCase tells whether the letters of s are all capitals or all small, as a
// modem writes hexadecimal digits.
func oneCase(s string) bool { return s == strings.ToUpper(s) || s == strings.ToLower(s) }

// isPrintable tells ASCII that somebody may have written.
func isPrintable(octets []byte) bool {
	for _, c := range octets {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

// plainText is a text that came as it is: UTF-8 or, failing that, Latin-1.
func plainText(s string) string {
	if utf8.ValidString(s) {
		return tidyUSSD(s)
	}
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return tidyUSSD(string(runes))
}

// tidyUSSD has line ends as LF alone, and no other control characters.
func tidyUSSD(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.Map(func(r rune) rune {
		if r != '\n' && unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// fromSeptets is "" where they are no text.
func fromSeptets(septets []byte) string {
	for _, c := range septets {
		if c > 0x7f {
			return ""
		}
	}
	text, err := decodeSeptets(septets, 0, 0)
	if err != nil {
		return ""
	}
	return text
}

// looksUCS2 tells UCS-2 from other octets: most of its units have the same
// high octet, that of an alphabet and not of an ideograph.
func looksUCS2(octets []byte) bool {
	if len(octets) < 4 || len(octets)%2 != 0 {
		return false
	}
	count := map[byte]int{}
	for i := 0; i < len(octets); i += 2 {
		if octets[i] == 0 && octets[i+1] < ' ' && octets[i+1] != '\n' && octets[i+1] != '\r' {
			return false
		}
		count[octets[i]]++
	}
	for high, n := range count {
		if high < 0x20 && 10*(n+count[0]*min(1, int(high))) >= 6*len(octets)/2 {
			return true
		}
	}
	return false
}

// sensible tells a text that somebody may have written from one that comes of
// reading octets in the wrong way: mostly letters, digits and blanks, and
// nearly all else common punctuation.
func sensible(text string) bool {
	words, marks, all := 0, 0, 0
	for _, r := range text {
		all++
		switch {
		case unicode.IsLetter(r) && r < 0x250, unicode.IsDigit(r), r == ' ', r == '\n', r == '\r':
			words++
		case strings.ContainsRune(".,:;!?'\"()/%+-*#=€$£@&<>_", r):
			marks++
		}
	}
	return all > 0 && 10*(words+marks) >= 9*all && 10*words >= 6*all
}
