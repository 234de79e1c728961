package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/ledger"
)

// What an operator does reaches the named modem with its reason and its author,
// and the reply is the modem as it is listed.
func TestOrders(t *testing.T) {
	all := newFixture(t)
	for _, tt := range []struct {
		path, body, reached, reason string
		wait                        time.Duration
	}{
		{"pause", `{"reason":"new antenna"}`, "pause front", "new antenna", 0},
		{"pause", `{}`, "pause front", "", 0},
		{"pause", "", "pause front", "", 0},
		{"pause", `{"reason":""}`, "pause front", "", 0},
		{"resume", `{"reason":"é"}`, "resume front", "é", 0},
		{"drain", `{"reason":"moves"}`, "drain front", "moves", 30 * time.Second},
		{"drain?wait=0", "", "drain front", "", 0},
		{"drain?wait=240", "", "drain front", "", 4 * time.Minute},
		{"reset", `{"reason":"mute"}`, "reset front", "mute", 0},
	} {
		t.Run(tt.path+" "+tt.body, func(t *testing.T) {
			f := all.again()
			w := f.do(t, request{method: "POST", path: "/v1/modems/front/" + tt.path, body: tt.body})
			if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), `{"name":"sim1","status":"ready","reason":"",`) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if !slices.Equal(f.calls, []string{tt.reached}) || f.reason != tt.reason || f.wait != tt.wait {
				t.Errorf("the gateway was asked for %q, because %q, within %v", f.calls, f.reason, f.wait)
			}
			if f.call.Caller != "key1" || f.call.Name != "ops" {
				t.Errorf("by %q, %q", f.call.Caller, f.call.Name)
			}
		})
	}
}

func TestOrdersRefused(t *testing.T) {
	all := newFixture(t)
	for _, tt := range []struct {
		path   string
		kind   gateway.Kind
		code   string
		status int
	}{
		{"pause", gateway.NotFound, gateway.CodeNotFound, 404},
		{"pause", gateway.Full, gateway.CodeStorageFull, 507},
		{"resume", gateway.Conflict, gateway.CodeModemNotReady, 409},
		{"drain", gateway.NoAnswer, gateway.CodeStillInAir, 504},
		{"drain", gateway.Conflict, gateway.CodeResumed, 409},
		{"reset", gateway.Conflict, gateway.CodeModemNotReady, 409},
		{"budget", gateway.Conflict, gateway.CodeModemNotReady, 409},
		{"budget", gateway.NotFound, gateway.CodeNotFound, 404},
	} {
		f := all.again()
		f.err = &gateway.Error{Kind: tt.kind, Code: tt.code, Message: "Something."}
		methods := []string{"POST"}
		if tt.path == "budget" {
			methods = []string{"GET", "PUT", "DELETE"}
		}
		for _, method := range methods {
			q := request{method: method, path: "/v1/modems/front/" + tt.path}
			if method == "PUT" {
				q.body = "{}"
			}
			if p := problem(t, f.do(t, q)); p.Status != tt.status || p.Code != tt.code {
				t.Errorf("%s %s: %+v", method, tt.path, p)
			}
		}
	}
}

// A drain may wait for as long as it was told to.
func TestDrainHoldsTheConnection(t *testing.T) {
	f := newFixture(t)
	left := time.Duration(0)
	f.during = func(ctx context.Context) {
		until, _ := ctx.Deadline()
		left = time.Until(until)
	}
	w := &connection{ResponseRecorder: httptest.NewRecorder()}
	f.handler.ServeHTTP(w, request{method: "POST", path: "/v1/modems/front/drain?wait=240"}.build())
	if w.Code != http.StatusOK || left < 4*time.Minute || time.Until(w.write) < left {
		t.Errorf("%d, %v left, until %v", w.Code, left, w.write)
	}
}

const noBudget = `{"per_minute":null,"per_hour":null,"per_day":null,"per_month":null,"recipients_per_month":null,` +
	`"segments_per_day":null,"segments_per_month":null,"notices_per_minute":null,"notices_per_day":null,` +
	`"reserve":null,"warm_up_days":null,"warm_up_start":null,"set_by":null,"set_at":null,` + noWindows

// noWindows is the end of a budget without limits of which nothing is used.
const noWindows = `"windows":[{"name":"per_minute","used":0,"limit":null},{"name":"per_hour","used":0,"limit":null},` +
	`{"name":"per_day","used":0,"limit":null},{"name":"per_month","used":0,"limit":null},` +
	`{"name":"recipients_per_month","used":0,"limit":null},{"name":"segments_per_day","used":0,"limit":null},` +
	`{"name":"segments_per_month","used":0,"limit":null},{"name":"notices_per_minute","used":0,"limit":null},` +
	`{"name":"notices_per_day","used":0,"limit":null}],"in_air":0,"next_code_at":null,"failures_today":{},"balance":null,"balance_at":null}`

func TestBudget(t *testing.T) {
	f := newFixture(t)
	const path = "/v1/modems/front/budget"
	n := func(i int) *int { return &i }
	every := gateway.Budget{
		PerMinute: n(1), PerHour: n(2), PerDay: n(3), PerMonth: n(4), RecipientsPerMonth: n(5),
		SegmentsPerDay: n(6), SegmentsPerMonth: n(7), NoticesPerMinute: n(8), NoticesPerDay: n(9),
		Reserve: n(10), WarmUpDays: n(11), WarmUpStart: n(12),
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.budget = gateway.BudgetOrder{
		Budget: every, By: "ops", At: at, Limits: budget.Limits{PerHour: 2, PerDay: 30},
		Standing: budget.Standing{
			Codes: at.Add(time.Hour), InAir: 1, Hour: budget.Use{Used: 2, Limit: 2}, Day: budget.Use{Used: 3, Limit: 5},
			Failures: map[string]int{"cms-21": 4}, Balance: &budget.Balance{Amount: 2.5, At: at},
		},
	}
	const limits = `"per_minute":1,"per_hour":2,"per_day":3,"per_month":4,"recipients_per_month":5,` +
		`"segments_per_day":6,"segments_per_month":7,"notices_per_minute":8,"notices_per_day":9,` +
		`"reserve":10,"warm_up_days":11,"warm_up_start":12`
	const want = `{` + limits + `,"set_by":"ops","set_at":"2026-03-01T12:00:00Z",`
	used := strings.NewReplacer(
		`"per_hour","used":0,"limit":null`, `"per_hour","used":2,"limit":2`,
		`"per_day","used":0,"limit":null`, `"per_day","used":3,"limit":5`, // of a warm-up
		`"in_air":0,"next_code_at":null`, `"in_air":1,"next_code_at":"2026-03-01T13:00:00Z"`,
		`{},"balance":null,"balance_at":null`, `{"cms-21":4},"balance":2.5,"balance_at":"2026-03-01T12:00:00Z"`,
	).Replace(noWindows)
	if got := f.do(t, request{method: "GET", path: path}).Body.String(); got != want+used {
		t.Errorf("seen: %s", got)
	}
	if got := f.do(t, request{method: "PUT", path: path, body: `{` + limits + `}`}).Body.String(); got != want+used {
		t.Errorf("set: %s", got)
	}
	if !reflect.DeepEqual(f.set, every) || f.call.Name != "ops" {
		t.Errorf("what was set is another: %+v, by %q", f.set, f.call.Name)
	}
	if got := f.do(t, request{method: "DELETE", path: path}).Body.String(); got != noBudget {
		t.Errorf("cleared: %s", got)
	}
	if want := []string{"budget front", "set budget front", "clear budget front"}; !slices.Equal(f.calls, want) {
		t.Errorf("the gateway was asked for %q", f.calls)
	}
}

// The limits that the document allows are taken, and no others; null is as good
// as nothing.
func TestLimits(t *testing.T) {
	all := newFixture(t)
	for _, tt := range []struct {
		body, field string
		// beyond: the document says what is meant, JSON's grammar aside.
		beyond bool
	}{
		{body: `{}`},
		{body: ` { "per_day" : 0 , "per_hour" : null } `},
		{body: `{"per_day":1000000000,"reserve":7}`},
		{body: "{\"per_day\":1\n}"},
		{body: `{"per_day":1000000001}`, field: "per_day"},
		{body: `{"per_day":-1}`, field: "per_day"},
		{body: `{"per_day":1.5}`, field: "per_day"},
		{body: `{"per_day":1e2}`, field: "per_day", beyond: true},
		{body: `{"per_day":-0}`, field: "per_day", beyond: true},
		{body: `{"per_day":99999999999999999999999}`, field: "per_day"},
		{body: `{"per_day":"1"}`, field: "per_day"},
		{body: `{"per_day":true}`, field: "per_day"},
		{body: `{"per_day":[1]}`, field: "per_day"},
		{body: `{"per_day":{"a":1}}`, field: "per_day"},
		{body: `{"per_day":1,"per_day":2}`, field: "per_day", beyond: true},
		{body: `{"per_day":null,"per_day":2}`, field: "per_day", beyond: true},
		{body: `{"per_hour":1,"per_week":2}`, field: "per_week"},
		{body: `{"Per_day":1}`, field: "Per_day"},
		{body: `{"set_by":"ops"}`, field: "set_by"},
		{body: `[]`, field: "body"},
		{body: ``, field: "body"},
	} {
		f := all.again()
		q := request{method: "PUT", path: "/v1/modems/front/budget", body: tt.body}
		w := f.do(t, q)
		if tt.field == "" {
			if w.Code != http.StatusOK || len(f.calls) != 1 {
				t.Errorf("%q: %d %s", tt.body, w.Code, w.Body)
			}
		} else if p := problem(t, w); p.Status != 400 || p.Field != tt.field || len(f.calls) != 0 {
			t.Errorf("%q: %+v, calls %q", tt.body, p, f.calls)
		}
		r := q.build()
		route, params, err := f.router.FindRoute(r)
		if err != nil {
			t.Fatal(err)
		}
		err = openapi3filter.ValidateRequest(context.Background(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		})
		if (err == nil) != (tt.field == "") && !tt.beyond {
			t.Errorf("%q: the document says %v", tt.body, err)
		}
	}
	f := all.again()
	f.do(t, request{method: "PUT", path: "/v1/modems/front/budget", body: `{"per_day":0,"per_hour":null}`})
	if f.set.PerDay == nil || *f.set.PerDay != 0 || f.set.PerHour != nil {
		t.Errorf("0 and null: %+v", f.set)
	}
}

func TestAudit(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.trail = []ledger.Entry{
		{
			ID: ledger.ID{7: 3}, At: at, Actor: "ops", ActorID: "KEY1", Action: "modem.pause", Subject: "front",
			Detail: map[string]string{"reason": "é"},
		},
		{ID: ledger.ID{7: 4}, At: at, Actor: "local:0", ActorID: "local:0", Action: "modem.resume", Subject: "front"},
		{ID: ledger.ID{7: 5}, At: at},
	}
	w := f.do(t, request{method: "GET", path: "/v1/audit?limit=2&after=0000000000000009"})
	const want = `{"entries":[` +
		`{"id":"0000000000000003","at":"2026-03-01T12:00:00Z","actor":"ops","actor_id":"KEY1","action":"modem.pause","subject":"front","detail":{"reason":"é"}},` +
		`{"id":"0000000000000004","at":"2026-03-01T12:00:00Z","actor":"local:0","actor_id":"local:0","action":"modem.resume","subject":"front","detail":{}}],` +
		`"next":"0000000000000004"}`
	if got := w.Body.String(); w.Code != http.StatusOK || got != want {
		t.Errorf("%d, got\n%s\nwant\n%s", w.Code, got, want)
	}
	if f.askedTrail != (ledger.Range{After: ledger.ID{7: 9}, Limit: 3}) {
		t.Errorf("asked for %+v", f.askedTrail)
	}
	w = f.do(t, request{method: "GET", path: "/v1/audit?before=0000000000000004"})
	if f.askedTrail != (ledger.Range{Before: ledger.ID{7: 4}, Limit: 51}) || !strings.HasSuffix(w.Body.String(), `"next":null}`) {
		t.Errorf("asked for %+v: %s", f.askedTrail, w.Body)
	}
	f.trail = nil
	if got := f.do(t, request{method: "GET", path: "/v1/audit"}).Body.String(); got != `{"entries":[],"next":null}` {
		t.Errorf("none: %s", got)
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "after=1": "after", "before=" + strings.Repeat("g", 16): "before",
		"before=" + strings.Repeat("0", 32): "before", "actor=ops": "actor",
	} {
		f := f.again()
		w := f.do(t, request{method: "GET", path: "/v1/audit?" + query})
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), fmt.Sprintf(`"field":%q`, field)) || len(f.calls) != 0 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}
