package bolt

import (
	"context"
	"sync"
	"sync/atomic"

	"smsotpd/storage"
)

// View runs fn over a consistent snapshot; it returns when what fn saw is
// durable. fn must not call Update.
func (s *Store) View(ctx context.Context, fn func(storage.Tx) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	id, err := s.read(fn)
	if lost := s.awaitDurable(id); lost != nil {
		return lost
	}
	return err
}

// read runs fn and returns the id of the transaction that it saw the state of.
func (s *Store) read(fn func(storage.Tx) error) (id int, err error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		if usable := s.usable(); usable != nil {
			return 0, usable
		}
		return 0, s.lost(err)
	}
	defer func() { _ = tx.Rollback() }() // of a read transaction: can't fail
	view := storage.NewView(newSnapshot(tx.Bucket(bucketName)), s.clock.Now)
	defer view.Close()
	return tx.ID(), fn(view)
}

// awaitDurable waits for the fsync of the transaction with the given id.
func (s *Store) awaitDurable(id int) error {
	for s.durable.id.Load() < int64(id) {
		changed := s.durable.next()
		switch {
		case s.durable.id.Load() >= int64(id):
			return nil
		case s.fatal.Load() != nil:
			return *s.fatal.Load()
		}
		<-changed
	}
	return nil
}

// durable tells readers which transactions have been fsynced: bbolt shows a
// commit to readers once its meta page is written, before that is synced.
type durable struct {
	id      atomic.Int64 // of the last transaction fsynced
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when id changed, or never will again
}

func (d *durable) set(id int) {
	d.id.Store(int64(id))
	d.wake()
}

func (d *durable) wake() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *durable) next() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}
