package queue

import (
	"testing"
	"time"

	"smsotpd/storage"
)

func TestTextIsKeptNoLongerThanItCanBeSent(t *testing.T) {
	withdraw := func(o *office, id ID) {
		o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Withdraw(tx, id, Canceled) })
	}
	again := func(o *office, id ID) {
		o.pass(30 * time.Second)
		o.advance(t, id)
	}
	for _, c := range []struct {
		name  string
		act   func(o *office, id ID)
		state State
		kept  bool
	}{
		{"queued", func(*office, ID) {}, Queued, true},
		{"canceled", withdraw, Canceled, false},
		{"in the air", func(o *office, id ID) { o.begin(t, id, o.carrier("a")) }, Sending, true},
		{"in the air, canceled", func(o *office, id ID) { o.begin(t, id, o.carrier("a")); withdraw(o, id) }, Sending, false},
		{"accepted", func(o *office, id ID) { o.send(t, id, "a", accepted(1)) }, Accepted, true},
		{"accepted, canceled", func(o *office, id ID) { o.send(t, id, "a", accepted(1)); withdraw(o, id) }, Accepted, false},
		{"accepted, code expired", func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.pass(5 * time.Minute)
			o.advance(t, id)
		}, Accepted, false},
		{"refused for now", func(o *office, id ID) { o.send(t, id, "a", Settlement{Result: ResultTemporary}) }, Queued, true},
		{"refused for good", func(o *office, id ID) { o.send(t, id, "a", Settlement{Result: ResultDestination}) }, Failed, false},
		{"in doubt", func(o *office, id ID) { o.send(t, id, "a", doubt()) }, Ambiguous, true},
		{"in doubt, canceled", func(o *office, id ID) { o.send(t, id, "a", doubt()); withdraw(o, id) }, Ambiguous, false},
		{"in doubt for a second time", func(o *office, id ID) {
			o.send(t, id, "a", doubt())
			again(o, id)
			o.send(t, id, "a", doubt())
		}, Ambiguous, false},
		{"accepted after a doubt", func(o *office, id ID) {
			o.send(t, id, "a", doubt())
			again(o, id)
			o.send(t, id, "a", accepted(1))
		}, Accepted, false},
		{"in doubt, too old for another", func(o *office, id ID) {
			o.pass(4*time.Minute + 20*time.Second)
			o.send(t, id, "a", doubt())
			again(o, id)
		}, Ambiguous, false},
		{"delivered", func(o *office, id ID) {
			o.send(t, id, "a", accepted(1))
			o.report(t, "a", 1, alice, FateDelivered, time.Time{})
		}, Delivered, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := o.enqueue(t, alice, 5*time.Minute)
			c.act(o, id)
			m := o.want(t, id, c.state)
			if (m.Text != nil) != c.kept || (m.To != nil) != c.kept {
				t.Errorf("text kept: %v, recipient kept: %v, want %v", m.Text != nil, m.To != nil, c.kept)
			}
		})
	}
}
