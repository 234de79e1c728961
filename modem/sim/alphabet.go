package sim

import (
	"strings"
	"unicode/utf16"
)

// The GSM 7-bit default alphabet, 3GPP TS 23.038 6.2.1, by septet; 0x1b leads
// to the extension table. Neither table is ever written.
var gsm7Basic = [128]rune{
	'@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
	'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', 0x1b, 'Æ', 'æ', 'ß', 'É',
	' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
	'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
	'¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
	'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
	'¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
	'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
}

// The extension table, TS 23.038 6.2.1.1.
var gsm7Extension = map[byte]rune{
	0x0a: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2f: '\\',
	0x3c: '[', 0x3d: '~', 0x3e: ']', 0x40: '|', 0x65: '€',
}

const gsm7Escape = 0x1b

// Language is a national language identifier, TS 23.038 6.2.1.2.4.
type Language byte

// The languages whose tables are known here; Spanish has a single shift table
// only.
const (
	DefaultLanguage Language = 0
	Turkish         Language = 1
	Spanish         Language = 2
	Portuguese      Language = 3
)

// nationalBasic is the locking shift table, TS 23.038 A.3, as what it has
// otherwise than the default alphabet; nil for a language without one.
func nationalBasic(l Language) map[byte]rune {
	return map[Language]map[byte]rune{
		DefaultLanguage: {},
		Turkish:         {0x04: '€', 0x07: 'ı', 0x0b: 'Ğ', 0x0c: 'ğ', 0x1c: 'Ş', 0x1d: 'ş', 0x40: 'İ', 0x60: 'ç'},
		Portuguese: {
			0x04: 'ê', 0x06: 'ú', 0x07: 'í', 0x08: 'ó', 0x09: 'ç', 0x0b: 'Ô', 0x0c: 'ô', 0x0e: 'Á', 0x0f: 'á',
			0x12: 'ª', 0x13: 'Ç', 0x14: 'À', 0x15: '∞', 0x16: '^', 0x17: '\\', 0x18: '€', 0x19: 'Ó', 0x1a: '|',
			0x1c: 'Â', 0x1d: 'â', 0x1e: 'Ê', 0x24: 'º', 0x40: 'Í', 0x5b: 'Ã', 0x5c: 'Õ', 0x5d: 'Ú', 0x60: '~',
			0x7b: 'ã', 0x7c: 'õ', 0x7d: '`',
		},
	}[l]
}

// nationalExtension is the single shift table, TS 23.038 A.2, as what it has
// beside the extension table; nil for an unknown language.
func nationalExtension(l Language) map[byte]rune {
	return map[Language]map[byte]rune{
		DefaultLanguage: {},
		Turkish:         {0x47: 'Ğ', 0x49: 'İ', 0x53: 'Ş', 0x63: 'ç', 0x67: 'ğ', 0x69: 'ı', 0x73: 'ş'},
		Spanish:         {0x09: 'ç', 0x41: 'Á', 0x49: 'Í', 0x4f: 'Ó', 0x55: 'Ú', 0x61: 'á', 0x69: 'í', 0x6f: 'ó', 0x75: 'ú'},
		Portuguese: {
			0x05: 'ê', 0x09: 'ç', 0x0b: 'Ô', 0x0c: 'ô', 0x0e: 'Á', 0x0f: 'á', 0x12: 'Φ', 0x13: 'Γ', 0x15: 'Ω', 0x16: 'Π',
			0x17: 'Ψ', 0x18: 'Σ', 0x19: 'Θ', 0x1f: 'Ê', 0x41: 'À', 0x49: 'Í', 0x4f: 'Ó', 0x55: 'Ú', 0x5b: 'Ã', 0x5c: 'Õ',
			0x61: 'Â', 0x69: 'í', 0x6f: 'ó', 0x75: 'ú', 0x7b: 'ã', 0x7c: 'õ', 0x7f: 'â',
		},
	}[l]
}

// septetsIn is text by the tables of a language each, one entry a character,
// an escape with what it escapes; and whether all of it fits.
func septetsIn(text string, locking, single Language) ([][]byte, bool) {
	codes := map[rune][]byte{}
	for _, table := range []map[byte]rune{gsm7Extension, nationalExtension(single)} {
		for c, r := range table {
			codes[r] = []byte{gsm7Escape, c}
		}
	}
	own := nationalBasic(locking)
	for i, r := range gsm7Basic {
		if other, differs := own[byte(i)]; differs {
			r = other
		}
		if i != gsm7Escape {
			codes[r] = []byte{byte(i)}
		}
	}
	all := [][]byte{}
	for _, r := range text {
		code, ok := codes[r]
		if !ok {
			return nil, false
		}
		all = append(all, code)
	}
	return all, true
}

// gsm7Text is the text of septets. A septet after an escape that the extension
// table lacks is shown as in the basic table, as TS 23.038 asks of a receiver.
func gsm7Text(septets []byte) string {
	var s strings.Builder
	escaped := false
	for _, c := range septets {
		switch r, known := gsm7Extension[c]; {
		case escaped && known:
			s.WriteRune(r)
		case !escaped && c == gsm7Escape:
			escaped = true
			continue
		default:
			s.WriteRune(gsm7Basic[c&0x7f])
		}
		escaped = false
	}
	return s.String()
}

// gsm7Septets is text in the default alphabet, and whether all of it fits.
func gsm7Septets(text string) ([]byte, bool) {
	septets := make([]byte, 0, len(text))
next:
	for _, r := range text {
		for i, b := range gsm7Basic {
			if b == r && i != gsm7Escape {
				septets = append(septets, byte(i))
				continue next
			}
		}
		for i, e := range gsm7Extension {
			if e == r {
				septets = append(septets, gsm7Escape, i)
				continue next
			}
		}
		return nil, false
	}
	return septets, true
}

// unpack7 reads n septets from octets, TS 23.038 6.1.2.1, after skip fill bits.
// The octets must hold them all.
func unpack7(octets []byte, n, skip int) []byte {
	septets := make([]byte, n)
	for i := range septets {
		bit := skip + 7*i
		v := uint16(octets[bit/8])
		if bit/8+1 < len(octets) {
			v |= uint16(octets[bit/8+1]) << 8
		}
		septets[i] = byte(v>>(bit%8)) & 0x7f
	}
	return septets
}

// pack7 is the inverse of unpack7 without fill bits.
func pack7(septets []byte) []byte {
	octets := make([]byte, (7*len(septets)+7)/8)
	for i, s := range septets {
		v := uint16(s) << (7 * i % 8)
		octets[7*i/8] |= byte(v)
		if v > 0xff {
			octets[7*i/8+1] |= byte(v >> 8)
		}
	}
	return octets
}

// ucs2Text reads big-endian UTF-16, which is what phones make of UCS-2.
func ucs2Text(octets []byte) string {
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	return string(utf16.Decode(units))
}

// ucs2Octets is the inverse of ucs2Text.
func ucs2Octets(text string) []byte {
	var octets []byte
	for _, u := range utf16.Encode([]rune(text)) {
		octets = append(octets, byte(u>>8), byte(u))
	}
	return octets
}
