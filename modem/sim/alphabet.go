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
