package wire

import "sync"

// Bounds of the queue of unsolicited lines that wait for their handler:
// chatter is dropped from the first on, everything from the second.
const (
	maxChatter = 1024
	maxQueued  = 8192
)

// urcQueue hands unsolicited lines to their handler, in order, without ever
// making the reading goroutine wait.
type urcQueue struct {
	handle func(URC)
	mu     sync.Mutex
	filled *sync.Cond
	queue  []URC
	closed bool
}

func newURCQueue(handle func(URC)) *urcQueue {
	q := &urcQueue{handle: handle}
	q.filled = sync.NewCond(&q.mu)
	return q
}

// put queues u; a message is kept longer than chatter when a flood comes.
func (q *urcQueue) put(u URC, message bool) {
	if q.handle == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) >= maxQueued || !message && len(q.queue) >= maxChatter {
		return
	}
	q.queue = append(q.queue, u)
	q.filled.Signal()
}

// close ends run after what is queued.
func (q *urcQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.filled.Signal()
}

func (q *urcQueue) run() {
	for {
		q.mu.Lock()
		for len(q.queue) == 0 && !q.closed {
			q.filled.Wait()
		}
		batch := q.queue
		q.queue = nil
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, u := range batch {
			q.handle(u)
		}
	}
}
