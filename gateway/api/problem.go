package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
)

// Stable codes of the faults that are HTTP's own; the others are the Code
// constants of package gateway. Outside programs rely on them.
const (
	CodeUnauthorized      = "unauthorized"
	CodeInsufficientScope = "insufficient_scope"
	CodeRouteNotFound     = "route_not_found"
	CodeMethodNotAllowed  = "method_not_allowed"
	CodeMalformedBody     = "malformed_body"
	CodeBodyTooLarge      = "body_too_large"
	CodeUnsupportedMedia  = "unsupported_media_type"
	CodeRequestTimeout    = "request_timeout"
)

// Problem is the body of every error reply (RFC 9457). It never carries a
// submitted value.
type Problem struct {
	Type   string `json:"type" doc:"Always about:blank: the code tells the problems apart." example:"about:blank"`
	Title  string `json:"title" doc:"The status in words." example:"Bad Request"`
	Status int    `json:"status" doc:"The HTTP status." example:"400"`
	Detail string `json:"detail" doc:"A sentence for people; it may change."`
	Code   string `json:"code" doc:"What went wrong, for programs; it stays." example:"invalid_field"`
	Field  string `json:"field,omitempty" doc:"The field, parameter or header at fault; body where it is the body as a whole." example:"to"`
	// RequestID names the log entry with the cause of an internal error.
	RequestID string `json:"request_id,omitempty" doc:"Given with internal errors: the log entry with the cause has the same."`

	// header is what goes out beside the body.
	header map[string]string
	// cause is for the log alone.
	cause error
}

// Error is the code and the detail; both are safe to show.
func (p *Problem) Error() string {
	if p.Field == "" || p.Field == wholeBody {
		return p.Code + ": " + p.Detail
	}
	return p.Code + ": " + p.Field + ": " + p.Detail
}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func (p *Problem) with(name, value string) *Problem {
	p.header = map[string]string{name: value}
	return p
}

func invalidField(field, detail string) *Problem {
	p := newProblem(http.StatusBadRequest, gateway.CodeInvalidField, detail)
	p.Field = field
	return p
}

func malformedBody(detail string) *Problem {
	p := newProblem(http.StatusBadRequest, CodeMalformedBody, detail)
	p.Field = wholeBody
	return p
}

func unauthorized(detail, challenge string) *Problem {
	return newProblem(http.StatusUnauthorized, CodeUnauthorized, detail).with("WWW-Authenticate", challenge)
}

func bodyTooLarge() *Problem {
	// The rest of the body is not read, so the connection can't be used again.
	return newProblem(http.StatusRequestEntityTooLarge, CodeBodyTooLarge,
		fmt.Sprintf("The body is larger than %d bytes.", maxBody)).with("Connection", "close")
}

func insufficientScope(scopes []access.Scope) *Problem {
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	return newProblem(http.StatusForbidden, CodeInsufficientScope, "The key lacks the scope "+strings.Join(names, " or ")+".").
		with("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+strings.Join(names, " ")+`"`)
}

func routeNotFound() *Problem {
	return newProblem(http.StatusNotFound, CodeRouteNotFound, "There is no such route.")
}

func methodNotAllowed(allow string) *Problem {
	return newProblem(http.StatusMethodNotAllowed, CodeMethodNotAllowed,
		"This route answers to "+allow+" only.").with("Allow", allow)
}

// status is the one place where kinds of errors become HTTP statuses.
func status(k gateway.Kind) int {
	switch k {
	case gateway.Invalid:
		return http.StatusBadRequest
	case gateway.Forbidden:
		return http.StatusForbidden
	case gateway.NotFound:
		return http.StatusNotFound
	case gateway.Conflict:
		return http.StatusConflict
	case gateway.Mismatch:
		return http.StatusUnprocessableEntity
	case gateway.RateLimited:
		return http.StatusTooManyRequests
	case gateway.Unavailable:
		return http.StatusServiceUnavailable
	case gateway.Full:
		return http.StatusInsufficientStorage
	case gateway.Refused:
		return http.StatusBadGateway
	case gateway.NoAnswer:
		return http.StatusGatewayTimeout
	default:
		return http.StatusInternalServerError
	}
}

// problemOf is err as the caller may see it.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	e := gateway.AsError(err)
	if e.Kind == gateway.Internal && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		e = &gateway.Error{
			Kind: gateway.Unavailable, Code: gateway.CodeOverloaded,
			Message: "The request could not be served in time.",
		}
	}
	p := newProblem(status(e.Kind), e.Code, e.Message)
	p.Field = e.Field
	if p.Status == http.StatusInternalServerError {
		p.cause = err
		if cause := e.Unwrap(); cause != nil {
			p.cause = cause // which e itself doesn't tell
		}
	}
	waits := p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable
	if waits || e.RetryAfter > 0 {
		return p.with("Retry-After", retryAfter(e.RetryAfter))
	}
	return p
}

// retryAfter is a wait in whole seconds, rounded up, at least 1 (RFC 9110
// 10.2.3), so that a caller who obeys it is never too early.
func retryAfter(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	return strconv.FormatInt(max(seconds, 1), 10)
}

func (p *Problem) write(w http.ResponseWriter) {
	for name, value := range p.header {
		w.Header().Set(name, value)
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON sends v, which is one of the types of this package: they hold
// nothing that JSON can't.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller who has gone needs no reply
}
