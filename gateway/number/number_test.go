package number

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

func parse(t testing.TB, s string) Number {
	t.Helper()
	n, err := Parse(s)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return n
}

func TestParse(t *testing.T) {
	tests := []struct {
		in     string
		region string
		class  Class
		shown  string
	}{
		{"+33612345678", "FR", Mobile, "+33•••••••78"},
		{"+14155552671", "US", FixedOrMobile, "+1••••••••71"},
		{"+33142685300", "FR", FixedLine, "+33•••••••00"},
		{"+390612345678", "IT", FixedLine, "+39••••••••78"}, // its leading zero is part of the number
		{"+78005553535", "RU", TollFree, "+7••••••••35"},
		{"+46771234567", "SE", SharedCost, "+46•••••••67"},
		{"+3538551234567", "IE", Voicemail, "+353••••••••67"},
		{"+445612345678", "GB", VoIP, "+44••••••••78"},
		{"+447640123456", "GB", Pager, "+44••••••••56"},
		{"+445512345678", "GB", UAN, "+44••••••••78"},
		{"+447012345678", "GB", Personal, "+44••••••••78"},
		{"+4915112345678", "DE", Mobile, "+49•••••••••78"},
		// The traps of libphonenumber.
		{"+870773111632", NonGeographic, Mobile, "+870•••••••32"},
		{"+881612345678", NonGeographic, Mobile, "+881•••••••78"},
		{"+80012345678", NonGeographic, TollFree, "+800••••••78"},
		{"+18765551234", "JM", Mobile, "+1••••••••34"},
		{"+12684641234", "AG", Mobile, "+1••••••••34"},
		{"+447911123456", "GG", Mobile, "+44••••••••56"},
		{"+77011234567", "KZ", Mobile, "+7••••••••67"},
		{"+449012345678", "GB", Premium, "+44••••••••78"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			n := parse(t, tt.in)
			if n.E164() != tt.in || n.Digits() != tt.in[1:] {
				t.Errorf("E164 = %q, Digits = %q", n.E164(), n.Digits())
			}
			if n.Region() != tt.region || n.Class() != tt.class {
				t.Errorf("region %s, class %s; want %s, %s", n.Region(), n.Class(), tt.region, tt.class)
			}
			if n.String() != tt.shown {
				t.Errorf("String = %s, want %s", n, tt.shown)
			}
		})
	}
}

// The same number in the digits of any script is the same Number, so that it
// has the same token and limits.
func TestDigitsOfAnyScript(t *testing.T) {
	want := parse(t, "+33612345678")
	for _, zero := range []rune{'٠', '۰', '०', '０', '𝟎', '𝟶'} {
		var s strings.Builder
		s.WriteByte('+')
		for _, d := range want.Digits() {
			s.WriteRune(zero + d - '0')
		}
		if got := parse(t, s.String()); got != want {
			t.Errorf("digits from %U make another number", zero)
		}
	}
	if parse(t, "+3361234567"+"٨") != want {
		t.Error("mixed digits make another number")
	}
	for _, run := range unicode.Nd.R16 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Errorf("the run from %U is not of whole decades", run.Lo)
		}
	}
	for _, run := range unicode.Nd.R32 {
		if (run.Hi-run.Lo+1)%10 != 0 || run.Stride != 1 {
			t.Errorf("the run from %U is not of whole decades", run.Lo)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, in := range map[string]string{
		"empty":                    "",
		"plus alone":               "+",
		"no plus":                  "33612345678",
		"international prefix":     "0033612345678",
		"national form":            "0612345678",
		"two pluses":               "++33612345678",
		"full-width plus":          "＋33612345678",
		"national prefix kept":     "+330612345678",
		"extension":                "+14155552671;ext=9",
		"extension, x":             "+14155552671x9",
		"comma":                    "+14155552671,9",
		"Ctrl-Z":                   "+1415555267\x1a",
		"Ctrl-Z behind":            "+14155552671\x1a",
		"CR LF":                    "+14155552671\r\nAT+CFUN=0",
		"newline":                  "+14155552671\n",
		"NUL":                      "+14155552671\x00",
		"leading space":            " +14155552671",
		"trailing space":           "+14155552671 ",
		"spaces":                   "+1 415 555 2671",
		"hyphens":                  "+1-415-555-2671",
		"parentheses":              "+1(415)5552671",
		"tel URI":                  "tel:+14155552671",
		"letters":                  "+1415FLOWERS",
		"superscript digit":        "+1415555267\u00b9",
		"zero-width space":         "+14155552671\u200b",
		"right-to-left mark":       "\u200f+14155552671",
		"bad UTF-8":                "+1415555267\xff",
		"too short":                "+3361234567",
		"too long":                 "+336123456789",
		"16 digits":                "+4915112345678901",
		"20 digits":                "+12345678901234567890",
		"a megabyte":               "+" + strings.Repeat("1", 1<<20),
		"unknown calling code":     "+999123456789",
		"not in its region's plan": "+10005550006",
		"fictional":                "+447700900123",
	} {
		n, err := Parse(in)
		if !errors.Is(err, ErrInvalid) || !n.IsZero() {
			t.Errorf("%s: accepted", name)
		}
		if err != nil && err.Error() != ErrInvalid.Error() {
			t.Errorf("%s: the error is not the constant one", name)
		}
	}
}

func TestZero(t *testing.T) {
	var n Number
	if !n.IsZero() || n.E164() != "" || n.Digits() != "" || n.Region() != "" || n.Class() != "" || n.String() != "" {
		t.Error("the zero Number has facts")
	}
	if out := fmt.Sprintf("%v%+v%#v", n, n, n); out != "" {
		t.Errorf("printed %q", out)
	}
}

// Every region's own examples are valid, and of a region that shares its plan
// (the library gives some of the Isle of Man's numbers to GB, for instance).
func TestExamplesOfAllRegions(t *testing.T) {
	types := []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE, phonenumbers.PREMIUM_RATE, phonenumbers.VOIP}
	for region := range phonenumbers.GetSupportedRegions() {
		if !KnownRegion(region) {
			t.Errorf("%s is not known", region)
		}
		for _, typ := range types {
			example := phonenumbers.GetExampleNumberForType(region, typ)
			if example == nil {
				continue
			}
			n, err := Parse(phonenumbers.Format(example, phonenumbers.E164))
			calling := phonenumbers.GetCountryCodeForRegion(region)
			if err != nil || phonenumbers.GetCountryCodeForRegion(n.Region()) != calling {
				t.Errorf("%s, type %d: region %q, %v", region, typ, n.Region(), err)
			}
		}
	}
	for _, code := range []string{"", "fr", "ZZ", NonGeographic, "EU", "FRA", "UK"} {
		if KnownRegion(code) {
			t.Errorf("%q is known", code)
		}
	}
}

// A number of a region begins with the region's calling code, of which it has
// one: what a prefix can be of is decided by it.
func TestCalling(t *testing.T) {
	regions := Regions()
	if len(regions) < 200 || !slices.IsSorted(regions) {
		t.Fatalf("%d regions", len(regions))
	}
	for _, region := range regions {
		if !KnownRegion(region) || Calling(region) < 1 || Calling(region) > 999 {
			t.Errorf("%s: %d", region, Calling(region))
		}
	}
	for region, want := range map[string]int{"FR": 33, "JM": 1, "GG": 44, "KZ": 7, "VA": 39, "": 0, "fr": 0, NonGeographic: 0} {
		if got := Calling(region); got != want {
			t.Errorf("%q: %d, want %d", region, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := numbers().Draw(t, "number")
		if !strings.HasPrefix(n.Digits(), strconv.Itoa(Calling(n.Region()))) {
			t.Fatalf("%s is of %s", n, n.Region())
		}
	})
}

// numbers draws a valid number of any region.
func numbers() *rapid.Generator[Number] {
	var regions []string
	for region := range phonenumbers.GetSupportedRegions() {
		regions = append(regions, region)
	}
	return rapid.Custom(func(t *rapid.T) Number {
		for {
			p := phonenumbers.GetExampleNumberForType(rapid.SampledFrom(regions).Draw(t, "region"), phonenumbers.MOBILE)
			if p == nil {
				continue
			}
			e164 := []byte(phonenumbers.Format(p, phonenumbers.E164))
			for i := len(e164) - 4; i < len(e164); i++ {
				e164[i] = rapid.ByteRange('0', '9').Draw(t, "digit")
			}
			if n, err := Parse(string(e164)); err == nil {
				return n
			}
		}
	})
}

// No way of printing a Number shows a digit but the calling code's and the
// last two.
func TestNothingPrintsTheMiddle(t *testing.T) {
	type wrapped struct {
		Exported Number
		hidden   Number
	}
	rapid.Check(t, func(t *rapid.T) {
		n := numbers().Draw(t, "number")
		middle := n.Digits()[:len(n.Digits())-shown]
		var outs []string
		for _, verb := range "vTtbcdoOqxXUeEfFgGspw" {
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "20", ".3", "+#"} {
				format := "%" + flags + string(verb)
				outs = append(outs, fmt.Sprintf(format, n), fmt.Sprintf(format, &n), fmt.Errorf(format, n).Error(),
					fmt.Sprintf(format, wrapped{n, n}), fmt.Sprintf(format, []Number{n}), fmt.Sprintf(format, map[Number]Number{n: n}))
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "number", n, "in", wrapped{n, n})
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "number", n, "in", wrapped{n, n})
		text, err := n.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		object, err := json.Marshal(map[Number]wrapped{n: {n, n}})
		if err != nil {
			t.Fatal(err)
		}
		outs = append(outs, log.String(), string(text), string(object), n.String(), n.GoString())
		for _, out := range outs {
			// Digits in hexadecimal, and byte by byte in decimal or binary.
			for _, form := range []string{"%s", "%x", "%X", "% x", "%d", "%b"} {
				leak := strings.Trim(fmt.Sprintf(form, []byte(middle)), "[]")
				if strings.Contains(out, leak) {
					t.Fatalf("form %s of the digits was printed", form)
				}
			}
		}
		if got := string(object); !json.Valid(object) || !strings.Contains(got, `"Exported":"`+n.String()+`"`) {
			t.Fatal("JSON is not the redacted form")
		}
	})
}

func TestRedactedFormKeepsLength(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := numbers().Draw(t, "number")
		if runes := []rune(n.String()); len(runes) != len(n.E164()) {
			t.Fatalf("%d characters for %d", len(runes), len(n.E164()))
		}
		if again, err := Parse(n.E164()); err != nil || again != n {
			t.Fatal("a number doesn't survive its own E.164 form")
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "+", "+33612345678", "+٣٣٦١٢٣٤٥٦٧٨", "+14155552671;ext=9", "+1415555267\x1a", "+870773111632", "tel:+33612345678",
		"+330612345678", "+\xff1", "+1 415 555 2671", "+390612345678", "+800123456789012345",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			if !errors.Is(err, ErrInvalid) || !n.IsZero() {
				t.Fatal("a refusal that is not the plain ErrInvalid")
			}
			return
		}
		e164 := n.E164()
		if len(e164) > 1+maxDigits || e164[0] != '+' || strings.Trim(e164[1:], "0123456789") != "" {
			t.Fatal("not E.164")
		}
		if len([]rune(s)) != len(e164) {
			t.Fatal("something was added or dropped")
		}
		if again, err := Parse(e164); err != nil || again != n {
			t.Fatal("the canonical form is another number")
		}
		if n.Region() == "" || n.Class() == "" {
			t.Fatal("no region or class")
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("+33612345678"); err != nil {
			b.Fatal(err)
		}
	}
}
