// Package bolt is the storage engine of a single host: one bbolt file with one
// flat bucket, and one committer that lets all who wait share a commit.
//
// It knows bbolt, the file and its disk, and nothing of what is stored.
//
// What always holds:
//
//   - An Update is answered only after the fsync of the commit that carries
//     it; what a View shows has been fsynced when the View returns.
//   - Closures run one after the other on the committer's goroutine, in the
//     order in which they were queued. One that fails changes nothing.
//   - The bucket's sequence number is the high-water mark of the clock in µs:
//     it rides on a page that every commit writes anyway.
//   - A file that is damaged, foreign, newer or locked is refused unchanged.
//   - After a failed fsync nothing is promised any more: every call returns
//     storage.ErrFatal until the process starts anew.
package bolt

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"smsotpd/storage"
)

// growth is by how much the file grows when it must, which costs an fsync.
const growth = 1 << 20

// bucketName is the one bucket; it tells our files from others.
var bucketName = []byte("smsotpd")

// Store is an open database file.
type Store struct {
	opts     Options
	file     *os.File // belongs to db
	db       *bbolt.DB
	pageSize int64
	clock    *clock
	watchers *watchers
	session  string

	mu     sync.RWMutex // guards closed, and queue against its closing
	closed bool
	queue  chan *request
	// patients wait beside the queue for a group to join.
	patients patients
	done     chan struct{} // closed when the committer has ended
	closes   func() error  // releases everything, once

	fatal   atomic.Pointer[error]
	durable durable

	committer committer // belongs to the committer's goroutine
}

var _ storage.Store = (*Store)(nil)

// Open opens or creates the store at o.Path. Errors wrap storage.ErrForeign,
// ErrNewer, ErrLocked, ErrClock or ErrFull, or are the file system's.
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	file, fresh, err := openFile(o.Path)
	if err != nil {
		return nil, err
	}
	s, err := open(o, file)
	if err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", o.Path, err)
	}
	go s.commitAll()
	if err := s.prepare(fresh); err != nil {
		return nil, errors.Join(fmt.Errorf("storage: open %s: %w", o.Path, err), s.Close())
	}
	return s, nil
}

// open hands the locked file to bbolt and reads what must be known before
// anything may be written. It closes file on failure.
func open(o Options, file *os.File) (*Store, error) {
	if err := checkFile(file, o.Logger); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	db, err := openBolt(file)
	if err != nil {
		_ = file.Close() // bbolt may have done so
		return nil, err
	}
	var mark int64
	err = db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketName)
		if bucket == nil {
			return nil
		}
		mark = int64(bucket.Sequence())
		_, err := storage.Schema(newSnapshot(bucket), o.Migrations)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if o.ResetClock {
		mark = 0
	}
	clock, err := newClock(o.Now, mark)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if ahead := time.UnixMicro(mark).Sub(o.Now()); ahead > time.Second {
		o.Logger.Warn("the clock is behind the time of the last commit; the store's time goes on from there", "behind", ahead)
	}
	s := &Store{
		opts:     o,
		file:     file,
		db:       db,
		pageSize: int64(db.Info().PageSize),
		clock:    clock,
		watchers: newWatchers(),
		queue:    make(chan *request, o.Queue),
		done:     make(chan struct{}),
	}
	s.durable.changed = make(chan struct{})
	s.closes = sync.OnceValue(s.release)
	if err := s.makeBucket(); err != nil {
		return nil, errors.Join(openFailed(err), db.Close())
	}
	return s, nil
}

// makeBucket makes the bucket if it is missing, and writes the mark anew where
// the operator ordered it.
func (s *Store) makeBucket() error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // ErrTxClosed after a commit
	if tx.Bucket(bucketName) != nil && !s.opts.ResetClock {
		s.durable.id.Store(int64(tx.ID() - 1))
		return nil
	}
	s.durable.id.Store(int64(tx.ID()))
	bucket, err := tx.CreateBucketIfNotExists(bucketName)
	if err != nil {
		return err
	}
	if err := bucket.SetSequence(uint64(s.clock.micros())); err != nil {
		return err
	}
	return tx.Commit()
}

// openBolt opens the checked and locked file, without writing to it unless it
// is empty.
func openBolt(file *os.File) (db *bbolt.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", storage.ErrForeign, p)
		}
	}()
	// A mapping that need not grow never makes the committer wait for readers.
	mapped := 1 << 30
	if strconv.IntSize == 32 {
		mapped = 128 << 20
	}
	db, err = bbolt.Open(file.Name(), 0o600, &bbolt.Options{
		Timeout:         lockWait,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true,
		InitialMmapSize: mapped,
		OpenFile:        func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	})
	if err != nil {
		return nil, openFailed(err)
	}
	db.AllocSize = growth
	return db, nil
}

// prepare brings session and schema up to date.
func (s *Store) prepare(fresh bool) error {
	if fresh {
		if err := syncDir(filepath.Dir(s.opts.Path)); err != nil {
			return err
		}
	}
	ctx := storage.WithReserve(context.Background())
	if s.opts.Daemon {
		if err := s.beginSession(ctx); err != nil {
			return err
		}
	}
	return storage.Migrate(func(fn func(*storage.WriteSet) error) error { return s.update(ctx, fn) }, s.opts.Migrations)
}

// beginSession ends all earlier sessions and begins this process's.
func (s *Store) beginSession(ctx context.Context) error {
	var name [16]byte
	if _, err := rand.Read(name[:]); err != nil {
		return err
	}
	s.session = hex.EncodeToString(name[:])
	return s.update(ctx, func(w *storage.WriteSet) error {
		tx := w.System()
		for {
			old, err := tx.Scan(storage.Sessions(), storage.PrefixEnd(storage.Sessions()), 10)
			if err != nil || len(old) == 0 {
				return errors.Join(err, tx.Put(storage.SessionKey(s.session), nil))
			}
			for _, e := range old {
				if err := tx.Delete(e.Key); err != nil {
					return err
				}
			}
		}
	})
}

// Session names this process's life in the store, "" without Options.Daemon.
func (s *Store) Session() string { return s.session }

// Watch tells of commits that touched keys under prefix, until ctx or the
// store ends, which closes the channel. At most 1024 keys wait for a slow
// reader; more become a Wake that says Lost.
func (s *Store) Watch(ctx context.Context, prefix []byte) <-chan storage.Wake {
	return s.watchers.add(ctx, prefix)
}

// usable is the reason why no call can be served any more, or nil.
func (s *Store) usable() error {
	if err := s.fatal.Load(); err != nil {
		return *err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return storage.ErrClosed
	}
	return nil
}

// Close answers all Updates that were queued, ends the session and releases
// the file. Later calls get ErrClosed.
func (s *Store) Close() error { return s.closes() }

func (s *Store) release() error {
	s.stop()
	s.watchers.end()
	if err := s.fatal.Load(); err != nil {
		// bbolt may still hold its locks. The process must end anyway; only
		// the lock on the file need not wait for that.
		return errors.Join(*err, s.file.Close())
	}
	s.finish()
	return s.db.Close()
}

// stop takes no more Updates and waits for the committer.
func (s *Store) stop() {
	s.mu.Lock()
	s.closed = true
	close(s.queue)
	s.mu.Unlock()
	<-s.done
}

// finish is the last commit: it saves the time that Views were given, ends the
// session and writes the list of free pages, which spares the next open a scan
// (a million keys of 300 B: 0.3 s instead of 0.9 s; commits don't write it, as
// a fragmented file's list would cost each of them more than its own pages).
// All that was acknowledged is durable already, so a failure is only logged.
func (s *Store) finish() {
	if !s.opts.Daemon && !s.committer.committed {
		return
	}
	s.db.NoFreelistSync = false
	err := s.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketName)
		if s.session != "" {
			if err := bucket.Delete(storage.SessionKey(s.session)); err != nil {
				return err
			}
		}
		return bucket.SetSequence(uint64(s.clock.latest()))
	})
	if err != nil {
		s.opts.Logger.Warn("the store's last commit at shutdown failed", "err", err)
	}
}
