package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"smsotpd/gateway"
)

// A USSD code reaches the named modem, and its network's answer the caller.
func TestUSSD(t *testing.T) {
	f := newFixture(t)
	w := f.do(t, request{method: "POST", path: "/v1/modems/front/ussd", body: `{"code":"*100#"}`})
	if w.Code != http.StatusOK || w.Body.String() != `{"text":"1 Balance\n2 Number","more":true}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !slices.Equal(f.calls, []string{"ussd front"}) || f.code != "*100#" {
		t.Errorf("the gateway was asked for %q", f.calls)
	}
	for _, tt := range []struct {
		kind   gateway.Kind
		code   string
		status int
	}{
		{gateway.NotFound, gateway.CodeNotFound, 404},
		{gateway.Conflict, gateway.CodeModemNotReady, 409},
		{gateway.Conflict, gateway.CodeUSSDBusy, 409},
		{gateway.Refused, gateway.CodeUSSDRefused, 502},
		{gateway.NoAnswer, gateway.CodeUSSDNoAnswer, 504},
	} {
		f := f.again()
		f.err = &gateway.Error{Kind: tt.kind, Code: tt.code, Message: "Something."}
		w := f.do(t, request{method: "POST", path: "/v1/modems/front/ussd", body: `{"code":"*100#"}`})
		if p := problem(t, w); p.Status != tt.status || p.Code != tt.code {
			t.Errorf("%s: %+v", tt.code, p)
		}
	}
}

// connection notes how long a handler lets its connection live.
type connection struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (c *connection) SetReadDeadline(t time.Time) error  { c.read = t; return nil }
func (c *connection) SetWriteDeadline(t time.Time) error { c.write = t; return nil }

// Only who may send a code, and has said which, keeps a connection for as long
// as the network may take.
func TestUSSDHoldsTheConnectionOfThoseLetIn(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		key, body string
		held      bool
	}{
		{"admin", `{"code":"*100#"}`, true},
		{"read", `{"code":"*100#"}`, false},
		{"-", `{"code":"*100#"}`, false},
	} {
		w := &connection{ResponseRecorder: httptest.NewRecorder()}
		f.handler.ServeHTTP(w, request{method: "POST", path: "/v1/modems/front/ussd", key: c.key, body: c.body}.build())
		if held := !w.read.IsZero() && !w.write.Before(w.read); held != c.held {
			t.Errorf("key %q, body %q: read until %v, write until %v", c.key, c.body, w.read, w.write)
		}
	}
}
