package text

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/warthog618/sms/encoding/gsm7"
	"pgregory.net/rapid"
)

func load(t testing.TB, brand string) *Set {
	t.Helper()
	s, err := New(Policy{Brand: brand})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRender(t *testing.T) {
	tests := []struct {
		brand, code string
		life        time.Duration
		want        string
	}{
		{"", "123456", 5 * time.Minute, "123456 is your verification code. It expires in 5 minutes. Never share it."},
		{"Acme", "123456", 5 * time.Minute, "Acme: 123456 is your verification code. It expires in 5 minutes. Never share it."},
		{"", "0001", time.Minute, "0001 is your verification code. It expires in 1 minute. Never share it."},
		{"", "0123456789", MaxLife, "0123456789 is your verification code. It expires in 10 minutes. Never share it."},
		// Never more than is left.
		{"", "123456", 2*time.Minute - 1, "123456 is your verification code. It expires in 1 minute. Never share it."},
		{"", "123456", time.Minute - 1, "123456 is your verification code. It expires in less than a minute. Never share it."},
		{"", "123456", 1, "123456 is your verification code. It expires in less than a minute. Never share it."},
	}
	for _, tt := range tests {
		for _, locale := range []string{"", "en", "fr", "zh-Hant-TW", "no tag"} {
			got, err := load(t, tt.brand).Render(tt.code, tt.life, locale)
			if err != nil || got != tt.want {
				t.Errorf("%q, %v: %q, %v", tt.brand, tt.life, got, err)
			}
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	s := load(t, "Acme")
	for name, in := range map[string]struct {
		code string
		life time.Duration
	}{
		"no code":           {"", time.Minute},
		"short code":        {"123", time.Minute},
		"long code":         {"12345678901", time.Minute},
		"letters":           {"12345a", time.Minute},
		"space":             {"123 456", time.Minute},
		"Ctrl-Z":            {"12345\x1a", time.Minute},
		"Arabic-Indic code": {"١٢٣٤٥", time.Minute},
		"no life":           {"123456", 0},
		"past":              {"123456", -time.Minute},
		"too long a life":   {"123456", MaxLife + 1},
	} {
		got, err := s.Render(in.code, in.life, "en")
		if !errors.Is(err, ErrRender) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err != nil && in.code != "" && strings.Contains(err.Error(), in.code) {
			t.Errorf("%s: the error tells the code", name)
		}
	}
}

func TestBrandsThatLoad(t *testing.T) {
	for _, brand := range []string{
		"Acme", "Müller & Söhne", "360Learning", "Route 666", "24/7", "ΔΩ", "O'Neill", "A@B", "[x]", "€uro", "Ørsted",
		"123 456 789", strings.Repeat("M", 70),
	} {
		if _, err := New(Policy{Brand: brand}); err != nil {
			t.Errorf("%s: %v", brand, err)
		}
	}
}

func TestBrandsThatDoNot(t *testing.T) {
	for brand, reason := range map[string]string{
		"A\r\nAT+CFUN=0":         "not printable",
		"A\nB":                   "not printable",
		"A\tB":                   "not printable",
		"A\x1a":                  "not printable",
		"A\x1b":                  "not printable",
		"A\x00":                  "not printable",
		"A\fB":                   "not printable",
		"A\u00a0B":               "not printable",
		"A\u202eB":               "not printable",
		"\xff":                   "not in the GSM 7-bit alphabet",
		"Bob’s":                  "U+2019",
		"“Acme”":                 "U+201C",
		"Acme–Bank":              "U+2013",
		"façade":                 "U+00E7",
		"e\u0301":                "U+0301",
		"日本":                     "U+65E5",
		"Acme 🚀":                 "U+1F680",
		"`":                      "U+0060",
		"Acme 2024":              "digits",
		"4711":                   "digits",
		"x1234567890":            "digits",
		"@acme.example #1":       "origin-bound",
		" Acme":                  "space",
		"Acme ":                  "space",
		strings.Repeat("M", 75):  "septets",
		strings.Repeat("€", 40):  "septets",
		strings.Repeat("M", 999): "septets",
	} {
		_, err := New(Policy{Brand: brand})
		if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, want %q", brand, err, reason)
		}
	}
}

// The longest brand that loads fills the segment exactly, and one septet more
// does not load: the proof is neither lax nor stricter than it must be.
func TestProofIsExact(t *testing.T) {
	room := oneSegment - load(t, "").longest() - len(": ")
	for _, brand := range []string{strings.Repeat("M", room), strings.Repeat("€", room/2) + strings.Repeat("M", room%2)} {
		if got := load(t, brand).longest(); got != oneSegment {
			t.Errorf("the longest brand gives %d septets", got)
		}
		if _, err := New(Policy{Brand: brand + "M"}); !errors.Is(err, ErrPolicy) {
			t.Errorf("one more septet: %v", err)
		}
	}
}

// Every character takes as many septets as the codec makes of it.
func TestSeptetsAreTheCodecs(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := -1
		if encoded, err := gsm7.Encode([]byte(string(r))); err == nil && unicode.IsPrint(r) {
			want = len(encoded)
		}
		if got := septets(string(r)); got != want {
			t.Errorf("%U: %d septets, the codec makes %d", r, got, want)
		}
	}
}

// What holds of every message of every brand that loads.
func TestEveryMessage(t *testing.T) {
	runs := regexp.MustCompile(`[0-9]+`)
	alphabet := []rune("@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCÄÖÑÜ§¿abcäöñüà^{}\\[~]|€’ç\n\r")
	loaded := 0
	rapid.Check(t, func(t *rapid.T) {
		brand := rapid.StringOfN(rapid.SampledFrom(alphabet), 0, 80, -1).Draw(t, "brand")
		s, err := New(Policy{Brand: brand})
		if err != nil {
			return
		}
		loaded++
		code := rapid.StringMatching(`[0-9]{4,10}`).Draw(t, "code")
		life := time.Duration(rapid.Int64Range(1, int64(MaxLife)).Draw(t, "life"))
		message, err := s.Render(code, life, "en")
		if err != nil {
			t.Fatal(err)
		}
		if encoded, err := gsm7.Encode([]byte(message)); err != nil || len(encoded) > oneSegment {
			t.Fatalf("%d septets, %v", len(encoded), err)
		}
		if strings.ContainsAny(message, "\r\n\x1a\x1b") {
			t.Fatal("more than one line")
		}
		found := 0
		for _, run := range runs.FindAllString(message, -1) {
			if len(run) == len(code) {
				found++
				if run != code {
					t.Fatal("a run of digits that is not the code")
				}
			}
		}
		if found != 1 {
			t.Fatalf("the code is there %d times", found)
		}
	})
	if loaded == 0 {
		t.Error("no brand loaded: nothing was tested")
	}
}

func FuzzNew(f *testing.F) {
	for _, brand := range []string{"", "Acme", "A\r\nB", "Bob’s", "4711", "\xff", "€", "@"} {
		f.Add(brand)
	}
	f.Fuzz(func(t *testing.T, brand string) {
		s, err := New(Policy{Brand: brand})
		if err != nil {
			return
		}
		message, err := s.Render("123456", 5*time.Minute, "")
		if err != nil || septets(message) < 0 || septets(message) > oneSegment || strings.Count(message, "123456") != 1 {
			t.Fatalf("%q, %v", message, err)
		}
	})
}

func BenchmarkRender(b *testing.B) {
	s := load(b, "Acme")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Render("123456", 5*time.Minute, "en"); err != nil {
			b.Fatal(err)
		}
	}
}
