package gateway

import (
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
)

func TestResend(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		for i, wait := range []time.Duration{30, 60, 120} {
			_, err := w.gw.Resend(t.Context(), Call{}, v.ID)
			if e := w.refusedWith(err, CodeCooldown); e.RetryAfter <= 0 || e.RetryAfter > wait*time.Second {
				t.Fatalf("resend %d: retry after %v", i, e.RetryAfter)
			}
			w.pass(wait * time.Second)
			again, err := w.gw.Resend(t.Context(), Call{}, v.ID)
			w.must(err)
			if again.ID != v.ID || again.MessageID == v.MessageID || again.ExpiresAt != v.ExpiresAt {
				t.Fatalf("a resend: %+v", again)
			}
		}
		w.pass(time.Second)
		heard := w.sent(4)
		for _, s := range heard {
			if s.code() != heard[0].code() {
				t.Fatal("a resend changed the code")
			}
		}
		if !w.check(v.ID, heard[0].code()).Valid {
			t.Fatal("the code failed")
		}
		_, err := w.gw.Resend(t.Context(), Call{}, v.ID)
		w.refusedWith(err, CodeNotPending)
	})
}

func TestResendWithNewCode(t *testing.T) {
	inWorld(t, func(o *Options) { o.Services[0].Verification.NewCode = true }, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.check(v.ID, "x")
		w.pass(30 * time.Second)
		_, err := w.gw.Resend(t.Context(), Call{}, v.ID)
		w.must(err)
		w.pass(time.Second)
		heard := w.sent(2)
		if heard[0].code() == heard[1].code() {
			t.Skip("one in a million: the new code is the old one")
		}
		if verdict := w.check(v.ID, heard[0].code()); verdict.Valid || verdict.ChecksLeft != 3 {
			t.Fatalf("the old code: %+v", verdict)
		}
		if !w.check(v.ID, heard[1].code()).Valid {
			t.Fatal("the new code failed")
		}
	})
}

func TestResendSupersedesWhatIsQueued(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		v := w.start(alice, "")
		w.pass(30 * time.Second)
		again, err := w.gw.Resend(t.Context(), Call{}, v.ID)
		w.must(err)
		w.message(v.MessageID, queue.Superseded)
		w.radio.plug("a", takes(0))
		w.pass(time.Second)
		w.sent(1)
		w.message(again.MessageID, queue.Accepted)
	})
}

func TestStartContinuesBySubject(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "user-1")
		w.pass(10 * time.Second)
		reload := w.start(alice, "user-1")
		if reload.ID != v.ID || !reload.Continued {
			t.Fatalf("a reload began anew: %+v", reload)
		}
		w.pass(time.Second)
		w.sent(1)
		// Another subject, and none, stand alone.
		if other := w.start(alice, "user-2"); other.ID == v.ID {
			t.Fatal("another subject got the first one's verification")
		}
		if alone := w.start(alice, ""); alone.ID == v.ID {
			t.Fatal("a stranger got the first one's verification")
		}
		// After the cooldown it sends the same code again.
		w.pass(30 * time.Second)
		if later := w.start(alice, "user-1"); later.ID != v.ID || !later.Continued {
			t.Fatalf("after the cooldown: %+v", later)
		}
		w.pass(time.Second)
		heard := w.sent(4)
		if heard[3].code() != heard[0].code() {
			t.Fatal("the code changed")
		}
		// With less than a minute left it ends the old one and begins anew.
		w.pass(3*time.Minute + 25*time.Second)
		fresh := w.start(alice, "user-1")
		if fresh.ID == v.ID || fresh.Continued {
			t.Fatalf("with little life left: %+v", fresh)
		}
		w.status(v.ID, verification.Canceled)
	})
}

func TestCooldownContinuesBySubject(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "user-1")
		_, err := w.gw.Cancel(t.Context(), v.ID)
		w.must(err)
		_, err = w.gw.Start(t.Context(), Call{}, StartRequest{To: alice, Subject: "user-1"})
		w.refusedWith(err, CodeCooldown)
		w.pass(30 * time.Second)
		second := w.start(alice, "user-1")
		if got := second.ResendAt.Sub(second.CreatedAt); got != time.Minute {
			t.Fatalf("the second cooldown is %v", got)
		}
		// Success begins again at the first step.
		w.pass(time.Second)
		heard := w.radio.heard()
		if !w.check(second.ID, heard[len(heard)-1].code()).Valid {
			t.Fatal("the code failed")
		}
		third := w.start(alice, "user-1")
		if got := third.ResendAt.Sub(third.CreatedAt); got != 30*time.Second {
			t.Fatalf("the cooldown after success is %v", got)
		}
	})
}
