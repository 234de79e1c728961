package gateway

import (
	"errors"
	"fmt"
	"time"
)

// Kind groups errors by what the caller can do about them. Exactly one place
// maps it to HTTP (gateway/api) and one to exit codes (cmd/smsotpd).
type Kind int

// The kinds of Error.
const (
	// Internal: a fault of ours or of the machine; the caller may try again.
	Internal Kind = iota
	// Invalid: the request can't be understood; Field names the part.
	Invalid
	// Forbidden: understood, and refused by policy.
	Forbidden
	// NotFound: no such verification or message.
	NotFound
	// Conflict: not possible in the present state.
	Conflict
	// Mismatch: an idempotency key came back with another request.
	Mismatch
	// RateLimited: too soon; RetryAfter says when.
	RateLimited
	// Unavailable: overloaded or stopping; try again.
	Unavailable
	// Full: no room to take on new work.
	Full
	// Refused: whoever it was passed on to refuses it.
	Refused
	// NoAnswer: whoever it was passed on to did not answer in time.
	NoAnswer
)

// Stable codes of Error. Outside programs rely on them.
const (
	CodeInternal          = "internal"
	CodeInvalidNumber     = "invalid_number"
	CodeInvalidField      = "invalid_field"
	CodeUnknownService    = "unknown_service"
	CodePurposeUndeclared = "purpose_undeclared"
	CodeRegionNotAllowed  = "region_not_allowed"
	CodeClassRefused      = "number_class_refused"
	CodeCooldown          = "cooldown"
	CodeLocked            = "locked"
	CodeNotFound          = "not_found"
	CodeNotPending        = "not_pending"
	CodeIdempotency       = "idempotency_mismatch"
	CodeOverloaded        = "overloaded"
	CodeNoCapacity        = "no_capacity"
	CodeStorageFull       = "storage_full"
)

// Error is the one error type that leaves the gateway. Code and Message are
// safe to show to anybody: they never carry a number, a code or a submitted
// value. The cause is for the log alone.
type Error struct {
	Kind Kind
	// Code is one of the Code constants.
	Code string
	// Message is a sentence for people.
	Message string
	// Field is the JSON name of the field at fault, "" where none is.
	Field string
	// RetryAfter is how long to wait, 0 where waiting doesn't help.
	RetryAfter time.Duration
	cause      error
}

// Error is Code and Message; the cause is left out on purpose.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// AsError is err as an *Error: itself, or an Internal one with err as cause.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Internal, Code: CodeInternal, Message: "Something went wrong on our side.", cause: err}
}

func invalid(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: CodeInvalidField, Field: field, Message: fmt.Sprintf(format, args...)}
}
