package dispatch

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/gateway/queue"
)

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
