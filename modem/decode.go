package modem

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7"
)

// What comes in is hostile, and a part of it that is wrong must not cost the
// rest, so TPDUs are taken apart by hand: sms.Unmarshal gives a message up for
// one time stamp that is none, and looks for national alphabets under the
// identifiers 24 and 25 where TS 23.040 9.2.3.24 has 0x24 and 0x25. Only the
// codec's alphabets are used.

// codec guards the PDU codec, which makes its character tables at first use, in
// variables of its own that it does not guard.
var codec sync.Mutex

// errNotPDU: the line is not the hexadecimal form of a PDU.
var errNotPDU = errors.New("modem: not a PDU")

// errUnreadable: a TPDU can't be decoded. The text says what is wrong with it
// and nothing of what is in it.
var errUnreadable = errors.New("modem: can't be read")

func unreadable(what string) error { return fmt.Errorf("%w: %s", errUnreadable, what) }

const (
	// maxPDU bounds what is decoded: an SMSC address and the longest TPDU.
	maxPDU = 12 + 255
	// maxParts is how many parts a message may have; one that claims more is
	// taken for a message of its own.
	maxParts = 10
	// maxUserData is the length of TP-UD in octets, TS 23.040 9.2.3.24.
	maxUserData = 140
)

// decodeTPDU takes the TPDU out of the hex form that modems give in PDU mode.
// octets is its length by the header line, 0 if that is unknown. Some modems put
// no service centre address in front, some count it, and some count wrong: where
// length and address do not agree, what reads as a TPDU is taken for one.
func decodeTPDU(body string, octets int) ([]byte, error) {
	raw, err := hex.DecodeString(unquoted(body))
	if err != nil || len(raw) == 0 || len(raw) > maxPDU {
		return nil, errNotPDU
	}
	const longestSMSC = 11
	var behind []byte // what follows the service centre address, if it is one
	if sca := int(raw[0]); sca <= longestSMSC && 1+sca < len(raw) {
		behind = raw[1+sca:]
	}
	bare := octets > 0 && len(raw) == octets
	switch {
	case octets > 0 && len(behind) == octets:
		return behind, nil
	case bare && (readable(raw) || !readable(behind)), !bare && !readable(behind) && readable(raw):
		return raw, nil
	case behind == nil:
		return nil, errNotPDU
	}
	return behind, nil
}

// readable tells whether raw reads as an SMS-DELIVER or SMS-STATUS-REPORT with a
// time stamp that is one.
func readable(raw []byte) bool {
	if isStatusReport(raw) {
		r, err := decodeReport(raw)
		return err == nil && !r.SCTS.IsZero()
	}
	const deliverType = 0x00 // TP-MTI
	if len(raw) == 0 || raw[0]&0x03 != deliverType {
		return false
	}
	d, err := parseDeliver(raw)
	return err == nil && !d.scts.IsZero()
}

// isStatusReport tells an SMS-STATUS-REPORT from an SMS-DELIVER by TP-MTI.
func isStatusReport(raw []byte) bool { return len(raw) > 0 && raw[0]&0x03 == 0x02 }

// decodeReport reads an SMS-STATUS-REPORT, TS 23.040 9.2.2.3. Time stamps that
// are no time are left zero, and what follows TP-ST is not looked at: neither
// may cost a report.
func decodeReport(raw []byte) (Report, error) {
	if len(raw) < 2 {
		return Report{}, unreadable("a status report without reference")
	}
	recipient, rest, ok := cutAddress(raw[2:])
	if !ok {
		return Report{}, unreadable("a status report without recipient")
	}
	if len(rest) < 15 {
		return Report{}, unreadable("a status report that is too short")
	}
	return Report{
		MR: raw[1], Recipient: strings.TrimPrefix(recipient, "+"), Status: rest[14],
		SCTS: timestamp(rest[:7]), Discharge: timestamp(rest[7:14]),
	}, nil
}

// decodeDeliver reads an SMS-DELIVER, TS 23.040 9.2.2.1. What can't be decoded
// is handed on with its PDU alone.
func decodeDeliver(raw []byte) Inbound {
	d, err := parseDeliver(raw)
	if err != nil {
		return Inbound{PDU: raw, Undecodable: true}
	}
	text, data, err := join([]deliver{d})
	if err != nil {
		return Inbound{PDU: raw, Undecodable: true}
	}
	return Inbound{
		From: d.from, SCTS: d.scts, Text: text, Data: data,
		Ref: d.header.ref, Wide: d.header.wide, Part: d.header.part, Parts: d.header.parts, PDU: raw,
	}
}

// DecodeParts reads a whole message from the TPDUs (SMS-DELIVER) of its parts,
// which are all there and in order: its text, and the user data of its 8-bit
// parts. Text is valid UTF-8; a character that is spread over two parts is
// whole in it. The error says that a TPDU can't be decoded, and not what is in
// it.
func DecodeParts(tpdus [][]byte) (text string, data []byte, err error) {
	if len(tpdus) == 0 {
		return "", nil, unreadable("no parts")
	}
	parts := make([]deliver, 0, len(tpdus))
	for _, raw := range tpdus {
		d, err := parseDeliver(raw)
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, d)
	}
	return join(parts)
}

// alphabet of a message's user data, TS 23.038 4.
type alphabet int

const (
	gsm7Bit alphabet = iota
	eightBit
	ucs2
)

// alphabetOf reads TP-DCS. Reserved codings are the 7-bit alphabet, as TS
// 23.038 4 has it; ok is false for compressed text, which nobody sends.
func alphabetOf(dcs byte) (a alphabet, ok bool) {
	switch {
	case dcs&0x80 == 0: // general and automatic deletion groups
		return [...]alphabet{gsm7Bit, eightBit, ucs2, gsm7Bit}[dcs>>2&0x03], dcs&0x20 == 0
	case dcs&0xf0 == 0xe0: // message waiting, UCS-2
		return ucs2, true
	case dcs&0xf4 == 0xf4: // message class, 8 bit
		return eightBit, true
	}
	return gsm7Bit, true
}

// deliver is an SMS-DELIVER taken apart.
type deliver struct {
	from     string
	scts     time.Time
	alphabet alphabet
	header   userHeader
	body     []byte // without header: one septet in each octet, or the octets
}

// userHeader is what counts of TP-UDH, TS 23.040 9.2.3.24.
type userHeader struct {
	ref         uint16 // concatenation; all 0 for a message that is whole
	wide        bool   // ref has 16 bits
	part, parts byte
	// National language tables, TS 23.038 6.2.1.2.4; 0 is the default.
	locking, single int
}

// parseDeliver takes an SMS-DELIVER apart. A TPDU of reserved type is one too
// (TS 23.040 9.2.3.1).
func parseDeliver(raw []byte) (deliver, error) {
	const submitReport = 0x01
	if len(raw) < 2 || isStatusReport(raw) || raw[0]&0x03 == submitReport {
		return deliver{}, unreadable("it is no received message")
	}
	from, rest, ok := cutAddress(raw[1:])
	if !ok {
		return deliver{}, unreadable("it has no sender")
	}
	if len(rest) < 10 {
		return deliver{}, unreadable("it is too short")
	}
	d := deliver{from: from, scts: timestamp(rest[2:9])}
	if d.alphabet, ok = alphabetOf(rest[1]); !ok {
		return deliver{}, unreadable("it is compressed")
	}
	const hasHeader = 0x40 // TP-UDHI
	err := d.setUserData(int(rest[9]), rest[10:], raw[0]&hasHeader != 0)
	return d, err
}

// setUserData reads TP-UD. length is TP-UDL: septets of a 7-bit text, octets
// of others, its header included.
func (d *deliver) setUserData(length int, ud []byte, hasHeader bool) error {
	octets := length
	if d.alphabet == gsm7Bit {
		octets = (length*7 + 7) / 8
	}
	if octets > len(ud) || octets > maxUserData {
		return unreadable("it is shorter than it says")
	}
	ud = ud[:octets]
	head := 0
	if hasHeader {
		if len(ud) == 0 || 1+int(ud[0]) > len(ud) {
			return unreadable("its header is longer than it")
		}
		head = 1 + int(ud[0])
		d.header = parseUserHeader(ud[1:head])
	}
	if d.alphabet != gsm7Bit {
		d.body = ud[head:]
		return nil
	}
	skip := (head*8 + 6) / 7 // septets that the header and its fill bits take
	if skip > length {
		return unreadable("its header is longer than it")
	}
	d.body = unpack(ud, skip, length)
	return nil
}

// unpack takes the septets from first up to last out of their packed form, TS
// 23.038 6.1.2.1. packed holds them all.
func unpack(packed []byte, first, last int) []byte {
	septets := make([]byte, 0, last-first)
	for i := first; i < last; i++ {
		at, shift := i*7/8, i*7%8
		v := uint16(packed[at])
		if shift > 1 {
			v |= uint16(packed[at+1]) << 8
		}
		septets = append(septets, byte(v>>shift&0x7f))
	}
	return septets
}

// Information elements, TS 23.040 9.2.3.24.
const (
	ieConcatenated8  = 0x00
	ieConcatenated16 = 0x08
	ieSingleShift    = 0x24
	ieLockingShift   = 0x25
)

// parseUserHeader reads the information elements. If their lengths don't add
// up, all are ignored; of two of a kind the last counts (TS 23.040 9.2.3.24).
func parseUserHeader(b []byte) userHeader {
	var h userHeader
	for len(b) > 0 {
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			return userHeader{}
		}
		id, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		switch {
		case id == ieConcatenated8 && len(value) == 3:
			h.concatenated(uint16(value[0]), false, value[1], value[2])
		case id == ieConcatenated16 && len(value) == 4:
			h.concatenated(uint16(value[0])<<8|uint16(value[1]), true, value[2], value[3])
		case id == ieSingleShift && len(value) == 1:
			h.single = int(value[0])
		case id == ieLockingShift && len(value) == 1:
			h.locking = int(value[0])
		}
	}
	return h
}

// concatenated notes the place of a part. Numbers that can't be, or are out of
// bounds, make it a message of its own.
func (h *userHeader) concatenated(ref uint16, wide bool, parts, part byte) {
	if parts < 2 || parts > maxParts || part < 1 || part > parts {
		return
	}
	h.ref, h.wide, h.parts, h.part = ref, wide, parts, part
}

// join reads the text and data of parts in order. What stands in one alphabet
// in a row is read at once: a character may be spread over two parts.
func join(parts []deliver) (text string, data []byte, err error) {
	var b strings.Builder
	for len(parts) > 0 {
		first := parts[0]
		body := append([]byte(nil), first.body...)
		n := 1
		for n < len(parts) && first.continues(parts[n]) {
			body = append(body, parts[n].body...)
			n++
		}
		parts = parts[n:]
		switch first.alphabet {
		case eightBit:
			data = append(data, body...)
		case ucs2:
			b.WriteString(decodeUCS2(body))
		default:
			s, err := decodeSeptets(body, first.header.locking, first.header.single)
			if err != nil {
				return "", nil, err
			}
			b.WriteString(s)
		}
	}
	return b.String(), data, nil
}

// continues tells whether next is written in d's alphabet.
func (d deliver) continues(next deliver) bool {
	return d.alphabet == next.alphabet && d.header.locking == next.header.locking && d.header.single == next.header.single
}

// decodeUCS2 reads UTF-16 too, which is what phones send; half a character is
// U+FFFD, and an odd octet at the end nothing.
func decodeUCS2(octets []byte) string {
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	return string(utf16.Decode(units))
}

// decodeSeptets reads a text in the default alphabet or the given national
// ones, TS 23.038 6.2.1. It is the one place where the codec sees what comes
// from outside.
func decodeSeptets(septets []byte, locking, single int) (text string, err error) {
	codec.Lock()
	defer codec.Unlock()
	defer func() {
		if recover() != nil {
			text, err = "", unreadable("the codec fails on it")
		}
	}()
	out, err := gsm7.Decode(septets, gsm7.WithCharset(locking), gsm7.WithExtCharset(single))
	if err != nil {
		return "", unreadable("its text is in no alphabet")
	}
	return strings.ToValidUTF8(string(out), "\uFFFD"), nil
}

// cutAddress reads the TP address that b begins with, TS 23.040 9.1.2.5: "+"
// and digits for an international number, digits, letters, or "".
func cutAddress(b []byte) (address string, rest []byte, ok bool) {
	const longest = 24 // semi-octets; TS 23.040 has 20
	if len(b) < 2 || b[0] > longest {
		return "", nil, false
	}
	length, typ := int(b[0]), b[1]
	octets := (length + 1) / 2
	if len(b) < 2+octets {
		return "", nil, false
	}
	value, rest := b[2:2+octets], b[2+octets:]
	const (
		typeMask      = 0x70
		international = 0x10
		alphanumeric  = 0x50
	)
	if typ&typeMask == alphanumeric {
		return letters(value, length), rest, true
	}
	address = semiOctets(value, length)
	if typ&typeMask == international && address != "" {
		address = "+" + address
	}
	return address, rest, true
}

// semiOctets reads digits, and what else phones can dial; 0xf ends them early.
func semiOctets(octets []byte, length int) string {
	digits := make([]byte, 0, length)
	for i := range length {
		d := octets[i/2] >> (i % 2 * 4) & 0x0f
		if d == 0x0f {
			break
		}
		digits = append(digits, "0123456789*#abc"[d])
	}
	return string(digits)
}

// letters reads an alphanumeric address: packed septets, whose number senders
// round up to whole octets.
func letters(packed []byte, length int) string {
	n := min(length*4/7, len(packed)*8/7)
	septets := unpack(packed, 0, n)
	if n%8 == 0 && n > 0 && septets[n-1] == 0 {
		septets = septets[:n-1]
	}
	text, err := decodeSeptets(septets, 0, 0)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, text))
}

// timestamp reads TP-SCTS and its kin, TS 23.040 9.2.3.11, in UTC; zero if the
// seven octets are no time.
func timestamp(b []byte) time.Time {
	var v [7]int
	for i := range v {
		tens, ones := int(b[i]&0x0f), int(b[i]>>4)
		if i == 6 {
			tens &= 0x07 // its fourth bit is the sign
		}
		if tens > 9 || ones > 9 {
			return time.Time{}
		}
		v[i] = 10*tens + ones
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return time.Time{}
	}
	zone := time.Duration(v[6]) * 15 * time.Minute
	if b[6]&0x08 != 0 {
		zone = -zone
	}
	return time.Date(2000+v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.UTC).Add(-zone)
}
