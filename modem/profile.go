package modem

import (
	"cmp"
	_ "embed" // profiles.toml
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/pelletier/go-toml/v2"
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

// Duration is a time.Duration that is written like "20ms".
type Duration time.Duration

// UnmarshalText reads a duration of at most a minute.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 || v > time.Minute {
		return errors.New(`expected a duration up to one minute, such as "20ms"`)
	}
	*d = Duration(v)
	return nil
}

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

// ParseProfiles reads tables [profile.NAME] in TOML. Errors name the key at
// fault by its path.
func ParseProfiles(text []byte) ([]Profile, error) {
	var raw map[string]any
	if err := toml.Unmarshal(text, &raw); err != nil {
		if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := wrong.Position()
			return nil, fmt.Errorf("line %d, column %d: %s", line, column, strings.TrimPrefix(wrong.Error(), "toml: "))
		}
		return nil, err
	}
	var file struct {
		Profile map[string]Profile `koanf:"profile"`
	}
	var met mapstructure.Metadata
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: &file, Metadata: &met, TagName: "koanf",
		MatchName:  func(key, field string) bool { return key == field },
		DecodeHook: mapstructure.TextUnmarshallerHookFunc(),
	})
	if err != nil {
		return nil, err
	}
	if err := decoder.Decode(raw); err != nil {
		return nil, wrongValue(err)
	}
	if len(met.Unused) > 0 {
		return nil, fmt.Errorf("%s: unknown setting", keyPath(slices.Min(met.Unused)))
	}
	profiles := make([]Profile, 0, len(file.Profile))
	for _, name := range slices.Sorted(maps.Keys(file.Profile)) {
		p := file.Profile[name]
		p.Name = name
		if err := p.Validate(); err != nil {
			return nil, fmt.Errorf("profile.%s.%w", name, err)
		}
		profiles = append(profiles, p)
	}
	return inOrderOfUse(profiles), nil
}

// wrongValue puts the key of the first value that has the wrong type or form in
// front of what is wrong: the decoder says "'profile[name].key' what".
func wrongValue(err error) error {
	_, rest, _ := strings.Cut(err.Error(), "'")
	key, what, ok := strings.Cut(rest, "' ")
	if !ok {
		return err
	}
	what, _, _ = strings.Cut(what, "\n")
	return fmt.Errorf("%s: %s", keyPath(key), what)
}

// keyPath turns the decoder's profile[name].key into the file's
// profile.name.key.
func keyPath(text string) string {
	return strings.NewReplacer("[", ".", "]", "").Replace(text)
}

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

// Validate tells what is wrong with a profile; the error begins with the key.
func (p Profile) Validate() error {
	if p.specificity() == 0 && len(p.USB) == 0 {
		return errors.New("manufacturer: none of manufacturer, model, firmware and usb says which modems it is for")
	}
	for key, patterns := range map[string][]string{
		"manufacturer": p.Manufacturer, "model": p.Model, "firmware": p.Firmware,
	} {
		if slices.Contains(patterns, "") {
			return fmt.Errorf("%s: an empty pattern", key)
		}
	}
	for _, id := range p.USB {
		vendor, product, ok := strings.Cut(id, ":")
		if !ok || !isHex(vendor, 4) || product != "*" && !isHex(product, 4) {
			return fmt.Errorf("usb: %q is not like 2c7c:0125 or 2c7c:*", id)
		}
	}
	for key, roles := range map[string]map[PortRole][]int{"interfaces": p.Interfaces, "protocols": p.Protocols} {
		if err := validateRoles(roles); err != nil {
			return fmt.Errorf("%s.%w", key, err)
		}
		if len(roles) > 0 && len(p.USB) == 0 {
			return fmt.Errorf("%s: needs usb", key)
		}
	}
	for key, commands := range map[string][]string{
		"init": p.Init, "avoid": p.Avoid, "reset": optionalList(p.Reset), "pin_tries": optionalList(p.PINTries),
	} {
		for _, cmd := range commands {
			if !isCommand(cmd) {
				return fmt.Errorf("%s: %q is no AT command", key, cmd)
			}
		}
	}
	return p.validateMessages()
}

func (p Profile) validateMessages() error {
	for _, s := range p.CNMI {
		if !isCNMI(s, false) {
			return fmt.Errorf("cnmi: %q is not like 2,1,0,1,0", s)
		}
	}
	for _, s := range p.CNMINever {
		if !isCNMI(s, true) {
			return fmt.Errorf("cnmi_never: %q is not like *,*,*,2,*", s)
		}
	}
	if p.CSMS != nil && *p.CSMS != 0 && *p.CSMS != 1 && *p.CSMS != 128 {
		return fmt.Errorf("csms: %d is none of 0, 1 and 128", *p.CSMS)
	}
	for _, v := range p.Validity {
		switch v {
		case ValidityNone, ValidityRelative, ValidityAbsolute, ValidityEnhanced:
		default:
			return fmt.Errorf("validity: %q is none of none, relative, absolute and enhanced", v)
		}
	}
	for numbers, class := range p.CMSErrors {
		if _, _, ok := numberRange(numbers); !ok {
			return fmt.Errorf("cms.%s: is neither a number nor a range like 513-999", numbers)
		}
		switch class {
		case Accepted, Destination, Ours, SIM, Temporary, Ambiguous:
		default:
			return fmt.Errorf("cms.%s: %q is none of %s, %s, %s, %s, %s and %s", numbers, class,
				Accepted, Destination, Ours, SIM, Temporary, Ambiguous)
		}
	}
	return nil
}

func validateRoles(roles map[PortRole][]int) error {
	for role, numbers := range roles {
		switch role {
		case RoleAT, RoleAT2, RoleNMEA, RoleDiag, RoleAudio:
		default:
			return fmt.Errorf("%s: is none of at, at2, nmea, diag and audio", role)
		}
		for _, n := range numbers {
			if n < 0 || n > 255 {
				return fmt.Errorf("%s: %d is not between 0 and 255", role, n)
			}
		}
	}
	return nil
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

// isCNMI tells whether s is five numbers, or numbers and "*".
func isCNMI(s string, stars bool) bool {
	values := strings.Split(s, ",")
	for _, v := range values {
		if (len(v) != 1 || v < "0" || v > "9") && (!stars || v != "*") {
			return false
		}
	}
	return len(values) == 5
}

// isCommand tells whether s is a command line that can be given as it is.
func isCommand(s string) bool {
	if len(s) < 3 || len(s) > 200 || !strings.EqualFold(s[:2], "AT") {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func isHex(s string, length int) bool {
	return len(s) == length && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

func optionalList(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
