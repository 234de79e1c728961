package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// ErrPDU: the octets are no PDU of the kind that was expected. Messages of
// errors that wrap it never hold its contents.
var ErrPDU = errors.New("sim: invalid PDU")

// VPFormat is TP-VPF, 3GPP TS 23.040 9.2.3.3.
type VPFormat byte

// The values of TP-VPF.
const (
	VPNone     VPFormat = 0
	VPEnhanced VPFormat = 1
	VPRelative VPFormat = 2
	VPAbsolute VPFormat = 3
)

// String names the format.
func (f VPFormat) String() string {
	return [...]string{"none", "enhanced", "relative", "absolute"}[f&3]
}

// Submit is a decoded SMS-SUBMIT, TS 23.040 9.2.2.2.
type Submit struct {
	// SCA is the service centre's address in front of the TPDU, "" for the
	// SIM's own.
	SCA              string
	RejectDuplicates bool // TP-RD
	StatusReport     bool // TP-SRR
	ReplyPath        bool // TP-RP
	MR               byte
	To               string // TP-DA: "+" and digits where international
	PID, DCS         byte
	VPFormat         VPFormat
	VP               []byte // TP-VP as it came
	Validity         time.Duration
	UDH              []byte // the user data header without its length octet
	Text             string // hexadecimal for 8-bit data

	destination []byte // TP-DA as it came, for TP-RA
	data        []byte // TP-UDL and TP-UD as they came
}

// String keeps numbers and texts out of logs.
func (s Submit) String() string { return "SMS-SUBMIT" }

// GoString keeps numbers and texts out of logs.
func (s Submit) GoString() string { return s.String() }

// LogValue keeps numbers and texts out of logs.
func (s Submit) LogValue() slog.Value { return slog.StringValue(s.String()) }

// DecodeSubmit reads the octets of a PDU as AT+CMGS takes them (TS 27.005 4.3):
// the service centre's address with its length, then an SMS-SUBMIT that ends
// exactly where the octets do. now gives an absolute validity its length.
func DecodeSubmit(pdu []byte, now time.Time) (Submit, error) {
	var s Submit
	r := reader{rest: pdu}
	s.SCA = r.serviceCentre()
	first := r.octet()
	if r.err == nil && first&3 != 1 {
		return s, fmt.Errorf("%w: message type %d is not SMS-SUBMIT", ErrPDU, first&3)
	}
	s.RejectDuplicates = first&0x04 != 0
	s.VPFormat = VPFormat(first >> 3 & 3)
	s.StatusReport = first&0x20 != 0
	s.ReplyPath = first&0x80 != 0
	s.MR = r.octet()
	s.To, s.destination = r.address()
	s.PID = r.octet()
	s.DCS = r.octet()
	s.readValidity(&r, now)
	s.readUserData(&r, first&0x40 != 0)
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%d octets too many", len(r.rest))
	}
	switch {
	case r.err != nil:
		return s, r.err
	case s.To == "" || s.To == "+":
		return s, fmt.Errorf("%w: no destination", ErrPDU)
	}
	return s, nil
}

// tpduLength is what AT+CMGS=<length> must say of a PDU: its octets without
// the service centre's address and that address's length octet.
func tpduLength(pdu []byte) int {
	if len(pdu) == 0 {
		return 0
	}
	return len(pdu) - 1 - int(pdu[0])
}

func (s *Submit) readValidity(r *reader, now time.Time) {
	switch s.VPFormat {
	case VPNone:
		return
	case VPRelative:
		s.VP = r.take(1)
	default:
		s.VP = r.take(7)
	}
	if r.err != nil {
		return
	}
	switch s.VPFormat {
	case VPRelative:
		s.Validity = relativeValidity(s.VP[0])
	case VPAbsolute:
		at, err := timestamp(s.VP)
		if err != nil {
			r.fail("TP-VP: %v", err)
			return
		}
		s.Validity = at.Sub(now)
	case VPEnhanced:
		s.Validity = r.enhancedValidity(s.VP)
	}
}

// relativeValidity is TS 23.040 9.2.3.12.1.
func relativeValidity(v byte) time.Duration {
	n := time.Duration(v)
	switch {
	case v <= 143:
		return (n + 1) * 5 * time.Minute
	case v <= 167:
		return 12*time.Hour + (n-143)*30*time.Minute
	case v <= 196:
		return (n - 166) * 24 * time.Hour
	default:
		return (n - 192) * 7 * 24 * time.Hour
	}
}

// enhancedValidity is TS 23.040 9.2.3.12.3.
func (r *reader) enhancedValidity(vp []byte) time.Duration {
	if vp[0]&0x80 != 0 {
		r.fail("TP-VP: extended functionality indicator")
		return 0
	}
	switch vp[0] & 7 {
	case 0:
		return 0
	case 1:
		return relativeValidity(vp[1])
	case 2:
		return time.Duration(vp[1]) * time.Second
	case 3:
		h, m, s := bcd(vp[1]), bcd(vp[2]), bcd(vp[3])
		if h < 0 || m < 0 || m > 59 || s < 0 || s > 59 {
			r.fail("TP-VP: not a time")
		}
		return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	default:
		r.fail("TP-VP: reserved format %d", vp[0]&7)
		return 0
	}
}

// readUserData reads TP-UDL and TP-UD, TS 23.040 9.2.3.16 and 9.2.3.24.
func (s *Submit) readUserData(r *reader, header bool) {
	alphabet := alphabetOf(s.DCS)
	length := int(r.octet()) // septets or octets
	octets := length
	if alphabet == alphabetGSM7 {
		octets = (7*length + 7) / 8
	}
	if octets > 140 {
		r.fail("TP-UDL %d is more than fits 140 octets", length)
	}
	data := r.take(octets)
	if r.err != nil {
		return
	}
	s.data = append([]byte{byte(length)}, data...)
	headerOctets := 0
	if header {
		s.UDH = r.userDataHeader(data)
		headerOctets = 1 + len(s.UDH)
		if r.err != nil {
			return
		}
	}
	body := data[headerOctets:]
	switch alphabet {
	case alphabetGSM7:
		used := (8*headerOctets + 6) / 7
		if used > length {
			r.fail("TP-UDL is shorter than the header")
			return
		}
		s.Text = gsm7Text(unpack7(body, length-used, 7*used-8*headerOctets))
	case alphabetUCS2:
		if len(body)%2 != 0 {
			r.fail("odd length of UCS-2 text")
		}
		s.Text = ucs2Text(body)
	case alphabet8Bit:
		s.Text = hex.EncodeToString(body)
	default:
		r.fail("TP-DCS %#02x is reserved or compressed", s.DCS)
	}
}

type alphabet int

const (
	alphabetReserved alphabet = iota
	alphabetGSM7
	alphabet8Bit
	alphabetUCS2
)

// alphabetOf is TS 23.038 clause 4.
func alphabetOf(dcs byte) alphabet {
	general := [...]alphabet{alphabetGSM7, alphabet8Bit, alphabetUCS2, alphabetReserved}[dcs>>2&3]
	switch group := dcs >> 4; {
	case group < 8 && dcs&0x20 == 0: // general, or marked for deletion
		return general
	case group == 0xc || group == 0xd:
		return alphabetGSM7
	case group == 0xe:
		return alphabetUCS2
	case group == 0xf && dcs&4 != 0:
		return alphabet8Bit
	case group == 0xf:
		return alphabetGSM7
	default:
		return alphabetReserved
	}
}

// reader takes fields off a PDU; its first error stays, and zeros are read
// from then on.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrPDU, fmt.Sprintf(format, args...))
	}
}

func (r *reader) take(n int) []byte {
	if r.err == nil && n > len(r.rest) {
		r.fail("%d octets missing", n-len(r.rest))
	}
	if r.err != nil {
		return make([]byte, n)
	}
	var field []byte
	field, r.rest = r.rest[:n:n], r.rest[n:]
	return field
}

func (r *reader) octet() byte { return r.take(1)[0] }

// serviceCentre reads an address whose length counts octets, type included.
func (r *reader) serviceCentre() string {
	n := int(r.octet())
	if n == 0 {
		return ""
	}
	if n < 2 || n > 12 {
		r.fail("service centre address of %d octets", n)
		return ""
	}
	field := r.take(n)
	return r.digits(field[0], field[1:], 2*len(field[1:]))
}

// address reads a TP address, TS 23.040 9.1.2.5, whose length counts digits.
func (r *reader) address() (string, []byte) {
	n := int(r.octet())
	if n > 20 {
		r.fail("address of %d digits", n)
		return "", nil
	}
	field := r.take(1 + (n+1)/2)
	if r.err != nil {
		return "", nil
	}
	return r.digits(field[0], field[1:], n), append([]byte{byte(n)}, field...)
}

// digits reads n semi-octets of a number. The last of an odd length is filled
// with 0xf, as is a service centre's.
func (r *reader) digits(typ byte, octets []byte, n int) string {
	if typ&0x80 == 0 {
		r.fail("type of address %#02x", typ)
		return ""
	}
	if typ>>4&7 == 5 {
		r.fail("alphanumeric address")
		return ""
	}
	var s strings.Builder
	if typ>>4&7 == 1 {
		s.WriteByte('+')
	}
	for i := range 2 * len(octets) {
		d := octets[i/2] >> (4 * (i % 2)) & 0xf
		switch {
		case d == 0xf && i == 2*len(octets)-1 && i >= n-1:
		case i >= n || d == 0xf:
			r.fail("address digits and length disagree")
		default:
			s.WriteByte("0123456789*#abc"[d])
		}
	}
	return s.String()
}

// userDataHeader checks that the information elements fill the header (TS
// 23.040 9.2.3.24) and returns it without its length octet.
func (r *reader) userDataHeader(data []byte) []byte {
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		r.fail("user data header is longer than the data")
		return nil
	}
	header := data[1 : 1+int(data[0])]
	for rest := header; len(rest) > 0; {
		if len(rest) < 2 || int(rest[1]) > len(rest)-2 {
			r.fail("information element is longer than the header")
			return nil
		}
		rest = rest[2+int(rest[1]):]
	}
	return header
}

// bcd is the number of two swapped decimal semi-octets, -1 if they are none.
func bcd(octet byte) int {
	lo, hi := int(octet&0xf), int(octet>>4)
	if lo > 9 || hi > 9 {
		return -1
	}
	return 10*lo + hi
}

// timestamp reads TP-SCTS's format, TS 23.040 9.2.3.11: year to second, then
// the time zone in quarters of an hour with its sign in bit 3.
func timestamp(o []byte) (time.Time, error) {
	var v [6]int
	for i := range v {
		v[i] = bcd(o[i])
	}
	zone := bcd(o[6] &^ 8)
	if min(v[0], v[1], v[2], v[3], v[4], v[5], zone) < 0 {
		return time.Time{}, errors.New("not decimal")
	}
	if o[6]&8 != 0 {
		zone = -zone
	}
	at := time.Date(2000+v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, time.FixedZone("", zone*15*60))
	if int(at.Month()) != v[1] || at.Day() != v[2] || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return time.Time{}, errors.New("no such time")
	}
	return at, nil
}
