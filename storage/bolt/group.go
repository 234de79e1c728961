package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"smsotpd/storage"
)

// Bounds of a group.
const (
	maxGroup      = 1000
	maxGroupBytes = 8 << 20
)

// fillPercent is how full bbolt leaves a page that it splits. Tables keyed in
// time order only ever grow at their end: against the default 0.5 they need a
// quarter fewer pages, while random keys need 3 % more.
const fillPercent = 0.7

// group is the closures that share one bbolt transaction.
type group struct {
	store   *Store
	tx      *bbolt.Tx
	bucket  *bbolt.Bucket
	base    snapshot
	members []*request          // all that are to be answered
	sets    []*storage.WriteSet // of those that succeeded

	room   int64 // bytes that new pages may take
	need   int64 // bytes that the writes so far may take
	bytes  int
	writes int
	timed  bool
}

// serve runs the group's first member and all that wait, and commits them. Its
// error is the outcome of all; without one each member has its own.
func (g *group) serve() (err error) {
	s := g.store
	if fatal := s.fatal.Load(); fatal != nil {
		return *fatal
	}
	defer func() {
		// Closures have a recover of their own: this is bbolt over a file
		// that was damaged while it was open.
		if p := recover(); p != nil {
			err = s.lost(fmt.Errorf("%w: bbolt: %v", storage.ErrUnknown, p))
		}
	}()
	if g.tx, err = s.db.Begin(true); err != nil {
		return s.lost(err)
	}
	s.trim(g.tx.Size())
	g.bucket = g.tx.Bucket(bucketName)
	g.base = newSnapshot(g.bucket)
	g.bucket.FillPercent = fillPercent
	g.room = s.room(g.tx)
	for next := g.members[0]; next != nil; next = g.next() {
		if err := g.run(next); err != nil {
			return s.lost(err)
		}
	}
	return g.commit()
}

// next takes the next waiting request, nil if none waits or the group is full.
func (g *group) next() *request {
	s := g.store
	yielded := false
	for s.committer.held == nil && len(g.members) < maxGroup && g.bytes < maxGroupBytes {
		select {
		case r, ok := <-s.queue:
			if !ok {
				return nil
			}
			if r.taken.CompareAndSwap(false, true) {
				g.members = append(g.members, r)
				return r
			}
		default:
			if r := s.patients.take(); r != nil {
				g.members = append(g.members, r)
				return r
			}
			if yielded {
				return nil
			}
			// Those whom the last commit woke may be about to queue again.
			runtime.Gosched()
			yielded = true
		}
	}
	return nil
}

// run runs the closure of the group's latest member and, if it succeeds, adds
// its writes to the transaction. Its error is bbolt's.
func (g *group) run(r *request) error {
	s := g.store
	w := storage.NewWriteSet(g.base, s.clock.Now, s.committer.reuse())
	if !g.call(r, w) {
		return nil
	}
	cost := g.cost(w)
	switch full := cost > 0 && g.need+cost > g.roomFor(r); {
	case full && g.writes > 0: // alone it may fit, so it begins the next group
		s.committer.held = r
		g.members = g.members[:len(g.members)-1]
		return nil
	case full:
		r.err = storage.ErrFull
		return nil
	}
	g.need += cost
	g.bytes += w.Size()
	g.timed = g.timed || w.Timed()
	g.sets = append(g.sets, w)
	return g.flush(w)
}

// call runs r's closure and says whether it succeeded; a panic is kept for
// its caller.
func (g *group) call(r *request, w *storage.WriteSet) bool {
	defer w.Close()
	defer func() {
		if r.panicked = recover(); r.panicked != nil {
			// The value itself may hold what must not be logged.
			g.store.opts.Logger.Error("a transaction's closure panicked", "stack", string(debug.Stack()))
		}
	}()
	if r.err = r.fn(w); r.err == nil {
		r.err = w.Err()
	}
	return r.err == nil
}

// roomFor is the room of which r may have its share.
func (g *group) roomFor(r *request) int64 {
	if r.reserved {
		return g.room
	}
	return g.room - g.store.opts.Reserve
}

// cost is how many bytes of new pages w may take at most, about: each write
// copies a leaf, and leaves may be half empty. Deleting is free, so that it
// is never refused.
func (g *group) cost(w *storage.WriteSet) int64 {
	puts := 0
	for i := range w.Touched() {
		if w.Touched()[i].Put {
			puts++
		}
	}
	if puts == 0 {
		return 0
	}
	return int64(puts)*g.store.pageSize + 2*int64(w.Size())
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
	return nil
}

// commit makes the group durable. A group that only read is not written,
// unless it was told the time, which must not run backwards after a crash.
func (g *group) commit() error {
	s := g.store
	if g.writes == 0 && !g.timed {
		return nil
	}
	if err := g.bucket.SetSequence(uint64(s.clock.latest())); err != nil {
		return s.lost(err)
	}
	before, err := s.file.Stat()
	if err != nil {
		return s.lost(err)
	}
	begun, id := time.Now(), g.tx.ID()
	if err := g.tx.Commit(); err != nil {
		return s.commitFailed(g.tx.Stats(), before.Size(), err)
	}
	s.durable.set(id)
	s.committer.committed = true
	if s.opts.OnCommit != nil {
		s.opts.OnCommit(len(g.members), time.Since(begun))
	}
	return nil
}

// answer ends the group with err for all, or with what each member got.
func (g *group) answer(err error) {
	g.rollback()
	for _, w := range g.sets {
		if err == nil {
			g.store.watchers.notify(w.Touched())
		}
	}
	for _, r := range g.members {
		if err != nil {
			r.err, r.panicked = err, nil
		}
		close(r.done)
	}
	g.store.committer.spent = append(g.store.committer.spent, g.sets...)
}

// rollback ends the transaction if it was not committed.
func (g *group) rollback() {
	if g.tx == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			_ = g.store.lost(fmt.Errorf("bbolt: %v", p))
		}
	}()
	_ = g.tx.Rollback() // ErrTxClosed if it was
}

// commitFailed tells a full disk, which leaves everything as it was, from the
// loss of durability. bbolt writes the data pages one by one, syncs them, and
// then writes and syncs the meta page.
func (s *Store) commitFailed(stats bbolt.TxStats, sizeBefore int64, err error) error {
	if stats.GetWrite() >= stats.GetSpill() {
		return s.lost(fmt.Errorf("%w: %w", storage.ErrUnknown, err))
	}
	// Some data page was not written, so nothing refers to the others.
	if noRoom(err) || s.growthRefused(sizeBefore, err) {
		s.opts.Logger.Warn("no room for a commit", "err", err)
		return fmt.Errorf("%w: %w", storage.ErrFull, err)
	}
	return s.lost(err)
}

// growthRefused says whether bbolt failed at making the file longer, before it
// wrote anything: its error keeps no errno, but then the file has kept its
// size (it has not if the sync after the growth failed).
func (s *Store) growthRefused(sizeBefore int64, err error) bool {
	if _, write := errors.AsType[*fs.PathError](err); write {
		return false
	}
	tx, err := s.db.Begin(false) // fails if the mapping was lost
	if err != nil {
		return false
	}
	_ = tx.Rollback()
	info, err := s.file.Stat()
	return err == nil && info.Size() == sizeBefore
}

// room is how many bytes of pages may still be taken into use.
func (s *Store) room(tx *bbolt.Tx) int64 {
	stats := s.db.Stats()
	free := int64(stats.FreePageN+stats.PendingPageN) * s.pageSize
	room := int64(math.MaxInt64)
	if s.opts.MaxSize > 0 {
		room = s.opts.MaxSize - (tx.Size() - free)
	}
	if disk, err := diskRoom(s.file); err == nil {
		room = min(room, disk+free)
	}
	return room
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
