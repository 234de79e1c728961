package queue

import (
	"fmt"
	"testing"
	"time"
)

func TestOneReferenceTwice(t *testing.T) {
	for _, c := range []struct {
		name string
		// scts is when the service centre took the message, after the second
		// one was sent.
		scts  time.Duration
		known bool
		first bool
	}{
		{"after the second was sent", time.Second, true, false},
		{"before the second was sent", -30 * time.Minute, true, true},
		{"a little before, as clocks differ", -5 * time.Minute, true, false},
		{"unknown", 0, false, false},
		{"before both", -3 * time.Hour, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			first := taken(t, o, alice, 7)
			o.pass(time.Hour)
			second := taken(t, o, alice, 7)
			var scts time.Time
			if c.known {
				scts = o.now().Add(c.scts)
			}
			out, matched := o.report(t, "a", 7, alice, FateDelivered, scts)
			if want := map[bool]ID{true: first, false: second}[c.first]; !matched || out.ID != want {
				t.Errorf("matched: %v; the first one: %v, want %v", matched, out.ID == first, c.first)
			}
		})
	}
}

func TestReportOnADoubt(t *testing.T) {
	for _, c := range []struct {
		name    string
		doubts  int
		scts    time.Duration
		matched bool
	}{
		{"the only one", 1, time.Second, true},
		{"clocks differ", 1, 5 * time.Minute, true},
		{"sent long after", 1, 67 * time.Minute, false},
		{"sent long before", 1, -67 * time.Minute, false},
		{"one of two", 2, time.Second, false},
		{"a zone to the east", 1, time.Hour + 2*time.Second, true},
		{"a zone to the west", 1, -5*time.Hour + 2*time.Second, true},
		{"quarters of an hour", 1, 5*time.Hour + 45*time.Minute + time.Second, true},
		{"the farthest zone", 1, 14 * time.Hour, true},
		{"no zone is so far", 1, 15 * time.Hour, false},
		{"one of two in a zone", 2, time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			for range c.doubts {
				inDoubt(t, o)
			}
			if _, matched := o.report(t, "a", 7, alice, FateDelivered, o.now().Add(c.scts)); matched != c.matched {
				t.Errorf("matched: %v", matched)
			}
		})
	}
}

// A modem counts its references anew after a restart, or has one for all that
// it sends: the time stamp tells whose a report is, whichever comes first, and
// once more when it is repeated.
func TestReferenceIsUsedAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		// gap is between the begins of two attempts, skew how far the service
		// centre's clock is off.
		gap, skew time.Duration
	}{
		{"at once", 6 * time.Second, 0},
		{"within the minute", time.Minute, 0},
		{"within the tolerance", 9 * time.Minute, 0},
		{"after the tolerance", 20 * time.Minute, 0},
		{"the clock is slow", time.Minute, -20 * time.Second},
		{"the clock is fast", time.Minute, 20 * time.Second},
		{"the zone is wrong", time.Minute, time.Hour},
		{"the zone is wrong the other way", time.Minute, -90 * time.Minute},
	} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
			t.Run(fmt.Sprint(c.name, order), func(t *testing.T) {
				o := newOffice(t)
				var ids []ID
				var scts []time.Time
				for range 3 {
					id := o.enqueue(t, alice, 10*time.Minute)
					b := o.begin(t, id, o.carrier("a"))
					o.pass(2 * time.Second)
					scts = append(scts, o.now().Add(c.skew).Truncate(time.Second))
					o.pass(time.Second)
					o.settle(t, b, accepted(0))
					ids = append(ids, id)
					o.pass(c.gap - 3*time.Second)
				}
				for _, i := range order {
					for range 2 {
						if out, matched := o.report(t, "a", 0, alice, FateDelivered, scts[i]); !matched || out.ID != ids[i] {
							t.Errorf("the report on %d: matched %v", i, matched)
						}
					}
				}
				for _, id := range ids {
					o.want(t, id, Delivered)
				}
			})
		}
	}
}

// A reference that was used before belongs to the message in the air, or in
// doubt, if the time says so.
func TestReferenceIsUsedAgainInTheAir(t *testing.T) {
	for name, result := range map[string]Settlement{"accepted": accepted(0), "in doubt": doubt()} {
		o := newOffice(t)
		first := taken(t, o, alice, 0)
		o.report(t, "a", 0, alice, FateDelivered, o.now())
		o.pass(time.Minute)
		id := o.enqueue(t, alice, 5*time.Minute)
		b := o.begin(t, id, o.carrier("a"))
		o.pass(time.Second)
		if _, matched := o.report(t, "a", 0, alice, FateDelivered, o.now()); matched {
			t.Errorf("%s: the report is taken for another on the first", name)
		}
		o.pass(time.Second)
		o.settle(t, b, result)
		o.want(t, id, Delivered)
		o.want(t, first, Delivered)
	}
	o := newOffice(t)
	taken(t, o, alice, 0)
	o.pass(time.Hour + 7*time.Minute)
	id := inDoubt(t, o)
	o.pass(time.Second)
	if out, matched := o.report(t, "a", 0, alice, FateDelivered, o.now()); !matched || out.ID != id {
		t.Errorf("the report on the doubt: matched %v", matched)
	}
}

// What was reported as failed is delivered all the same, also by a service
// centre that stamps each report anew.
func TestTimeStampOfEachReport(t *testing.T) {
	o := newOffice(t)
	id := taken(t, o, alice, 7)
	for _, fate := range []Fate{FateTrying, FateUndeliverable, FateDelivered} {
		o.pass(time.Minute)
		if _, matched := o.report(t, "a", 7, alice, fate, o.now()); !matched {
			t.Errorf("%s: not matched", fate)
		}
	}
	o.want(t, id, Delivered)
}
