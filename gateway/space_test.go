package gateway

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/queue"
)

// limitedTo lets each SIM send so many messages a day.
func limitedTo(perDay int) func(*Options) {
	return func(o *Options) {
		policy := dispatch.DefaultPolicy()
		policy.Limits.PerDay = perDay
		o.Dispatch = &policy
	}
}

// A hundred starts at once get what the SIM may still send, and no more; the others
// are told when to ask again, and leave nothing behind.
func TestStartsWithoutRoomAreRefused(t *testing.T) {
	inWorld(t, limitedTo(7), func(t *testing.T, w *world) {
		w.radio.plug("a", takes(time.Second))
		w.pass(time.Second)
		var wg sync.WaitGroup
		var begun, refused atomic.Int64
		for i := range 100 {
			wg.Go(func() {
				to := fmt.Sprintf("+336123%05d", i)
				v, err := w.gw.Start(t.Context(), Call{Caller: "test"}, StartRequest{To: to})
				if err == nil {
					begun.Add(1)
					if v.MessageID == "" {
						t.Error("begun without a message")
					}
					return
				}
				e := AsError(err)
				if e.Code != CodeNoCapacity || e.Kind != Unavailable || e.RetryAfter < time.Second || e.RetryAfter > 24*time.Hour {
					t.Errorf("refused: %v, again after %v", err, e.RetryAfter)
				}
				refused.Add(1)
			})
		}
		wg.Wait()
		if begun.Load() != 7 || refused.Load() != 93 {
			t.Errorf("%d begun, %d refused", begun.Load(), refused.Load())
		}
		w.pass(time.Minute)
		w.sent(7)
	})
}

// What needs no message needs no room: a verification goes on, and a reply is given
// again.
func TestNoRoomIsNeededWithoutAMessage(t *testing.T) {
	inWorld(t, limitedTo(1), func(t *testing.T, w *world) {
		w.radio.plug("a", takes(time.Second))
		w.pass(time.Second)
		call := Call{Caller: "test", IdempotencyKey: "k"}
		first, err := w.gw.Start(t.Context(), call, StartRequest{To: alice, Subject: "s"})
		w.must(err)
		w.pass(5 * time.Second)
		w.message(first.MessageID, queue.Accepted)
		again, err := w.gw.Start(t.Context(), call, StartRequest{To: alice, Subject: "s"})
		w.must(err)
		if again.ID != first.ID {
			t.Error("another reply")
		}
		on, err := w.gw.Start(t.Context(), Call{Caller: "test"}, StartRequest{To: alice, Subject: "s"})
		w.must(err)
		if on.ID != first.ID || !on.Continued {
			t.Errorf("it does not go on: %+v", on)
		}
		_, err = w.gw.Start(t.Context(), Call{Caller: "test"}, StartRequest{To: alice})
		w.refusedWith(err, CodeNoCapacity)
		w.pass(2 * time.Minute)
		_, err = w.gw.Resend(t.Context(), Call{Caller: "test"}, first.ID)
		w.refusedWith(err, CodeNoCapacity)
	})
}

// Room that a start was given and did not use is there for the next one.
func TestUnusedRoomIsGivenBack(t *testing.T) {
	inWorld(t, limitedTo(2), func(t *testing.T, w *world) {
		w.radio.plug("a", takes(time.Second))
		w.pass(time.Second)
		first := w.start(alice, "s")
		for range 10 { // each asks for room, and goes on with the first
			if v := w.start(alice, "s"); v.ID != first.ID {
				t.Fatalf("another verification: %+v", v)
			}
		}
		w.start("+33698765432", "")
		w.pass(10 * time.Second)
		w.sent(2)
	})
}
