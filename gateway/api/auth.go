package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
)

// Authenticator says who holds an API key.
type Authenticator interface {
	// Authenticate is the principal of a presented key. Its error wraps
	// access.ErrUnauthenticated if no live key reads so, and
	// access.ErrUnavailable if that can't be told at present.
	Authenticate(ctx context.Context, key string) (access.Principal, error)
}

var _ Authenticator = (*access.Authenticator)(nil)

type principalKey struct{}

// WithPrincipal is ctx for a connection whose peer is known without a key, as
// on the local socket. A request that presents a key all the same is the
// key's.
func WithPrincipal(ctx context.Context, p access.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf is the principal that WithPrincipal gave to ctx.
func PrincipalOf(ctx context.Context) (access.Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(access.Principal)
	return p, ok
}

// authenticate says on whose behalf r is made, or why that is not known.
func (a *api) authenticate(r *http.Request) (access.Principal, error) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		if p, ok := PrincipalOf(r.Context()); ok {
			return p, nil
		}
		return access.Principal{}, unauthorized("An API key is required: Authorization: Bearer KEY.", "Bearer")
	}
	scheme, key, _ := strings.Cut(headers[0], " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return access.Principal{}, unauthorized("One header is needed: Authorization: Bearer KEY.", "Bearer")
	}
	p, err := a.auth.Authenticate(r.Context(), strings.TrimSpace(key))
	switch {
	case errors.Is(err, access.ErrUnauthenticated):
		return p, unauthorized("The API key is not valid.", `Bearer error="invalid_token"`)
	case errors.Is(err, access.ErrUnavailable):
		return p, &gateway.Error{
			Kind: gateway.Unavailable, Code: gateway.CodeOverloaded,
			Message: "The API keys can't be read at present.",
		}
	default:
		return p, err
	}
}
