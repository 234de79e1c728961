package dispatch

import "container/heap"

// place is where an item is in a heapOf, of fewer than 2³¹: counted from 1 in the
// heap, from -1 downwards in the run, 0 for outside.
type place int32

// heapOf keeps items that know their places in it, so that the first is at hand.
// Most come in the order in which they go, and lie in a run, which costs the same
// however many there are; those that come out of order lie in a heap beside it.
type heapOf[T comparable] struct {
	less  func(a, b T) bool
	place func(T) *place
	heap  []T
	// run is in order from head on, where its first item is; what was taken out
	// of its middle leaves a hole, the zero value, but never at its end. live is
	// how many are no holes.
	run        []T
	head, live int
}

func (h *heapOf[T]) Len() int { return len(h.heap) + h.live }

// first is the first item; ok is false if there is none.
func (h *heapOf[T]) first() (item T, ok bool) {
	switch {
	case h.live == 0 && len(h.heap) == 0:
		return item, false
	case h.live == 0 || len(h.heap) > 0 && h.less(h.heap[0], h.run[h.head]):
		return h.heap[0], true
	}
	return h.run[h.head], true
}

// set puts the item in, or where it belongs now.
func (h *heapOf[T]) set(item T) {
	switch n := *h.place(item); {
	case n > 0:
		heap.Fix((*loose[T])(h), int(n)-1)
		return
	case n < 0:
		if h.inOrder(int(-n) - 1) {
			return
		}
		h.remove(item)
	}
	if h.live == 0 || !h.less(item, h.run[len(h.run)-1]) {
		h.run = append(h.run, item)
		h.live++
		*h.place(item) = place(-len(h.run)) //nolint:gosec // see place
		return
	}
	heap.Push((*loose[T])(h), item)
}

// inOrder says whether the item at a place of the run is still right there. Next
// to a hole nobody knows.
func (h *heapOf[T]) inOrder(i int) bool {
	var hole T
	before, behind := i == h.head, i == len(h.run)-1
	if !before {
		before = h.run[i-1] != hole && !h.less(h.run[i], h.run[i-1])
	}
	if !behind {
		behind = h.run[i+1] != hole && !h.less(h.run[i+1], h.run[i])
	}
	return before && behind
}

// remove takes the item out, if it is in.
func (h *heapOf[T]) remove(item T) {
	n := *h.place(item)
	if n > 0 {
		heap.Remove((*loose[T])(h), int(n)-1)
	}
	if n >= 0 {
		return
	}
	var hole T
	*h.place(item) = 0
	h.run[-n-1] = hole
	if h.live--; h.live == 0 {
		h.run, h.head = h.run[:0], 0
		return
	}
	for h.run[h.head] == hole {
		h.head++
	}
	for h.run[len(h.run)-1] == hole {
		h.run = h.run[:len(h.run)-1]
	}
	if len(h.run) > 2*h.live+manyHoles {
		h.close()
	}
}

// manyHoles is how many holes a short run may have.
const manyHoles = 64

// close closes the holes.
func (h *heapOf[T]) close() {
	var hole T
	kept := h.run[:0]
	for _, item := range h.run[h.head:] {
		if item != hole {
			kept = append(kept, item)
			*h.place(item) = place(-len(kept)) //nolint:gosec // see place
		}
	}
	clear(h.run[len(kept):])
	h.run, h.head = kept, 0
}

// all are the items in no order.
func (h *heapOf[T]) all() []T {
	var hole T
	items := append(make([]T, 0, h.Len()), h.heap...)
	for _, item := range h.run[h.head:] {
		if item != hole {
			items = append(items, item)
		}
	}
	return items
}

// loose is the heap of a heapOf, for container/heap.
type loose[T comparable] heapOf[T]

func (h *loose[T]) Len() int           { return len(h.heap) }
func (h *loose[T]) Less(i, j int) bool { return h.less(h.heap[i], h.heap[j]) }
func (h *loose[T]) Swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	*h.place(h.heap[i]), *h.place(h.heap[j]) = place(i+1), place(j+1) //nolint:gosec // see place
}

func (h *loose[T]) Push(v any) {
	item := v.(T) //nolint:errcheck // only items are pushed
	h.heap = append(h.heap, item)
	*h.place(item) = place(len(h.heap)) //nolint:gosec // see place
}

func (h *loose[T]) Pop() any {
	var none T
	last := len(h.heap) - 1
	item := h.heap[last]
	h.heap[last] = none
	h.heap = h.heap[:last]
	*h.place(item) = 0
	return item
}
