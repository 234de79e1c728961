package gateway

import (
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

func TestIdempotency(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		call := Call{Caller: "k1", IdempotencyKey: "abc", Body: []byte(`{"to":"x"}`)}
		w.pass(1234567 * time.Microsecond) // a time that is no whole second
		var replies sync.Map
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				v, err := w.gw.Start(t.Context(), call, StartRequest{To: alice})
				if err != nil {
					t.Error(err)
				}
				replies.Store(v, nil)
			})
		}
		wg.Wait()
		n := 0
		var first Verification
		replies.Range(func(v, _ any) bool { n++; first = v.(Verification); return true })
		if n != 1 {
			t.Fatalf("%d different replies", n)
		}
		w.pass(time.Second)
		w.sent(1)
		again, err := w.gw.Start(t.Context(), call, StartRequest{To: alice})
		w.must(err)
		if again != first {
			t.Fatalf("a replay differs:\n%+v\n%+v", again, first)
		}
		other := call
		other.Body = []byte(`{"to":"y"}`)
		_, err = w.gw.Start(t.Context(), other, StartRequest{To: bob})
		w.refusedWith(err, CodeIdempotency)
		other.Caller = "k2"
		if v, err := w.gw.Start(t.Context(), other, StartRequest{To: bob}); err != nil || v.ID == first.ID {
			t.Fatalf("another caller's key: %v", err)
		}
		// A replayed check is not charged.
		for range 10 {
			v, err := w.gw.Check(t.Context(), call, first.ID, "x")
			w.must(err)
			if v.ChecksLeft != 4 {
				t.Fatalf("a replayed check was charged: %+v", v)
			}
		}
		w.pass(24*time.Hour + time.Minute)
		if v, err := w.gw.Start(t.Context(), call, StartRequest{To: alice}); err != nil || v.ID == first.ID {
			t.Fatalf("after 24 h: %v %v", v.ID == first.ID, err)
		}
	})
}

// An idempotency key names one request: the same key with another operation,
// or about another verification, is another one.
func TestIdempotencyKeyIsOfOneOperation(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		call := Call{Caller: "k1", IdempotencyKey: "abc"}
		v, err := w.gw.Start(t.Context(), call, StartRequest{To: alice})
		w.must(err)
		other := w.start(bob, "")
		for _, id := range []string{v.ID, other.ID} {
			if verdict, err := w.gw.Check(t.Context(), call, id, "x"); err != nil || verdict.ID != id || verdict.ChecksLeft != 4 {
				t.Errorf("check: %+v, %v", verdict, err)
			}
		}
		w.pass(time.Minute)
		for _, id := range []string{v.ID, other.ID} {
			if again, err := w.gw.Resend(t.Context(), call, id); err != nil || again.ID != id || again.MessageStatus != queue.Queued {
				t.Errorf("resend: %+v, %v", again, err)
			}
		}
	})
}

// Replies are kept for 24 hours, over midnight, and not much longer.
func TestRepliesAreKeptForADay(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		kept := func() (n int) {
			w.must(w.store.View(t.Context(), func(tx storage.Tx) error {
				rows, err := w.gw.replies.table.Scan(tx, nil, nil, 10)
				n = len(rows)
				return err
			}))
			return n
		}
		w.pass(20 * time.Hour) // the bubble's time begins at midnight
		call := Call{Caller: "k1", IdempotencyKey: "abc"}
		first, err := w.gw.Start(t.Context(), call, StartRequest{To: alice})
		w.must(err)
		w.pass(23 * time.Hour)
		if again, err := w.gw.Start(t.Context(), call, StartRequest{To: alice}); err != nil || again != first {
			t.Errorf("after 23 h: %+v, %v", again, err)
		}
		w.pass(24*time.Hour + time.Minute)
		if n := kept(); n != 0 {
			t.Errorf("%d replies are kept after 47 h", n)
		}
	})
}
