package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"smsotpd/gateway"
)

func TestStart(t *testing.T) {
	f := newFixture(t)
	body := `{"to":"+33612345678","service":"shop","purpose":"login","locale":"fr-CA","client_ip":"2001:db8::1","subject":"user é 1"}`
	w := f.do(t, request{method: "POST", path: "/v1/verifications", body: body, header: http.Header{"Idempotency-Key": {"order 7"}}})
	if w.Code != http.StatusCreated {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if got := w.Header().Get("Location"); got != "/v1/verifications/"+verificationID {
		t.Errorf("Location %q", got)
	}
	const want = `{"id":"v-3f1c9a7e2b","status":"pending","to":"+33•••••••78","service":"default","purpose":"login",` +
		`"created_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T12:05:00Z","resend_at":"2026-03-01T12:00:30Z",` +
		`"checks_left":5,"message":{"id":"m-77aa01","status":"queued"},"notice":{"restricted":true,"alternative":false}}`
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if want := (gateway.StartRequest{
		To: someNumber, Service: "shop", Purpose: "login", Locale: "fr-CA", ClientIP: "2001:db8::1", Subject: "user é 1",
	}); f.start != want {
		t.Errorf("the gateway got another request")
	}
	if f.call.Caller != "key1" || f.call.IdempotencyKey != "order 7" || string(f.call.Body) != body {
		t.Errorf("the gateway got another call")
	}
}

func TestContinuedStart(t *testing.T) {
	f := newFixture(t)
	f.verification.Continued = true
	w := f.do(t, request{method: "POST", path: "/v1/verifications", body: startBody})
	if w.Code != http.StatusOK || w.Header().Get("Location") != "" {
		t.Errorf("status %d, Location %q", w.Code, w.Header().Get("Location"))
	}
}

func TestReplies(t *testing.T) {
	tests := []struct {
		request
		reached, want string
	}{
		{
			request{method: "GET", path: "/v1/verifications/" + verificationID},
			"verification " + verificationID, `"status":"pending"`,
		},
		{
			request{method: "POST", path: "/v1/verifications/" + verificationID + "/check", body: `{"code":"493817"}`},
			"check " + verificationID, `{"id":"v-3f1c9a7e2b","status":"approved","valid":true,"checks_left":4}`,
		},
		{
			request{method: "POST", path: "/v1/verifications/" + verificationID + "/resend"},
			"resend " + verificationID, `"id":"v-3f1c9a7e2b"`,
		},
		{
			request{method: "POST", path: "/v1/verifications/" + verificationID + "/resend", body: " {} "},
			"resend " + verificationID, `"id":"v-3f1c9a7e2b"`,
		},
		{
			request{method: "DELETE", path: "/v1/verifications/" + verificationID},
			"cancel " + verificationID, `"status":"canceled"`,
		},
		{
			request{method: "GET", path: "/v1/messages/" + messageID},
			"message " + messageID,
			`{"id":"m-77aa01","status":"delivered","last_mile":"delivered","possible_duplicate":false,"segments":1,` +
				`"created_at":"2026-03-01T12:00:00Z","expires_at":"2026-03-01T12:05:00Z","attempts":[` +
				`{"modem":"sim1","started_at":"2026-03-01T12:00:00Z","settled_at":"2026-03-01T12:00:01Z","result":"temporary","cause":"cms-38","meaning":"network out of order","mr":null,"report":null,"report_at":null,"why":[]},` +
				`{"modem":"sim2","started_at":"2026-03-01T12:00:00Z","settled_at":"2026-03-01T12:00:01Z","result":"accepted","cause":"","meaning":"received","mr":0,"report":0,"report_at":"2026-03-01T12:01:00Z","why":["the first to be free"]},` +
				`{"modem":"sim2","started_at":"2026-03-01T12:00:00Z","settled_at":null,"result":null,"cause":"","meaning":"","mr":null,"report":null,"report_at":null,"why":[]}]}`,
		},
		{
			request{method: "GET", path: "/v1/modems"},
			"modems",
			`[{"name":"sim1","status":"ready","reason":"","manufacturer":"Acme","model":"M1","imei":"•••••••••••3809","operator":"F Home",` +
				`"registered":true,"signal_dbm":-71,"port":"/dev/ttyUSB2","since":"2026-03-01T12:00:00Z","sent_today":12,"notice":"another SIM","sim":"left","day_limit":200,"breaker":"open","breaker_why":"refused",` +
				`"success_rate":0.125,"delivery_rate":null,"verified_rate":1,"recoveries":3},` +
				`{"name":"sim2","status":"waiting","reason":"PIN","manufacturer":"","model":"","imei":"","operator":"",` +
				`"registered":false,"signal_dbm":null,"port":"","since":null,"sent_today":0,"notice":"","sim":"","day_limit":null,"breaker":"closed","breaker_why":"",` +
				`"success_rate":null,"delivery_rate":null,"verified_rate":null,"recoveries":0}]`,
		},
	}
	all := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			f := all.again()
			w := f.do(t, tt.request)
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if !slices.Equal(f.calls, []string{tt.reached}) {
				t.Errorf("the gateway was asked for %q", f.calls)
			}
			if r := tt.request; r.body != "" && string(f.call.Body) != r.body {
				t.Error("the gateway got another body")
			}
		})
	}
}

func TestEmptyLists(t *testing.T) {
	f := newFixture(t)
	f.modems, f.message.Attempts = nil, nil
	if got := f.do(t, request{method: "GET", path: "/v1/modems"}).Body.String(); got != "[]" {
		t.Errorf("modems: %s", got)
	}
	if got := f.do(t, request{method: "GET", path: "/v1/messages/1"}).Body.String(); !strings.Contains(got, `"attempts":[]`) {
		t.Errorf("message: %s", got)
	}
}

// A check gets the code as it was typed.
func TestCheckCode(t *testing.T) {
	f := newFixture(t)
	f.verdict = gateway.Verdict{ID: verificationID, Status: "exhausted"}
	w := f.do(t, request{method: "POST", path: "/v1/verifications/x/check", body: `{"code":"0\u0030 é"}`})
	if w.Code != http.StatusOK || f.code != "00 é" {
		t.Errorf("status %d, code passed on wrongly: %t", w.Code, f.code != "00 é")
	}
	if want := `{"id":"v-3f1c9a7e2b","status":"exhausted","valid":false,"checks_left":0}`; w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
}
