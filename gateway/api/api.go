// Package api is the native HTTP API: it turns requests into calls of the
// gateway and errors into problems (RFC 9457), and publishes what it takes
// and gives as an OpenAPI document.
//
// It knows the gateway's front door and who may use it (gateway/access),
// nothing of storage, queues or modems.
//
// What always holds:
//
//   - Who asks is settled before the body is read, the body before the gateway
//     is called: a request that is refused here has changed nothing.
//   - No reply and no log entry carries a submitted value.
//   - The published document, the checks on bodies and the replies come from
//     the same Go types.
package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/ledger"
	"smsotpd/modem"
)

// Verifier is the part of the gateway that verifies numbers. Its methods
// return only after what they tell is durable.
type Verifier interface {
	Start(context.Context, gateway.Call, gateway.StartRequest) (gateway.Verification, error)
	Check(ctx context.Context, c gateway.Call, id, code string) (gateway.Verdict, error)
	Resend(ctx context.Context, c gateway.Call, id string) (gateway.Verification, error)
	Cancel(ctx context.Context, id string) (gateway.Verification, error)
	Verification(ctx context.Context, id string) (gateway.Verification, error)
}

// Observer is the part of the gateway that tells how things stand.
type Observer interface {
	Message(ctx context.Context, id string) (gateway.Message, error)
	Modems(context.Context) ([]gateway.Modem, error)
	Inbound(context.Context, inbound.Range) ([]inbound.Message, error)
	Trail(context.Context, ledger.Range) ([]ledger.Entry, error)
	Ready(context.Context) gateway.Readiness
}

// Dialer is the part of the gateway that asks the modems' networks.
type Dialer interface {
	USSD(ctx context.Context, c gateway.Call, modem, code string) (modem.USSDReply, error)
}

// Operator is the part of the gateway by which operators handle the modems;
// reasons may be "". Its methods return only after what they order is durable.
type Operator interface {
	Pause(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error)
	Resume(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error)
	Drain(ctx context.Context, c gateway.Call, modem, reason string, wait time.Duration) (gateway.Modem, error)
	ResetModem(ctx context.Context, c gateway.Call, modem, reason string) (gateway.Modem, error)
}

// Budgeter is the part of the gateway by which operators limit the SIMs.
type Budgeter interface {
	Budget(ctx context.Context, modem string) (gateway.BudgetOrder, error)
	SetBudget(ctx context.Context, c gateway.Call, modem string, b gateway.Budget) (gateway.BudgetOrder, error)
	ClearBudget(ctx context.Context, c gateway.Call, modem string) (gateway.BudgetOrder, error)
}

// Gateway is what the API needs of *gateway.Gateway.
type Gateway interface {
	Verifier
	Observer
	Dialer
	Operator
	Budgeter
}

var _ Gateway = (*gateway.Gateway)(nil)

// Options of New. Gateway and Auth are required.
type Options struct {
	Gateway Gateway
	Auth    Authenticator
	// Gatherer is served under /metrics; nil where the metrics have an address
	// of their own, see Metrics.
	Gatherer prometheus.Gatherer
	// MetricsPublic serves /metrics without a key.
	MetricsPublic bool
	// Registerer takes the API's own metrics; nil for none.
	Registerer prometheus.Registerer
	// Logger may be nil: nothing is logged.
	Logger *slog.Logger
	// Version of the daemon, as /healthz and the document give it.
	Version string
}

// Bounds on requests; otp-rules 5.
const (
	maxBody           = 8 << 10
	maxIdempotencyKey = 255
	// handlingTime is how long an operation may wait to be taken up; shorter
	// than the server's write time-out, so that a reply still gets out.
	handlingTime = 10 * time.Second
)

type api struct {
	gateway   Gateway
	auth      Authenticator
	log       *slog.Logger
	meter     meter
	mux       *http.ServeMux
	startBody object[Start]
	checkBody object[Check]
	ussdBody  object[USSD]
	reasons   object[Reason]
	limits    object[Limits]
}

// New is the handler of all routes.
func New(o Options) (http.Handler, error) {
	if o.Gateway == nil || o.Auth == nil {
		return nil, errors.New("api: Gateway and Auth are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &api{gateway: o.Gateway, auth: o.Auth, log: o.Logger, mux: http.NewServeMux()}

	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	var err error
	if a.startBody, err = newObject[Start](schemas); err != nil {
		return nil, err
	}
	if a.checkBody, err = newObject[Check](schemas); err != nil {
		return nil, err
	}
	if a.ussdBody, err = newObject[USSD](schemas); err != nil {
		return nil, err
	}
	if a.reasons, err = newObject[Reason](schemas); err != nil {
		return nil, err
	}
	if a.limits, err = newObject[Limits](schemas); err != nil {
		return nil, err
	}
	if a.meter, err = newMeter(o.Registerer); err != nil {
		return nil, err
	}
	operations := a.operations()
	published, err := publish(operations, schemas, o)
	if err != nil {
		return nil, err
	}

	routes := routes{}
	for _, op := range operations {
		routes.add(op.method, op.path, a.operate(op))
	}
	a.addUnversioned(routes, o, published)
	routes.register(a.mux)
	return a, nil
}

// routes are handlers by path and method.
type routes map[string]map[string]http.HandlerFunc

func (rs routes) add(method, path string, h http.HandlerFunc) {
	if rs[path] == nil {
		rs[path] = map[string]http.HandlerFunc{}
	}
	rs[path][method] = h
}

// register adds to mux every route, and what answers where there is none.
func (rs routes) register(mux *http.ServeMux) {
	for path, methods := range rs {
		var allowed []string
		for method, h := range methods {
			mux.HandleFunc(method+" "+path, h)
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
		slices.Sort(allowed)
		allow := strings.Join(allowed, ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { methodNotAllowed(allow).write(w) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { routeNotFound().write(w) })
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec := &recorder{ResponseWriter: w}
	began := time.Now()
	defer func() {
		if v := recover(); v != nil {
			a.recovered(rec, r, v)
		}
		a.observe(rec, r, time.Since(began))
	}()
	// The mux would redirect these, repeating the path in its reply.
	if p := r.URL.EscapedPath(); p == "" || p[0] != '/' || (p != "/" && path.Clean(p) != strings.TrimSuffix(p, "/")) {
		routeNotFound().write(rec)
		return
	}
	a.mux.ServeHTTP(rec, r)
}

// operate is the way of every operation: who, what, do, answer.
func (a *api) operate(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), cmp.Or(op.lasts, handlingTime))
		defer cancel()
		r = r.WithContext(ctx)
		c, err := a.admit(op, w, r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if op.lasts > 0 { // now that the request is in, and let in
			patient(w, op.lasts)
		}
		reply, err := op.serve(r, c)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		if reply.location != "" {
			w.Header().Set("Location", reply.location)
		}
		writeJSON(w, reply.status, "application/json", reply.body)
	}
}

// admit checks all of a request but the meaning of its body.
func (a *api) admit(op operation, w http.ResponseWriter, r *http.Request) (call, error) {
	principal, err := a.allow(w, r, op.scopes)
	if err != nil {
		return call{}, err
	}
	c := call{principal: principal}
	if c.query, err = query(op, r); err != nil {
		return call{}, err
	}
	if op.idempotent {
		if c.idempotencyKey, err = idempotencyKey(r); err != nil {
			return call{}, err
		}
	}
	if c.body, err = readBody(w, r); err != nil {
		return call{}, err
	}
	if op.body == nil {
		return c, empty(c.body)
	}
	return c, nil
}

// allow is the principal if it has one of the scopes.
func (a *api) allow(w http.ResponseWriter, r *http.Request, scopes []access.Scope) (access.Principal, error) {
	p, err := a.authenticate(r)
	if err != nil {
		return p, err
	}
	if rec, ok := w.(*recorder); ok {
		rec.caller = p.KeyID
	}
	if !slices.ContainsFunc(scopes, p.Can) {
		return p, insufficientScope(scopes)
	}
	return p, nil
}

// query are the request's query parameters. Those that the operation doesn't
// take are refused: they end up in the logs of whatever lies between.
func query(op operation, r *http.Request) (map[string]string, error) {
	if r.URL.RawQuery == "" {
		return nil, nil //nolint:nilnil // nil is the empty map
	}
	values := make(map[string]string)
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		name, value, _ := strings.Cut(pair, "=")
		known := slices.ContainsFunc(op.query, func(p parameter) bool { return p.name == name })
		_, twice := values[name]
		switch {
		case len(op.query) == 0:
			return nil, invalidField(nameable(name, "query"), "This route takes no query parameters.")
		case !known:
			return nil, invalidField(nameable(name, "query"), "There is no such query parameter.")
		case twice:
			return nil, invalidField(name, "The query parameter is given twice.")
		}
		values[name] = value
	}
	return values, nil
}

// idempotencyKey is the request's, "" if it has none.
func idempotencyKey(r *http.Request) (string, error) {
	const name = "Idempotency-Key"
	keys := r.Header[name]
	if len(keys) == 0 {
		return "", nil
	}
	unprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if len(keys) > 1 || keys[0] == "" || len(keys[0]) > maxIdempotencyKey || strings.ContainsFunc(keys[0], unprintable) {
		return "", invalidField(name, "One header of 1 to 255 printable ASCII characters is allowed.")
	}
	return keys[0], nil
}

// readBody is the whole body, which must be JSON if there is any.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, bodyTooLarge()
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, bodyTooLarge()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, newProblem(http.StatusRequestTimeout, CodeRequestTimeout, "The body did not come in time.")
		}
		return nil, malformedBody("The body could not be read to its end.")
	}
	if len(body) > 0 && !isJSON(r.Header["Content-Type"]) {
		return nil, newProblem(http.StatusUnsupportedMediaType, CodeUnsupportedMedia, "The body must be application/json.")
	}
	return body, nil
}

func isJSON(contentType []string) bool {
	if len(contentType) != 1 {
		return false
	}
	mediaType, _, _ := strings.Cut(contentType[0], ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/json")
}

// refuse answers with a problem, and logs the cause of an internal one.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		p.RequestID = newRequestID()
		a.log.ErrorContext(r.Context(), "a request failed", "route", r.Pattern, "request_id", p.RequestID, "error", p.cause)
	}
	p.write(w)
}
