package dispatch

import (
	"container/heap"
	"time"
)

// place is where an entry is in a heap: 1 for the first, 0 for outside.
type place struct {
	n  int
	at time.Time
}

// heapOf is a heap of entries that know their places in it.
type heapOf struct {
	entries []*entry
	less    func(a, b *entry) bool
	place   func(*entry) *place
}

func (h *heapOf) Len() int           { return len(h.entries) }
func (h *heapOf) Less(i, j int) bool { return h.less(h.entries[i], h.entries[j]) }
func (h *heapOf) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.place(h.entries[i]).n, h.place(h.entries[j]).n = i+1, j+1
}

// Push is for container/heap alone.
func (h *heapOf) Push(v any) {
	e := v.(*entry) //nolint:errcheck // only entries are pushed
	h.entries = append(h.entries, e)
	h.place(e).n = len(h.entries)
}

// Pop is for container/heap alone.
func (h *heapOf) Pop() any {
	e := h.entries[len(h.entries)-1]
	h.entries[len(h.entries)-1] = nil
	h.entries = h.entries[:len(h.entries)-1]
	h.place(e).n = 0
	return e
}

func (h *heapOf) first() *entry { return h.entries[0] }

func (h *heapOf) has(e *entry) bool {
	n := h.place(e).n
	return n > 0 && n <= len(h.entries) && h.entries[n-1] == e
}

// set adds the entry, or puts it right after its order has changed.
func (h *heapOf) set(e *entry) {
	if h.has(e) {
		heap.Fix(h, h.place(e).n-1)
		return
	}
	heap.Push(h, e)
}

func (h *heapOf) remove(e *entry) {
	if h.has(e) {
		heap.Remove(h, h.place(e).n-1)
	}
}
