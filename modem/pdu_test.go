package modem

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"
)

func TestEncodeSubmit(t *testing.T) {
	// 23.040 9.2.2.2 by hand: SRR and relative VP, MR 0, +46708251358,
	// PID 0, DCS 0, VP 0, "hellohello".
	got, n, err := encodeSubmit(Submission{To: "46708251358", Text: "hellohello", Report: true})
	if want := "0031000B916407281553F80000000AE8329BFD4697D9EC37"; err != nil || got != want || n != len(want)/2-1 {
		t.Errorf("got %s, %d, %v", got, n, err)
	}
}

// TestEncodeSubmitDecoded decodes what is encoded, for random submissions.
func TestEncodeSubmitDecoded(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabets := []string{"0123456789 abcABC.,@£$¥èé", "{}[]~^|€\\ 12", "код 123 ", "日本語😀1"}
	for range 3000 {
		to := make([]byte, 3+rng.IntN(13))
		for i := range to {
			to[i] = '0' + byte(rng.IntN(10))
		}
		letters := []rune(alphabets[rng.IntN(len(alphabets))])
		var b strings.Builder
		for range 1 + rng.IntN(60) {
			b.WriteRune(letters[rng.IntN(len(letters))])
		}
		s := Submission{To: string(to), Text: b.String(), Validity: byte(rng.IntN(256)), Report: rng.IntN(2) == 0}
		if rng.IntN(3) == 0 {
			s.Replace = 0x41 + byte(rng.IntN(7))
		}
		pdu, n, err := encodeSubmit(s)
		if errors.Is(err, errEncode) && len(s.Text) > 70 {
			continue // more than one segment in UCS-2
		}
		raw, hexErr := hex.DecodeString(pdu)
		if err != nil || hexErr != nil || raw[0] != 0 || len(raw) != n+1 {
			t.Fatalf("encode: %v, %v, %d octets", err, hexErr, n)
		}
		p, err := sms.Unmarshal(raw[1:], sms.AsMO)
		if err != nil {
			t.Fatal(err)
		}
		text, err := sms.Decode([]*tpdu.TPDU{p})
		if err != nil || string(text) != s.Text || p.DA.Number() != "+"+s.To {
			t.Fatalf("decoded %q to %q, want %q to %q", text, p.DA.Number(), s.Text, s.To)
		}
		if p.FirstOctet.SRR() != s.Report || p.PID != s.Replace || p.FirstOctet.VPF() != tpdu.VpfRelative || raw[1+validityOffset(s.To)] != s.Validity {
			t.Fatalf("decoded %+v", p.FirstOctet)
		}
	}
}

func TestEncodeSubmitRefuses(t *testing.T) {
	for name, s := range map[string]Submission{
		"no recipient":   {Text: "x"},
		"plus":           {To: "+33612345678", Text: "x"},
		"long recipient": {To: "1234567890123456", Text: "x"},
		"no text":        {To: "33612345678"},
		"161 septets":    {To: "33612345678", Text: strings.Repeat("a", 161)},
		"euro signs":     {To: "33612345678", Text: strings.Repeat("€", 81)},
		"71 units":       {To: "33612345678", Text: strings.Repeat("я", 71)},
		"PID":            {To: "33612345678", Text: "x", Replace: 0x40},
	} {
		_, _, err := encodeSubmit(s)
		if !errors.Is(err, errEncode) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "33612345678") {
			t.Errorf("%s: the error tells the number", name)
		}
	}
	for _, s := range []Submission{{To: "33612345678", Text: strings.Repeat("a", 160)}, {To: "33612345678", Text: strings.Repeat("я", 70)}} {
		if _, _, err := encodeSubmit(s); err != nil {
			t.Errorf("a full segment: %v", err)
		}
	}
}

func TestDecodeReport(t *testing.T) {
	const published = "0006D60B911326880736F4111011719551401110117195714000"
	raw, err := decodeTPDU(published, 25)
	if err != nil || !isStatusReport(raw) {
		t.Fatalf("%x, %v", raw, err)
	}
	r, err := decodeReport(raw)
	if err != nil || r.MR != 214 || r.Recipient != "31628870634" || r.Status != 0 {
		t.Errorf("%v, MR %d, status %d", err, r.MR, r.Status)
	}
	if want := time.Date(2011, 1, 11, 16, 59, 15, 0, time.UTC); !r.SCTS.Equal(want) {
		t.Errorf("SCTS %v", r.SCTS)
	}
	for name, pdu := range map[string]string{
		"without service centre":    published[2:],
		"with service centre":       "07911326040000F0" + published[2:],
		"time stamps that are none": "0006D60B911326880736F4FFFFFFFFFFFFFFFFFFFFFFFFFFFF00",
	} {
		raw, err := decodeTPDU(pdu, 25)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if r, err := decodeReport(raw); err != nil || r.MR != 214 || r.Status != 0 {
			t.Errorf("%s: %v, MR %d", name, err, r.MR)
		}
	}
	// Optional parts behind TP-ST don't matter.
	raw, _ = decodeTPDU(published+"07000004ABCD", 0)
	if r, err := decodeReport(raw); err != nil || r.MR != 214 {
		t.Errorf("with optional parts: %v", err)
	}
}

func TestHeaderThatCountsWrong(t *testing.T) {
	const (
		smsc    = "07911326040000F0"
		report  = "06D60B911326880736F4111011719551401110117195714000"
		message = "040B911346610089F60000208062917314080CC8F71D14969741F977FD07"
	)
	for _, tpdu := range []string{report, message} {
		right := len(tpdu) / 2
		for _, address := range []string{"", "00", smsc} {
			for _, octets := range []int{0, 1, right - 1, right, right + 1, right + len(smsc)/2, 200} {
				if raw, err := decodeTPDU(address+tpdu, octets); err != nil || !strings.EqualFold(hex.EncodeToString(raw), tpdu) {
					t.Errorf("%q%s as %d octets: %x, %v", address, tpdu[:2], octets, raw, err)
				}
			}
		}
	}
	// What reads as nothing is what the header says, or what follows the address.
	for body, octets := range map[string]int{"FFFFFFFF": 4, "0391FFFFFFFFFFFF": 4, "0391FFFFFFFFFFFFF0": 0} {
		raw, err := decodeTPDU(body, octets)
		if want := strings.TrimPrefix(body, "0391FFFF"); err != nil || !strings.EqualFold(hex.EncodeToString(raw), want) {
			t.Errorf("%s as %d octets: %x, %v", body, octets, raw, err)
		}
	}
}

func TestDecodeDeliver(t *testing.T) {
	// Alphanumeric sender, 7 bit.
	raw, err := decodeTPDU("07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07", 0)
	if err != nil {
		t.Fatal(err)
	}
	if in := decodeDeliver(raw); in.From != "+31641600986" || in.Text != "How are you?" {
		t.Errorf("from %q: %q", in.From, in.Text)
	}
}

// FuzzDecode: what a modem hands over is hostile until decoded.
func FuzzDecode(f *testing.F) {
	f.Add("0006D60B911326880736F4111011719551401110117195714000", 25)
	f.Add("07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07", 30)
	f.Add("", 0)
	f.Fuzz(func(t *testing.T, body string, octets int) {
		raw, err := decodeTPDU(body, octets)
		if err != nil {
			return
		}
		if isStatusReport(raw) {
			r, err := decodeReport(raw)
			if err == nil && len(r.Recipient) > 255 {
				t.Errorf("a recipient of %d digits", len(r.Recipient))
			}
			return
		}
		if in := decodeDeliver(raw); len(in.Text) > 1000 || len(in.PDU) != len(raw) {
			t.Errorf("a text of %d octets", len(in.Text))
		}
	})
}

func TestNothingPrintsNumbersOrTexts(t *testing.T) {
	for _, v := range []any{Submission{To: "33612345678", Text: "123456"}, Report{Recipient: "33612345678"}, Inbound{From: "33612345678", Text: "123456"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "336") || strings.Contains(got, "123456") {
				t.Errorf("%T prints %s", v, got)
			}
		}
	}
}
