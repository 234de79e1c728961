// Package number is the phone number as the whole gateway knows it: a valid
// E.164 number (ITU-T E.164) with the region and class that decide whether it
// may be sent to.
//
// It is the one place that knows the libphonenumber metadata; it knows nothing
// of policies and of what numbers are used for.
//
// What always holds:
//
//   - A Number other than the zero one is valid for its region, and its digits
//     are what the caller wrote: nothing was guessed, added or stripped.
//   - Equal numbers are equal by ==, in whatever digits they were written.
//   - A Number prints redacted, by every verb of fmt and in slog, text and
//     JSON. E164 and Digits are the only ways out.
//   - No error repeats what was submitted.
//
// The metadata costs about 3 MiB of heap from the start of the process, and its
// patterns 25 KiB for each region met, about 6 MiB for all of them.
package number

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unique"

	"github.com/nyaruka/phonenumbers"
)

// ErrInvalid stands for everything that is no valid number in E.164 form. It
// says nothing of the input.
var ErrInvalid = errors.New("number: not a valid phone number in E.164 form (+ and up to 15 digits)")

// maxDigits is the length bound of ITU-T E.164, clause 6.2.1.
const maxDigits = 15

// NonGeographic is the Region of numbers that belong to no country, such as
// satellite phones (UN M.49 code of the world).
const NonGeographic = "001"

// Number is a valid phone number, or none (the zero Number). Numbers can be
// compared and used as map keys.
type Number struct {
	// digits are the calling code and the national number. They are behind a
	// handle to a string because fmt never follows such a pointer, not even
	// where it passes Format by: %p, %w, an unexported field.
	digits  unique.Handle[string]
	calling int
	region  string
	class   Class
}

// Class is what kind of line a number is, as far as the number shows it.
type Class string

// The classes of libphonenumber.
const (
	Mobile        Class = "mobile"
	FixedLine     Class = "fixed_line"
	FixedOrMobile Class = "fixed_or_mobile" // where the plan doesn't tell, as in the US
	Premium       Class = "premium"
	SharedCost    Class = "shared_cost"
	VoIP          Class = "voip"
	Pager         Class = "pager"
	TollFree      Class = "toll_free"
	UAN           Class = "uan" // universal access number: a company's
	Personal      Class = "personal"
	Voicemail     Class = "voicemail"
	Unknown       Class = "unknown"
)

// Classes are all classes.
func Classes() []Class {
	return []Class{
		Mobile, FixedLine, FixedOrMobile, Premium, SharedCost, VoIP,
		Pager, TollFree, UAN, Personal, Voicemail, Unknown,
	}
}

// Parse reads a number in E.164 form: "+", the calling code and the national
// number, without national prefix, spaces or anything else. Decimal digits of
// any script are taken for their ASCII ones. Whatever else is in s, and a
// number that is not valid in its region's plan, is ErrInvalid.
func Parse(s string) (Number, error) {
	e164, ok := canonical(s)
	if !ok {
		return Number{}, ErrInvalid
	}
	p, ok := plain(e164[1:])
	if !ok {
		return Number{}, ErrInvalid
	}
	// A number is valid if and only if its plan has a type for it.
	kind := phonenumbers.GetNumberType(p)
	if kind == phonenumbers.UNKNOWN {
		return Number{}, ErrInvalid
	}
	return Number{
		digits:  unique.Make(e164[1:]),
		calling: int(p.GetCountryCode()),
		region:  phonenumbers.GetRegionCodeForNumber(p),
		class:   classOf(kind),
	}, nil
}

// plain splits the digits of an E.164 number into calling code and national
// number, as they stand. The library's own parser is made for what people
// write: it would look for extensions, strip national prefixes (+33 06…
// becomes +336…), and take ten times as long.
func plain(digits string) (*phonenumbers.PhoneNumber, bool) {
	if digits[0] == '0' { // no calling code begins with it
		return nil, false
	}
	for n := 1; n <= 3 && n < len(digits); n++ {
		calling, err := strconv.Atoi(digits[:n])
		if err != nil || len(phonenumbers.GetRegionCodesForCountryCode(calling)) == 0 {
			continue
		}
		national, err := strconv.ParseUint(digits[n:], 10, 64)
		if err != nil {
			return nil, false
		}
		code := int32(calling) //nolint:gosec // at most 999
		p := &phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &national}
		if zeros := len(digits[n:]) - len(strings.TrimLeft(digits[n:], "0")); zeros > 0 {
			leading, count := true, int32(zeros) //nolint:gosec // at most 15
			p.ItalianLeadingZero, p.NumberOfLeadingZeros = &leading, &count
		}
		return p, true
	}
	return nil, false
}

// canonical returns s with ASCII digits, if it is "+" and 1 to 15 digits.
func canonical(s string) (string, bool) {
	rest, ok := strings.CutPrefix(s, "+")
	if !ok {
		return "", false
	}
	out := append(make([]byte, 0, 1+maxDigits), '+')
	for _, r := range rest {
		d, ok := Digit(r)
		if !ok || len(out) > maxDigits {
			return "", false
		}
		out = append(out, d)
	}
	return string(out), len(out) > 1
}

// Digit returns the ASCII digit of a decimal digit (Unicode category Nd, whose
// characters come in runs from zero to nine: The Unicode Standard, 4.6).
func Digit(r rune) (byte, bool) {
	for _, run := range unicode.Nd.R16 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return '0' + byte((r-rune(run.Lo))%10), true
		}
	}
	for _, run := range unicode.Nd.R32 {
		if rune(run.Lo) <= r && r <= rune(run.Hi) {
			return '0' + byte((r-rune(run.Lo))%10), true
		}
	}
	return 0, false
}

func classOf(t phonenumbers.PhoneNumberType) Class {
	switch t {
	case phonenumbers.MOBILE:
		return Mobile
	case phonenumbers.FIXED_LINE:
		return FixedLine
	case phonenumbers.FIXED_LINE_OR_MOBILE:
		return FixedOrMobile
	case phonenumbers.PREMIUM_RATE:
		return Premium
	case phonenumbers.SHARED_COST:
		return SharedCost
	case phonenumbers.VOIP:
		return VoIP
	case phonenumbers.PAGER:
		return Pager
	case phonenumbers.TOLL_FREE:
		return TollFree
	case phonenumbers.UAN:
		return UAN
	case phonenumbers.PERSONAL_NUMBER:
		return Personal
	case phonenumbers.VOICEMAIL:
		return Voicemail
	default:
		return Unknown
	}
}

// KnownRegion tells whether code is an ISO 3166-1 alpha-2 code, in capitals,
// that a Number's Region can be. NonGeographic is none.
func KnownRegion(code string) bool { return phonenumbers.GetSupportedRegions()[code] }

// Regions are all codes that KnownRegion knows, sorted.
func Regions() []string {
	return slices.Sorted(maps.Keys(phonenumbers.GetSupportedRegions()))
}

// Calling is the calling code that all numbers of the region begin with (ITU-T
// E.164, Annex D), which it may share with others: 1 for US and JM. It is 0
// for what KnownRegion doesn't know.
func Calling(region string) int { return phonenumbers.GetCountryCodeForRegion(region) }

// IsZero tells whether n is no number.
func (n Number) IsZero() bool { return n == Number{} }

// Digits is the number without "+", or "".
func (n Number) Digits() string {
	if n.IsZero() {
		return ""
	}
	return n.digits.Value()
}

// E164 is the number with "+", or "".
func (n Number) E164() string {
	if n.IsZero() {
		return ""
	}
	return "+" + n.Digits()
}

// Region is the country or territory whose numbering plan holds the number
// (ISO 3166-1 alpha-2), NonGeographic, or "" for no number. It is finer than
// the calling code: +1 876 is JM, +44 7911 is GG.
func (n Number) Region() string { return n.region }

// Class is the number's kind of line, or "" for no number.
func (n Number) Class() Class { return n.class }

// String is the redacted form: the calling code, a bullet for every other
// digit but the last two, and these: "+33•••••••78".
func (n Number) String() string {
	if n.IsZero() {
		return ""
	}
	e164, calling := n.E164(), "+"+strconv.Itoa(n.calling)
	hidden := len(e164) - len(calling) - shown
	return calling + strings.Repeat("•", hidden) + e164[len(e164)-shown:]
}

// shown is how many of the last digits the redacted form keeps.
const shown = 2

// GoString is the redacted form.
func (n Number) GoString() string { return n.String() }

// Format writes the redacted form, whatever the verb.
func (n Number) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, n.String()) }

// LogValue is the redacted form.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.String()) }

// MarshalText is the redacted form.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// MarshalJSON is the redacted form as a JSON string.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(strconv.Quote(n.String())), nil }
