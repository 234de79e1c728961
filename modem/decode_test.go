package modem

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/warthog618/sms/encoding/gsm7"
)

// received makes an SMS-DELIVER from +33612345678.
func received(firstOctet, dcs byte, length int, ud []byte) []byte {
	raw := append([]byte{firstOctet}, mustHex("0B913316325476F8")...)
	raw = append(raw, 0, dcs)
	raw = append(raw, mustHex("62119051127240")...)
	return append(append(raw, byte(length)), ud...)
}

func mustHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// gsm packs septets behind a header, whose length octet is put in front.
func gsm(header []byte, septets string) []byte {
	if len(header) == 0 {
		return received(0x04, 0, len(septets), gsm7.Pack7Bit([]byte(septets), 0))
	}
	head := append([]byte{byte(len(header))}, header...)
	fill := (7 - len(head)*8%7) % 7
	length := (len(head)*8+fill)/7 + len(septets)
	return received(0x44, 0, length, append(head, gsm7.Pack7Bit([]byte(septets), fill)...))
}

func ucs(header []byte, octets string) []byte {
	ud := mustHex(octets)
	if len(header) == 0 {
		return received(0x04, 8, len(ud), ud)
	}
	ud = append(append([]byte{byte(len(header))}, header...), ud...)
	return received(0x44, 8, len(ud), ud)
}

func TestDecodeAlphabets(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		text string
		data string
	}{
		{"default", gsm(nil, "hello"), "hello", ""},
		{"extension", gsm(nil, "\x1b\x65 \x1b\x28\x1b\x29\x02"), "€ {}$", ""},
		{"unknown extension", gsm(nil, "\x1bA"), "A", ""},
		{"an escape at the end", gsm(nil, "a\x1b"), "a ", ""},
		{"no text", gsm(nil, ""), "", ""},
		{"Turkish, single shift", gsm(mustHex("240101"), "\x1bs\x1bgi"), "şği", ""},
		{"Turkish, locking shift", gsm(mustHex("250101"), "\x1d\x07\x1c"), "şıŞ", ""},
		{"Turkish, both", gsm(mustHex("240101250101"), "\x1d\x1bG"), "şĞ", ""},
		{"Spanish", gsm(mustHex("240102"), "\x1baqu\x1bi"), "áquí", ""},
		{"Portuguese, single shift", gsm(mustHex("240103"), "\x1b{\x1b\x7c\x09"), "ãõÇ", ""},
		{"Portuguese, locking shift", gsm(mustHex("250103"), "\x7b\x7c\x09"), "ãõç", ""},
		{"Hindi", gsm(mustHex("250106"), "\x1a"), "च", ""},
		{"a language there is none of", gsm(mustHex("2401FF2501FF"), "ab\x1b\x65"), "ab€", ""},
		{"UCS-2", ucs(nil, "043A043E0434"), "код", ""},
		{"surrogates", ucs(nil, "D83DDE00"), "😀", ""},
		{"half a surrogate", ucs(nil, "0041D83D0042"), "A\uFFFDB", ""},
		{"an odd octet", ucs(nil, "004100"), "A", ""},
		{"8 bit", received(0x04, 4, 3, mustHex("00FF80")), "", "00ff80"},
		{"8 bit with header", received(0x44, 0xf5, 6, mustHex("03700100 00FF")), "", "00ff"},
		{"message class 7 bit", received(0x04, 0xf0, 1, []byte{'A'}), "A", ""},
		{"message waiting, UCS-2", received(0x04, 0xe0, 2, mustHex("0041")), "A", ""},
		{"a reserved coding", received(0x04, 0x8c, 1, []byte{'A'}), "A", ""},
		{"the reserved alphabet", received(0x04, 0x0c, 1, []byte{'A'}), "A", ""},
		{"a reserved type", received(0x07, 0, 1, []byte{'A'}), "A", ""},
		{"octets behind its end", received(0x04, 0, 1, mustHex("41FFFF")), "A", ""},
		{"elements that don't add up", gsm(mustHex("0003010201 24FF"), "a"), "a", ""},
		{"an element of odd length", gsm(mustHex("000201022502 0101"), "a"), "a", ""},
	} {
		in := decodeDeliver(c.raw)
		if in.Undecodable || in.Text != c.text || hex.EncodeToString(in.Data) != c.data || in.From != "+33612345678" || in.Parts != 0 {
			t.Errorf("%s: %q, %x, undecodable %v, from %q, %d parts", c.name, in.Text, in.Data, in.Undecodable, in.From, in.Parts)
		}
		text, data, err := DecodeParts([][]byte{c.raw})
		if err != nil || text != c.text || hex.EncodeToString(data) != c.data {
			t.Errorf("%s: DecodeParts: %q, %x, %v", c.name, text, data, err)
		}
	}
}

func TestDecodeConcatenated(t *testing.T) {
	for _, c := range []struct {
		name        string
		header      string
		ref         uint16
		part, parts byte
	}{
		{"8 bit", "0003AB0302", 0xab, 2, 3},
		{"16 bit", "080401020A0A", 0x0102, 10, 10},
		{"16 bit, and few of them", "080400AB0302", 0xab, 2, 3},
		{"among others", "2401010003070201", 7, 1, 2},
		{"the last counts", "0003070201 0003080202", 8, 2, 2},
		{"part 0", "0003AB0300", 0, 0, 0},
		{"part 4 of 3", "0003AB0304", 0, 0, 0},
		{"one part", "0003AB0101", 0, 0, 0},
		{"no parts", "0003AB0000", 0, 0, 0},
		{"too many parts", "0003AB0B01", 0, 0, 0},
		{"255 parts", "0804FFFFFFFF", 0, 0, 0},
	} {
		in := decodeDeliver(gsm(mustHex(c.header), "part"))
		if in.Undecodable || in.Text != "part" || in.Ref != c.ref || in.Part != c.part || in.Parts != c.parts ||
			in.Wide != strings.HasPrefix(c.name, "16 bit") {
			t.Errorf("%s: ref %d, %d of %d, %q", c.name, in.Ref, in.Part, in.Parts, in.Text)
		}
	}
}

func TestDecodeParts(t *testing.T) {
	concat := func(part byte, more ...byte) []byte { return append([]byte{0, 3, 9, 2, part}, more...) }
	for _, c := range []struct {
		name  string
		parts [][]byte
		text  string
		data  string
	}{
		{"7 bit", [][]byte{gsm(concat(1), "one "), gsm(concat(2), "two")}, "one two", ""},
		{"an escape on its own", [][]byte{gsm(concat(1), "5 \x1b"), gsm(concat(2), "\x65")}, "5 €", ""},
		{"surrogates apart", [][]byte{ucs(concat(1), "0041D83D"), ucs(concat(2), "DE000042")}, "A😀B", ""},
		{"an octet apart", [][]byte{ucs(concat(1), "004104"), ucs(concat(2), "3A")}, "Aк", ""},
		{"a language of its own each", [][]byte{gsm(concat(1, 0x25, 1, 1), "\x07"), gsm(concat(2, 0x25, 1, 3), "\x07")}, "ıí", ""},
		{"two alphabets", [][]byte{gsm(concat(1), "a"), ucs(concat(2), "043A")}, "aк", ""},
		{"data", [][]byte{received(4, 4, 1, []byte{1}), received(4, 4, 1, []byte{2})}, "", "0102"},
	} {
		text, data, err := DecodeParts(c.parts)
		if err != nil || text != c.text || hex.EncodeToString(data) != c.data {
			t.Errorf("%s: %q, %x, %v", c.name, text, data, err)
		}
	}
	for name, parts := range map[string][][]byte{"none": nil, "an empty one": {gsm(nil, "a"), nil}} {
		if _, _, err := DecodeParts(parts); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestHostilePDUsAreUndecodable(t *testing.T) {
	whole := gsm(mustHex("0003AB0302"), "text")
	for name, raw := range map[string][]byte{
		"nothing":                          {},
		"one octet":                        {0x04},
		"a length beyond its end":          received(0x04, 0, 160, []byte("text")),
		"a length beyond any":              received(0x04, 4, 255, make([]byte, 255)),
		"a header beyond its end":          received(0x44, 4, 4, mustHex("FF000000")),
		"a header and no octet":            received(0x44, 0, 0, nil),
		"a header that takes all septets":  received(0x44, 0, 1, mustHex("05")),
		"compressed":                       received(0x04, 0x20, 1, []byte{'A'}),
		"a submission":                     received(0x01, 0, 1, []byte{'A'}),
		"an address of 255 digits":         append(mustHex("04FF91"), make([]byte, 200)...),
		"an address longer than it":        mustHex("040B9133"),
		"a report that is a message":       {0x02, 0x01},
		"without length of its user data":  received(0x04, 0, 0, nil)[:18],
		"header octets beyond user data's": received(0x44, 8, 3, mustHex("050003AB0302")),
	} {
		if in := decodeDeliver(raw); !in.Undecodable || in.Text != "" || in.Data != nil || in.Parts != 0 || string(in.PDU) != string(raw) {
			t.Errorf("%s: %+v, undecodable %v", name, in.Text, in.Undecodable)
		}
	}
	for n := range whole { // cut off anywhere
		if in := decodeDeliver(whole[:n]); !in.Undecodable {
			t.Errorf("%d octets of it are a message", n)
		}
	}
}

func TestDecodeAddress(t *testing.T) {
	for _, c := range []struct{ octets, want string }{
		{"0B913316325476F8", "+33612345678"},
		{"0AA16021436507", "0612345670"},
		{"0581107208", "01278"},
		{"0591 10F208", "+012"},
		{"0091", ""},
		{"0081", ""},
		{"0481A1B1", "1*1#"},
		{"0BD0C7F7FBCC2E03", "Google"},
		{"0CD0C7F7FBCC2E03", "Google"},
		{"0ED0B0986C46ABD900", "0123456"},
		{"02D080", "@"},
	} {
		got, rest, ok := cutAddress(append(mustHex(c.octets), 0xaa))
		if !ok || len(rest) != 1 || got != c.want {
			t.Errorf("%s: %q, %v, %x left", c.octets, got, ok, rest)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for s, want := range map[string]time.Time{
		"62119051127240": time.Date(2026, 11, 9, 14, 21, 27, 0, time.UTC),
		"6211905112724A": time.Date(2026, 11, 9, 21, 21, 27, 0, time.UTC),
		"00000000000000": {},
		"FFFFFFFFFFFFFF": {},
		"62319051127240": {},
		"62119052127240": {},
	} {
		if got := timestamp(mustHex(s)); !got.Equal(want) {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// FuzzDecodeParts: no parts, however hostile, make it fail otherwise than by
// an error.
func FuzzDecodeParts(f *testing.F) {
	for _, raw := range [][]byte{
		gsm(nil, "hello"), gsm(mustHex("0003AB0302"), "part"), gsm(mustHex("240101250101"), "\x1d\x1bG"),
		ucs(mustHex("080401020A0A"), "0041D83D"), received(0x44, 0xf5, 6, mustHex("0370010000FF")),
	} {
		f.Add(raw, gsm(nil, "x"))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, parts := range [][][]byte{{a}, {a, b}} {
			text, data, err := DecodeParts(parts)
			if err != nil && (text != "" || data != nil) {
				t.Error("an error and a text")
			}
			if !utf8.ValidString(text) || len(text) > 2000 || len(data) > 2*maxUserData {
				t.Errorf("%d octets of text, %d of data", len(text), len(data))
			}
		}
		in := decodeDeliver(a)
		if in.Undecodable && (in.Text != "" || in.Parts != 0) || in.Part > in.Parts || in.Parts > maxParts || len(in.From) > 60 {
			t.Errorf("part %d of %d, sender of %d octets", in.Part, in.Parts, len(in.From))
		}
	})
}

// FuzzDecodeReport: a report is read or refused, whatever it is.
func FuzzDecodeReport(f *testing.F) {
	f.Add(mustHex("06D60B911326880736F4111011719551401110117195714000"))
	f.Add(mustHex("06000081111011719551401110117195714046"))
	f.Add(mustHex("06D60BD0C7F7FBCC2E0311101171955140111011719571403007000004"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if r, err := decodeReport(raw); err == nil && (r.MR != raw[1] || len(r.Recipient) > 60) {
			t.Errorf("MR %d, a recipient of %d octets", r.MR, len(r.Recipient))
		}
	})
}
