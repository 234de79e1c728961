package dispatch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

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

// offer puts a message that is due after a while, or was before if negative.
func (x *index) offer(id queue.ID, m queue.Message, due time.Duration) {
	now := time.Now()
	x.put(id, m, now.Add(due), now.Add(time.Hour), now)
}

func (x *index) plug(imsi string) *line {
	l := newLine(queue.Carrier{Modem: imsi, IMSI: imsi})
	x.add(l)
	return l
}

// wait is take's waiting, without the goroutine: what is handed over lies in
// l.hand.
func (x *index) wait(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.takeNow(l); e != nil {
		l.hand <- e
		return
	}
	x.idle = append(x.idle, l)
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

// TestIndexInOrder compares what a line is given with a sorted list.
func TestIndexInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := newIndex()
		l := x.plug("a")
		type key struct {
			lane queue.Lane
			due  int
		}
		model := map[queue.ID]key{}
		base := time.Now().Add(-time.Hour)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				id := nth(rapid.IntRange(0, 20).Draw(rt, "id"))
				k := key{queue.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")), rapid.IntRange(0, 600).Draw(rt, "due")}
				now := time.Now()
				due := base.Add(time.Duration(k.due) * time.Second)
				x.put(id, queue.Message{State: queue.Queued, Lane: k.lane}, due, now.Add(time.Hour), now)
				model[id] = k
			},
			"remove": func(rt *rapid.T) {
				id := nth(rapid.IntRange(0, 20).Draw(rt, "id"))
				x.remove(id)
				delete(model, id)
			},
			"take": func(rt *rapid.T) {
				e := x.tryTake(l)
				if (e == nil) != (len(model) == 0) {
					rt.Fatalf("took %v of %d", e != nil, len(model))
				}
				if e == nil {
					return
				}
				got := model[e.id]
				for _, other := range model {
					if other.lane < got.lane || other.lane == got.lane && other.due < got.due {
						rt.Fatalf("took %v before %v", got, other)
					}
				}
				x.remove(e.id)
				delete(model, e.id)
			},
		})
	})
}

// TestIndexStaysSound does everything at any time, and looks at the index
// itself after each step.
func TestIndexStaysSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { newTrial().run(rt) })
}

// trial is an index with lines that the test drives.
type trial struct {
	x     *index
	lines []*line
	// holds is what each line has taken.
	holds map[*line]*entry
	idle  map[*line]bool
}

func newTrial() *trial {
	return &trial{x: newIndex(), holds: map[*line]*entry{}, idle: map[*line]bool{}}
}

func (r *trial) run(rt *rapid.T) {
	some := func(rt *rapid.T, want func(*line) bool) *line {
		fit := slices.DeleteFunc(slices.Clone(r.lines), func(l *line) bool { return !want(l) })
		if len(fit) == 0 {
			return nil
		}
		return fit[rapid.IntRange(0, len(fit)-1).Draw(rt, "line")]
	}
	isFree := func(l *line) bool { return r.holds[l] == nil && !r.idle[l] }
	holds := func(l *line) bool { return r.holds[l] != nil }
	// It begins with two lines that have chosen what they send next.
	for i := range rapid.IntRange(0, 2).Draw(rt, "lines") {
		l := r.x.plug(string(rune('a' + i)))
		r.lines = append(r.lines, l)
		r.x.offer(nth(2*i), waiting(queue.LaneCode), -time.Second)
		r.x.offer(nth(2*i+1), waiting(queue.LaneCode), -time.Second)
		r.holds[l] = r.x.tryTake(l)
		r.x.choose(l)
	}
	rt.Repeat(map[string]func(*rapid.T){
		"": r.check,
		"plug": func(rt *rapid.T) {
			if len(r.lines) < 4 {
				r.lines = append(r.lines, r.x.plug(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "IMSI")))
			}
		},
		"put": func(rt *rapid.T) {
			var avoid []string
			for _, imsi := range []string{"a", "b", "c"} {
				if rapid.Bool().Draw(rt, "avoid") {
					avoid = append(avoid, imsi)
				}
			}
			m := waiting(queue.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")), avoid...)
			r.x.offer(nth(rapid.IntRange(0, 9).Draw(rt, "id")), m, time.Duration(rapid.IntRange(-20, 5).Draw(rt, "due"))*time.Second)
		},
		"sending": func(rt *rapid.T) {
			r.x.put(nth(rapid.IntRange(0, 9).Draw(rt, "id")), queue.Message{State: queue.Sending}, time.Time{}, time.Time{}, time.Now())
		},
		"final": func(rt *rapid.T) {
			r.x.put(nth(rapid.IntRange(0, 9).Draw(rt, "id")), queue.Message{State: queue.Failed}, time.Time{}, time.Time{}, time.Now())
		},
		"take": func(rt *rapid.T) {
			if l := some(rt, isFree); l != nil {
				r.idle[l] = true
				r.x.wait(l)
			}
		},
		"choose": func(rt *rapid.T) {
			if l := some(rt, holds); l != nil {
				r.x.choose(l)
			}
		},
		"begun": func(rt *rapid.T) {
			if l := some(rt, holds); l != nil {
				r.x.begun(r.holds[l])
				r.holds[l] = nil
			}
		},
		"release": func(rt *rapid.T) {
			if l := some(rt, holds); l != nil {
				e := r.holds[l]
				r.holds[l] = nil
				r.x.release(e)
			}
		},
		"gone": func(rt *rapid.T) {
			if l := some(rt, func(l *line) bool { return r.holds[l] == nil }); l != nil {
				r.x.gone(l)
				r.lines = slices.DeleteFunc(r.lines, func(other *line) bool { return other == l })
				delete(r.idle, l)
			}
		},
		"time": func(rt *rapid.T) {
			r.pass(time.Duration(rapid.IntRange(1, 12).Draw(rt, "s")) * time.Second)
		},
	})
}

// pass makes everything that is to come nearer, and has the index look.
func (r *trial) pass(d time.Duration) {
	for _, e := range r.x.entries {
		for _, at := range []*time.Time{&e.due, &e.advance, &e.timed.at} {
			if !at.IsZero() {
				*at = at.Add(-d)
			}
		}
	}
	r.x.mature()
}

// check collects what was handed over and looks whether all is as it should be.
func (r *trial) check(rt *rapid.T) {
	x := r.x
	for l := range r.idle {
		if e := handed(l); e != nil {
			r.idle[l], r.holds[l] = false, e
		}
	}
	now := time.Now()
	for _, h := range []*heapOf{&x.ready, &x.chosen, &x.timed} {
		for i, e := range h.entries {
			if x.entries[e.id] != e || h.place(e).n != i+1 {
				rt.Fatal("a heap holds what it should not, or in another place")
			}
			if parent := h.entries[max(0, (i-1)/2)]; h.less(e, parent) {
				rt.Fatal("a heap is out of order")
			}
		}
	}
	for _, e := range x.entries {
		ready, chosen := x.ready.has(e), x.chosen.has(e)
		due := e.send && !e.due.After(now)
		switch {
		case ready && chosen, chosen != (e.by != nil), e.by != nil && (e.by.next != e || !x.lines[e.by]):
			rt.Fatalf("ready %v, chosen %v, by a line %v", ready, chosen, e.by != nil)
		case (ready || chosen) != (due && !e.taken):
			// What has fallen due is ready once mature was called.
			if !due || e.taken || e.timed.at.After(now) {
				rt.Fatalf("ready %v, chosen %v, due %v, taken %v", ready, chosen, due, e.taken)
			}
		case !e.taken && !due && !x.timed.has(e) && (e.send || !e.advance.IsZero()):
			rt.Fatal("an entry has a time that nobody waits for")
		}
		if !ready && !chosen {
			continue
		}
		for _, l := range x.idle {
			if x.allowed(e, l, now) && (now.Sub(e.due) < patience || !e.timed.at.Before(now)) {
				rt.Fatal("a line is idle although there is something for it")
			}
		}
	}
	for l := range r.idle {
		if r.idle[l] != slices.Contains(x.idle, l) {
			rt.Fatal("an idle line is not known as one")
		}
	}
	for l, e := range r.holds {
		if e != nil && !e.taken {
			rt.Fatal("a line holds what is not marked as taken")
		}
		for other, theirs := range r.holds {
			if e != nil && other != l && theirs == e {
				rt.Fatal("two lines hold one entry")
			}
		}
	}
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
				x := newIndex()
				var lines []*line
				for _, imsi := range c.lines {
					lines = append(lines, x.plug(imsi))
				}
				x.offer(nth(1), waiting(queue.LaneCode, c.avoid...), -c.age)
				if taken := x.tryTake(lines[0]) != nil; taken != c.taken {
					t.Errorf("taken: %v", taken)
				}
			})
		})
	}
}

func TestWhatIsAvoidedPassesToTheNextInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex()
		a, b := x.plug("a"), x.plug("b")
		x.offer(nth(1), waiting(queue.LaneCode, "a"), -2*time.Second)
		x.offer(nth(2), waiting(queue.LaneCode), -time.Second)
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
		x := newIndex()
		x.plug("busy")
		a := x.plug("a")
		x.wait(a)
		x.offer(nth(1), waiting(queue.LaneCode, "a"), 0)
		_, wait := x.mature()
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
	x := newIndex()
	lines := []*line{x.plug("a"), x.plug("b"), x.plug("c")}
	for _, l := range lines {
		x.wait(l)
	}
	for i, l := range lines {
		x.offer(nth(i), waiting(queue.LaneCode), 0)
		if e := handed(l); e == nil || e.id != nth(i) {
			t.Fatalf("line %d was not served in its turn", i)
		}
	}
}

func TestChosenMayBeTakenOver(t *testing.T) {
	x := newIndex()
	a, b := x.plug("a"), x.plug("b")
	x.offer(nth(1), waiting(queue.LaneCode), -2*time.Second)
	if e := x.choose(a); e == nil || x.choose(a) != e {
		t.Fatal("a line's choice does not last")
	}
	if x.choose(b) != nil {
		t.Fatal("two lines chose one entry")
	}
	x.offer(nth(2), waiting(queue.LaneCode), -time.Second)
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

func TestChoiceOfALineThatIsGone(t *testing.T) {
	x := newIndex()
	a, b := x.plug("a"), x.plug("b")
	x.offer(nth(1), waiting(queue.LaneCode), 0)
	x.choose(a)
	x.gone(a)
	x.wait(b)
	if e := handed(b); e == nil || e.id != nth(1) {
		t.Fatal("the choice of a line that is gone is lost")
	}
}

func TestStalePuts(t *testing.T) {
	x := newIndex()
	a, b := x.plug("a"), x.plug("b")
	x.offer(nth(1), waiting(queue.LaneCode), 0)
	e := x.tryTake(a)
	x.offer(nth(1), waiting(queue.LaneCode), 0)
	if x.tryTake(b) != nil {
		t.Fatal("a put gave away what a line has taken")
	}
	x.begun(e)
	if x.tryTake(b) != nil {
		t.Fatal("what is being sent was given away")
	}
	x.offer(nth(1), waiting(queue.LaneCode), 0)
	e = x.tryTake(a)
	// It ended while the line asked the store; nothing revives it.
	x.put(nth(1), queue.Message{State: queue.Canceled}, time.Time{}, time.Time{}, time.Now())
	x.release(e)
	if x.tryTake(b) != nil || len(x.entries) != 0 {
		t.Fatal("releasing revived what has ended")
	}
	// A newer entry of the same message is none of the old one's business.
	x.offer(nth(1), waiting(queue.LaneCode), 0)
	x.begun(e)
	if x.tryTake(b) == nil {
		t.Fatal("an old entry took a new one away")
	}
}

func TestTakeGivesBackWhatItIsHandedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex()
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
			x.offer(nth(i), waiting(queue.LaneCode), 0)
			e := <-got
			if e == nil {
				e = x.tryTake(a)
			}
			if e == nil || len(x.idle) != 0 {
				t.Errorf("ended by %s: the entry is lost: %v; %d idle", end, e == nil, len(x.idle))
			}
			cancel()
		}
	})
}

func TestDepth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newIndex()
		first := time.Now()
		x.offer(nth(1), waiting(queue.LaneCode), 0)
		time.Sleep(time.Minute) // virtual time
		x.offer(nth(2), waiting(queue.LaneCode), time.Second)
		x.offer(nth(3), waiting(queue.LaneNotice), 0)
		x.put(nth(4), queue.Message{State: queue.Sending}, time.Time{}, time.Time{}, time.Now())
		n, oldest := x.depth()
		if n[queue.LaneCode] != 2 || n[queue.LaneNotice] != 1 || !oldest[queue.LaneCode].Equal(first) {
			t.Errorf("%v, oldest %v", n, oldest)
		}
	})
}

const manyEntries, manyLines = 100_000, 256

func crowded() (*index, []*line) {
	x := newIndex()
	for i := range manyEntries {
		var id queue.ID
		id[0], id[1], id[2] = 1+byte(i>>16), byte(i>>8), byte(i)
		x.offer(id, waiting(queue.LaneCode), -time.Duration(i)*time.Microsecond)
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
		x.offer(e.id, waiting(queue.LaneCode), 0)
	}
}

func BenchmarkIndexPut(b *testing.B) {
	x, _ := crowded()
	m := waiting(queue.LaneCode)
	n := 0
	for b.Loop() {
		var id queue.ID
		id[0], id[1], id[2] = 1+byte(n>>16)&1, byte(n>>8), byte(n)
		x.offer(id, m, 0)
		n++
	}
}

// BenchmarkIndexAvoided takes what lies behind a thousand entries that the line
// should leave to others.
func BenchmarkIndexAvoided(b *testing.B) {
	x, lines := crowded()
	for i := range 1000 {
		x.offer(nth(i), waiting(0, lines[0].IMSI), 0)
	}
	now := time.Now()
	for _, e := range x.entries {
		e.due = now.Add(time.Hour) // avoided for as long as this takes
		if len(e.avoid) == 0 {
			e.lane = queue.LaneNotice
		}
	}
	for _, e := range x.entries {
		x.ready.set(e)
	}
	for b.Loop() {
		x.pick(&x.ready, lines[0])
	}
}
