package main

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

	"github.com/spf13/pflag"

	"smsotpd/gateway/dispatch"
)

// reload reads the configuration again, applies the log level and what it says of
// routes and budgets, and says what else has changed, which a restart applies. A
// configuration that is wrong, or of which only a restart can apply enough,
// changes nothing. It returns the configuration now in force; apply makes the
// policy of the fleet hold, and is told the keys that changed.
func reload(old Config, flags *pflag.FlagSet, level *slog.LevelVar, log *slog.Logger, apply func(p dispatch.Policy, changed []string) error) Config {
	inForce, waits, err := reread(old, flags)
	if err == nil {
		err = inForce.apply(level, func(p dispatch.Policy) error { return apply(p, differences(old, inForce)) })
	}
	if err != nil {
		log.Error("the configuration was not reloaded", "error", err)
		return old
	}
	log.Info("the configuration was reloaded", "log_level", inForce.LogLevel, "needs_restart", waits)
	return inForce
}

// reread is the old configuration with what of the present one can come into
// force now, and the keys whose changes wait for a restart. Without those it must
// be right too: a route by a SIM that is new would carry nothing.
func reread(old Config, flags *pflag.FlagSet) (inForce Config, waits []string, err error) {
	config, _, err := loadConfig(flags)
	if err != nil {
		return old, nil, err
	}
	inForce = old.reloaded(config)
	waits = differences(inForce, config)
	if err := inForce.validate(); err != nil {
		return old, nil, fmt.Errorf("it needs a restart, which applies %v too: %w", waits, err)
	}
	return inForce, waits, nil
}

// apply makes hold what can be changed while the daemon runs.
func (c Config) apply(level *slog.LevelVar, apply func(dispatch.Policy) error) error {
	policy, err := c.policy()
	if err != nil {
		return err
	}
	l, err := c.level()
	if err != nil {
		return err
	}
	if err := apply(policy); err != nil {
		return err
	}
	level.Set(l)
	return nil
}

// reloaded is the configuration with what of another one can come into force
// without a restart. A name that means another SIM now waits for one.
func (c Config) reloaded(other Config) Config {
	zone, sims := c.Budget.Zone, c.SIMs
	least, most := c.Fleet.FailoverMin, c.Fleet.FailoverMax
	c.LogLevel, c.Routes, c.Budget, c.Fleet = other.LogLevel, other.Routes, other.Budget, other.Fleet
	c.Budget.Zone, c.Fleet.FailoverMin, c.Fleet.FailoverMax = zone, least, most
	c.SIMs = maps.Clone(sims)
	for name, s := range sims {
		if now, there := other.SIMs[name]; there && now.ICCID == s.ICCID && now.IMSI == s.IMSI {
			s.Labels, s.Budget = now.Labels, now.Budget
		}
		c.SIMs[name] = s
	}
	return c
}

// differences are the keys whose values differ, in the order of their paths.
func differences(a, b Config) []string {
	keys := differing("", reflect.ValueOf(a), reflect.ValueOf(b))
	slices.Sort(keys)
	return keys
}

// differing are the keys below the path whose values differ: those of tables one
// by one, but a table that only one side has as a whole.
func differing(path string, a, b reflect.Value) (keys []string) {
	below := func(key string) string {
		if path == "" || key == "" {
			return path + key
		}
		return path + "." + key
	}
	switch a.Kind() {
	case reflect.Struct:
		for field := range a.Type().Fields() {
			if key := fileKey(field); key != "-" {
				keys = append(keys, differing(below(key), a.FieldByIndex(field.Index), b.FieldByIndex(field.Index))...)
			}
		}
		return keys
	case reflect.Map:
		for _, name := range append(a.MapKeys(), b.MapKeys()...) {
			in, also := a.MapIndex(name), b.MapIndex(name)
			switch key := below(name.String()); {
			case slices.Contains(keys, key):
			case !in.IsValid() || !also.IsValid():
				keys = append(keys, key)
			default:
				keys = append(keys, differing(key, in, also)...)
			}
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	if !reflect.DeepEqual(a.Interface(), b.Interface()) {
		keys = append(keys, path)
	}
	return keys
}

// fileKey is a field's key in the file: "" for one whose own fields stand in its
// place, "-" for one that no file sets.
func fileKey(field reflect.StructField) string {
	switch key := field.Tag.Get("koanf"); key {
	case ",squash":
		return ""
	case "":
		return "-"
	default:
		return key
	}
}
