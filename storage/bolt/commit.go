package bolt

import (
	"context"
	"fmt"
	"sync/atomic"

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
	held      *request // taken, but found no room beside the last group
	committed bool     // something was, since the store was opened
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
