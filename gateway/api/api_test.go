package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/ledger"
	"smsotpd/modem"
)

const (
	verificationID = "v-3f1c9a7e2b"
	messageID      = "m-77aa01"
	someNumber     = "+33612345678"
	someCode       = "493817"
)

// stub is a gateway whose every method answers with what the test put in
// place, and which remembers what reached it.
type stub struct {
	mu    sync.Mutex
	calls []string
	call  gateway.Call
	start gateway.StartRequest
	code  string
	// set, reason and wait came with the last order.
	set    gateway.Budget
	reason string
	wait   time.Duration

	err          error
	verification gateway.Verification
	verdict      gateway.Verdict
	message      gateway.Message
	modems       []gateway.Modem
	inbound      []inbound.Message
	asked        inbound.Range
	budget       gateway.BudgetOrder
	trail        []ledger.Entry
	askedTrail   ledger.Range
	readiness    gateway.Readiness
	// during runs inside every method, if set.
	during func(context.Context)
}

func newStub() *stub {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return &stub{
		verification: gateway.Verification{
			ID: verificationID, Status: "pending", To: "+33•••••••78", Service: "default", Purpose: "login",
			CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute), ResendAt: at.Add(30 * time.Second),
			ChecksLeft: 5, MessageID: messageID, MessageStatus: "queued", Restricted: true,
		},
		verdict: gateway.Verdict{ID: verificationID, Status: "approved", Valid: true, ChecksLeft: 4},
		message: gateway.Message{
			ID: messageID, Status: "delivered", LastMile: gateway.LastMileDelivered, Segments: 1,
			CreatedAt: at, ExpiresAt: at.Add(5 * time.Minute),
			Attempts: []gateway.Attempt{
				{Modem: "sim1", StartedAt: at, SettledAt: at.Add(time.Second), Result: modem.Temporary, Cause: "cms-38", Meaning: "network out of order", MR: -1, Report: -1},
				{Modem: "sim2", StartedAt: at, SettledAt: at.Add(time.Second), Result: modem.Accepted, Meaning: "received", MR: 0, Report: 0, ReportAt: at.Add(time.Minute), Why: []string{"the first to be free"}},
				{Modem: "sim2", StartedAt: at, MR: -1, Report: -1},
			},
		},
		modems: []gateway.Modem{
			{Status: modem.Status{
				Name: "sim1", State: modem.Ready, Port: "/dev/ttyUSB2", Manufacturer: "Acme", Model: "M1", IMEI: "356938035643809",
				IMSI: "208011234567890", Operator: "F Home", Registered: true, SignalDBm: -71, Since: at, Notice: "another SIM", Recoveries: 3, Card: "left",
			}, SentToday: 12, Standing: budget.Standing{Day: budget.Use{Used: 12, Limit: 200}}, Health: health.Rates{
				State: health.Open, Why: "refused", Success: health.Rate{Value: 0.125, Samples: 8}, Verified: health.Rate{Value: 1, Samples: 2},
			}},
			{Status: modem.Status{Name: "sim2", State: modem.Waiting, Reason: "PIN"}},
		},
		readiness: gateway.Readiness{Ready: true},
	}
}

func (s *stub) enter(ctx context.Context, name string, c gateway.Call) error {
	s.mu.Lock()
	s.calls = append(s.calls, name)
	s.call = c
	s.mu.Unlock()
	if s.during != nil {
		s.during(ctx)
	}
	return s.err
}

func (s *stub) Start(ctx context.Context, c gateway.Call, r gateway.StartRequest) (gateway.Verification, error) {
	s.start = r
	return s.verification, s.enter(ctx, "start", c)
}

func (s *stub) Check(ctx context.Context, c gateway.Call, id, code string) (gateway.Verdict, error) {
	s.code = code
	return s.verdict, s.enter(ctx, "check "+id, c)
}

func (s *stub) Resend(ctx context.Context, c gateway.Call, id string) (gateway.Verification, error) {
	return s.verification, s.enter(ctx, "resend "+id, c)
}

func (s *stub) Cancel(ctx context.Context, id string) (gateway.Verification, error) {
	v := s.verification
	v.Status = "canceled"
	return v, s.enter(ctx, "cancel "+id, gateway.Call{})
}

func (s *stub) Verification(ctx context.Context, id string) (gateway.Verification, error) {
	return s.verification, s.enter(ctx, "verification "+id, gateway.Call{})
}

func (s *stub) Message(ctx context.Context, id string) (gateway.Message, error) {
	return s.message, s.enter(ctx, "message "+id, gateway.Call{})
}

func (s *stub) Inbound(ctx context.Context, r inbound.Range) ([]inbound.Message, error) {
	s.asked = r
	return s.inbound[:min(len(s.inbound), r.Limit)], s.enter(ctx, "inbound", gateway.Call{})
}

func (s *stub) Modems(ctx context.Context) ([]gateway.Modem, error) {
	return s.modems, s.enter(ctx, "modems", gateway.Call{})
}

func (s *stub) USSD(ctx context.Context, c gateway.Call, name, code string) (modem.USSDReply, error) {
	s.code = code
	return modem.USSDReply{Text: "1 Balance\n2 Number", More: true}, s.enter(ctx, "ussd "+name, c)
}

func (s *stub) order(ctx context.Context, name, modem, reason string, c gateway.Call) (gateway.Modem, error) {
	s.reason = reason
	return s.modems[0], s.enter(ctx, name+" "+modem, c)
}

func (s *stub) Pause(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error) {
	return s.order(ctx, "pause", modem, reason, c)
}

func (s *stub) Resume(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error) {
	return s.order(ctx, "resume", modem, reason, c)
}

func (s *stub) Drain(ctx context.Context, c gateway.Call, modem, reason string, wait time.Duration) (gateway.Modem, error) {
	s.wait = wait
	return s.order(ctx, "drain", modem, reason, c)
}

func (s *stub) ResetModem(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error) {
	return s.order(ctx, "reset", modem, reason, c)
}

func (s *stub) Budget(ctx context.Context, modem string) (gateway.BudgetOrder, error) {
	return s.budget, s.enter(ctx, "budget "+modem, gateway.Call{})
}

func (s *stub) SetBudget(ctx context.Context, c gateway.Call, modem string, b gateway.Budget) (gateway.BudgetOrder, error) {
	s.set = b
	return s.budget, s.enter(ctx, "set budget "+modem, c)
}

func (s *stub) ClearBudget(ctx context.Context, c gateway.Call, modem string) (gateway.BudgetOrder, error) {
	return gateway.BudgetOrder{}, s.enter(ctx, "clear budget "+modem, c)
}

func (s *stub) Trail(ctx context.Context, r ledger.Range) ([]ledger.Entry, error) {
	s.askedTrail = r
	return s.trail[:min(len(s.trail), r.Limit)], s.enter(ctx, "trail", gateway.Call{})
}

func (s *stub) Ready(ctx context.Context) gateway.Readiness {
	_ = s.enter(ctx, "ready", gateway.Call{})
	return s.readiness
}

// scopeKeys is an authenticator whose keys are their own scopes: the key
// "verify+check" has those two.
type scopeKeys struct{}

func (scopeKeys) Authenticate(_ context.Context, key string) (access.Principal, error) {
	switch key {
	case "broken":
		return access.Principal{}, errors.New("store: " + someNumber + " can't be read")
	case "unreadable":
		return access.Principal{}, access.ErrUnavailable
	case "revoked", "":
		return access.Principal{}, access.ErrUnauthenticated
	}
	return principal(strings.Split(key, "+")...), nil
}

func principal(scopes ...string) access.Principal {
	p := access.Principal{KeyID: "key1", Name: "ops"}
	for _, s := range scopes {
		p.Scopes = append(p.Scopes, access.Scope(s))
	}
	return p
}

// fixture is an API over a stub, whose replies are all held against the
// published document.
type fixture struct {
	*stub
	// behind is what the handler has for a gateway: the stub.
	behind  *struct{ api.Gateway }
	handler http.Handler
	router  routers.Router
	log     *bytes.Buffer
}

func newFixture(t testing.TB, change ...func(*api.Options)) *fixture {
	t.Helper()
	f := &fixture{stub: newStub(), log: &bytes.Buffer{}}
	f.behind = &struct{ api.Gateway }{f.stub}
	registry := prometheus.NewRegistry()
	o := api.Options{
		Gateway: f.behind, Auth: scopeKeys{}, Gatherer: registry, Registerer: registry, Version: "1.2.3",
		Logger: slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if f.handler, err = api.New(o); err != nil {
		t.Fatal(err)
	}
	f.router = documentRouter(t, f.handler)
	f.log.Reset()
	return f
}

// again is f with a stub of its own and nothing logged yet; f is no longer to
// be used.
func (f *fixture) again() *fixture {
	g := *f
	g.stub = newStub()
	g.behind.Gateway = g.stub
	g.log.Reset()
	return &g
}

// documentRouter reads the document as its users do. Replies are held to it
// more strictly than it asks: a field that it doesn't name is an error.
func documentRouter(t testing.TB, h http.Handler) routers.Router {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	closed := false
	for _, s := range document.Components.Schemas {
		s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
	}
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

// request is one request of a test; the zero values are the usual ones.
type request struct {
	method, path, body string
	// key is the API key, "" for one with every scope, "-" for none.
	key    string
	header http.Header
}

const everyScope = "verify+check+messages+read+privacy+admin"

func (q request) build() *http.Request {
	r := httptest.NewRequest(q.method, q.path, strings.NewReader(q.body))
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	switch q.key {
	case "":
		r.Header.Set("Authorization", "Bearer "+everyScope)
	case "-":
	default:
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	for name, values := range q.header {
		r.Header[name] = values
	}
	return r
}

// do serves the request and holds the reply against the document.
func (f *fixture) do(t testing.TB, q request) *httptest.ResponseRecorder {
	t.Helper()
	r := q.build()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	if strings.HasPrefix(q.path, "/v1/") && w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the reply may be cached")
	}
	f.holds(t, r, w)
	return w
}

func (f *fixture) holds(t testing.TB, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	if r.Method == http.MethodHead || w.Code == http.StatusMethodNotAllowed || strings.Contains(w.Body.String(), api.CodeRouteNotFound) {
		return // OpenAPI has no words for these
	}
	route, params, err := f.router.FindRoute(r)
	if err != nil {
		t.Errorf("%s %s is not in the document: %v", r.Method, r.URL.Path, err)
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 w.Code,
		Header:                 w.Header(),
		Body:                   io.NopCloser(bytes.NewReader(w.Body.Bytes())),
		Options: &openapi3filter.Options{
			IncludeResponseStatus:   true,
			ExcludeResponseBody:     r.URL.Path == "/docs",
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableFormatValidation()},
		},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		t.Errorf("%s %s, %d: the reply is not as the document says: %v", r.Method, r.URL.Path, w.Code, err)
	}
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err == nil && p.Code != "" {
		if told := *route.Operation.Responses.Status(w.Code).Value.Description; !strings.Contains(told, p.Code) {
			t.Errorf("the document doesn't tell of %s under %d", p.Code, w.Code)
		}
	}
}

// problem is the reply's, which must be one.
func problem(t testing.TB, w *httptest.ResponseRecorder) api.Problem {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Fatalf("Content-Type %q of status %d", got, w.Code)
	}
	var p api.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Status != w.Code || p.Type != "about:blank" || p.Title != http.StatusText(w.Code) || p.Code == "" || p.Detail == "" {
		t.Errorf("incomplete problem: %+v", p)
	}
	return p
}

const startBody = `{"to":"` + someNumber + `"}`
