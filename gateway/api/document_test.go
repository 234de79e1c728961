package api_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/api"
)

// The document lists every route with the scopes that it is published to need.
func TestDocumentListsTheRoutes(t *testing.T) {
	f := newFixture(t)
	var d struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	body := f.do(t, request{method: "GET", path: "/openapi.json", key: "-"}).Body.Bytes()
	if err := json.Unmarshal(body, &d); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"post /v1/verifications":             "verify",
		"get /v1/verifications/{id}":         "verify check read",
		"delete /v1/verifications/{id}":      "verify",
		"post /v1/verifications/{id}/check":  "check",
		"post /v1/verifications/{id}/resend": "verify",
		"get /v1/messages/{id}":              "verify messages read",
		"get /v1/inbound":                    "messages",
		"get /v1/modems":                     "read admin",
		"post /v1/modems/{name}/ussd":        "admin",
		"post /v1/modems/{name}/pause":       "admin",
		"post /v1/modems/{name}/resume":      "admin",
		"post /v1/modems/{name}/drain":       "admin",
		"post /v1/modems/{name}/reset":       "admin",
		"get /v1/modems/{name}/budget":       "admin",
		"put /v1/modems/{name}/budget":       "admin",
		"delete /v1/modems/{name}/budget":    "admin",
		"get /v1/audit":                      "admin",
		"get /metrics":                       "read",
		"get /healthz":                       "",
		"get /readyz":                        "",
		"get /openapi.json":                  "",
		"get /docs":                          "",
	}
	listed := 0
	for path, item := range d.Paths {
		for method, op := range item {
			listed++
			var scopes []string
			for _, s := range op.Security {
				scopes = append(scopes, s["apiKey"]...)
			}
			if got, name := strings.Join(scopes, " "), method+" "+path; got != want[name] {
				t.Errorf("%s: scopes %q", name, got)
			}
		}
	}
	if listed != len(want) {
		t.Errorf("%d operations listed, not %d", listed, len(want))
	}
	if !strings.HasPrefix(d.OpenAPI, "3.1.") || strings.Contains(string(body), "$schema") {
		t.Errorf("version %q, or a $schema", d.OpenAPI)
	}
}

// What the document allows is taken, what it forbids is refused.
func TestDocumentAgreesOnRequests(t *testing.T) {
	tests := []struct {
		body string
		ok   bool
	}{
		{startBody, true},
		{`{"to":"+33612345678","service":"a-b_c.1","purpose":"x","locale":"zh-Hant-TW","client_ip":"::1","subject":"` + strings.Repeat("x", 256) + `"}`, true},
		{`{"to":"` + strings.Repeat("1", 64) + `"}`, true},
		{`{"to":"` + strings.Repeat("1", 65) + `"}`, false},
		{`{"to":""}`, false},
		{`{"to":1}`, false},
		{`{"to":null}`, false},
		{`{}`, false},
		{`{"to":"1","service":"A"}`, false},
		{`{"to":"1","purpose":"a b"}`, false},
		{`{"to":"1","locale":"f r"}`, false},
		{`{"to":"1","client_ip":"home"}`, false},
		{`{"to":"1","subject":""}`, false},
		{`{"to":"1","subject":"` + strings.Repeat("x", 257) + `"}`, false},
		{`{"to":"1","other":"x"}`, false},
		{`[]`, false},
	}
	f := newFixture(t)
	for _, tt := range tests {
		q := request{method: "POST", path: "/v1/verifications", body: tt.body}
		taken := f.do(t, q).Code == http.StatusCreated
		r := q.build()
		route, params, err := f.router.FindRoute(r)
		if err != nil {
			t.Fatal(err)
		}
		err = openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		})
		if taken != tt.ok || (err == nil) != tt.ok {
			t.Errorf("%.80s: taken %t, the document says %v", tt.body, taken, err)
		}
	}
}

func TestPage(t *testing.T) {
	f := newFixture(t)
	w := f.do(t, request{method: "GET", path: "/docs", key: "-"})
	page := w.Body.String()
	for _, foreign := range []string{"<script", "<link", "<img", "<iframe", "http:", "https:", "//", "javascript", "ZgotmplZ"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page holds %q", foreign)
		}
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; "
	if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, want) {
		t.Errorf("policy %q, not %q", policy, want)
	}
	for _, want := range []string{
		`name="viewport"`, `color-scheme: light dark`, "Version 1.2.3",
		`<section id="start">`, `<section id="set_budget">`, `href="#Limits">Limits</a>`, "/v1/verifications/{id}/check", "scope verify or check or read", `href="#Problem"`,
		"Idempotency-Key", "client_ip", "possible_duplicate", `href="#Verification">Verification</a>`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestMetricsRoute(t *testing.T) {
	public := newFixture(t, func(o *api.Options) { o.MetricsPublic = true })
	if w := public.do(t, request{method: "GET", path: "/metrics", key: "-"}); w.Code != http.StatusOK {
		t.Errorf("public: status %d", w.Code)
	}
	elsewhere := newFixture(t, func(o *api.Options) { o.Gatherer = nil })
	if w := elsewhere.do(t, request{method: "GET", path: "/metrics"}); problem(t, w).Status != http.StatusNotFound {
		t.Errorf("elsewhere: status %d", w.Code)
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "smsotpd_something_total"}))
	own := api.Metrics(registry)
	for path, want := range map[string]int{"/metrics": 200, "/v1/modems": 404, "/": 404} {
		w := httptest.NewRecorder()
		own.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want || (want == 200) != strings.Contains(w.Body.String(), "smsotpd_something_total 0") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

func TestNewNeeds(t *testing.T) {
	if _, err := api.New(api.Options{Auth: scopeKeys{}}); err == nil {
		t.Error("no gateway is needed")
	}
	if _, err := api.New(api.Options{Gateway: newStub()}); err == nil {
		t.Error("no authenticator is needed")
	}
	registry := prometheus.NewRegistry()
	o := api.Options{Gateway: newStub(), Auth: scopeKeys{}, Registerer: registry}
	if _, err := api.New(o); err != nil {
		t.Error(err)
	}
	if _, err := api.New(o); err == nil {
		t.Error("the same metrics can be registered twice")
	}
}
