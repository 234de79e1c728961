package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"smsotpd/storage"
)

// Bounds of a group of closures that share a commit.
const (
	maxGroup      = 1000
	maxGroupBytes = 8 << 20
)

// request is one Update on its way through the committer.
type request struct {
	fn       func(*storage.WriteSet) error
	reserved bool
	// taken is set by the committer, or by a caller who gives up first.
	taken atomic.Bool

	// Written by the committer before it closes done:
	err      error
	panicked any
	done     chan struct{}
}

// Update runs fn and commits its changes; see storage.Store.
func (s *Store) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return s.update(ctx, func(w *storage.WriteSet) error { return fn(w) })
}

func (s *Store) update(ctx context.Context, fn func(*storage.WriteSet) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{fn: fn, reserved: storage.Reserved(ctx), done: make(chan struct{})}
	if err := s.enqueue(r); err != nil {
		return err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.taken.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-r.done
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.err
}

func (s *Store) enqueue(r *request) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.fatal.Load(); err != nil {
		return *err
	}
	if s.closed {
		return storage.ErrClosed
	}
	select {
	case s.queue <- r:
		return nil
	default:
		return storage.ErrBusy
	}
}

// committer is what its goroutine keeps from one commit to the next.
type committer struct {
	held      *request // was taken, but didn't fit into the last group
	committed bool     // something was, since the store was opened
	spent     []*storage.WriteSet
}

// commitAll serves the queue until it is closed and empty.
func (s *Store) commitAll() {
	defer close(s.done)
	for {
		next := s.committer.held
		s.committer.held = nil
		if next == nil {
			var ok bool
			if next, ok = <-s.queue; !ok {
				return
			}
			if !next.taken.CompareAndSwap(false, true) {
				continue
			}
		}
		s.serve(next)
	}
}

// serve commits first and whatever else waits, and answers all.
func (s *Store) serve(first *request) {
	g := &group{store: s}
	if err := s.fatal.Load(); err != nil {
		first.err = *err
		close(first.done)
		return
	}
	err := g.begin()
	if err != nil {
		err = s.lost(err)
		g.members = append(g.members, first)
	} else {
		for next := first; next != nil; next = g.next() {
			g.run(next)
		}
		err = g.commit()
	}
	if err == nil {
		for _, w := range g.sets {
			s.watchers.notify(w.Touched())
		}
	}
	for _, r := range g.members {
		if err != nil {
			r.err = err
		}
		close(r.done)
	}
	if n := len(g.sets); n > 0 {
		s.committer.spent = append(s.committer.spent[:0], g.sets...)
	}
}

// group is the closures that share one bbolt transaction.
type group struct {
	store   *Store
	tx      *bbolt.Tx
	bucket  *bbolt.Bucket
	base    snapshot
	members []*request
	sets    []*storage.WriteSet // of the closures that succeeded
	bytes   int
	writes  int
	timed   bool
}

func (g *group) begin() error {
	tx, err := g.store.db.Begin(true)
	if err != nil {
		return err
	}
	g.tx, g.bucket = tx, tx.Bucket(bucketName)
	g.base = newSnapshot(g.bucket)
	return nil
}

// next takes the next waiting request, nil if none waits or the group is full.
func (g *group) next() *request {
	s := g.store
	for s.committer.held == nil && len(g.members) < maxGroup && g.bytes < maxGroupBytes {
		select {
		case r, ok := <-s.queue:
			if !ok {
				return nil
			}
			if r.taken.CompareAndSwap(false, true) {
				return r
			}
		default:
			return nil
		}
	}
	return nil
}

// run runs one closure and, if it succeeds, adds its writes to the group.
func (g *group) run(r *request) {
	g.members = append(g.members, r)
	w := storage.NewWriteSet(g.base, g.store.clock.Now, g.store.committer.reuse())
	r.err, r.panicked = g.call(r.fn, w)
	w.Close()
	if r.err == nil && r.panicked == nil {
		r.err = w.Err()
	}
	if r.err != nil || r.panicked != nil {
		return
	}
	r.err = g.flush(w)
}

// call runs fn; a panic becomes its second result.
func (g *group) call(fn func(*storage.WriteSet) error, w *storage.WriteSet) (err error, panicked any) {
	defer func() {
		if panicked = recover(); panicked != nil {
			// The value may hold what must not be logged.
			g.store.opts.Logger.Error("a transaction's closure panicked", "stack", string(debug.Stack()))
		}
	}()
	return fn(w), nil
}

func (g *group) flush(w *storage.WriteSet) error {
	for _, t := range w.Touched() {
		var err error
		switch {
		case t.Put:
			err = g.bucket.Put(t.Key, t.Value)
		case t.Deleted:
			err = g.bucket.Delete(t.Key)
		default:
			continue
		}
		if err != nil {
			return err
		}
		g.writes++
	}
	g.bytes += w.Size()
	g.timed = g.timed || w.Timed()
	g.sets = append(g.sets, w)
	return nil
}

// commit makes the group durable. A group that only read is not written,
// unless it was told the time, which must not run backwards after a crash.
func (g *group) commit() error {
	s := g.store
	if g.writes == 0 && !g.timed {
		return g.tx.Rollback()
	}
	if err := g.bucket.SetSequence(uint64(s.clock.latest())); err != nil {
		return err
	}
	begun := time.Now()
	id := g.tx.ID()
	if err := g.tx.Commit(); err != nil {
		return s.lost(err)
	}
	s.durable.set(id)
	s.committer.committed = true
	if s.opts.OnCommit != nil {
		s.opts.OnCommit(len(g.members), time.Since(begun))
	}
	return nil
}

// reuse returns a write set whose memory may be used again, or nil.
func (c *committer) reuse() *storage.WriteSet {
	n := len(c.spent)
	if n == 0 {
		return nil
	}
	w := c.spent[n-1]
	c.spent = c.spent[:n-1]
	return w
}

// lost ends the store's promise: every later call gets ErrFatal.
func (s *Store) lost(cause error) error {
	err := fmt.Errorf("%w: %w", storage.ErrFatal, cause)
	if s.fatal.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("the store can no longer promise durability", "err", cause)
		if s.opts.OnFatal != nil {
			go s.opts.OnFatal(err)
		}
	}
	return *s.fatal.Load()
}

// classify gives the errors of open their storage sentinel.
func classify(err error) error { return errors.Join(err) }
