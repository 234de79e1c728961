package main

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"smsotpd/modem"
)

// Config is the daemon's configuration. Its field tags are the one
// registration of every option: `koanf` is the key in the file, which with
// hyphens is the flag and in capitals behind SMSOTPD_ the environment
// variable; `default` and `help` are what they say.
type Config struct {
	// StateDir holds everything durable: the database, the wrapped keys and
	// the local socket. It is made with mode 0700.
	StateDir string `koanf:"state_dir" default:"/var/lib/smsotpd" help:"directory that holds everything durable"`
	// KeyFile holds the master key, which never enters the state directory.
	KeyFile string `koanf:"key_file" default:"/etc/smsotpd/master.key" help:"file with the master key (see: smsotpd keys init)"`
	// Listen is where the HTTP API answers; port 0 picks a free one.
	Listen string `koanf:"listen" default:"127.0.0.1:8080" help:"address of the HTTP API; port 0 picks a free one"`
	// Modems are ports, globs, remote ports or "auto" for those on USB, each
	// optionally with a name of its own in front: "left=/dev/ttyUSB2",
	// "tcp://10.0.0.7:4001". With none, messages wait and expire.
	Modems []string `koanf:"modem" help:"port of a modem, as PATH or NAME=PATH: a serial port, a glob, tcp://HOST:PORT, rfc2217://HOST:PORT, or auto for those on USB; may be given again"`
	// PINFile holds the SIM's PIN. It is tried once for each SIM.
	PINFile string `koanf:"pin_file" help:"file with the PIN of the SIMs; tried once for each SIM, never the last try"`
	// Trace are the modems whose traffic is written to trace-NAME.log in the
	// state directory: "modem=left", or "modem=*" for all.
	Trace []string `koanf:"trace" help:"write what passes between host and modem to trace-NAME.log in the state directory, without numbers, texts, codes and PINs: modem=NAME, or modem=* for all; may be given again"`
	// AllowRegions are the ISO 3166 codes of the regions that codes may be
	// sent to. None means that nothing is sent.
	AllowRegions []string `koanf:"allow_region" help:"regions that codes may be sent to, such as FR,GB; none at first"`
	// Brand stands in front of the default service's texts.
	Brand string `koanf:"brand" help:"name in front of the default service's texts"`
	// MetricsListen puts /metrics on an address of its own, open to all who
	// reach it.
	MetricsListen string `koanf:"metrics_listen" help:"address of its own for /metrics, without a key"`
	// MetricsPublic opens /metrics on the API's address to everybody.
	MetricsPublic bool `koanf:"metrics_public" help:"serve /metrics on the API's address without a key"`
	// MaxStoreSize bounds the database: beyond it new work is refused, while
	// what was begun still ends.
	MaxStoreSize Size `koanf:"max_store_size" default:"4GiB" help:"size of the database beyond which new work is refused"`
	// InboundRetention is how long messages that people send to the SIMs are
	// kept.
	InboundRetention time.Duration `koanf:"inbound_retention" default:"168h" help:"how long messages that people send to the SIMs are kept"`
	// StopTimeout is how long a graceful stop may take: the messages in the
	// air get that long to be answered.
	StopTimeout time.Duration `koanf:"stop_timeout" default:"20s" help:"how long a graceful stop may take"`
	// LogLevel can be changed by a reload (SIGHUP).
	LogLevel string `koanf:"log_level" default:"info" help:"debug, info, warn or error"`
	// LogFormat is what stderr gets.
	LogFormat string `koanf:"log_format" default:"text" help:"text or json"`
	// ResetClock is for one start alone, so no file and no reload sets it.
	ResetClock bool `koanf:"-"`
	// Services are the [service.NAME] tables, which only the file can hold.
	Services map[string]ServiceConfig `koanf:"service"`
	// SIMs are the [sim.NAME] tables, Profiles the [profile.NAME] ones, which
	// only the file can hold.
	SIMs     map[string]SIMConfig     `koanf:"sim"`
	Profiles map[string]modem.Profile `koanf:"profile"`
	// Routes are the [[route]] tables in their order: which SIMs may carry
	// what. These and the next, too, only the file can hold.
	Routes []RouteConfig `koanf:"route"`
	// Budget is how much each SIM may send.
	Budget CommonBudgetConfig `koanf:"budget"`
	// Canary sends messages from SIM to SIM, to see that they arrive.
	Canary CanaryConfig `koanf:"canary"`
	// Fleet is how the SIMs work together.
	Fleet FleetConfig `koanf:"fleet"`
}

// ServiceConfig is one [service.NAME] table. What it leaves out is as the
// default service has it.
type ServiceConfig struct {
	// Brand stands in front of the service's texts.
	Brand *string `koanf:"brand"`
	// Purposes are the declared purposes; a send for any other is refused.
	Purposes []string `koanf:"purposes"`
	// CodeLength is 4 to 10 digits; fewer than 6 need AllowWeakCodes.
	CodeLength *int `koanf:"code_length"`
	// AllowWeakCodes accepts codes of fewer than 6 digits.
	AllowWeakCodes *bool `koanf:"allow_weak_codes"`
	// CodeTTL is how long a code lives, at most 10 minutes.
	CodeTTL *time.Duration `koanf:"code_ttl"`
	// Checks is how many codes may be tried.
	Checks *int `koanf:"checks"`
	// Cooldowns are the waits after the first, second, … message; the last
	// one repeats.
	Cooldowns []time.Duration `koanf:"cooldowns"`
	// MaxFailures is how many wrong codes in a row lock a number for the
	// service, whatever is started or resent between.
	MaxFailures *int `koanf:"max_failures"`
	// LockFor is how long such a lock lasts; 0 is without end.
	LockFor *time.Duration `koanf:"lock_for"`
	// Retention is how long an ended verification can still be read.
	Retention *time.Duration `koanf:"retention"`
	// Resend is "same-code" or "new-code".
	Resend *string `koanf:"resend"`
	// Alternative says that the service offers another way than SMS, which
	// every reply tells.
	Alternative *bool `koanf:"alternative"`
}

// optionFields are Config's fields that have a flag, by flag name.
func optionFields() []reflect.StructField {
	var fields []reflect.StructField
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Tag.Get("help") != "" {
			fields = append(fields, field)
		}
	}
	return fields
}

// flagName is the flag of an option, whose key in the file is given.
func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// optionKey is the key in the file of the option with the flag.
func optionKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// addOptions registers the options with the given flags, or all of them
// where none is named, and --config.
func addOptions(flags *pflag.FlagSet, names ...string) {
	for _, field := range optionFields() {
		name := flagName(field.Tag.Get("koanf"))
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		addOption(flags, name, field)
	}
	flags.String(configFlag, "", "TOML file with these settings and those that stand in tables, such as [service.NAME] and [sim.NAME]")
}

func addOption(flags *pflag.FlagSet, name string, field reflect.StructField) {
	preset, help := field.Tag.Get("default"), field.Tag.Get("help")
	switch field.Type {
	case reflect.TypeFor[string]():
		flags.String(name, preset, help)
	case reflect.TypeFor[bool]():
		flags.Bool(name, preset == "true", help)
	case reflect.TypeFor[[]string]():
		flags.StringSlice(name, nil, help)
	case reflect.TypeFor[time.Duration]():
		d, _ := time.ParseDuration(preset)
		flags.Duration(name, d, help)
	case reflect.TypeFor[Size]():
		size := new(Size)
		_ = size.Set(preset)
		flags.Var(size, name, help)
	}
}

// Size is a number of bytes, written as "512MiB" or "4GiB".
type Size int64

type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the units, the largest first.
func sizeUnits() []sizeUnit {
	return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
}

// Set reads a size; it is part of pflag.Value.
func (s *Size) Set(text string) error {
	if text == "0" {
		*s = 0
		return nil
	}
	for _, unit := range sizeUnits() {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/unit.bytes {
			break
		}
		*s = Size(n * unit.bytes)
		return nil
	}
	return errors.New("a size is a whole number and B, KiB, MiB or GiB")
}

// String is the size in its largest whole unit.
func (s *Size) String() string {
	for _, unit := range sizeUnits() {
		if *s != 0 && int64(*s)%unit.bytes == 0 {
			return strconv.FormatInt(int64(*s)/unit.bytes, 10) + unit.name
		}
	}
	return "0"
}

// Type names the value in help texts; it is part of pflag.Value.
func (s *Size) Type() string { return "size" }

// UnmarshalText reads a size from the file.
func (s *Size) UnmarshalText(text []byte) error { return s.Set(string(text)) }
