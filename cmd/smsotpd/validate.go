package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/guard"
)

// The two ways to resend, as the file names them.
const (
	resendSameCode = "same-code"
	resendNewCode  = "new-code"
)

// validate says what is wrong, with the path of the key in front.
func (c Config) validate() error {
	errs := []error{
		required("state_dir", c.StateDir),
		required("key_file", c.KeyFile),
		address("listen", c.Listen),
		oneOf("log_format", c.LogFormat, "text", "json"),
	}
	if c.MetricsListen != "" {
		errs = append(errs, address("metrics_listen", c.MetricsListen))
	}
	if _, err := c.level(); err != nil {
		errs = append(errs, err)
	}
	if c.StopTimeout < time.Second || c.StopTimeout > 10*time.Minute {
		errs = append(errs, errors.New("stop_timeout must be between 1s and 10m"))
	}
	if c.InboundRetention < time.Minute {
		errs = append(errs, errors.New("inbound_retention must be at least 1m"))
	}
	if c.MaxStoreSize != 0 && c.MaxStoreSize < 16<<20 {
		errs = append(errs, errors.New("max_store_size must be at least 16MiB, or 0 for no bound"))
	}
	errs = append(errs, c.validateModems(), c.validateFleet())
	if err := (guard.Policy{AllowRegions: c.AllowRegions}).Validate(); err != nil {
		errs = append(errs, fmt.Errorf("allow_region: %w", err))
	}
	_, err := c.services()
	return errors.Join(append(errs, err)...)
}

func (c Config) level() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return level, errors.New("log_level must be debug, info, warn or error")
	}
	return level, nil
}

func required(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s must not be empty", key)
	}
	return nil
}

func oneOf(key, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return fmt.Errorf("%s must be one of %q", key, allowed)
}

// address holds value to be HOST:PORT with a numeric port.
func address(key, value string) error {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%s must be HOST:PORT, such as 127.0.0.1:8080", key)
	}
	return nil
}

// services are the configured services, the default one always among them.
func (c Config) services() ([]gateway.Service, error) {
	standard := gateway.DefaultService()
	byName := map[string]gateway.Service{standard.Name: standard}
	var errs []error
	for name, table := range c.Services {
		service, err := table.apply(standard)
		if err != nil {
			errs = append(errs, at("service."+name, err))
		}
		service.Name = name
		byName[name] = service
	}
	if c.Brand != "" {
		s := byName[standard.Name]
		if s.Brand != "" && s.Brand != c.Brand {
			errs = append(errs, fmt.Errorf("brand and service.%s.brand differ; set one", s.Name))
		}
		s.Brand = c.Brand
		byName[s.Name] = s
	}
	services := make([]gateway.Service, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		services = append(services, byName[name])
		if err := byName[name].Validate(); err != nil {
			errs = append(errs, at("service."+name, err))
		}
	}
	return services, errors.Join(errs...)
}

// apply is the base service with what the table says.
func (t ServiceConfig) apply(base gateway.Service) (gateway.Service, error) {
	s := base
	set(&s.Brand, t.Brand)
	set(&s.Alternative, t.Alternative)
	set(&s.Verification.Length, t.CodeLength)
	set(&s.Verification.AllowWeak, t.AllowWeakCodes)
	set(&s.Verification.TTL, t.CodeTTL)
	set(&s.Verification.MaxFailures, t.MaxFailures)
	set(&s.Verification.LockFor, t.LockFor)
	set(&s.Verification.Retention, t.Retention)
	set(&s.Verification.Checks, t.Checks)
	if t.Purposes != nil {
		s.Purposes = t.Purposes
	}
	if t.Cooldowns != nil {
		s.Verification.Cooldowns = t.Cooldowns
	}
	if t.Resend != nil {
		s.Verification.NewCode = *t.Resend == resendNewCode
		return s, oneOf("resend", *t.Resend, resendSameCode, resendNewCode)
	}
	return s, nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// at puts the path in front of each of the joined errors.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // errors.Join's own shape
	if !ok {
		return fmt.Errorf("%s.%w", path, err)
	}
	var errs []error
	for _, e := range joined.Unwrap() {
		errs = append(errs, at(path, e))
	}
	return errors.Join(errs...)
}
