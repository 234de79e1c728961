package dispatch

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// fault says what is wrong with the heap, "" for nothing.
func (h *heapOf[T]) fault() string {
	var hole T
	for i, item := range h.heap {
		switch {
		case *h.place(item) != place(i+1):
			return "an item of the heap does not know its place"
		case h.less(item, h.heap[max(0, (i-1)/2)]):
			return "the heap is out of order"
		}
	}
	live, last := 0, hole
	for i, item := range h.run[min(h.head, len(h.run)):] {
		if item == hole {
			continue
		}
		live++
		switch {
		case *h.place(item) != place(-h.head-i-1):
			return "an item of the run does not know its place"
		case last != hole && h.less(item, last):
			return "the run is out of order"
		}
		last = item
	}
	switch {
	case live != h.live, live != 0 && (h.run[h.head] == hole || h.run[len(h.run)-1] == hole):
		return "the run is not what it is said to be"
	case len(h.run) > 2*live+manyHoles:
		return "the run has too many holes"
	}
	return ""
}

type numbered struct {
	n  int
	at place
}

// TestHeap: whatever is put in, changed and taken out in whatever order, the
// first is the least.
func TestHeap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := heapOf[*numbered]{
			less:  func(a, b *numbered) bool { return a.n < b.n },
			place: func(i *numbered) *place { return &i.at },
		}
		var in []*numbered
		highest := 0
		some := func() (*numbered, int) {
			i := rapid.IntRange(0, len(in)-1).Draw(rt, "which")
			return in[i], i
		}
		rt.Repeat(map[string]func(*rapid.T){
			"in order": func(rt *rapid.T) {
				for range rapid.IntRange(1, 200).Draw(rt, "many") {
					highest++
					in = append(in, &numbered{n: highest})
					h.set(in[len(in)-1])
				}
			},
			"anywhere": func(rt *rapid.T) {
				in = append(in, &numbered{n: rapid.IntRange(0, highest+1).Draw(rt, "n")})
				h.set(in[len(in)-1])
			},
			"change": func(rt *rapid.T) {
				if len(in) > 0 {
					item, _ := some()
					item.n += rapid.IntRange(-3, 3).Draw(rt, "by")
					highest = max(highest, item.n)
					h.set(item)
				}
			},
			"remove": func(*rapid.T) {
				for range min(len(in), rapid.IntRange(1, 150).Draw(rt, "many")) {
					item, i := some()
					in = slices.Delete(in, i, i+1)
					h.remove(item)
					h.remove(item) // it is out already
				}
			},
			"take": func(rt *rapid.T) {
				for range min(len(in), rapid.IntRange(1, 150).Draw(rt, "many")) {
					item, _ := h.first()
					in = slices.DeleteFunc(in, func(i *numbered) bool { return i == item })
					h.remove(item)
				}
			},
			"": func(rt *rapid.T) {
				if fault := h.fault(); fault != "" {
					rt.Fatal(fault)
				}
				item, ok := h.first()
				if ok != (len(in) > 0) || h.Len() != len(in) || len(h.all()) != len(in) {
					rt.Fatalf("%d are in; it says %d, %d", len(in), h.Len(), len(h.all()))
				}
				if ok && item.n != slices.MinFunc(in, func(a, b *numbered) int { return a.n - b.n }).n {
					rt.Fatal("the first is not the least")
				}
			},
		})
	})
}
