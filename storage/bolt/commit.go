package bolt

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"smsotpd/storage"
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
	if storage.Patient(ctx) {
		s.patients.add(r)
		r.await(ctx, storage.Patience)
		if err := ctx.Err(); err != nil && r.taken.CompareAndSwap(false, true) {
			return err // given up before anything began: it must not run
		}
	}
	// Whoever finds it taken leaves it to the other: a group that it joined
	// meanwhile, or this queue.
	if !r.taken.Load() {
		if err := s.enqueue(r); err != nil && r.taken.CompareAndSwap(false, true) {
			return err
		}
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

// await waits until the request is answered, ctx ends or d has passed.
func (r *request) await(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// patients are requests that wait for a group to join. Those that another has
// taken meanwhile are skipped.
type patients struct {
	mu      sync.Mutex
	waiting []*request // guarded by mu
}

func (p *patients) add(r *request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, r)
}

// take takes the one that waits longest, nil if none does.
func (p *patients) take() *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 {
		r := p.waiting[0]
		p.waiting = p.waiting[1:]
		if r.taken.CompareAndSwap(false, true) {
			return r
		}
	}
	return nil
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
	held      *request // taken, but found no room beside the last group
	committed bool     // something was, since the store was opened
	trimmed   time.Time
	spent     []*storage.WriteSet
}

// commitAll serves the queue until it is closed and empty.
func (s *Store) commitAll() {
	ended := false
	defer func() {
		if ended {
			close(s.done)
		} else {
			go s.commitAll() // a closure ended this goroutine
		}
	}()
	for {
		next := s.committer.held
		s.committer.held = nil
		if next == nil {
			var ok bool
			if next, ok = <-s.queue; !ok {
				ended = true
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
	g := &group{store: s, members: []*request{first}}
	outcome := errExited // unless the next call returns
	defer func() { g.answer(outcome) }()
	outcome = g.serve()
}

var errExited = fmt.Errorf("%w: a closure of the group called runtime.Goexit", storage.ErrBounds)

// lost ends the store's promise: every later call gets ErrFatal.
func (s *Store) lost(cause error) error {
	err := fmt.Errorf("%w: %w", storage.ErrFatal, cause)
	if s.fatal.CompareAndSwap(nil, &err) {
		s.opts.Logger.Error("the store can no longer promise durability", "err", cause)
		s.durable.wake()
		if s.opts.OnFatal != nil {
			go s.opts.OnFatal(err)
		}
	}
	return *s.fatal.Load()
}
