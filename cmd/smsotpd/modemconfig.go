package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/modem"
)

// SIMConfig is one [sim.NAME] table.
type SIMConfig struct {
	// ICCID, which stands on the card, or IMSI tell which SIM is meant. One
	// that asks for its PIN shows only its ICCID.
	ICCID string `koanf:"iccid"`
	IMSI  string `koanf:"imsi"`
	// PINFile holds its PIN and goes before the common one.
	PINFile string `koanf:"pin_file"`
	// SMSC is its service centre, as "+33609001390".
	SMSC string `koanf:"smsc"`
	// Number is its own.
	Number string `koanf:"number"`
	// Labels are words that routes select it by.
	Labels []string `koanf:"labels"`
	// Budget is what holds for it in place of the common one.
	Budget budget.Change `koanf:"budget"`
	// Balance is how its balance is asked for; nil: not at all.
	Balance *BalanceConfig `koanf:"balance"`
}

// traceAll traces every modem.
const traceAll = "*"

// cards are the SIMs that the configuration names.
func (c Config) cards() []modem.Card {
	cards := make([]modem.Card, 0, len(c.SIMs))
	for _, name := range slices.Sorted(maps.Keys(c.SIMs)) {
		s := c.SIMs[name]
		cards = append(cards, modem.Card{
			Name: name, IMSI: s.IMSI, ICCID: s.ICCID, PINFile: s.PINFile, SMSC: s.SMSC, Number: s.Number,
		})
	}
	return cards
}

// profiles are the operator's own profiles of modems.
func (c Config) profiles() []modem.Profile {
	profiles := make([]modem.Profile, 0, len(c.Profiles))
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		p := c.Profiles[name]
		p.Name = name
		profiles = append(profiles, p)
	}
	return profiles
}

// traced are the names of the modems to be traced: "modem=left" and "left" are
// the same.
func (c Config) traced() []string {
	names := make([]string, len(c.Trace))
	for i, entry := range c.Trace {
		names[i] = strings.TrimPrefix(entry, "modem=")
	}
	return names
}

// validateModems says what is wrong with modems, SIMs and profiles, as far as
// the configuration alone tells.
func (c Config) validateModems() error {
	errs := []error{c.validatePorts(), c.validateSIMs()}
	for _, p := range c.profiles() {
		if err := p.Validate(); err != nil {
			errs = append(errs, at("profile."+p.Name, err))
		}
	}
	return errors.Join(append(errs, c.validateTraces())...)
}

// validateTraces says which traces are of no modem. Where patterns name the
// modems, nobody knows yet which there are.
func (c Config) validateTraces() error {
	var errs []error
	var names []string
	open := false
	for _, entry := range c.Modems {
		name, path := splitModem(entry)
		open = open || path == modem.Auto || strings.ContainsAny(path, "*?[") && !modem.IsRemote(path)
		names = append(names, cmp.Or(name, filepath.Base(path)))
	}
	for i, name := range c.traced() {
		switch {
		case !isWord(name):
			errs = append(errs, fmt.Errorf("trace[%d] must be modem=NAME, or modem=%s for all", i, traceAll))
		case name != traceAll && !open && !slices.ContainsFunc(names, func(n string) bool { return n == name || strings.HasPrefix(name, n+"-") }):
			errs = append(errs, fmt.Errorf("trace[%d]: there is no modem %s; the modems are: %s", i, name, cmp.Or(strings.Join(names, ", "), "none")))
		}
	}
	return errors.Join(errs...)
}

func (c Config) validatePorts() error {
	var errs []error
	names, paths := map[string]int{}, map[string]int{}
	for i, entry := range c.Modems {
		key := fmt.Sprintf("modem[%d]", i)
		if entry == "" {
			errs = append(errs, fmt.Errorf("%s must not be empty", key))
			continue
		}
		name, path := splitModem(entry)
		if strings.HasPrefix(entry, "=") {
			errs = append(errs, fmt.Errorf("%s: the name is missing in front of =; it is PATH or NAME=PATH", key))
		}
		if name != "" && !isWord(name) {
			errs = append(errs, fmt.Errorf("%s: a modem's name has no blanks, and at most %d characters", key, maxWord))
		}
		if first, taken := names[name]; taken && name != "" {
			errs = append(errs, fmt.Errorf("%s has the same name as modem[%d]", key, first))
		}
		names[name] = i
		path, err := normalPort(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
			continue
		}
		if first, taken := paths[path]; taken {
			errs = append(errs, fmt.Errorf("%s is the same port as modem[%d]", key, first))
		}
		paths[path] = i
	}
	return errors.Join(errs...)
}

// normalPort is the path of a port in its one form.
func normalPort(path string) (string, error) {
	switch {
	case path == "":
		return "", errors.New("the port is missing; it is PATH or NAME=PATH")
	case modem.IsRemote(path):
		return modem.RemoteAddress(path)
	case strings.Contains(path, "://"):
		return "", errors.New("a remote port is tcp://HOST:PORT or rfc2217://HOST:PORT")
	}
	if _, err := filepath.Match(path, ""); err != nil {
		return "", errors.New("the pattern is malformed")
	}
	return filepath.Clean(path), nil
}

func (c Config) validateSIMs() error {
	var errs []error
	cards := c.cards()
	for i, card := range cards {
		wrong := func(key, what string) {
			errs = append(errs, fmt.Errorf("sim.%s.%s %s", card.Name, key, what))
		}
		if !isWord(card.Name) {
			errs = append(errs, fmt.Errorf("sim.%s: a SIM's name has no blanks, and at most %d characters", card.Name, maxWord))
		}
		if card.ICCID == "" && card.IMSI == "" {
			wrong("iccid", "or imsi must say which SIM is meant")
		}
		if card.ICCID != "" && !isDigits(card.ICCID, 18, 20) {
			wrong("iccid", "must be 18 to 20 digits, as they stand on the card")
		}
		if card.IMSI != "" && !isDigits(card.IMSI, 6, 15) {
			wrong("imsi", "must be 6 to 15 digits")
		}
		for key, number := range map[string]string{"smsc": card.SMSC, "number": card.Number} {
			if number != "" && !isE164(number) {
				wrong(key, `must be an international number, such as "+33609001390"`)
			}
		}
		for _, other := range cards[:i] {
			if card.IMSI != "" && card.IMSI == other.IMSI {
				wrong("imsi", "is that of sim."+other.Name+" too")
			}
			if sameCard(card.ICCID, other.ICCID) {
				wrong("iccid", "is that of sim."+other.Name+" too")
			}
		}
	}
	return errors.Join(errs...)
}

// sameCard tells whether two ICCIDs are of one SIM: with or without the check
// digit at the end (ITU-T E.118).
func sameCard(a, b string) bool {
	return a != "" && b != "" && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a))
}

// checkHost says what is wrong with the files and devices that the
// configuration names. Those that are not there yet may still come, but a PIN
// file must be.
func (c Config) checkHost() error {
	var errs []error
	for key, path := range c.pinFiles() {
		if err := modem.CheckPINFile(path); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	devices := map[uint64]int{}
	for i, entry := range c.Modems {
		_, path := splitModem(entry)
		var st unix.Stat_t
		if modem.IsRemote(path) || unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
			continue
		}
		if first, taken := devices[st.Rdev]; taken {
			errs = append(errs, fmt.Errorf("modem[%d] is the same port as modem[%d] under another name", i, first))
		}
		devices[st.Rdev] = i
	}
	if len(errs) > 0 {
		return &kindError{errConfig, errors.Join(errs...)}
	}
	return nil
}

// pinFiles are the PIN files by their keys.
func (c Config) pinFiles() map[string]string {
	files := map[string]string{}
	if c.PINFile != "" {
		files["pin_file"] = c.PINFile
	}
	for name, s := range c.SIMs {
		if s.PINFile != "" {
			files["sim."+name+".pin_file"] = s.PINFile
		}
	}
	return files
}

// warnOpenPINs tells the operator of PIN files that others may read.
func (c Config) warnOpenPINs(log *slog.Logger) {
	files := c.pinFiles()
	for _, key := range slices.Sorted(maps.Keys(files)) {
		info, err := os.Stat(files[key])
		if err == nil && info.Mode().Perm()&0o007 != 0 {
			log.Warn("a PIN file can be read by everybody", "key", key, "path", files[key],
				"mode", fmt.Sprintf("%04o", info.Mode().Perm()), "advice", "chmod 0600")
		}
	}
}

// isE164 tells whether s is "+" and the digits of an E.164 number.
func isE164(s string) bool {
	digits, ok := strings.CutPrefix(s, "+")
	return ok && isDigits(digits, 6, 15) && digits[0] != '0'
}

func isDigits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

// maxWord bounds names.
const maxWord = 64

// isWord tells whether s can be a name: it goes into logs, labels and tables.
func isWord(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
