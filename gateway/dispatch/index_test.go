package dispatch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// waiting is a queued message as the store would show it: due now, and avoiding
// the SIMs named.
func waiting(lane queue.Lane, avoid ...string) queue.Message {
	m := queue.Message{State: queue.Queued, Lane: lane, Created: storage.TimeOf(time.Now())}
	for _, imsi := range avoid {
		m.Attempts = append(m.Attempts, queue.Attempt{IMSI: imsi, Result: queue.ResultSIM})
	}
	return m
}

// lay puts a message that is due after a while, or was before if negative.
func (x *index) lay(id queue.ID, m queue.Message, due time.Duration) {
	now := time.Now()
	x.put(id, news{message: m, want: anyway(m.Avoid()...), send: now.Add(due), advance: now.Add(time.Hour), now: now})
}

// anyway is what a message asks that any SIM may send but for some.
func anyway(avoid ...string) want { return want{way: wayKey{noRule, "FR"}, avoid: avoid} }

// becomes puts a message that is not to be sent.
func (x *index) becomes(id queue.ID, state queue.State) {
	x.put(id, news{message: queue.Message{State: state}, want: anyway(), now: time.Now()})
}

func (x *index) plug(imsi string) *line {
	l := &line{Carrier: queue.Carrier{Modem: imsi, IMSI: imsi}, hand: make(chan *entry, 1)}
	x.add(l)
	return l
}

// wait is take's waiting, without the goroutine: what is handed over lies in
// l.hand.
func (x *index) wait(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.takeNow(l, time.Now()); e != nil {
		l.hand <- e
		return
	}
	l.waits, l.since = true, time.Now()
	x.makeIdle(l)
}

// begun notes that a line's entry is being sent.
func (x *index) begun(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begin(e, time.Now())
}

// handed is what an idle line was handed, nil for nothing yet.
func handed(l *line) *entry {
	select {
	case e := <-l.hand:
		return e
	default:
		return nil
	}
}

func nth(n int) (id queue.ID) {
	id[14], id[15] = byte(n>>8), byte(n)
	return id
}

func TestAvoidance(t *testing.T) {
	for _, c := range []struct {
		name  string
		avoid []string
		lines []string
		age   time.Duration
		taken bool // by the first line
	}{
		{"nothing to avoid", nil, []string{"a"}, 0, true},
		{"another SIM is there", []string{"a"}, []string{"a", "b"}, 0, false},
		{"no other SIM is there", []string{"a"}, []string{"a"}, 0, true},
		{"two modems, one SIM", []string{"a"}, []string{"a", "a"}, 0, true},
		{"all failed", []string{"a", "b"}, []string{"a", "b"}, 0, true},
		{"a third is there", []string{"a", "b"}, []string{"a", "b", "c"}, 0, false},
		{"it has waited", []string{"a"}, []string{"a", "b"}, patience, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newIndex(DefaultPolicy())
				var lines []*line
				for _, imsi := range c.lines {
					lines = append(lines, x.plug(imsi))
				}
				x.lay(nth(1), waiting(queue.LaneCode, c.avoid...), -c.age)
				if taken := x.tryTake(lines[0]) != nil; taken != c.taken {
					t.Errorf("taken: %v", taken)
				}
			})
		})
	}
}

// What is sent again keeps the place of its creation; what was refused twice
// takes a new one each time, so that numbers out of reach don't hold up others.
func TestRetriedMessagesKeepTheirPlace(t *testing.T) {
	doubt, refused, dead := queue.ResultAmbiguous, queue.ResultTemporary, queue.ResultSIM
	for _, c := range []struct {
		name  string
		tries []queue.Result
		first bool
	}{
		{"refused once", []queue.Result{refused}, true},
		{"in doubt", []queue.Result{doubt}, true},
		{"refused, then in doubt", []queue.Result{refused, doubt}, true},
		{"refused twice", []queue.Result{refused, dead}, false},
		{"refused again and again", []queue.Result{refused, refused, refused}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newIndex(DefaultPolicy())
				old := waiting(queue.LaneCode)
				for _, r := range c.tries {
					old.Attempts = append(old.Attempts, queue.Attempt{IMSI: "other", Result: r})
				}
				time.Sleep(time.Second) // virtual time
				young := waiting(queue.LaneCode)
				time.Sleep(time.Second) // virtual time
				old.Due = storage.TimeOf(time.Now())
				x.lay(nth(1), young, -time.Second)
				x.lay(nth(2), old, 0)
				time.Sleep(time.Second) // virtual time
				x.lay(nth(3), waiting(queue.LaneCode), 0)
				a := x.plug("a")
				if first := x.tryTake(a).id == nth(2); first != c.first {
					t.Errorf("before a younger one: %v", first)
				}
				if c.first {
					return
				}
				if second := x.tryTake(a).id; second != nth(2) {
					t.Error("it is behind what was made since")
				}
			})
		})
	}
}

func TestWhatIsAvoidedPassesToTheNextInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		a, b := x.plug("a"), x.plug("b")
		x.lay(nth(1), waiting(queue.LaneCode, "a"), -2*time.Second)
		x.lay(nth(2), waiting(queue.LaneCode), -time.Second)
		x.wait(a)
		if e := handed(a); e == nil || e.id != nth(2) {
			t.Fatalf("a was handed %+v", e)
		}
		x.wait(a)
		if handed(a) != nil {
			t.Fatal("a was handed what it should avoid")
		}
		x.gone(b)
		if e := handed(a); e == nil || e.id != nth(1) {
			t.Fatal("a was not handed what only b could have sent")
		}
	})
}

func TestBusyLinesAvoidedEntryIsHandedOverInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		x.plug("busy")
		a := x.plug("a")
		x.wait(a)
		x.lay(nth(1), waiting(queue.LaneCode, "a"), 0)
		wait := time.Until(x.mature().next)
		if handed(a) != nil || wait != patience {
			t.Fatalf("looked at again after %v, want %v", wait, patience)
		}
		time.Sleep(wait) // virtual time
		x.mature()
		if handed(a) == nil {
			t.Fatal("not handed over when its time had come")
		}
	})
}

func TestIdleLinesAreServedInTurn(t *testing.T) {
	x := newIndex(DefaultPolicy())
	lines := []*line{x.plug("a"), x.plug("b"), x.plug("c")}
	for _, l := range lines {
		x.wait(l)
	}
	for i, l := range lines {
		x.lay(nth(i), waiting(queue.LaneCode), 0)
		if e := handed(l); e == nil || e.id != nth(i) {
			t.Fatalf("line %d was not served in its turn", i)
		}
	}
}

func TestChosenMayBeTakenOver(t *testing.T) {
	x := newIndex(DefaultPolicy())
	a, b := x.plug("a"), x.plug("b")
	x.lay(nth(1), waiting(queue.LaneCode), -2*time.Second)
	if e := x.choose(a); e == nil || x.choose(a) != e {
		t.Fatal("a line's choice does not last")
	}
	if x.choose(b) != nil {
		t.Fatal("two lines chose one entry")
	}
	x.lay(nth(2), waiting(queue.LaneCode), -time.Second)
	if e := x.tryTake(b); e == nil || e.id != nth(2) {
		t.Fatal("what is chosen goes before what is not")
	}
	if e := x.tryTake(b); e == nil || e.id != nth(1) || a.next != nil {
		t.Fatal("the busy line's choice was not taken over")
	}
	if x.tryTake(a) != nil {
		t.Fatal("an entry was taken twice")
	}
}

// What a busy line has chosen goes before what came later as soon as the line's SIM
// has no room for it, be it by what that has in the air alone.
func TestChoiceOfALineWhoseBudgetIsSpent(t *testing.T) {
	for name, codes := range map[string]time.Duration{"for an hour": time.Hour, "by what is in the air": -1} {
		x := newIndex(DefaultPolicy())
		a, b := x.plug("a"), x.plug("b")
		x.lay(nth(1), waiting(queue.LaneCode), -2*time.Second)
		x.choose(a)
		x.lay(nth(2), waiting(queue.LaneCode), -time.Second)
		now := time.Now()
		s := budget.Standing{Codes: now.Add(codes), Notices: now.Add(codes)}
		if codes < 0 {
			s.Codes, s.Notices = budget.Never(), budget.Never()
		}
		x.stand("a", s, now, nil)
		if a.next != nil {
			t.Errorf("spent %s: the line keeps its choice", name)
		}
		if e := x.tryTake(b); e == nil || e.id != nth(1) {
			t.Errorf("spent %s: a later one goes first", name)
		}
	}
}

func TestChoiceOfALineThatIsGone(t *testing.T) {
	x := newIndex(DefaultPolicy())
	a, b := x.plug("a"), x.plug("b")
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	x.choose(a)
	x.gone(a)
	x.wait(b)
	if e := handed(b); e == nil || e.id != nth(1) {
		t.Fatal("the choice of a line that is gone is lost")
	}
}

func TestStalePuts(t *testing.T) {
	x := newIndex(DefaultPolicy())
	a, b := x.plug("a"), x.plug("b")
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	e := x.tryTake(a)
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	if x.tryTake(b) != nil {
		t.Fatal("a put gave away what a line has taken")
	}
	x.begun(e)
	if x.tryTake(b) != nil {
		t.Fatal("what is being sent was given away")
	}
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	e = x.tryTake(a)
	// It ended while the line asked the store; nothing revives it.
	x.becomes(nth(1), queue.Canceled)
	x.release(e)
	if x.tryTake(b) != nil || len(x.entries) != 0 {
		t.Fatal("releasing revived what has ended")
	}
	// A newer entry of the same message is none of the old one's business.
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	x.begun(e)
	if x.tryTake(b) == nil {
		t.Fatal("an old entry took a new one away")
	}
}

func TestTakeGivesBackWhatItIsHandedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		a := x.plug("a")
		for i, end := range []string{"context", "session"} {
			ctx, cancel := context.WithCancel(t.Context())
			closed := make(chan struct{})
			got := make(chan *entry)
			go func() { got <- x.take(ctx, a, closed) }()
			synctest.Wait()
			if end == "context" {
				cancel()
			} else {
				close(closed)
			}
			x.lay(nth(i), waiting(queue.LaneCode), 0)
			e := <-got
			if e == nil {
				e = x.tryTake(a)
			}
			if e == nil || a.waits {
				t.Errorf("ended by %s: the entry is lost: %v; idle: %v", end, e == nil, a.waits)
			}
			cancel()
		}
	})
}

func TestDepth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex(DefaultPolicy())
		first := time.Now()
		x.lay(nth(1), waiting(queue.LaneCode), 0)
		time.Sleep(time.Minute) // virtual time
		x.lay(nth(2), waiting(queue.LaneCode), time.Second)
		x.lay(nth(3), waiting(queue.LaneNotice), 0)
		x.becomes(nth(4), queue.Sending)
		n, oldest := x.depth()
		if n[queue.LaneCode] != 2 || n[queue.LaneNotice] != 1 || !oldest[queue.LaneCode].Equal(first) {
			t.Errorf("%v, oldest %v", n, oldest)
		}
	})
}

const manyEntries, manyLines = 100_000, 256

func crowded() (*index, []*line) {
	x := newIndex(DefaultPolicy())
	for i := range manyEntries {
		var id queue.ID
		id[0], id[1], id[2] = 1+byte(i>>16), byte(i>>8), byte(i)
		x.lay(id, waiting(queue.LaneCode), -time.Duration(i)*time.Microsecond)
	}
	var lines []*line
	for i := range manyLines {
		lines = append(lines, x.plug(fmt.Sprint(i)))
	}
	return x, lines
}

// BenchmarkIndexTake is one message's way through a full index: taken, the next
// one chosen, begun, and back with its next due time.
func BenchmarkIndexTake(b *testing.B) {
	x, lines := crowded()
	n := 0
	for b.Loop() {
		l := lines[n%manyLines]
		n++
		e := x.tryTake(l)
		x.choose(l)
		x.begun(e)
		x.lay(e.id, waiting(queue.LaneCode), 0)
	}
}

func BenchmarkIndexPut(b *testing.B) {
	x, _ := crowded()
	m := waiting(queue.LaneCode)
	n := 0
	for b.Loop() {
		var id queue.ID
		id[0], id[1], id[2] = 1+byte(n>>16)&1, byte(n>>8), byte(n)
		x.lay(id, m, 0)
		n++
	}
}

// BenchmarkIndexAvoided takes what lies behind a thousand entries that the line
// should leave to others.
func BenchmarkIndexAvoided(b *testing.B) {
	x, lines := crowded()
	for i := range 1000 {
		x.lay(nth(i), waiting(0, lines[0].IMSI), 0)
	}
	for b.Loop() {
		e := x.tryTake(lines[0])
		x.begun(e)
		x.lay(e.id, waiting(queue.LaneCode), 0)
	}
}
