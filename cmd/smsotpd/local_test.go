package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
)

// countedKeys counts what reaches it.
type countedKeys struct{ calls int }

func (k *countedKeys) add(context.Context, newKey) (addedKey, error) {
	k.calls++
	return addedKey{Secret: "secret"}, nil
}

func (k *countedKeys) list(context.Context) ([]listedKey, error) {
	k.calls++
	return []listedKey{}, nil
}

func (k *countedKeys) revoke(context.Context, string) error {
	k.calls++
	return access.ErrNotFound
}

func TestLocalRoutesAreForThoseWhoMayAdminister(t *testing.T) {
	routes := []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, localKeys, `{"name":"shop","scopes":["verify"]}`, http.StatusOK},
		{http.MethodGet, localKeys, "", http.StatusOK},
		{http.MethodDelete, localKeys + "/ABC", "", http.StatusNotFound},
	}
	for name, peer := range map[string]*access.Principal{
		"nobody":          nil,
		"without a scope": {Name: "local:1000"},
		"another scope":   {Name: "key", Scopes: []access.Scope{access.Verify, access.Read}},
		"the operator":    {Name: "local:0", Scopes: access.Scopes()},
	} {
		keys := new(countedKeys)
		handler := localHandler(keys, http.NotFoundHandler(), slog.New(slog.DiscardHandler))
		for _, route := range routes {
			req := httptest.NewRequestWithContext(t.Context(), route.method, route.path, strings.NewReader(route.body))
			if peer != nil {
				req = req.WithContext(api.WithPrincipal(req.Context(), *peer))
			}
			rec := httptest.NewRecorder()
			handler.ServeHTTP(rec, req)
			want := route.status
			if name != "the operator" {
				want = http.StatusForbidden
			}
			if rec.Code != want {
				t.Errorf("%s: %s %s: %d, want %d", name, route.method, route.path, rec.Code, want)
			}
		}
		if reached := keys.calls > 0; reached != (name == "the operator") {
			t.Errorf("%s: %d calls reached the keys", name, keys.calls)
		}
	}
}
