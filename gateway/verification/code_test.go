package verification

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"unicode"
)

// TestCodesAreUniform: chi-square over 10^6 codes of each length gives
// p > 0.001, for the digits by their position and for neighbouring digits
// together. A sound generator fails that once in a thousand, so a length that
// fails is drawn anew, and it is two failures in a row that count.
func TestCodesAreUniform(t *testing.T) {
	for length := 4; length <= 10; length++ {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			t.Parallel()
			for range 2 {
				if uniform(length, 1e6, func() Code { return NewCode(length) }) {
					return
				}
			}
			t.Error("codes are not uniform")
		})
	}
}

// The rule must reject what is known to be wrong.
func TestUniformityIsTold(t *testing.T) {
	biased := func() Code { // without rejection, 0 to 5 are likelier
		raw := make([]byte, 6)
		rand.Read(raw)
		for i := range raw {
			raw[i] = '0' + raw[i]%10
		}
		return Code(raw)
	}
	dependent := func() Code { // each digit is uniform, but no two in a row are equal
		for {
			c := NewCode(6)
			if c[2] != c[3] {
				return c
			}
		}
	}
	for name, draw := range map[string]func() Code{"biased": biased, "dependent": dependent} {
		if uniform(6, 1e5, draw) {
			t.Errorf("%s codes pass for uniform", name)
		}
	}
}

// uniform says whether n codes pass the test of TestCodesAreUniform.
func uniform(length, n int, draw func() Code) bool {
	digits := make([][10]int, length)
	pairs := make([][100]int, length-1)
	for range n {
		c := draw()
		for i := range length {
			digits[i][c[i]-'0']++
			if i > 0 {
				pairs[i-1][10*(c[i-1]-'0')+c[i]-'0']++
			}
		}
	}
	// All statistics of one kind are added up, and so are their degrees of
	// freedom; neighbouring pairs are close enough to independent.
	var ofDigits, ofPairs float64
	for i := range digits {
		ofDigits += chiSquare(digits[i][:], n)
	}
	for i := range pairs {
		ofPairs += chiSquare(pairs[i][:], n)
	}
	return ofDigits < critical(9*length) && ofPairs < critical(99*(length-1))
}

func chiSquare(counts []int, n int) (x float64) {
	expected := float64(n) / float64(len(counts))
	for _, c := range counts {
		x += (float64(c) - expected) * (float64(c) - expected) / expected
	}
	return x
}

// critical is the value that chi-square with df degrees of freedom exceeds with
// p = 0.001 (Wilson and Hilferty, 1931).
func critical(df int) float64 {
	const z = 3.0902
	v := 2 / (9 * float64(df))
	return float64(df) * math.Pow(1-v+z*math.Sqrt(v), 3)
}

func TestTyped(t *testing.T) {
	for _, c := range []struct{ name, entered, want string }{
		{"plain", "123456", "123456"},
		{"nothing", "", ""},
		{"blanks", " 123 456\t\n", "123456"},
		{"hyphen", "123-456", "123456"},
		{"other blanks", "123\u00a0456\u2009", "123456"},
		{"other hyphens", "12\u201034\u201156\u2013", "123456"},
		{"marks of direction, as pasted", "\u2068123\u200e456\u2069\ufeff", "123456"},
		{"Arabic-Indic", "١٢٣٤٥٦", "123456"},
		{"Persian", "۱۲۳۴۵۶۰", "1234560"},
		{"Devanagari", "०१२३४५६७८९", "0123456789"},
		{"full width", "１２３４５６", "123456"},
		{"mathematical, five sets in a row", "𝟎𝟗𝟘𝟡𝟢𝟫𝟬𝟵𝟶𝟿", "0909090909"},
		{"letters stay", "12a456", "12a456"},
		{"other numbers stay", "1²½Ⅳ", "1²½Ⅳ"},
		{"not UTF-8", "12\xff456", "12\ufffd456"},
		{"a control stays", "123\x00456", "123\x00456"},
	} {
		if got := Typed(c.entered); string(got) != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.entered, string(got), c.want)
		}
	}
}

// Every decimal digit of Unicode becomes the one that its set says: the sets
// lie in order, ten by ten.
func TestTypedInEveryScript(t *testing.T) {
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			n = 0
			continue
		}
		if got := Typed(string(r)); string(got) != fmt.Sprint(n%10) {
			t.Errorf("%U became %q, want %d", r, string(got), n%10)
		}
		n++
	}
}

// Left out are %p and %w, which pass a string's methods by and which go vet
// refuses.
func TestCodesArePrintedAsBullets(t *testing.T) {
	const secret = "271828"
	code := Code(secret)
	inside := struct {
		Code  Code
		Codes []Code
		Map   map[string]Code
		Draft Draft
		Send  Send
	}{code, []Code{code}, map[string]Code{"k": code}, Draft{Code: code}, Send{fresh: code}}
	outputs := map[string]string{}
	for _, verb := range "vsqdxXbcoOUeEfFgGtTz" {
		for _, flags := range []string{"", "+", "#", "10", "-10", "0", " ", ".3"} {
			format := "%" + flags + string(verb)
			outputs[format] = fmt.Sprintf(format, code)
			outputs[format+" inside"] = fmt.Sprintf(format, inside)
			outputs[format+" of a pointer"] = fmt.Sprintf(format, &inside)
			outputs[format+" of a Send"] = fmt.Sprintf(format, inside.Send)
		}
	}
	outputs["Sprint"] = fmt.Sprint(code, inside)
	for name, v := range map[string]any{"code": code, "list": []Code{code}, "struct": inside} {
		raw, err := json.Marshal(v)
		must(t, err)
		outputs["json of "+name] = string(raw)
	}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("m", "code", code, "inside", inside, "send", inside.Send)
	}
	outputs["slog"] = log.String()
	for how, out := range outputs {
		if strings.Contains(out, secret) || strings.Contains(out, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s shows the code", how)
		}
	}
	if outputs["%v"] != bullets || outputs["json of code"] != `"`+bullets+`"` {
		t.Errorf("printed as %s and %s", outputs["%v"], outputs["json of code"])
	}
}

func BenchmarkNewCode(b *testing.B) {
	for b.Loop() {
		_ = NewCode(6)
	}
}
