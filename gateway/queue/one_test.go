package queue

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"smsotpd/storage"
)

// sentOne is a message that modem a sends in 2 s, with reference 0 or in doubt,
// and the time at which a service centre whose clock is off takes it.
func sentOne(t *testing.T, o *office, s Settlement, skew time.Duration) (ID, time.Time) {
	t.Helper()
	id := o.enqueue(t, alice, 30*time.Minute)
	b := o.begin(t, id, o.carrier("a"))
	o.pass(time.Second)
	taken := o.now().Add(skew)
	o.pass(time.Second)
	o.settle(t, b, s)
	return id, taken
}

// A modem has one reference for all that it sends: neither a doubt among them
// nor a clock that is off lets a message take the report on another.
func TestOneReferenceForAll(t *testing.T) {
	fates := []Fate{FateDelivered, FateUndeliverable, FateDelivered, FateUndeliverable, FateDelivered}
	for _, c := range []struct {
		gap, skew time.Duration
		// doubt is which message is in doubt, soon how many are reported on
		// before the next is sent, which shows the clock.
		doubt, soon int
	}{
		{20 * time.Second, 0, -1, 0},
		{20 * time.Second, 0, 0, 0},
		{20 * time.Second, 0, 2, 0},
		{9 * time.Minute, 0, 0, 0},
		{20 * time.Second, 20 * time.Second, -1, 1},
		{20 * time.Second, -20 * time.Second, -1, 1},
		{time.Minute, 2 * time.Minute, -1, 1},
		{time.Minute, -2 * time.Minute, -1, 1},
		{time.Minute, -2 * time.Minute, 3, 1},
	} {
		for _, order := range [][]int{{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 0, 4, 1, 3}} {
			t.Run(fmt.Sprint(c, order), func(t *testing.T) {
				o := newOffice(t)
				ids, scts := make([]ID, len(fates)), make([]time.Time, len(fates))
				for i, fate := range fates {
					s := accepted(0)
					if i == c.doubt {
						s = doubt()
					}
					ids[i], scts[i] = sentOne(t, o, s, c.skew)
					if i < c.soon {
						o.report(t, "a", 0, alice, fate, scts[i])
					}
					o.pass(c.gap)
				}
				for _, i := range order {
					for range 2 {
						if out, matched := o.report(t, "a", 0, alice, fates[i], scts[i]); !matched || out.ID != ids[i] {
							t.Errorf("the report on %d is taken for one on %d", i, slices.Index(ids, out.ID))
						}
					}
				}
			})
		}
	}
}

// A report whose time is right takes a message back from one that was taken for
// its own because nothing fitted better.
func TestTheBetterTimeStampStays(t *testing.T) {
	o := newOffice(t)
	o.pass(time.Hour)
	id, taken := sentOne(t, o, accepted(0), 0)
	o.report(t, "a", 0, alice, FateDelivered, taken.Add(-time.Minute))
	for range 2 {
		if out, matched := o.report(t, "a", 0, alice, FateDelivered, taken); !matched || out.ID != id {
			t.Error("its own report is not matched")
		}
	}
	if _, matched := o.report(t, "a", 0, alice, FateDelivered, taken.Add(-time.Minute)); matched {
		t.Error("the other's report is matched once more")
	}
}

// Of several messages in doubt the time tells which a report is about, where it
// is near one and far from all others.
func TestTimeTellsDoubtsApart(t *testing.T) {
	for _, c := range []struct {
		gap, skew time.Duration
		matched   bool
	}{
		{20 * time.Second, 0, true},
		{20 * time.Second, 2 * time.Second, true},
		{5 * time.Second, 0, false},
		{20 * time.Second, 10 * time.Second, false},
	} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}} {
			o := newOffice(t)
			ids, scts := make([]ID, 3), make([]time.Time, 3)
			for i := range ids {
				ids[i], scts[i] = sentOne(t, o, doubt(), c.skew)
				o.pass(c.gap)
			}
			i := order[0]
			if out, matched := o.report(t, "a", byte(i), alice, FateDelivered, scts[i]); matched != c.matched || matched && out.ID != ids[i] {
				t.Errorf("%v: the report on %d: matched %v", c, i, matched)
			}
			if !c.matched {
				continue
			}
			for _, i := range order[1:] {
				if out, _ := o.report(t, "a", byte(i), alice, FateDelivered, scts[i]); out.ID != ids[i] {
					t.Errorf("%v: the report on %d is not matched", c, i)
				}
			}
		}
	}
}

// The report on a message that overtakes its answer isn't taken for one on an
// earlier message with the same reference, which nothing has been reported on.
func TestReportInTheAirIsNoEarlierMessages(t *testing.T) {
	for name, c := range map[string]struct {
		result      Settlement
		first, then State
	}{
		"accepted":   {accepted(0), Accepted, Undelivered},
		"in doubt":   {doubt(), Accepted, Undelivered},
		"refused":    {Settlement{Result: ResultTemporary}, Accepted, Queued},
		"given back": {Settlement{Result: ResultUnsent}, Accepted, Queued},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			first, taken := sentOne(t, o, accepted(0), 0)
			o.pass(time.Minute)
			id := o.enqueue(t, alice, 30*time.Minute)
			b := o.begin(t, id, o.carrier("a"))
			o.pass(time.Second)
			if _, matched := o.report(t, "a", 0, alice, FateUndeliverable, o.now()); matched {
				t.Error("the report is taken for one on the first message")
			}
			o.settle(t, b, c.result)
			o.want(t, id, c.then)
			o.want(t, first, c.first)
			o.pass(time.Second)
			if out, matched := o.report(t, "a", 0, alice, FateDelivered, taken); !matched || out.ID != first {
				t.Error("the report on the first message is not matched")
			}
			o.do(t, func(tx storage.Tx) error { return o.Forget(tx, first) })
			o.do(t, func(tx storage.Tx) error { return o.Forget(tx, id) })
			for _, e := range o.dump(t) {
				if bytes.HasPrefix(e.Key, []byte("siblings")) {
					t.Error("something is left among the siblings")
				}
			}
		})
	}
}

// What is in the air keeps no report from an earlier message.
func TestReportWhileAnotherIsInTheAir(t *testing.T) {
	for _, reported := range []Settlement{accepted(0), doubt()} {
		for _, skew := range []time.Duration{0, -20 * time.Second, 2 * time.Minute, 5 * time.Minute} {
			o := newOffice(t)
			first, taken := sentOne(t, o, reported, skew)
			o.pass(time.Minute)
			id := o.enqueue(t, alice, 30*time.Minute)
			o.begin(t, id, o.carrier("a"))
			o.pass(time.Second)
			if out, matched := o.report(t, "a", 0, alice, FateDelivered, taken); !matched || out.ID != first {
				t.Errorf("%s, off by %v: matched %v", reported.Result, skew, matched)
			}
			if n := o.keysOf(t, func(tx storage.Tx) error {
				_, err := o.Settle(tx, id, 0, Settlement{Result: ResultTemporary})
				return err
			}); n > 2 {
				t.Errorf("a refusal takes %d keys", n)
			}
			o.do(t, func(tx storage.Tx) error { return o.Forget(tx, id) })
		}
	}
	o := newOffice(t)
	sentOne(t, o, accepted(0), 0)
	id := o.enqueue(t, alice, 30*time.Minute)
	if n := o.keysOf(t, func(tx storage.Tx) error { _, err := o.Begin(tx, id, o.carrier("a"), Choice{}); return err }); n > 2 {
		t.Errorf("a begin takes %d keys", n)
	}
}
