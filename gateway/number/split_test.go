package number

import (
	"fmt"
	"testing"

	"github.com/nyaruka/phonenumbers"
	"pgregory.net/rapid"
)

// byLibrary is what Parse comes to with the library's own parser, which guesses
// and strips: what it changes is refused.
func byLibrary(s string) (region string, class Class, ok bool) {
	e164, ok := canonical(s)
	if !ok {
		return "", "", false
	}
	p, err := phonenumbers.Parse(e164, phonenumbers.UNKNOWN_REGION)
	if err != nil || !phonenumbers.IsValidNumber(p) || phonenumbers.Format(p, phonenumbers.E164) != e164 {
		return "", "", false
	}
	return phonenumbers.GetRegionCodeForNumber(p), classOf(phonenumbers.GetNumberType(p)), true
}

func agrees(t interface{ Fatalf(string, ...any) }, s string) bool {
	region, class, ok := byLibrary(s)
	n, err := Parse(s)
	if (err == nil) != ok || ok && (n.Region() != region || n.Class() != class || n.E164() != s) {
		t.Fatalf("%s: got %v %s %s, the library says %v %s %s", s, err == nil, n.Region(), n.Class(), ok, region, class)
	}
	return ok
}

func TestAgreesWithTheLibrary(t *testing.T) {
	valid := 0
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range []phonenumbers.PhoneNumberType{phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.VOIP} {
			p := phonenumbers.GetExampleNumberForType(region, kind)
			if p == nil || p.GetNationalNumber() == 0 {
				continue
			}
			s := phonenumbers.Format(p, phonenumbers.E164)
			for _, variant := range []string{s, s[:len(s)-1], "+0" + s[1:], s[:3] + "0" + s[3:]} {
				if agrees(t, variant) {
					valid++
				}
			}
		}
	}
	if valid < 500 {
		t.Fatalf("only %d valid numbers were compared", valid)
	}
	rapid.Check(t, func(t *rapid.T) {
		calling := rapid.SampledFrom([]int{1, 7, 20, 33, 39, 44, 49, 52, 54, 55, 65, 81, 86, 91, 225, 358, 378, 800, 870, 881, 979, 999}).Draw(t, "calling")
		agrees(t, fmt.Sprintf("+%d%s", calling, rapid.StringMatching(`[0-9]{3,13}`).Draw(t, "rest")))
	})
}
