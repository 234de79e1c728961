package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
)

// What the trial found only once in many thousand runs.

// distrusting is an index whose breaker for SIM a is open, and allows a message.
func distrusting() *index {
	x := newIndex(DefaultPolicy())
	x.breaker = func(sim, _ string) (bool, time.Time) { return sim == "a", time.Time{} }
	x.probe = func(string, string) bool { return true }
	return x
}

// A way that is made at the instant at which a SIM may send again makes nobody
// forget to look.
func TestWayMadeWhenABudgetRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := distrusting()
		a := x.plug("a")
		now := time.Now()
		x.stand("a", budget.Standing{Codes: now.Add(5 * time.Second)}, now, nil)
		x.wait(a)
		only := anyway()
		only.by = "a"
		x.put(nth(1), news{message: waiting(queue.LaneCode), want: only, send: now, now: now})
		x.mature()
		time.Sleep(5 * time.Second) // virtual time
		other := want{way: wayKey{noRule, "DE"}, away: []string{"a"}}
		x.put(nth(2), news{message: waiting(queue.LaneCode), want: other, send: now, now: now})
		x.mature()
		if e := handed(a); e == nil || e.id != nth(1) {
			t.Errorf("handed %+v", e)
		}
	})
}

// A line that would choose what waits for another SIM by now leaves it to that one.
func TestChoiceThatWaitsForASIMThatHasCome(t *testing.T) {
	x := newIndex(DefaultPolicy())
	b := x.plug("b")
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	e := x.tryTake(b)
	w := anyway()
	w.known = []string{"a", "b"}
	now := time.Now()
	x.put(nth(2), news{message: waiting(queue.LaneCode), want: w, send: now, now: now})
	a := x.plug("a")
	x.wait(a)
	chosen := x.choose(b)
	if got := handed(a); got == nil && chosen == nil || got != nil && chosen != nil {
		t.Errorf("handed %+v, chosen %+v", got, chosen)
	}
	x.begun(e)
}

// The room for a notice is given on whether or not somebody has looked since the
// lines have changed.
func TestRoomForANoticeIsGivenOn(t *testing.T) {
	for _, changed := range []bool{false, true} {
		x := newIndex(DefaultPolicy())
		a, b := x.plug("a"), x.plug("b")
		x.lay(nth(1), waiting(queue.LaneNotice), 0)
		if x.tryTake(a) == nil {
			t.Fatal("the first notice isn't taken")
		}
		x.wait(b)
		x.lay(nth(2), waiting(queue.LaneNotice), 0)
		if handed(b) != nil {
			t.Fatal("no line is left for codes")
		}
		if changed {
			x.era++
		}
		x.flew(a, 0, false)
		if handed(b) == nil {
			t.Errorf("changed %v: the room isn't given on", changed)
		}
	}
}

// A line that is distrusted is tried by a message that need no longer avoid it.
func TestProbeByWhatNeedNotAvoidIt(t *testing.T) {
	x := distrusting()
	a, _, c := x.plug("a"), x.plug("b"), x.plug("c")
	x.lay(nth(1), waiting(queue.LaneCode, "a", "b"), 0)
	x.wait(a)
	if handed(a) != nil {
		t.Fatal("it is tried by what should avoid it")
	}
	x.gone(c)
	if handed(a) == nil {
		t.Error("it is not tried")
	}
}

// What has been missed by now is told, also if the message is put again first.
func TestWatchThatIsOverIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		now := time.Now()
		n := news{
			message: queue.Message{State: queue.Accepted}, want: anyway(), advance: now.Add(time.Hour), watch: now.Add(time.Minute), now: now,
		}
		x.put(nth(1), n)
		time.Sleep(time.Minute) // virtual time
		n.now = time.Now()
		x.put(nth(1), n)
		if got := x.mature().unreported; len(got) != 1 {
			t.Errorf("told %v", got)
		}
		if got := x.mature().unreported; len(got) != 0 {
			t.Errorf("told %v again", got)
		}
	})
}

// Promises to messages that come and go unseen are not kept for ever.
func TestPromisesAreBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		if _, _, ok := x.admit(Admission{ID: nth(1), Life: time.Minute}, nil); !ok {
			t.Fatal("not let in")
		}
		time.Sleep(2 * promiseLasts) // virtual time
		cancel, _, _ := x.admit(Admission{ID: nth(2), Life: time.Minute}, nil)
		x.keep(x.loading())
		if n := x.pendingOf(noRule)[queue.LaneCode]; n != 1 || len(x.admitted) != 1 {
			t.Errorf("%d are promised room", n)
		}
		cancel()
		if n := x.pendingOf(noRule)[queue.LaneCode]; n != 0 {
			t.Errorf("%d are promised room", n)
		}
	})
}
