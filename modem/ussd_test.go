package modem

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestParseUSSD(t *testing.T) {
	for _, tt := range []struct {
		line string
		want ussdSaid
	}{
		{`+CUSD: 0,"Your balance is 12.34 EUR.",15`, ussdSaid{0, "Your balance is 12.34 EUR.", true, 15}},
		{`+CUSD:1,"A",15`, ussdSaid{1, "A", true, 15}},
		{`+CUSD: 0, "A", 72`, ussdSaid{0, "A", true, 72}},
		{`+CUSD: 0,"A"`, ussdSaid{0, "A", true, -1}},
		{`+CUSD: 2`, ussdSaid{2, "", false, -1}},
		{`+CUSD: 0,"",15`, ussdSaid{0, "", true, 15}},
		{`+CUSD: 0,"Say "yes", or "no"",15`, ussdSaid{0, `Say "yes", or "no"`, true, 15}},
		{"+CUSD: 1,\"1 Balance\n2 OK\n> 3\",15", ussdSaid{1, "1 Balance\n2 OK\n> 3", true, 15}},
		{`+CUSD: 0,"cut short`, ussdSaid{0, "cut short", true, -1}},
		{`+CUSD: 0,without marks,15`, ussdSaid{0, "without marks", true, 15}},
		{`+CUSD: 0,without, marks`, ussdSaid{0, "without, marks", true, -1}},
		{`+CUSD: 0,"A",300`, ussdSaid{0, "A", true, -1}},
	} {
		if got, ok := parseUSSD(tt.line); !ok || got != tt.want {
			t.Errorf("%s: %+v", tt.line, got)
		}
	}
	for _, line := range []string{"+CUSD", "+CUSD: ", "+CUSD: x", "+CUSD: -1", "+CMT: 1", `+CUSD: ,"A"`} {
		if got, ok := parseUSSD(line); ok {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

func TestUSSDText(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		dcs        int
		packed     bool
		charset    string
		want       string
	}{
		{"text", "Balance: 5 EUR", 15, false, "IRA", "Balance: 5 EUR"},
		{"lines", "1 Balance\r\n2 Number", 15, false, "GSM", "1 Balance\n2 Number"},
		{"an even number", "1250", 15, false, "GSM", "1250"},
		{"a longer number", "20251123", 15, false, "GSM", "20251123"},
		{"Latin-1", "Solde: 5 \x80\xe9", 15, false, "8859-1", "Solde: 5 é"},
		{"UCS-2 by dcs", "00530061006C0064006F", 72, false, "GSM", "Saldo"},
		{"UCS-2, Cyrillic", "0411043004", 72, false, "GSM", "0411043004"},
		{"UCS-2, Cyrillic whole", "0411043B0430043D0441", 72, false, "GSM", "Бланс"},
		{"UCS-2, Chinese", "4F59989D", 72, false, "GSM", "余额"},
		{"UCS-2, surrogates", "D83DDE00", 72, false, "GSM", "😀"},
		{"UCS-2 by charset", "00530061006C0064006F", 15, false, "UCS2", "Saldo"},
		{"UCS-2 against its dcs", "00530061006C0064006F", 15, false, "GSM", "Saldo"},
		{"UCS-2 without dcs", "0411043B0430043D0441", -1, false, "GSM", "Бланс"},
		{"UCS-2 with a language", "6672004F004B", 0x11, false, "GSM", "OK"},
		{"text that says it is UCS-2", "Saldo", 72, false, "GSM", "Saldo"},
		{"packed, as asked", "C8329BFD06", 15, true, "IRA", "Hello"},
		{"packed, by its sense", "C8329BFD6681EE6F399B0C", 15, false, "IRA", "Hello, world"},
		{"packed, eight with the filler", "31D98C56B3DD1A", 15, true, "IRA", "1234567"},
		{"septets in octets", "48656C6C6F", 15, false, "HEX", "Hello"},
		{"data", "48656C6C6F", 68, false, "GSM", "Hello"},
		{"control characters", "A\x07B\x1bC", 15, false, "GSM", "ABC"},
		{"odd digits", "ABC", 15, false, "GSM", "ABC"},
		{"a number", "336123456789", 15, false, "GSM", "336123456789"},
		{"a number that might be UCS-2", "0031003200330034", 15, false, "GSM", "0031003200330034"},
		{"a number in 8-bit data", "31323334", 68, false, "GSM", "1234"},
		{"a number that is no 8-bit data", "336123456789", 68, false, "GSM", "336123456789"},
		{"a number in UCS-2", "0031003200330034", 72, false, "GSM", "1234"},
		{"a number in UCS-2 by charset", "0031003200330034", 15, false, "UCS2", "1234"},
		{"a number in septets", "31323334", 15, false, "HEX", "1234"},
		{"digits, packed as asked", "31190804", 15, true, "GSM", "12"},
		{"a word of hexadecimal digits", "DEAD", 15, false, "GSM", "DEAD"},
		{"a longer one", "defaced1", 15, false, "GSM", "defaced1"},
		{"one in both cases", "DeadBeef", 15, false, "GSM", "DeadBeef"},
		{"no septets", "F1F2F3F4F5", 15, false, "HEX", "F1F2F3F4F5"},
		{"nothing", "", 15, false, "GSM", ""},
	} {
		if got := (ussdSaid{text: tt.text, dcs: tt.dcs}).decode(tt.packed, tt.charset); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A number is a number, and a balance that comes packed is read, whether or not
// the modem says how it writes.
func TestUSSDNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		digits := make([]byte, 4+rng.IntN(13))
		for i := range digits {
			digits[i] = byte('0' + rng.IntN(10))
		}
		for _, dcs := range []int{-1, 0, 1, 15, 0x10} {
			for _, charset := range []string{"", "GSM", "IRA", "8859-1"} {
				if got := (ussdSaid{text: string(digits), dcs: dcs}).decode(false, charset); got != string(digits) {
					t.Fatalf("%s with dcs %d and %s: %q", digits, dcs, charset, got)
				}
			}
		}
		balance := fmt.Sprintf("Balance: %d.%02d EUR, %s", rng.IntN(1000), rng.IntN(100), digits)
		said := ussdSaid{text: hexOf(packUSSD(septets(balance))), dcs: 15}
		if got := said.decode(false, "GSM"); got != balance {
			t.Fatalf("%q: %q", balance, got)
		}
	}
}

// What was packed is unpacked the same, whatever its length and last character.
func TestUSSDPacking(t *testing.T) {
	for n := range 40 {
		for last := range byte(0x80) {
			want := append(bytes.Repeat([]byte{'x'}, n), last)
			if got := unpackUSSD(packUSSD(want)); !bytes.Equal(got, want) {
				t.Errorf("%x: %x", want, got)
			}
		}
	}
	if got := hexOf(packUSSD([]byte("1234567"))); got != "31D98C56B3DD1A" {
		t.Errorf("seven: %s", got)
	}
}

func TestUSSDCodes(t *testing.T) {
	for code, good := range map[string]bool{
		"*100#": true, "#123#": true, "*#06#": true, "1": true, "*111*2*3#": true, "yes": true, "a b": true,
		"": false, "*100#\r": false, "*100#\"": false, "*1a#": false, "**04*1*2*2#": false, "**05*1#": false,
		"**042*1*2*2#": false, "**052*1*2*2#": false, "\x1a": false, "é": false, strings.Repeat("1", 183): false,
	} {
		if isUSSDCode(code) != good {
			t.Errorf("%q: %t", code, !good)
		}
	}
}

// FuzzUSSD: whatever a modem says is read without end or panic, within its
// length, and without control characters.
func FuzzUSSD(f *testing.F) {
	for _, line := range []string{
		`+CUSD: 0,"Your balance",15`, `+CUSD: 2`, `+CUSD: 1,"00530061",72`, `+CUSD: 0,"C8329BFD06",15`, `+CUSD: 0,"6672004F",17`,
		`+CUSD: 0,"`, "+CUSD: 1,\"a\nb\",16",
	} {
		f.Add(line, false, "GSM")
		f.Add(line, true, "UCS2")
	}
	f.Fuzz(func(t *testing.T, line string, packed bool, charset string) {
		said, ok := parseUSSD(line)
		if !ok {
			return
		}
		text := said.decode(packed, charset)
		if len(text) > 4*len(line)+16 || strings.ContainsAny(text, "\x00\x1b\r") {
			t.Errorf("%q: %q", line, text)
		}
	})
}
