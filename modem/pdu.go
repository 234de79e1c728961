package modem

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/warthog618/sms/encoding/gsm7"
	"github.com/warthog618/sms/encoding/tpdu"
)

// errEncode: the Submission can't be one SMS-SUBMIT. The text says what is
// wrong with it and nothing of what is in it.
var errEncode = errors.New("modem: can't be sent")

// Bounds of one segment, TS 23.040 9.2.3.24.
const (
	maxSeptets   = 160
	maxUCS2Units = 70
)

// encodeSubmit makes the SMS-SUBMIT (TS 23.040 9.2.2.2) of s: its hex form as
// AT+CMGS takes it, with an empty service centre address so that the SIM's own
// is used, and the TPDU's length in octets. Nothing is shared between calls.
func encodeSubmit(s Submission) (pdu string, octets int, err error) {
	if len(s.To) < 3 || len(s.To) > 15 || strings.Trim(s.To, "0123456789") != "" {
		return "", 0, fmt.Errorf("%w: the recipient is not 3 to 15 digits", errEncode)
	}
	if s.Replace != 0 && (s.Replace < 0x41 || s.Replace > 0x47) {
		return "", 0, fmt.Errorf("%w: TP-PID 0x%02x is no replace type", errEncode, s.Replace)
	}
	t, err := tpdu.NewSubmit(tpdu.WithDA(tpdu.NewAddress(tpdu.FromNumber(s.To))))
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", errEncode, err)
	}
	t.PID = s.Replace
	if s.Report {
		t.FirstOctet |= tpdu.FoSRR
	}
	if err := setText(t, s.Text); err != nil {
		return "", 0, err
	}
	// tpdu turns durations into the next longer step, so the octet is put in
	// by hand: a value whose octet is 0 is encoded, then overwritten.
	if !s.withoutVP {
		t.SetVP(tpdu.ValidityPeriod{Format: tpdu.VpfRelative})
	}
	raw, err := t.MarshalBinary()
	if err != nil {
		return "", 0, fmt.Errorf("%w: the recipient or text has no encoding", errEncode)
	}
	if !s.withoutVP {
		raw[validityOffset(s.To)] = s.Validity
	}
	if s.Enhanced && !s.withoutVP {
		raw = withEnhancedValidity(raw, validityOffset(s.To), s.Life)
	}
	return "00" + strings.ToUpper(hex.EncodeToString(raw)), len(raw), nil
}

// validityOffset is where TP-VP is in an SMS-SUBMIT to the given number:
// behind first octet, TP-MR, TP-DA (length, type, digits), TP-PID and TP-DCS.
func validityOffset(to string) int { return 2 + 2 + (len(to)+1)/2 + 2 }

// maxEnhanced is the longest validity that hours, minutes and seconds of two
// digits say.
const maxEnhanced = 100*time.Hour - time.Second

// withEnhancedValidity gives an SMS-SUBMIT whose TP-VP is in the relative
// format, at the offset, one in the enhanced format (23.040 9.2.3.3 and
// 9.2.3.12.3): a number of seconds up to 255, and beyond that hours, minutes and
// seconds as in TP-SCTS.
func withEnhancedValidity(raw []byte, offset int, life time.Duration) []byte {
	seconds := int(min(max(life, time.Second), maxEnhanced) / time.Second)
	vp := [7]byte{0x02, byte(seconds)}
	if seconds > 255 {
		vp = [7]byte{0x03, semiOctet(seconds / 3600), semiOctet(seconds / 60 % 60), semiOctet(seconds % 60)}
	}
	out := slices.Concat(raw[:offset], vp[:], raw[offset+1:])
	out[0] = out[0]&^0x18 | 0x08
	return out
}

// semiOctet is a number below 100 as two decimal digits, the first in the lower
// half.
func semiOctet(n int) byte { return byte(n%10<<4 | n/10) }

// validityFormat is the format of TP-VP that s is encoded with.
func (s Submission) validityFormat() ValidityFormat {
	switch {
	case s.withoutVP:
		return ValidityNone
	case s.Enhanced:
		return ValidityEnhanced
	}
	return ValidityRelative
}

func setText(t *tpdu.TPDU, text string) error {
	if text == "" {
		return fmt.Errorf("%w: no text", errEncode)
	}
	codec.Lock()
	septets, err := gsm7.Encode([]byte(text))
	codec.Unlock()
	if err == nil {
		if len(septets) > maxSeptets {
			return fmt.Errorf("%w: %d septets are more than one segment", errEncode, len(septets))
		}
		t.UD = septets
		return nil
	}
	units := utf16.Encode([]rune(text))
	if len(units) > maxUCS2Units {
		return fmt.Errorf("%w: %d UCS-2 units are more than one segment", errEncode, len(units))
	}
	ud := make([]byte, 0, 2*len(units))
	for _, u := range units {
		ud = append(ud, byte(u>>8), byte(u))
	}
	t.DCS = tpdu.DcsUCS2Data
	t.UD = ud
	return nil
}
