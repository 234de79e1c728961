package queue

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"smsotpd/storage"
)

// TS 23.040 9.2.3.12.1: 0–143 are (VP + 1) × 5 min, 144–167 12 h + (VP - 143) ×
// 30 min, 168–196 (VP - 166) × 1 day, 197–255 (VP - 192) × 1 week.
func relative(octet byte) time.Duration {
	const day = 24 * time.Hour
	n := time.Duration(octet)
	switch {
	case n <= 143:
		return (n + 1) * 5 * time.Minute
	case n <= 167:
		return 12*time.Hour + (n-143)*30*time.Minute
	case n <= 196:
		return (n - 166) * day
	}
	return (n - 192) * 7 * day
}

func TestValidity(t *testing.T) {
	for want := range 256 {
		octet := byte(want)
		step := relative(octet)
		longest := 1000 * 24 * time.Hour
		if octet < 255 {
			longest = relative(octet+1) - 1
		}
		for _, left := range []time.Duration{step, step + 1, longest} {
			if got, lasts := Validity(left); got != octet || lasts != step {
				t.Errorf("%v left: octet %d of %v, want %d of %v", left, got, lasts, octet, step)
			}
		}
	}
	for _, left := range []time.Duration{-time.Hour, 0, time.Second, 5*time.Minute - 1} {
		if got, lasts := Validity(left); got != 0 || lasts != 5*time.Minute {
			t.Errorf("%v left: octet %d of %v", left, got, lasts)
		}
	}
}

func TestNothingIsBegunWithTooLittleLife(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 5*time.Minute)
	begin := func() error {
		return o.store.Update(t.Context(), func(tx storage.Tx) error {
			_, err := o.Begin(tx, id, o.carrier("a"), Choice{})
			return err
		})
	}
	o.pass(4*time.Minute + 40*time.Second + time.Microsecond)
	if send, _ := o.Next(o.get(t, id), o.now()); !send.IsZero() {
		t.Error("Next says that it is to be sent")
	}
	if err := begin(); !errors.Is(err, ErrNotSendable) {
		t.Errorf("begun with 20 s less a moment: %v", err)
	}
	o.clock.Add(-1)
	o2 := o.enqueue(t, alice, 20*time.Second)
	if send, _ := o.Next(o.get(t, o2), o.now()); send.IsZero() {
		t.Error("Next says that a message of 20 s is not to be sent")
	}
	o.begin(t, o2, o.carrier("a"))
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		name  string
		s     Settlement
		waits []time.Duration
	}{
		{"temporary", Settlement{Result: ResultTemporary}, []time.Duration{2, 4, 8, 16, 32, 32}},
		{"at once by another SIM", Settlement{Result: ResultTemporary, OtherSIM: true}, []time.Duration{0, 4, 8, 16, 32, 32}},
		{"the SIM's own fault", Settlement{Result: ResultSIM}, []time.Duration{0, 4, 8, 16, 32, 32}},
		{"the SIM's own fault, and others are there", Settlement{Result: ResultSIM, OtherSIM: true}, []time.Duration{0, 0, 0, 0}},
		{"soon", Settlement{Result: ResultTemporary, Soon: time.Second}, []time.Duration{1, 4, 8, 16, 32, 32}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.enqueue(t, alice, 10*time.Minute)
			for i, want := range c.waits {
				o.send(t, id, "a", c.s)
				send, _ := o.Next(o.want(t, id, Queued), o.now())
				wait := send.Sub(o.now())
				if unit := max(want, want*time.Second); wait != unit {
					t.Fatalf("wait %d is %v, want %v", i+1, wait, unit)
				}
				o.pass(wait)
			}
		})
	}
}

func TestLeases(t *testing.T) {
	o := newOffice(t)
	here, gone := o.carrier("a"), Carrier{Session: "gone", Modem: "z"}
	for _, c := range []struct {
		name         string
		holder, then Carrier
		wait         time.Duration
		free         bool
	}{
		{"another modem of this process", here, o.carrier("b"), 0, true},
		{"of a session that is gone", gone, here, 0, true},
		{"of a living session", here, gone, time.Minute - 1*time.Microsecond, false},
		{"of a living session, over", here, gone, time.Minute, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := o.enqueue(t, alice, 5*time.Minute)
			o.do(t, func(tx storage.Tx) error { return o.Lease(tx, id, c.holder, time.Minute) })
			o.pass(c.wait)
			err := o.store.Update(t.Context(), func(tx storage.Tx) error {
				_, err := o.Begin(tx, id, c.then, Choice{})
				return err
			})
			if free := err == nil; free != c.free || err != nil && !errors.Is(err, ErrNotSendable) {
				t.Errorf("begun: %v (%v), want %v", free, err, c.free)
			}
		})
	}
}

func TestRecover(t *testing.T) {
	o := newOffice(t)
	recovered := func(id ID) State {
		return o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Recover(tx, id) }).Message.State
	}
	mine, orphan, queued := o.enqueue(t, alice, time.Minute), o.enqueue(t, alice, time.Minute), o.enqueue(t, alice, time.Minute)
	o.begin(t, mine, o.carrier("a"))
	o.begin(t, orphan, Carrier{Session: "gone", Modem: "z", IMSI: "z"})
	for id, want := range map[ID]State{mine: Sending, orphan: Ambiguous, queued: Queued} {
		if got := recovered(id); got != want {
			t.Errorf("recovered to %s, want %s", got, want)
		}
	}
}

func TestAvoid(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 10*time.Minute)
	o.send(t, id, "a", Settlement{Result: ResultTemporary})
	o.send(t, id, "b", doubt())
	held(t, o, id)
	o.begin(t, id, o.carrier("c"))
	m := o.get(t, id)
	if got := fmt.Sprint(m.Avoid()); got != "[imsi-a imsi-b]" {
		t.Errorf("avoids %s", got)
	}
}

func TestForgetLeavesNothing(t *testing.T) {
	o := newOffice(t)
	ids := []ID{
		o.enqueue(t, alice, 5*time.Minute), // stays queued
		taken(t, o, alice, 1),
		taken(t, o, alice, 2),
		inDoubt(t, o),
	}
	held(t, o, ids[3])
	o.send(t, ids[3], "b", accepted(9))
	busy := o.enqueue(t, bob, 5*time.Minute)
	for i := range 20 {
		o.send(t, busy, fmt.Sprint("m", i), Settlement{Result: ResultTemporary})
	}
	ids = append(ids, busy)
	o.report(t, "a", 1, alice, FateDelivered, o.now())
	o.report(t, "c", 1, alice, FateDelivered, o.now()) // held
	for _, id := range ids {
		if keys := o.keysOf(t, func(tx storage.Tx) error { return o.Forget(tx, id) }); keys > 4 {
			t.Errorf("forgetting takes %d keys", keys)
		}
		if err := o.store.View(t.Context(), func(tx storage.Tx) error { _, err := o.Get(tx, id); return err }); !errors.Is(err, ErrNotFound) {
			t.Errorf("a forgotten message: %v", err)
		}
	}
	o.do(t, func(tx storage.Tx) error { return o.Forget(tx, ids[0]) }) // twice
	o.pass(3 * 24 * time.Hour)
	o.dropped(t)
	for _, e := range o.dump(t) {
		t.Errorf("left behind: %q", e.Key)
	}
}

// The budget of design: a start touches 8 keys of the queue at most.
func TestKeyBudget(t *testing.T) {
	o := newOffice(t)
	d := o.Draft(Address{To: alice, Region: "FR"})
	o.Write(&d, []byte("owner"), "text")
	if n := o.keysOf(t, func(tx storage.Tx) error {
		_, err := o.Enqueue(tx, d, tx.Now().Add(time.Minute))
		return err
	}); n > 2 {
		t.Errorf("enqueueing takes %d keys", n)
	}
	// The gap between two messages, at its worst.
	ahead := o.enqueue(t, alice, time.Minute)
	b := o.begin(t, d.ID, o.carrier("a"))
	o.pass(time.Second)
	for i := range scanHeld {
		o.report(t, "a", 7, alice, FateDelivered, o.now().Add(time.Duration(i)))
	}
	if n := o.keysOf(t, func(tx storage.Tx) error {
		if _, err := o.Settle(tx, b.ID, b.Attempt, accepted(7)); err != nil {
			return err
		}
		_, err := o.Begin(tx, ahead, o.carrier("a"), Choice{})
		return err
	}); n > 2*scanHeld+7 {
		t.Errorf("a gap takes %d keys", n)
	}
	if n := o.keysOf(t, func(tx storage.Tx) error { _, err := o.Withdraw(tx, ahead, Canceled); return err }); n > 2 {
		t.Errorf("withdrawing takes %d keys", n)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 30*24*time.Hour)
	for range maxAttempts - 1 {
		o.send(t, id, "a", Settlement{Result: ResultTemporary, Cause: "cms-42"})
		o.pass(time.Minute)
	}
	o.want(t, id, Queued)
	o.send(t, id, "a", Settlement{Result: ResultTemporary, Cause: "cms-42"})
	if m := o.want(t, id, Failed); len(m.Attempts) != maxAttempts || m.Text != nil {
		t.Errorf("%d attempts, text kept: %v", len(m.Attempts), m.Text != nil)
	}
}
