package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway"
)

// Every request here is malformed: it is answered with a problem that names
// the field, repeats nothing of it, and reaches the gateway not at all.
func TestMalformed(t *testing.T) {
	const start, check, ussd, pause = "/v1/verifications", "/v1/verifications/x/check", "/v1/modems/x/ussd", "/v1/modems/x/pause"
	long := strings.Repeat("z", 300)
	tests := []struct {
		name, path, body string
		status           int
		code, field      string
	}{
		{"no body", start, "", 400, "malformed_body", "body"},
		{"blank body", start, " \n", 400, "malformed_body", "body"},
		{"not JSON", start, "to=%2B33612345678", 400, "malformed_body", "body"},
		{"cut short", start, `{"to":"+33612345678"`, 400, "malformed_body", "body"},
		{"trailing comma", start, `{"to":"+33612345678",}`, 400, "malformed_body", "body"},
		{"trailing value", start, startBody + startBody, 400, "malformed_body", "body"},
		{"trailing letters", start, startBody + "x", 400, "malformed_body", "body"},
		{"comment", start, `{"to":"+33612345678"/*x*/}`, 400, "malformed_body", "body"},
		{"single quotes", start, `{'to':'+33612345678'}`, 400, "malformed_body", "body"},
		{"byte order mark", start, "\ufeff" + startBody, 400, "malformed_body", "body"},
		{"a list", start, "[" + startBody + "]", 400, "malformed_body", "body"},
		{"a string", start, `"+33612345678"`, 400, "malformed_body", "body"},
		{"null", start, `null`, 400, "malformed_body", "body"},
		{"invalid UTF-8", start, "{\"to\":\"+33612345678\",\"subject\":\"\xff\"}", 400, "malformed_body", "body"},
		{"raw control", start, "{\"to\":\"+33612345678\",\"subject\":\"a\x1ab\"}", 400, "malformed_body", "body"},
		{"nul after the body", start, startBody + "\x00", 400, "malformed_body", "body"},
		{"deep", start, strings.Repeat("[", 4000) + strings.Repeat("]", 4000), 400, "malformed_body", "body"},
		{"deep in a field", start, `{"to":` + strings.Repeat("[", 4000) + strings.Repeat("]", 4000) + `}`, 400, "invalid_field", "to"},
		{"8 KiB and one byte", start, `{"to":"` + strings.Repeat("1", 8<<10-8) + `"}`, 413, "body_too_large", ""},

		{"empty object", start, `{}`, 400, "invalid_field", "to"},
		{"to missing", start, `{"service":"default"}`, 400, "invalid_field", "to"},
		{"to null", start, `{"to":null}`, 400, "invalid_field", "to"},
		{"to a number", start, `{"to":33612345678}`, 400, "invalid_field", "to"},
		{"to a list", start, `{"to":["+33612345678","+33612345679"]}`, 400, "invalid_field", "to"},
		{"to an object", start, `{"to":{"to":"+33612345678"}}`, 400, "invalid_field", "to"},
		{"to true", start, `{"to":true}`, 400, "invalid_field", "to"},
		{"to empty", start, `{"to":""}`, 400, "invalid_field", "to"},
		{"to too long", start, `{"to":"` + strings.Repeat("3", 65) + `"}`, 400, "invalid_field", "to"},
		{"to twice", start, `{"to":"+33612345678","to":"+33612345679"}`, 400, "invalid_field", "to"},
		{"to twice, escaped", start, `{"to":"+33612345678","\u0074o":"+33612345679"}`, 400, "invalid_field", "to"},
		{"duplicates inside", start, `{"to":{"a":1,"a":2}}`, 400, "invalid_field", "to"},
		{"half a surrogate pair", start, `{"to":"+33612345678","subject":"\ud800"}`, 400, "invalid_field", "subject"},
		{"another case", start, `{"To":"+33612345678"}`, 400, "invalid_field", "To"},
		{"both cases", start, `{"to":"+33612345678","TO":"+33612345679"}`, 400, "invalid_field", "TO"},
		{"unknown field", start, `{"to":"+33612345678","phone":"1"}`, 400, "invalid_field", "phone"},
		{"unknown field first", start, `{"phone":{"a":[1]},"to":"+33612345678"}`, 400, "invalid_field", "phone"},
		{"free text", start, `{"to":"+33612345678","body":"Buy now"}`, 400, "invalid_field", "body"},
		{"empty name", start, `{"":"x"}`, 400, "invalid_field", "body"},
		{"a number for a name", start, `{"+33612345678":"x"}`, 400, "invalid_field", "body"},
		{"a code for a name", start, `{"x493817":"x"}`, 400, "invalid_field", "body"},
		{"long name", start, `{"` + long + `":"x"}`, 400, "invalid_field", "body"},
		{"schema named", start, `{"$schema":"x","to":"+33612345678"}`, 400, "invalid_field", "body"},

		{"service in capitals", start, `{"to":"+33612345678","service":"Default"}`, 400, "invalid_field", "service"},
		{"service with a slash", start, `{"to":"+33612345678","service":"a/b"}`, 400, "invalid_field", "service"},
		{"service with a line end", start, `{"to":"+33612345678","service":"ab\n"}`, 400, "invalid_field", "service"},
		{"service empty", start, `{"to":"+33612345678","service":""}`, 400, "invalid_field", "service"},
		{"service too long", start, `{"to":"+33612345678","service":"` + long[:65] + `"}`, 400, "invalid_field", "service"},
		{"purpose with a space", start, `{"to":"+33612345678","purpose":"log in"}`, 400, "invalid_field", "purpose"},
		{"purpose null", start, `{"to":"+33612345678","purpose":null}`, 400, "invalid_field", "purpose"},
		{"locale of another kind", start, `{"to":"+33612345678","locale":"../fr"}`, 400, "invalid_field", "locale"},
		{"locale too long", start, `{"to":"+33612345678","locale":"fr` + strings.Repeat("-aaaaaaaa", 4) + `"}`, 400, "invalid_field", "locale"},
		{"address of words", start, `{"to":"+33612345678","client_ip":"localhost"}`, 400, "invalid_field", "client_ip"},
		{"address out of range", start, `{"to":"+33612345678","client_ip":"203.0.113.256"}`, 400, "invalid_field", "client_ip"},
		{"address with a port", start, `{"to":"+33612345678","client_ip":"203.0.113.9:80"}`, 400, "invalid_field", "client_ip"},
		{"address with a zone", start, `{"to":"+33612345678","client_ip":"fe80::1%eth0"}`, 400, "invalid_field", "client_ip"},
		{"address empty", start, `{"to":"+33612345678","client_ip":""}`, 400, "invalid_field", "client_ip"},
		{"several addresses", start, `{"to":"+33612345678","client_ip":"203.0.113.9, 10.0.0.1"}`, 400, "invalid_field", "client_ip"},
		{"subject empty", start, `{"to":"+33612345678","subject":""}`, 400, "invalid_field", "subject"},
		{"subject with a control", start, `{"to":"+33612345678","subject":"a\u0000b"}`, 400, "invalid_field", "subject"},
		{"subject with C1", start, `{"to":"+33612345678","subject":"a\u0085b"}`, 400, "invalid_field", "subject"},
		{"subject too long", start, `{"to":"+33612345678","subject":"` + long[:257] + `"}`, 400, "invalid_field", "subject"},
		{"subject too long in bytes", start, `{"to":"+33612345678","subject":"` + strings.Repeat("é", 129) + `"}`, 400, "invalid_field", "subject"},

		{"code missing", check, `{}`, 400, "invalid_field", "code"},
		{"code a number", check, `{"code":493817}`, 400, "invalid_field", "code"},
		{"code null", check, `{"code":null}`, 400, "invalid_field", "code"},
		{"code empty", check, `{"code":""}`, 400, "invalid_field", "code"},
		{"code too long", check, `{"code":"` + strings.Repeat("4", 33) + `"}`, 400, "invalid_field", "code"},
		{"code twice", check, `{"code":"493817","code":"493818"}`, 400, "invalid_field", "code"},
		{"a number beside the code", check, `{"code":"493817","to":"+33612345678"}`, 400, "invalid_field", "to"},
		{"1 MB code", check, `{"code":"` + strings.Repeat("4", 1<<20) + `"}`, 413, "body_too_large", ""},

		{"no USSD code", ussd, `{}`, 400, "invalid_field", "code"},
		{"USSD code with a quotation mark", ussd, `{"code":"*493817#\""}`, 400, "invalid_field", "code"},
		{"USSD code with a line end", ussd, `{"code":"*493817#\r"}`, 400, "invalid_field", "code"},
		{"USSD code too long", ussd, `{"code":"` + strings.Repeat("4", 183) + `"}`, 400, "invalid_field", "code"},
		{"a reason that is a number", pause, `{"reason":493817}`, 400, "invalid_field", "reason"},
		{"a reason that is null", pause, `{"reason":null}`, 400, "invalid_field", "reason"},
		{"a reason with a line end", pause, `{"reason":"493817\n"}`, 400, "invalid_field", "reason"},
		{"a reason with a control", "/v1/modems/x/reset", `{"reason":"\u001b[2J"}`, 400, "invalid_field", "reason"},
		{"a reason that runs backwards", "/v1/modems/x/drain", `{"reason":"\u202e"}`, 400, "invalid_field", "reason"},
		{"a reason too long", "/v1/modems/x/resume", `{"reason":"` + long[:201] + `"}`, 400, "invalid_field", "reason"},
		{"something beside the reason", pause, `{"reason":"r","to":"+33612345678"}`, 400, "invalid_field", "to"},
		{"a list for a reason", pause, `[]`, 400, "malformed_body", "body"},
		{"a blank body for a reason", pause, ` `, 400, "malformed_body", "body"},
		{"a query beside the reason", pause + "?wait=1", ``, 400, "invalid_field", "wait"},
		{"no wait at all", "/v1/modems/x/drain?wait=", ``, 400, "invalid_field", "wait"},
		{"a wait too long", "/v1/modems/x/drain?wait=241", ``, 400, "invalid_field", "wait"},
		{"a wait before now", "/v1/modems/x/drain?wait=-1", ``, 400, "invalid_field", "wait"},
		{"a wait with a unit", "/v1/modems/x/drain?wait=1s", ``, 400, "invalid_field", "wait"},

		{"something beside the USSD code", ussd, `{"code":"*100#","to":"+33612345678"}`, 400, "invalid_field", "to"},

		{"resend with a code", "/v1/verifications/x/resend", `{"code":"493817"}`, 400, "invalid_field", "code"},
		{"resend with a list", "/v1/verifications/x/resend", `[]`, 400, "malformed_body", "body"},
		{"query", start + "?dry_run=1", startBody, 400, "invalid_field", "dry_run"},
		{"a number in the query", check + "?+33612345678", `{"code":"493817"}`, 400, "invalid_field", "query"},
		{"a code in the query", check + "?493817", `{"code":"493817"}`, 400, "invalid_field", "query"},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := all.again()
			w := f.do(t, request{method: "POST", path: tt.path, body: tt.body})
			p := problem(t, w)
			if p.Status != tt.status || p.Code != tt.code || p.Field != tt.field {
				t.Errorf("got %d %s %q", p.Status, p.Code, p.Field)
			}
			if len(f.calls) > 0 {
				t.Errorf("the gateway was asked for %q", f.calls)
			}
			for _, secret := range []string{"336123", "493817", "zzz", "203.0.113", "fe80"} {
				if strings.Contains(w.Body.String(), secret) || strings.Contains(f.log.String(), secret) {
					t.Errorf("something submitted is repeated: %s", secret)
				}
			}
		})
	}
}

func TestMalformedHeaders(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		status int
		code   string
		field  string
	}{
		{"no content type", http.Header{"Content-Type": nil}, 415, "unsupported_media_type", ""},
		{"form", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, "unsupported_media_type", ""},
		{"two content types", http.Header{"Content-Type": {"application/json", "application/json"}}, 415, "unsupported_media_type", ""},
		{"problem", http.Header{"Content-Type": {"application/problem+json"}}, 415, "unsupported_media_type", ""},
		{"two keys", http.Header{"Idempotency-Key": {"a", "b"}}, 400, "invalid_field", "Idempotency-Key"},
		{"empty key", http.Header{"Idempotency-Key": {""}}, 400, "invalid_field", "Idempotency-Key"},
		{"long key", http.Header{"Idempotency-Key": {strings.Repeat("a", 256)}}, 400, "invalid_field", "Idempotency-Key"},
		{"tab in the key", http.Header{"Idempotency-Key": {"a\tb"}}, 400, "invalid_field", "Idempotency-Key"},
		{"beyond ASCII", http.Header{"Idempotency-Key": {"é"}}, 400, "invalid_field", "Idempotency-Key"},
		{"invalid UTF-8", http.Header{"Idempotency-Key": {"\xff"}}, 400, "invalid_field", "Idempotency-Key"},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := all.again()
			p := problem(t, f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody, header: tt.header}))
			if p.Status != tt.status || p.Code != tt.code || p.Field != tt.field || len(f.calls) > 0 {
				t.Errorf("got %d %s %q, calls %q", p.Status, p.Code, p.Field, f.calls)
			}
		})
	}
}

func TestWellFormedHeaders(t *testing.T) {
	f := newFixture(t)
	for _, header := range []http.Header{
		{"Content-Type": {"application/json; charset=utf-8"}},
		{"Content-Type": {"Application/JSON"}},
		{"Idempotency-Key": {strings.Repeat("~", 255)}},
	} {
		if w := f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody, header: header}); w.Code != 201 {
			t.Errorf("%v: status %d", header, w.Code)
		}
	}
}

func TestAuthentication(t *testing.T) {
	tests := []struct {
		name      string
		header    []string
		status    int
		code      string
		challenge string
	}{
		{"none", nil, 401, "unauthorized", "Bearer"},
		{"basic", []string{"Basic dmVyaWZ5Og=="}, 401, "unauthorized", "Bearer"},
		{"two", []string{"Bearer verify", "Bearer verify"}, 401, "unauthorized", "Bearer"},
		{"scheme alone", []string{"Bearer"}, 401, "unauthorized", `Bearer error="invalid_token"`},
		{"revoked", []string{"Bearer revoked"}, 401, "unauthorized", `Bearer error="invalid_token"`},
		{"store broken", []string{"Bearer broken"}, 500, "internal", ""},
		{"keys unreadable", []string{"Bearer unreadable"}, 503, "overloaded", ""},
		{"lower case scheme", []string{"bearer verify"}, 201, "", ""},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := all.again()
			// The body is malformed where the key is refused: who asks is
			// settled first.
			body := `{"to":`
			if tt.status == 201 {
				body = startBody
			}
			w := f.do(t, request{
				method: "POST", path: "/v1/verifications", body: body, key: "-",
				header: http.Header{"Authorization": tt.header},
			})
			if w.Code != tt.status || w.Header().Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("status %d, challenge %q", w.Code, w.Header().Get("WWW-Authenticate"))
			}
			if tt.code != "" && (problem(t, w).Code != tt.code || len(f.calls) > 0) {
				t.Errorf("got %s", w.Body)
			}
			if strings.Contains(w.Body.String(), someNumber) {
				t.Error("the cause is shown")
			}
		})
	}
}

// Every route with every single scope: only those named here are let in.
func TestScopes(t *testing.T) {
	routes := []struct {
		request
		scopes string
	}{
		{request{method: "POST", path: "/v1/verifications", body: startBody}, "verify"},
		{request{method: "GET", path: "/v1/verifications/x"}, "verify check read"},
		{request{method: "HEAD", path: "/v1/verifications/x"}, "verify check read"},
		{request{method: "POST", path: "/v1/verifications/x/check", body: `{"code":"1"}`}, "check"},
		{request{method: "POST", path: "/v1/verifications/x/resend"}, "verify"},
		{request{method: "DELETE", path: "/v1/verifications/x"}, "verify"},
		{request{method: "GET", path: "/v1/messages/x"}, "verify messages read"},
		{request{method: "GET", path: "/v1/inbound"}, "messages"},
		{request{method: "GET", path: "/v1/modems"}, "read admin"},
		{request{method: "POST", path: "/v1/modems/x/ussd", body: `{"code":"*100#"}`}, "admin"},
		{request{method: "POST", path: "/v1/modems/x/pause", body: `{"reason":"r"}`}, "admin"},
		{request{method: "POST", path: "/v1/modems/x/resume"}, "admin"},
		{request{method: "POST", path: "/v1/modems/x/drain?wait=1"}, "admin"},
		{request{method: "POST", path: "/v1/modems/x/reset"}, "admin"},
		{request{method: "GET", path: "/v1/modems/x/budget"}, "admin"},
		{request{method: "PUT", path: "/v1/modems/x/budget", body: `{"per_day":1}`}, "admin"},
		{request{method: "DELETE", path: "/v1/modems/x/budget"}, "admin"},
		{request{method: "GET", path: "/v1/audit"}, "admin"},
		{request{method: "GET", path: "/metrics"}, "read"},
	}
	all := newFixture(t)
	for _, route := range routes {
		for _, scope := range strings.Split(everyScope, "+") {
			t.Run(route.method+route.path+" "+scope, func(t *testing.T) {
				f := all.again()
				route.key = scope
				w := f.do(t, route.request)
				if strings.Contains(route.scopes, scope) {
					if w.Code != http.StatusOK && w.Code != http.StatusCreated {
						t.Errorf("status %d", w.Code)
					}
					return
				}
				want := `Bearer error="insufficient_scope", scope="` + route.scopes + `"`
				if w.Code != http.StatusForbidden || w.Header().Get("WWW-Authenticate") != want || len(f.calls) > 0 {
					t.Errorf("status %d, challenge %q, calls %q", w.Code, w.Header().Get("WWW-Authenticate"), f.calls)
				}
				if route.method != "HEAD" && problem(t, w).Code != "insufficient_scope" {
					t.Errorf("got %s", w.Body)
				}
			})
		}
	}
}

func TestOpenRoutes(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/healthz", "/readyz", "/openapi.json", "/docs"} {
		if w := f.do(t, request{method: "GET", path: path, key: "-"}); w.Code != http.StatusOK {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
	if w := f.do(t, request{method: "GET", path: "/metrics", key: "-"}); problem(t, w).Status != http.StatusUnauthorized {
		t.Errorf("/metrics: status %d", w.Code)
	}
}

func TestNoSuchRoute(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/v1", 404, ""},
		{"POST", "/v1/verifications/", 404, ""},
		{"POST", "//v1/verifications", 404, ""},
		{"POST", "/v1/../v1/verifications", 404, ""},
		{"GET", "/v1/verifications//check", 404, ""},
		{"GET", "/v2/" + someNumber, 404, ""},
		{"OPTIONS", "*", 404, ""},
		{"GET", "/v1/verifications", 405, "POST"},
		{"HEAD", "/v1/verifications", 405, "POST"},
		{"OPTIONS", "/v1/verifications", 405, "POST"},
		{"PUT", "/v1/verifications/x", 405, "DELETE, GET, HEAD"},
		{"GET", "/v1/verifications/x/check", 405, "POST"},
		{"POST", "/v1/modems", 405, "GET, HEAD"},
		{"BREW", "/healthz", 405, "GET, HEAD"},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			f := all.again()
			w := f.do(t, request{method: tt.method, path: tt.path})
			if p := problem(t, w); p.Status != tt.status || w.Header().Get("Allow") != tt.allow || len(f.calls) > 0 {
				t.Errorf("status %d, Allow %q", w.Code, w.Header().Get("Allow"))
			}
			if w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), someNumber) {
				t.Error("the path is repeated")
			}
		})
	}
}

func TestKinds(t *testing.T) {
	cause := errors.New("row of " + someNumber + " is damaged")
	tests := []struct {
		name       string
		err        error
		status     int
		code       string
		field      string
		retryAfter string
	}{
		{"invalid", &gateway.Error{Kind: gateway.Invalid, Code: gateway.CodeInvalidNumber, Message: "m", Field: "to"}, 400, "invalid_number", "to", ""},
		{"forbidden", &gateway.Error{Kind: gateway.Forbidden, Code: gateway.CodeRegionNotAllowed, Message: "m", Field: "to"}, 403, "region_not_allowed", "to", ""},
		{"not found", &gateway.Error{Kind: gateway.NotFound, Code: gateway.CodeNotFound, Message: "m"}, 404, "not_found", "", ""},
		{"conflict", &gateway.Error{Kind: gateway.Conflict, Code: gateway.CodeNotPending, Message: "m"}, 409, "not_pending", "", ""},
		{"mismatch", &gateway.Error{Kind: gateway.Mismatch, Code: gateway.CodeIdempotency, Message: "m"}, 422, "idempotency_mismatch", "", ""},
		{"too soon", &gateway.Error{Kind: gateway.RateLimited, Code: gateway.CodeCooldown, Message: "m", RetryAfter: 29001 * time.Millisecond}, 429, "cooldown", "", "30"},
		{"whole seconds", &gateway.Error{Kind: gateway.RateLimited, Code: gateway.CodeCooldown, Message: "m", RetryAfter: 30 * time.Second}, 429, "cooldown", "", "30"},
		{"almost", &gateway.Error{Kind: gateway.RateLimited, Code: gateway.CodeCooldown, Message: "m", RetryAfter: time.Nanosecond}, 429, "cooldown", "", "1"},
		{"locked", &gateway.Error{Kind: gateway.RateLimited, Code: gateway.CodeLocked, Message: "m"}, 429, "locked", "", "1"},
		{"overloaded", &gateway.Error{Kind: gateway.Unavailable, Code: gateway.CodeOverloaded, Message: "m"}, 503, "overloaded", "", "1"},
		{"full", &gateway.Error{Kind: gateway.Full, Code: gateway.CodeStorageFull, Message: "m"}, 507, "storage_full", "", ""},
		{"wrapped", fmt.Errorf("start: %w", &gateway.Error{Kind: gateway.NotFound, Code: gateway.CodeNotFound, Message: "m"}), 404, "not_found", "", ""},
		{"out of time", fmt.Errorf("store: %w", context.DeadlineExceeded), 503, "overloaded", "", "1"},
		{"anything else", cause, 500, "internal", "", ""},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := all.again()
			f.err = tt.err
			w := f.do(t, request{method: "POST", path: "/v1/verifications/x/resend"})
			if tt.status == 400 || tt.status == 403 {
				w = f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody})
			}
			p := problem(t, w)
			if p.Status != tt.status || p.Code != tt.code || p.Field != tt.field || w.Header().Get("Retry-After") != tt.retryAfter {
				t.Errorf("got %+v, Retry-After %q", p, w.Header().Get("Retry-After"))
			}
		})
	}
}

// The cause of an internal error is in the log, under the id that the reply
// names, and not in the reply.
func TestInternal(t *testing.T) {
	all := newFixture(t)
	for _, err := range []error{
		errors.New("bucket missing"),
		gateway.AsError(errors.New("bucket missing")),
		fmt.Errorf("modems: %w", gateway.AsError(errors.New("bucket missing"))),
	} {
		f := all.again()
		f.err = err
		internal(t, f)
	}
}

func internal(t *testing.T, f *fixture) {
	t.Helper()
	w := f.do(t, request{method: "GET", path: "/v1/modems"})
	p := problem(t, w)
	if p.RequestID == "" || strings.Contains(w.Body.String(), "bucket") {
		t.Errorf("got %s", w.Body)
	}
	var entry struct {
		Level, Error string
		RequestID    string `json:"request_id"`
	}
	if err := json.NewDecoder(f.log).Decode(&entry); err != nil {
		t.Fatal(err)
	}
	if entry.Level != "ERROR" || entry.Error != "bucket missing" || entry.RequestID != p.RequestID {
		t.Errorf("logged %+v", entry)
	}
}

// A panic is answered, and logged without its value.
func TestPanic(t *testing.T) {
	f := newFixture(t)
	f.during = func(context.Context) { panic("no row for " + someNumber) }
	w := f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody})
	if p := problem(t, w); p.Status != 500 || p.RequestID == "" || !strings.Contains(f.log.String(), p.RequestID) {
		t.Errorf("got %+v, logged %s", p, f.log)
	}
	if strings.Contains(f.log.String(), someNumber) {
		t.Error("the panic's value is in the log")
	}
	if !strings.Contains(f.log.String(), "TestPanic.func") {
		t.Errorf("the log doesn't tell where it came from: %s", f.log)
	}
}

// The log at its most talkative and the metrics know routes, not requests.
func TestNothingPersonalIsRecorded(t *testing.T) {
	f := newFixture(t)
	body := `{"to":"` + someNumber + `","client_ip":"203.0.113.9","subject":"alice"}`
	f.do(t, request{method: "POST", path: "/v1/verifications", body: body, header: http.Header{"Idempotency-Key": {"order7"}}})
	f.do(t, request{method: "POST", path: "/v1/verifications/" + verificationID + "/check", body: `{"code":"` + someCode + `"}`})
	f.do(t, request{method: "GET", path: "/" + someNumber})
	f.do(t, request{method: "X" + someCode, path: "/v1/modems"})
	metrics := f.do(t, request{method: "GET", path: "/metrics"}).Body.String()
	for name, text := range map[string]string{"log": f.log.String(), "metrics": metrics} {
		for _, secret := range []string{someNumber, someCode, "203.0.113.9", "alice", "order7", verificationID, "192.0.2.1"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s: %s", name, secret, text)
			}
		}
	}
	if !strings.Contains(f.log.String(), `"route":"POST /v1/verifications/{id}/check","status":200,`) ||
		!strings.Contains(f.log.String(), `"key":"key1"`) {
		t.Errorf("log: %s", f.log)
	}
	for _, want := range []string{
		`smsotpd_http_requests_total{route="POST /v1/verifications",status="2xx"} 1`,
		`smsotpd_http_requests_total{route="none",status="4xx"} 2`,
		`smsotpd_http_request_duration_seconds_count{route="POST /v1/verifications/{id}/check"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s:\n%s", want, metrics)
		}
	}
}

// However many paths are asked for, the number of series stays small.
func TestSeries(t *testing.T) {
	f := newFixture(t)
	for i := range 300 {
		id := strconv.Itoa(i)
		for _, r := range []request{
			{method: "GET", path: "/v1/messages/" + id},
			{method: "GET", path: "/" + id},
			{method: "M" + id, path: "/v1/messages/" + id},
		} {
			f.handler.ServeHTTP(httptest.NewRecorder(), r.build())
		}
	}
	metrics := f.do(t, request{method: "GET", path: "/metrics"}).Body.String()
	if n := strings.Count(metrics, "\nsmsotpd_http_"); n > 30 {
		t.Errorf("%d series", n)
	}
}
