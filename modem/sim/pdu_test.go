package sim

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func octets(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeSubmit(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, pdu string
		want      Submit
	}{
		{
			"the textbook example", "00 11 00 0B 91 6407281553F8 00 00 AA 0A E8329BFD4697D9EC37",
			Submit{To: "+46708251358", Text: "hellohello", VPFormat: VPRelative, Validity: 4 * 24 * time.Hour},
		},
		{
			"service centre, report, replace type", "07 91 447779070000 31 2A 0C 91 449720090000 41 00 00 02 C834",
			Submit{SCA: "+447797700000", MR: 0x2a, To: "+447902900000", Text: "Hi", PID: 0x41, StatusReport: true, VPFormat: VPRelative, Validity: 5 * time.Minute},
		},
		{
			"national number, no validity, flash", "00 01 00 04 81 2143 00 10 03 31D98C 06",
			Submit{},
		},
		{
			"extension table", "00 01 00 02 81 21 00 00 03 9BF21E",
			Submit{To: "12", Text: "€ä"},
		},
		{
			"UCS-2 with a surrogate pair", "00 01 00 02 81 21 00 08 06 0416 D83DDE00",
			Submit{To: "12", DCS: 8, Text: "Ж😀"},
		},
		{
			"8-bit", "00 01 00 02 81 21 00 04 03 00FF1B",
			Submit{To: "12", DCS: 4, Text: "00ff1b"},
		},
		{
			"concatenated, with a fill bit", "00 41 00 02 81 21 00 00 09 05 00 03 2A 02 01 90 65",
			Submit{To: "12", UDH: []byte{0, 3, 0x2a, 2, 1}, Text: "He"},
		},
		{
			"absolute validity, an hour in the zone +01:00", "00 19 00 02 81 21 00 00 62 10 20 50 40 50 40 00",
			Submit{To: "12", VPFormat: VPAbsolute, Validity: time.Hour},
		},
		{
			"enhanced validity in seconds", "00 09 00 02 81 21 00 00 02 78 0000000000 00",
			Submit{To: "12", VPFormat: VPEnhanced, Validity: 2 * time.Minute},
		},
		{
			"enhanced validity as a time", "00 09 00 02 81 21 00 00 03 10 20 30 000000 00",
			Submit{To: "12", VPFormat: VPEnhanced, Validity: time.Hour + 2*time.Minute + 3*time.Second},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := DecodeSubmit(octets(t, c.pdu), now)
			if c.want.To == "" {
				if !errors.Is(err, ErrPDU) {
					t.Fatalf("trailing octet: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			key := func(s Submit) string {
				return fmt.Sprint(s.SCA, s.MR, s.To, s.PID, s.DCS, s.VPFormat, s.Validity, s.StatusReport, s.UDH, s.Text)
			}
			if key(got) != key(c.want) {
				t.Errorf("got  %s\nwant %s", key(got), key(c.want))
			}
		})
	}
}

func TestDecodeSubmitRefuses(t *testing.T) {
	for name, pdu := range map[string]string{
		"nothing":                       "",
		"only a service centre":         "00",
		"a DELIVER":                     "00 04 00 02 81 21 00 00 00",
		"a cut address":                 "00 01 00 0B 91 6407",
		"no destination":                "00 01 00 00 81 00 00 00",
		"an alphanumeric destination":   "00 01 00 04 D0 C834 00 00 00",
		"a type of address below 0x80":  "00 01 00 02 01 21 00 00 00",
		"21 digits":                     "00 01 00 15 81 2121212121212121212121 00 00 00",
		"a digit more than the length":  "00 01 00 03 81 2143 00 00 00",
		"a filler inside":               "00 01 00 04 81 2F43 00 00 00",
		"a longer text than announced":  "00 01 00 02 81 21 00 00 02 C83400",
		"a shorter one":                 "00 01 00 02 81 21 00 00 03 C834",
		"161 septets":                   "00 01 00 02 81 21 00 00 A1" + strings.Repeat("00", 141),
		"odd UCS-2":                     "00 01 00 02 81 21 00 08 03 041600",
		"compressed text":               "00 01 00 02 81 21 00 20 00",
		"a reserved alphabet":           "00 01 00 02 81 21 00 0C 00",
		"a header beyond the data":      "00 41 00 02 81 21 00 04 02 0500",
		"an element beyond the header":  "00 41 00 02 81 21 00 04 03 020003",
		"a header beyond the septets":   "00 41 00 02 81 21 00 00 01 05",
		"a month 13":                    "00 19 00 02 81 21 00 00 62 31 20 50 40 50 00 00",
		"a reserved enhanced validity":  "00 09 00 02 81 21 00 00 04 00 0000000000 00",
		"an extended enhanced validity": "00 09 00 02 81 21 00 00 80 00 0000000000 00",
		"a service centre of 13 octets": "0D 91 000000000000000000000000 01 00 02 81 21 00 00 00",
	} {
		if _, err := DecodeSubmit(octets(t, pdu), time.Now()); !errors.Is(err, ErrPDU) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecodeSubmit holds the decoder to: no panic, errors without contents, and
// a length that agrees with the octets.
func FuzzDecodeSubmit(f *testing.F) {
	f.Add(octets(f, "0011000B916407281553F80000AA0AE8329BFD4697D9EC37"))
	f.Add(octets(f, "0041000281210000090500032A02019065"))
	f.Add(octets(f, "00090002812100000378000000000000"))
	f.Fuzz(func(t *testing.T, pdu []byte) {
		s, err := DecodeSubmit(pdu, time.Unix(0, 0))
		if err != nil {
			if !errors.Is(err, ErrPDU) {
				t.Fatalf("not ErrPDU: %v", err)
			}
			return
		}
		if n := tpduLength(pdu); n < 7 || n > 176 || len(s.To) == 0 {
			t.Fatalf("accepted with length %d", n)
		}
		if again := address(s.To); strings.Trim(s.To, "+0123456789") == "" && len(again) != len(s.destination) {
			t.Fatalf("destination %x, encoded again %x", s.destination, again)
		}
	})
}

// TestRedacted: no verb prints numbers or texts.
func TestRedacted(t *testing.T) {
	submit, err := DecodeSubmit(octets(t, hello), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	msg := Message{To: helloTo, From: helloTo, Text: "hello"}
	h := &Handset{changed: make(chan struct{})}
	h.take(msg)
	for _, v := range []any{submit, msg, h, Receipt{Message: msg}, slog.AnyValue(msg).Resolve(), slog.AnyValue(submit).Resolve()} {
		got := fmt.Sprintf("%v %+v %#v %s", v, v, v, v)
		if strings.Contains(got, "3361234") || strings.Contains(got, "hello") {
			t.Errorf("%T prints what it must not", v)
		}
	}
}

func TestRelativeValidity(t *testing.T) {
	for v, want := range map[byte]time.Duration{
		0: 5 * time.Minute, 1: 10 * time.Minute, 143: 12 * time.Hour, 144: 12*time.Hour + 30*time.Minute,
		167: 24 * time.Hour, 168: 48 * time.Hour, 196: 30 * 24 * time.Hour, 197: 5 * 7 * 24 * time.Hour, 255: 63 * 7 * 24 * time.Hour,
	} {
		if got := relativeValidity(v); got != want {
			t.Errorf("%d: %v, want %v", v, got, want)
		}
	}
}

func TestEncodeStatusReport(t *testing.T) {
	zone := time.FixedZone("", 3600)
	got := statusReport{
		mr: 214, recipient: address("+31628870634"),
		scts:      time.Date(2011, 1, 11, 17, 59, 15, 0, zone),
		discharge: time.Date(2011, 1, 11, 17, 59, 17, 0, zone),
	}.pdu()
	if want := "0006D60B911326880736F4111011719551401110117195714000"; fmt.Sprintf("%X", got) != want {
		t.Errorf("%X, want %s", got, want)
	}
	if tpduLength(got) != 25 {
		t.Errorf("length %d", tpduLength(got))
	}
}

func TestEncodeDeliver(t *testing.T) {
	in := Inbound{
		From: "+27838890001", Text: "hellohello",
		Sent: time.Date(1999, 3, 29, 15, 16, 59, 0, time.FixedZone("", 2*3600)),
	}
	pdus := func() [][]byte {
		t.Helper()
		parts, err := in.parts()
		if err != nil {
			t.Fatal(err)
		}
		var all [][]byte
		for _, d := range parts {
			d.sca = "+27381000015"
			all = append(all, d.pdu())
		}
		return all
	}
	if got, want := fmt.Sprintf("%X", pdus()[0]), "07917283010010F5040B917238880900F10000993092516195800AE8329BFD4697D9EC37"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	west := semiTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", -5*3600)))
	if got := fmt.Sprintf("%X", west); got != "6210203040500A" {
		t.Errorf("west of Greenwich: %s", got)
	}
	if back, err := timestamp(west); err != nil || back.Unix() != time.Date(2026, 1, 2, 8, 4, 5, 0, time.UTC).Unix() {
		t.Errorf("back: %v %v", back, err)
	}
	if got := fmt.Sprintf("%X", address("Bank")); got != "08D0C2B07B0D" {
		t.Errorf("letters: %s", got)
	}
	in.Text = "Ж"
	if got := fmt.Sprintf("%X", pdus()[0]); !strings.HasSuffix(got, "020416") || !strings.Contains(got, "F10008") {
		t.Errorf("UCS-2: %s", got)
	}
	for _, text := range []string{strings.Repeat("x", 500), strings.Repeat("Ж", 500)} {
		in.Text = text
		for _, pdu := range pdus() {
			if n := tpduLength(pdu); n > 164 {
				t.Errorf("a long text makes %d octets", n)
			}
		}
	}
}

func TestAlphabet(t *testing.T) {
	var all strings.Builder
	for _, r := range gsm7Basic {
		if r != gsm7Escape {
			all.WriteRune(r)
		}
	}
	all.WriteString("^{}\\[~]|€\f")
	septets, ok := gsm7Septets(all.String())
	if !ok {
		t.Fatal("the alphabet does not fit itself")
	}
	for n := range len(septets) {
		back := unpack7(pack7(septets[:n]), n, 0)
		if string(back) != string(septets[:n]) {
			t.Fatalf("%d septets: %x, want %x", n, back, septets[:n])
		}
	}
	if got := gsm7Text(septets); got != all.String() {
		t.Errorf("got  %q\nwant %q", got, all.String())
	}
	if _, ok := gsm7Septets("Ж"); ok {
		t.Error("a letter outside the alphabet fits it")
	}
}
