package queue

import (
	"testing"
	"time"

	"smsotpd/storage"
)

// inDoubt is a message of five minutes whose only attempt, by modem a, is in
// doubt.
func inDoubt(t *testing.T, o *office) ID {
	t.Helper()
	id := o.enqueue(t, alice, 5*time.Minute)
	o.send(t, id, "a", doubt())
	o.want(t, id, Ambiguous)
	return id
}

// held lets the hold of a message in doubt go by.
func held(t *testing.T, o *office, id ID) {
	t.Helper()
	o.pass(30 * time.Second)
	o.advance(t, id)
	o.want(t, id, Queued)
}

func TestPossibleDuplicateMeansSentAgain(t *testing.T) {
	o := newOffice(t)
	id := inDoubt(t, o)
	held(t, o, id)
	if o.get(t, id).PossibleDuplicate {
		t.Error("marked before it was sent again")
	}
	o.begin(t, id, o.carrier("b"))
	if !o.get(t, id).PossibleDuplicate {
		t.Error("not marked although it was sent again")
	}
	other := inDoubt(t, o)
	held(t, o, other)
	o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, other, Canceled) })
	if m := o.want(t, other, Unconfirmed); m.PossibleDuplicate {
		t.Error("marked although it was not sent again")
	}
}
