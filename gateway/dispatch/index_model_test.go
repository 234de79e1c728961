package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/gateway/queue"
)

// TestIndexInOrder compares what a line is given with a sorted list.
func TestIndexInOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		x := newIndex(DefaultPolicy())
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
				x.put(id, news{
					message: queue.Message{State: queue.Queued, Lane: k.lane}, want: anyway(), send: due, advance: now.Add(time.Hour), now: now,
				})
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
