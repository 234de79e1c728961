package modem

import (
	"encoding/hex"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7"
)

// What a modem hands over in text mode, which it is in only by its own fault,
// is not lost: 27.005 3.1 and 3.4.1.

// textReport reads a delivery report in its one line of text mode:
//
//	+CDS: <fo>,<mr>,[<ra>],[<tora>],<scts>,<dt>,<st>
func textReport(line string) (Report, bool) {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) < 7 {
		return Report{}, false
	}
	mr, err1 := strconv.ParseUint(f[1], 10, 8)
	st, err2 := strconv.ParseUint(f[6], 10, 8)
	if err1 != nil || err2 != nil {
		return Report{}, false
	}
	recipient, _ := textCharacters(f[2])
	return Report{
		MR: byte(mr), Recipient: strings.TrimPrefix(recipient, "+"), Status: byte(st),
		SCTS: textTime(f[4]), Discharge: textTime(f[5]),
	}, true
}

// textMessage reads a message in the two lines of text mode:
//
//	+CMT: <oa>,[<alpha>],<scts>[,…]
//	<data>
//
// and makes the TPDU that would say the same.
func textMessage(line, data string) (Inbound, bool) {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) < 3 || data == "" {
		return Inbound{}, false
	}
	scts := textTime(f[2])
	if scts.IsZero() {
		return Inbound{}, false
	}
	from, inUCS2 := textCharacters(f[0])
	if text, ok := ucs2Hex(data); inUCS2 && ok {
		data = text
	}
	return decodeDeliver(deliverTPDU(from, data, scts)), true
}

// textCharacters reads an address in text mode, which is in hexadecimal where
// the modem's character set is so (AT+CSCS="UCS2", 27.007 5.5), and tells
// whether it is. No number looks like that: a quarter of its digits would be
// pairs of zeros.
func textCharacters(s string) (address string, inUCS2 bool) {
	const shortest = 3 // characters
	text, ok := ucs2Hex(s)
	if !ok || len(text) < shortest || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s, false
	}
	return text, true
}

// ucs2Hex reads a text in UCS-2 in hexadecimal.
func ucs2Hex(s string) (string, bool) {
	octets, err := hex.DecodeString(s)
	if err != nil || len(octets)%2 != 0 {
		return "", false
	}
	return decodeUCS2(octets), true
}

// textTime reads "yy/MM/dd,hh:mm:ss±zz" with zz in quarters of an hour; zero
// if it is no time.
func textTime(s string) time.Time {
	const form = "06/01/02,15:04:05"
	if len(s) < len(form) {
		return time.Time{}
	}
	t, err := time.Parse(form, s[:len(form)])
	if err != nil {
		return time.Time{}
	}
	quarters, err := strconv.Atoi(s[len(form):])
	if err != nil || quarters < -56 || quarters > 56 {
		return t
	}
	return t.Add(-time.Duration(quarters) * 15 * time.Minute)
}

// deliverTPDU makes an SMS-DELIVER (TS 23.040 9.2.2.1) of one segment; what
// does not fit is cut off.
func deliverTPDU(from, text string, scts time.Time) []byte {
	raw := append([]byte{0x04}, addressOctets(from)...)
	codec.Lock()
	septets, err := gsm7.Encode([]byte(text))
	codec.Unlock()
	if err == nil {
		septets = septets[:min(len(septets), maxSeptets)]
		raw = append(append(raw, 0, 0), timeOctets(scts)...)
		return append(append(raw, byte(len(septets))), gsm7.Pack7Bit(septets, 0)...)
	}
	units := utf16.Encode([]rune(text))
	units = units[:min(len(units), maxUCS2Units)]
	const dcsUCS2 = 0x08
	raw = append(append(raw, 0, dcsUCS2), timeOctets(scts)...)
	raw = append(raw, byte(2*len(units)))
	for _, u := range units {
		raw = append(raw, byte(u>>8), byte(u))
	}
	return raw
}

// addressOctets is the reverse of cutAddress; what is neither digits nor
// letters of the default alphabet becomes no address.
func addressOctets(s string) []byte {
	const longest, international, unknown, alphanumeric = 20, 0x91, 0x81, 0xd0
	number, plus := strings.CutPrefix(s, "+")
	if strings.Trim(number, "0123456789") == "" {
		number = number[:min(len(number), longest)]
		typ := byte(unknown)
		if plus {
			typ = international
		}
		out := append([]byte{byte(len(number)), typ}, make([]byte, (len(number)+1)/2)...)
		for i := range 2 * ((len(number) + 1) / 2) {
			d := byte(0x0f)
			if i < len(number) {
				d = number[i] - '0'
			}
			out[2+i/2] |= d << (i % 2 * 4)
		}
		return out
	}
	codec.Lock()
	septets, err := gsm7.Encode([]byte(s))
	codec.Unlock()
	if err != nil {
		return []byte{0, alphanumeric}
	}
	septets = septets[:min(len(septets), 11)]
	return append([]byte{byte((len(septets)*7 + 3) / 4), alphanumeric}, gsm7.Pack7Bit(septets, 0)...)
}

// timeOctets is the reverse of timestamp, in UTC.
func timeOctets(t time.Time) []byte {
	t = t.UTC()
	out := make([]byte, 7)
	for i, v := range [...]int{t.Year() % 100, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second()} {
		out[i] = byte(v%10<<4 | v/10)
	}
	return out
}
