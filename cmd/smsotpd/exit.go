package main

import (
	"errors"
	"fmt"
)

// The exit codes that outside programs rely on. 78 is EX_CONFIG of
// sysexits.h, which systemd's RestartPreventExitStatus= can name.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
	exitConfig  = 78
)

// errUsage is wrapped by errors that a different command line would mend,
// errConfig by those that a different configuration would.
var (
	errUsage  = errors.New("usage")
	errConfig = errors.New("configuration")
)

// kindError gives err one of the kinds above without changing its text.
type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

func usagef(format string, args ...any) error {
	return &kindError{errUsage, fmt.Errorf(format, args...)}
}

func configf(format string, args ...any) error {
	return &kindError{errConfig, fmt.Errorf(format, args...)}
}

// exitCode is the one place that maps errors to exit codes.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		return exitUsage
	case errors.Is(err, errConfig):
		return exitConfig
	default:
		return exitFailure
	}
}
