package main

import (
	"net/http"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// brief is a service with the shortest life and cooldowns that are allowed.
const brief = `
[service.brief]
purposes = ["login"]
code_ttl = "30s"
cooldowns = ["1s", "1s", "1h"]
`

// e2eStory follows single verifications through everything that can happen to
// them in good weather, and holds the timeline to the truth at each step.
func e2eStory(t *testing.T) {
	n := install(t, plan{modems: 1, air: "300ms", config: brief})
	n.serve()
	n.ready()

	short := n.begin(mobile(7), "brief")
	t.Run("approved", n.approved)
	t.Run("resent", n.resent)
	t.Run("canceled", n.canceled)
	t.Run("expired", func(t *testing.T) { n.expired(t, short) })
}

// in makes the installation report to a subtest.
func (n *installation) in(t *testing.T) *installation {
	return &installation{t: t, dir: n.dir, state: n.state, sim: n.sim, gateway: n.gateway, key: n.key, http: n.http, url: n.address()}
}

func (n *installation) approved(t *testing.T) {
	n = n.in(t)
	to := mobile(1)
	before := time.Now()
	v := n.begin(to)
	if v.Status != "pending" || v.ChecksLeft != 5 || v.Message.Status != "queued" || !v.Notice.Restricted {
		t.Errorf("started: %+v", v)
	}
	if life := v.ExpiresAt.Sub(v.CreatedAt); life != 5*time.Minute {
		t.Errorf("the code lives for %v", life)
	}

	// In the air the attempt is there and has no result.
	flying := n.settled(v.Message.ID, "sending", "accepted", "delivered")
	if a := flying.Attempts; len(a) != 1 || a[0].Modem != "modem0" || a[0].StartedAt.Before(before) {
		t.Errorf("in the air: %+v", flying)
	} else if flying.Status == "sending" && (a[0].Result != nil || a[0].SettledAt != nil || flying.LastMile != "queued") {
		t.Errorf("a result before there is one: %+v", flying)
	}
	code := n.received(to, 1)

	if verdict := n.check(v.ID, wrong(code)); verdict.Valid || verdict.Status != "pending" || verdict.ChecksLeft != 4 {
		t.Errorf("a wrong code: %+v", verdict)
	}
	done := n.settled(v.Message.ID, "delivered")
	if a := done.Attempts; len(a) != 1 || a[0].Result == nil || *a[0].Result != "accepted" || a[0].MR == nil ||
		a[0].Report == nil || *a[0].Report != 0 || a[0].ReportAt == nil || a[0].SettledAt == nil ||
		a[0].ReportAt.Before(*a[0].SettledAt) || a[0].SettledAt.Sub(a[0].StartedAt) < 300*time.Millisecond {
		t.Errorf("delivered: %+v", done)
	}
	if done.LastMile != "delivered" || done.PossibleDuplicate || done.Segments != 1 {
		t.Errorf("delivered: %+v", done)
	}
	if verdict := n.check(v.ID, code); !verdict.Valid || verdict.Status != "approved" {
		t.Errorf("the right code: %+v", verdict)
	}
	if verdict := n.check(v.ID, code); verdict.Valid || verdict.Status != "approved" {
		t.Errorf("the right code once more: %+v", verdict)
	}
	status, err := n.call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil, nil)
	if status != http.StatusConflict {
		t.Errorf("a resend after the end: %d %v", status, err)
	}
	if got := n.sentTo()[to]; len(got) != 1 {
		t.Errorf("%d SMS", len(got))
	}
}

func (n *installation) resent(t *testing.T) {
	n = n.in(t)
	to := mobile(2)
	v := n.begin(to, "brief")
	if status, err := n.call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil, nil); status != http.StatusTooManyRequests {
		t.Errorf("a resend inside the cooldown: %d %v", status, err)
	}
	var again api.Verification
	await(t, "the end of the cooldown", func() error {
		_, err := n.call(http.MethodPost, "/v1/verifications/"+v.ID+"/resend", nil, &again)
		return err
	})
	if again.ID != v.ID || again.Message.ID == v.Message.ID || !again.ExpiresAt.Equal(v.ExpiresAt) {
		t.Errorf("resent: %+v", again)
	}
	first, second := n.received(to, 1), n.received(to, 2)
	if first != second {
		t.Error("the resend carries another code")
	}
	for _, id := range []string{v.Message.ID, again.Message.ID} {
		if m := n.settled(id, "delivered"); len(m.Attempts) != 1 || m.PossibleDuplicate {
			t.Errorf("a resend that was asked for: %+v", m)
		}
	}
	if verdict := n.check(v.ID, first); !verdict.Valid {
		t.Errorf("the code: %+v", verdict)
	}
}

func (n *installation) canceled(t *testing.T) {
	n = n.in(t)
	to := mobile(3)
	v := n.begin(to)
	code := n.received(to, 1)
	var ended api.Verification
	if _, err := n.call(http.MethodDelete, "/v1/verifications/"+v.ID, nil, &ended); err != nil || ended.Status != "canceled" {
		t.Errorf("canceled: %v %+v", err, ended)
	}
	if verdict := n.check(v.ID, code); verdict.Valid || verdict.Status != "canceled" {
		t.Errorf("the code of a canceled one: %+v", verdict)
	}
	// It was on its way, so what became of it is still told.
	n.settled(v.Message.ID, "delivered")

	// One whose message still waits is never sent: the modem is busy with
	// the first.
	busy, waits := n.begin(mobile(4)), n.begin(mobile(5))
	if _, err := n.call(http.MethodDelete, "/v1/verifications/"+waits.ID, nil, nil); err != nil {
		t.Error(err)
	}
	n.settled(waits.Message.ID, "canceled")
	n.settled(busy.Message.ID, "delivered")
	after := n.begin(mobile(6))
	n.settled(after.Message.ID, "delivered")
	if got := n.sentTo()[mobile(5)]; len(got) != 0 {
		t.Error("a canceled message was sent")
	}
}

func (n *installation) expired(t *testing.T, v api.Verification) {
	n = n.in(t)
	code := n.received(mobile(7), 1)
	await(t, "expiry", func() error {
		if now := n.verification(v.ID); now.Status != "expired" {
			return &api.Problem{Code: now.Status}
		}
		return nil
	})
	if early := time.Until(v.ExpiresAt); early > 0 {
		t.Errorf("expired %v too early", early)
	}
	if verdict := n.check(v.ID, code); verdict.Valid || verdict.Status != "expired" {
		t.Errorf("the code after its end: %+v", verdict)
	}
	if m := n.message(v.Message.ID); m.Status != "delivered" {
		t.Errorf("the message of an expired one: %+v", m)
	}
}
