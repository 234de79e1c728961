package guard

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"smsotpd/gateway/number"
)

func parse(t testing.TB, s string) number.Number {
	t.Helper()
	n, err := number.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestScreen(t *testing.T) {
	allow := func(regions ...string) Policy { return Policy{AllowRegions: regions} }
	tests := []struct {
		name   string
		policy Policy
		to     string
		want   Reason // "" is allowed
	}{
		{"allowed", allow("FR"), "+33612345678", ""},
		{"allowed among others", allow("GB", "FR", "US"), "+33612345678", ""},
		{"fixed or mobile", allow("US"), "+14155552671", ""},
		{"nothing is allowed at first", Policy{}, "+33612345678", RegionNotAllowed},
		{"another region", allow("GB"), "+33612345678", RegionNotAllowed},
		{"lower case allows nothing", allow("fr"), "+33612345678", RegionNotAllowed},
		// The region decides, not the calling code.
		{"Jamaica is not the US", allow("US"), "+18765551234", RegionNotAllowed},
		{"Jamaica itself", allow("JM"), "+18765551234", ""},
		{"Guernsey is not Great Britain", allow("GB"), "+447911123456", RegionNotAllowed},
		{"Guernsey itself", allow("GG"), "+447911123456", ""},
		{"Kazakhstan is not Russia", allow("RU"), "+77011234567", RegionNotAllowed},
		// Region 001 even where the class is mobile and somebody wrote it.
		{"Inmarsat", allow("FR", number.NonGeographic), "+870773111632", RegionNotAllowed},
		{"Globalstar", allow(number.NonGeographic), "+881612345678", RegionNotAllowed},
		{"international freephone", allow(number.NonGeographic), "+80012345678", RegionNotAllowed},
		// The classes.
		{"premium", allow("GB"), "+449012345678", ClassRefused},
		{"shared cost", allow("SE"), "+46771234567", ClassRefused},
		{"VoIP", allow("GB"), "+445612345678", ClassRefused},
		{"pager", allow("GB"), "+447640123456", ClassRefused},
		{"toll-free", allow("RU"), "+78005553535", ClassRefused},
		{"UAN", allow("GB"), "+445512345678", ClassRefused},
		{"personal", allow("GB"), "+447012345678", ClassRefused},
		{"voicemail", allow("IE"), "+3538551234567", ClassRefused},
		{"fixed line", allow("FR"), "+33142685300", ClassRefused},
		{"fixed line where others are refused", Policy{[]string{"FR"}, []number.Class{number.Premium}}, "+33142685300", ""},
		{"premium where it is refused", Policy{[]string{"GB"}, []number.Class{number.Premium}}, "+449012345678", ClassRefused},
		{"no class refused", Policy{[]string{"GB"}, []number.Class{}}, "+449012345678", ""},
		{"mobile refused", Policy{[]string{"FR"}, []number.Class{number.Mobile}}, "+33612345678", ClassRefused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := parse(t, tt.to)
			err := tt.policy.Screen(n)
			if tt.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || refusal.Reason != tt.want {
				t.Fatalf("Screen = %v, want %s", err, tt.want)
			}
			if text := err.Error(); strings.Contains(text, n.Digits()) || strings.Contains(text, n.Digits()[3:]) {
				t.Error("the refusal tells the number")
			}
		})
	}
}

func TestZeroNumberIsRefused(t *testing.T) {
	for _, p := range []Policy{{}, {AllowRegions: []string{"FR", ""}}, {AllowRegions: []string{""}, RefuseClasses: []number.Class{}}} {
		if err := p.Screen(number.Number{}); err == nil {
			t.Errorf("%+v sends to no number", p)
		}
	}
}

func TestEmptyListSaysHowToAllow(t *testing.T) {
	refusal, ok := errors.AsType[*Refusal](Policy{}.Screen(parse(t, "+33612345678")))
	if !ok || !strings.Contains(refusal.Text, "--allow-region") {
		t.Errorf("refusal = %v", refusal)
	}
}

func TestValidate(t *testing.T) {
	for name, tt := range map[string]struct {
		policy Policy
		ok     bool
	}{
		"zero":                  {Policy{}, true},
		"regions":               {Policy{AllowRegions: []string{"FR", "GB", "XK"}}, true},
		"classes":               {Policy{RefuseClasses: number.Classes()}, true},
		"lower case":            {Policy{AllowRegions: []string{"FR", "gb"}}, false},
		"UK":                    {Policy{AllowRegions: []string{"UK"}}, false},
		"alpha-3":               {Policy{AllowRegions: []string{"FRA"}}, false},
		"empty":                 {Policy{AllowRegions: []string{""}}, false},
		"a calling code":        {Policy{AllowRegions: []string{"33"}}, false},
		"non-geographic":        {Policy{AllowRegions: []string{number.NonGeographic}}, false},
		"no such class":         {Policy{RefuseClasses: []number.Class{"landline"}}, false},
		"a class after another": {Policy{RefuseClasses: []number.Class{number.Pager, ""}}, false},
	} {
		if err := tt.policy.Validate(); (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The classes that can cost or can't receive, and nothing that a phone may be.
func TestDefaultRefuseClasses(t *testing.T) {
	refused := DefaultRefuseClasses()
	for _, class := range []number.Class{
		number.Premium, number.SharedCost, number.VoIP, number.Pager, number.TollFree, number.UAN, number.FixedLine,
	} {
		if !slices.Contains(refused, class) {
			t.Errorf("%s is not refused", class)
		}
	}
	if slices.Contains(refused, number.Mobile) || slices.Contains(refused, number.FixedOrMobile) {
		t.Error("mobile numbers are refused")
	}
}

func BenchmarkScreen(b *testing.B) {
	p, n := Policy{AllowRegions: []string{"GB", "FR"}}, parse(b, "+33612345678")
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Screen(n); err != nil {
			b.Fatal(err)
		}
	}
}
