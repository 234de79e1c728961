package queue

import (
	"testing"
	"time"

	"smsotpd/storage"
)

// moved is a message of five minutes that modem a has sent, and that was then
// given to another operator.
func moved(t *testing.T, o *office) ID {
	t.Helper()
	id := o.enqueue(t, alice, 5*time.Minute)
	o.send(t, id, "a", accepted(1))
	o.pass(45 * time.Second)
	o.give(t, id)
	if m := o.want(t, id, Queued); m.PossibleDuplicate || m.Unmoved()[0] != "imsi-a" {
		t.Fatalf("moved: %+v", m)
	}
	return id
}

func (o *office) give(t *testing.T, id ID) Outcome {
	t.Helper()
	return o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Move(tx, id) })
}

func TestWhatMayBeMoved(t *testing.T) {
	for name, c := range map[string]struct {
		before func(o *office, id ID)
		by     string
		want   State
	}{
		"accepted":          {func(o *office, id ID) { o.send(t, id, "a", accepted(1)) }, "", Queued},
		"for one SIM alone": {func(o *office, id ID) { o.send(t, id, "a", accepted(1)) }, "imsi-a", Accepted},
		"in doubt":          {func(o *office, id ID) { o.send(t, id, "a", doubt()) }, "", Ambiguous},
		"not sent yet":      {func(*office, ID) {}, "", Queued},
		"refused, then accepted": {func(o *office, id ID) {
			o.send(t, id, "b", Settlement{Result: ResultTemporary})
			o.send(t, id, "a", accepted(1))
		}, "", Queued},
		"the phone is off": {func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.report(t, "a", 1, alice, FateTrying, time.Time{})
		}, "", Accepted},
		"delivered": {func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.report(t, "a", 1, alice, FateDelivered, time.Time{})
		}, "", Delivered},
		"sent twice": {func(o *office, id ID) {
			o.send(t, id, "a", doubt())
			held(t, o, id)
			o.send(t, id, "b", accepted(1))
		}, "", Accepted},
		"nobody waits for it": {func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, id, Canceled) })
		}, "", Accepted},
		"too old": {func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.pass(5*time.Minute - 10*time.Second)
		}, "", Accepted},
	} {
		o := newOffice(t)
		d := o.Draft(Address{To: alice, Region: "FR", By: c.by})
		o.Write(&d, []byte("owner"), "text")
		o.do(t, func(tx storage.Tx) error {
			_, err := o.Enqueue(tx, d, tx.Now().Add(5*time.Minute))
			return err
		})
		c.before(o, d.ID)
		attempts := len(o.get(t, d.ID).Attempts)
		o.give(t, d.ID)
		if m := o.get(t, d.ID); m.State != c.want || (m.Moved > 0) != (c.want == Queued && attempts > 0) {
			t.Errorf("%s: %s, moved after %d attempts", name, m.State, m.Moved)
		}
	}
}

// What becomes of a message that was moved, by what comes in and when.
func TestMovedMessages(t *testing.T) {
	late := func(fate Fate) func(*testing.T, *office, ID) {
		return func(t *testing.T, o *office, _ ID) { o.report(t, "a", 1, alice, fate, time.Time{}) }
	}
	second := func(s Settlement) func(*testing.T, *office, ID) {
		return func(t *testing.T, o *office, id ID) { o.send(t, id, "b", s) }
	}
	answered := func(r Result) func(*testing.T, *office, ID) {
		return func(t *testing.T, o *office, id ID) { o.late(t, id, 1, Settlement{Result: r}) }
	}
	reported := func(t *testing.T, o *office, _ ID) { o.report(t, "b", 2, alice, FateDelivered, time.Time{}) }
	expire := func(t *testing.T, o *office, id ID) {
		o.pass(5 * time.Minute)
		o.advance(t, id)
	}
	wait := func(d time.Duration) func(*testing.T, *office, ID) {
		return func(t *testing.T, o *office, id ID) {
			o.pass(d)
			o.advance(t, id)
		}
	}
	for name, c := range map[string]struct {
		steps []func(*testing.T, *office, ID)
		want  State
		wiped bool
	}{
		"the phone was off":                     {steps(late(FateTrying)), Accepted, false},
		"it came after all":                     {steps(late(FateDelivered)), Delivered, true},
		"the first is given up":                 {steps(late(FateGaveUp)), Queued, false},
		"accepted":                              {steps(second(accepted(2))), Accepted, true},
		"accepted, and the first comes":         {steps(second(accepted(2)), late(FateDelivered)), Delivered, true},
		"accepted, and it comes":                {steps(second(accepted(2)), reported), Delivered, true},
		"refused for good":                      {steps(second(Settlement{Result: ResultDestination})), Accepted, false},
		"refused for good, and the first comes": {steps(second(Settlement{Result: ResultDestination}), late(FateDelivered)), Delivered, true},
		"refused for a while":                   {steps(second(Settlement{Result: ResultTemporary})), Queued, false},
		"refused, and the phone was off":        {steps(second(Settlement{Result: ResultTemporary}), late(FateTrying)), Accepted, false},
		"in doubt":                              {steps(second(doubt())), Ambiguous, true},
		"in doubt for ever":                     {steps(second(doubt()), wait(31*time.Second)), Ambiguous, true},
		"in doubt, then refused":                {steps(second(doubt()), answered(ResultTemporary)), Accepted, true},
		"in doubt, then refused for good":       {steps(second(doubt()), answered(ResultDestination)), Accepted, true},
		"in doubt, then refused, and it comes":  {steps(second(doubt()), answered(ResultSIM), late(FateDelivered)), Delivered, true},
		"in doubt, the first given up, refused": {steps(second(doubt()), late(FateGaveUp), answered(ResultTemporary)), Undelivered, true},
		"in doubt, then refused, and nothing":   {steps(second(doubt()), answered(ResultTemporary), wait(10*time.Minute)), Unconfirmed, true},
		"in doubt, and the first comes":         {steps(second(doubt()), late(FateDelivered)), Delivered, true},
		"nobody takes it":                       {steps(expire), Unconfirmed, true},
		"nobody takes it, and the first comes":  {steps(expire, late(FateDelivered)), Delivered, true},
	} {
		o := newOffice(t)
		id := moved(t, o)
		for _, step := range c.steps {
			step(t, o, id)
		}
		m := o.get(t, id)
		if m.State != c.want || (m.Text == nil) != c.wiped {
			t.Errorf("%s: %s, wiped: %v", name, m.State, m.Text == nil)
		}
		if out := o.give(t, id); out.Changed() {
			t.Errorf("%s: moved twice", name)
		}
		if sent := m.sent() > 1; m.PossibleDuplicate != (len(m.Attempts) > 1) || sent && m.Attempts[1].IMSI != "imsi-b" {
			t.Errorf("%s: possible duplicate: %v, sent twice: %v", name, m.PossibleDuplicate, sent)
		}
	}
}

func steps(all ...func(*testing.T, *office, ID)) []func(*testing.T, *office, ID) { return all }

func TestBothArrive(t *testing.T) {
	o := newOffice(t)
	id := moved(t, o)
	o.send(t, id, "b", accepted(2))
	if out, _ := o.report(t, "a", 1, alice, FateDelivered, time.Time{}); out.Duplicate || !out.Changed() {
		t.Errorf("the first: %+v", out)
	}
	if out, _ := o.report(t, "b", 2, alice, FateDelivered, time.Time{}); !out.Duplicate || out.Changed() {
		t.Errorf("the second: %+v", out)
	}
}

func TestCodeOfAMovedMessageIsEntered(t *testing.T) {
	for _, sole := range []bool{true, false} {
		o := newOffice(t)
		id := moved(t, o)
		o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Proven(tx, id, sole) })
		want := map[bool]State{true: Delivered, false: Unconfirmed}[sole]
		if m := o.get(t, id); m.State != want || m.Text != nil {
			t.Errorf("sole %v: %s", sole, m.State)
		}
	}
}
