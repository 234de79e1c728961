package modem

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/pelletier/go-toml/v2"
)

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
