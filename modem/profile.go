package modem

import (
	"cmp"
	_ "embed" // profiles.toml
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Profile is what one family or model of modems does in its own way. All that
// it leaves out is found out by negotiation: no modem needs one.
//
// A modem may have several: the more kinds of patterns a profile has, the
// later it is laid over the others, and the operator's own come last. What a
// later one says replaces what an earlier one said, field by field.
type Profile struct {
	// Name is the key of its table; of profiles laid over one another, all
	// their names.
	Name string `koanf:"-"`

	// Manufacturer, Model and Firmware are patterns for what AT+CGMI, +CGMM
	// and +CGMR answer, in any case; "*" stands for any characters, "?" for
	// one. Of each kind that is given one pattern must fit the whole answer.
	Manufacturer []string `koanf:"manufacturer"`
	Model        []string `koanf:"model"`
	Firmware     []string `koanf:"firmware"`
	// USB are patterns for vendor and product, "2c7c:0125" or "12d1:*". One
	// that fits is enough, whatever the modem says of itself.
	USB []string `koanf:"usb"`

	// Interfaces and Protocols say by bInterfaceNumber, or by
	// bInterfaceProtocol, what a stick's serial ports are for: role → numbers.
	Interfaces map[PortRole][]int `koanf:"interfaces"`
	Protocols  map[PortRole][]int `koanf:"protocols"`

	// Init are commands to be given once the modem is known; an error of
	// theirs changes nothing.
	Init []string `koanf:"init"`
	// Avoid are commands never to be given: "AT+CSMP" is all of its forms,
	// "AT+CMGL=4" that one.
	Avoid []string `koanf:"avoid"`
	// Reset is the command that starts the modem anew; "": AT+CFUN=1,1.
	Reset string `koanf:"reset"`
	// USBReset says whether a reset of the USB device is wise; nil: it is.
	USBReset *bool `koanf:"usb_reset"`
	// Pace is the pause between pieces of a payload, and before Ctrl-Z.
	Pace Duration `koanf:"pace"`
	// Gap is the least time between what the modem has said last and the next
	// command.
	Gap Duration `koanf:"gap"`
	// PINTries is the command that tells how many tries for the PIN are left;
	// "": those that modems commonly know are tried.
	PINTries string `koanf:"pin_tries"`

	// CNMI are settings of AT+CNMI to be tried before all others, CNMINever
	// patterns of those not to be tried, both as "2,1,0,1,0", patterns with
	// "*" for any value.
	CNMI      []string `koanf:"cnmi"`
	CNMINever []string `koanf:"cnmi_never"`
	// CSMS is the setting of AT+CSMS to be preferred; nil: 0.
	CSMS *int `koanf:"csms"`
	// CMMS says whether AT+CMMS works; nil: not known.
	CMMS *bool `koanf:"cmms"`
	// Validity are the formats of TP-VP known to work; nil: not known.
	Validity []ValidityFormat `koanf:"validity"`
	// CMSErrors are meanings of its own of +CMS ERROR: a number, or a range
	// like "513-999", → class.
	CMSErrors map[string]Class `koanf:"cms"`
}

// PortRole is what one serial port of a modem is for.
type PortRole string

// The roles.
const (
	RoleAT    PortRole = "at"  // for commands, and unsolicited lines come here
	RoleAT2   PortRole = "at2" // takes commands too, or is the one for data calls
	RoleNMEA  PortRole = "nmea"
	RoleDiag  PortRole = "diag"
	RoleAudio PortRole = "audio"
)

// ValidityFormat is a format of TP-VP, TS 23.040 9.2.3.3.
type ValidityFormat string

// The formats.
const (
	ValidityNone     ValidityFormat = "none"
	ValidityRelative ValidityFormat = "relative"
	ValidityAbsolute ValidityFormat = "absolute"
	ValidityEnhanced ValidityFormat = "enhanced"
)

// Make is what is known of a modem's kind.
type Make struct {
	Manufacturer, Model, Firmware string
	// USB is vendor and product in hexadecimal digits, "2c7c:0125"; "" if it
	// is not on USB, or not known.
	USB string
}

//go:embed profiles.toml
var builtinProfiles []byte

// BuiltinProfiles are those that come with the driver, in the order in which
// they are laid over one another.
func BuiltinProfiles() ([]Profile, error) { return ParseProfiles(builtinProfiles) }

// inOrderOfUse sorts profiles: the general ones first.
func inOrderOfUse(profiles []Profile) []Profile {
	return slices.SortedStableFunc(slices.Values(profiles), func(a, b Profile) int {
		return cmp.Compare(a.specificity(), b.specificity())
	})
}

// specificity counts the kinds of patterns.
func (p Profile) specificity() int {
	n := 0
	for _, patterns := range [...][]string{p.Manufacturer, p.Model, p.Firmware} {
		if len(patterns) > 0 {
			n++
		}
	}
	return n
}

// matches tells whether the profile is one for the modem.
func (p Profile) matches(m Make) bool {
	if m.USB != "" && fitsAny(p.USB, m.USB) {
		return true
	}
	if p.specificity() == 0 {
		return false
	}
	for _, c := range [...]struct {
		patterns []string
		said     string
	}{{p.Manufacturer, m.Manufacturer}, {p.Model, m.Model}, {p.Firmware, m.Firmware}} {
		if len(c.patterns) > 0 && !fitsAny(c.patterns, c.said) {
			return false
		}
	}
	return true
}

// over is p laid over q.
func (p Profile) over(q Profile) Profile {
	q.Name = strings.TrimPrefix(q.Name+" + "+p.Name, " + ")
	replace(&q.Manufacturer, p.Manufacturer)
	replace(&q.Model, p.Model)
	replace(&q.Firmware, p.Firmware)
	replace(&q.USB, p.USB)
	replace(&q.Init, p.Init)
	replace(&q.Avoid, p.Avoid)
	replace(&q.CNMI, p.CNMI)
	replace(&q.CNMINever, p.CNMINever)
	replace(&q.Validity, p.Validity)
	if p.Interfaces != nil || p.Protocols != nil {
		q.Interfaces, q.Protocols = p.Interfaces, p.Protocols
	}
	if p.CMSErrors != nil {
		q.CMSErrors = p.CMSErrors
	}
	q.Reset = cmp.Or(p.Reset, q.Reset)
	q.PINTries = cmp.Or(p.PINTries, q.PINTries)
	q.Pace = cmp.Or(p.Pace, q.Pace)
	q.Gap = cmp.Or(p.Gap, q.Gap)
	q.USBReset = cmp.Or(p.USBReset, q.USBReset)
	q.CSMS = cmp.Or(p.CSMS, q.CSMS)
	q.CMMS = cmp.Or(p.CMMS, q.CMMS)
	return q
}

func replace[E any](list *[]E, by []E) {
	if by != nil {
		*list = by
	}
}

// MatchProfile lays the profiles that fit the modem over one another, in
// their order: see BuiltinProfiles. Where none fits it is the zero Profile.
func MatchProfile(profiles []Profile, m Make) Profile {
	var all Profile
	for _, p := range profiles {
		if p.matches(m) {
			all = p.over(all)
		}
	}
	return all
}

// allProfiles are the driver's profiles and the operator's own, which go
// last.
func allProfiles(own []Profile) ([]Profile, error) {
	for _, p := range own {
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("modem: profile.%s.%w", p.Name, err)
		}
	}
	builtin, err := BuiltinProfiles()
	if err != nil {
		return nil, fmt.Errorf("modem: %w", err)
	}
	return append(builtin, inOrderOfUse(own)...), nil
}

// CMS is the meaning of its own that the modem gives to +CMS ERROR: n, if it
// gives one.
func (p Profile) CMS(n int) (Class, bool) {
	for numbers, class := range p.CMSErrors {
		if from, to, ok := numberRange(numbers); ok && from <= n && n <= to {
			return class, true
		}
	}
	return "", false
}

// Role is what the serial port with this bInterfaceNumber and
// bInterfaceProtocol is for; "" if the profile does not say.
func (p Profile) Role(number, protocol int) PortRole {
	for role, numbers := range p.Interfaces {
		if slices.Contains(numbers, number) {
			return role
		}
	}
	for role, numbers := range p.Protocols {
		if slices.Contains(numbers, protocol) {
			return role
		}
	}
	return ""
}

// rankOther is the least rank of ports that are for something else than
// commands.
const rankOther = 3

// rank orders the ports of a device by their role: those for commands first,
// then those of which nothing is known.
func (p Profile) rank(port USBPort) int {
	order := [...]PortRole{RoleAT, RoleAT2, "", rankOther: RoleNMEA, RoleAudio, RoleDiag}
	return slices.Index(order[:], p.Role(port.Interface, port.Protocol))
}

// ResetCommand starts the modem anew; its answer may never come.
func (p Profile) ResetCommand() string { return cmp.Or(p.Reset, "AT+CFUN=1,1") }

// AllowsUSBReset tells whether the USB device may be reset.
func (p Profile) AllowsUSBReset() bool { return p.USBReset == nil || *p.USBReset }

// AllowsCNMI tells whether the setting of AT+CNMI, as "2,1,0,1,0", may be
// tried.
func (p Profile) AllowsCNMI(setting string) bool { return !fitsAny(p.CNMINever, setting) }

// Avoids tells whether the command is one that must not be given.
func (p Profile) Avoids(cmd string) bool {
	cmd = strings.ToUpper(cmd)
	return slices.ContainsFunc(p.Avoid, func(avoid string) bool {
		rest, ok := strings.CutPrefix(cmd, strings.ToUpper(avoid))
		return ok && (rest == "" || rest[0] == '=' || rest[0] == '?' || rest[0] == ',')
	})
}

// fitsAny tells whether one of the patterns fits the whole of s, in any case.
func fitsAny(patterns []string, s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	return slices.ContainsFunc(patterns, func(p string) bool { return fits(strings.ToLower(p), s) })
}

// fits tells whether the pattern is the whole of s: "*" is any characters,
// "?" one.
func fits(pattern, s string) bool {
	rest, retry := -1, 0 // the pattern behind the last "*", and from where in s it is tried
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			rest, retry = p, i
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case rest >= 0:
			retry++
			p, i = rest, retry
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// numberRange reads "512" and "513-999".
func numberRange(s string) (from, to int, ok bool) {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	from, err1 := strconv.Atoi(low)
	to, err2 := strconv.Atoi(high)
	return from, to, err1 == nil && err2 == nil && 0 <= from && from <= to
}
