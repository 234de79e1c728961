package bolt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/storage"
)

// hold keeps the committer inside a closure until the returned function runs.
func hold(t testing.TB, s *Store) (release func()) {
	t.Helper()
	running, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		err := s.Update(context.Background(), func(storage.Tx) error {
			close(running)
			<-goOn
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}()
	<-running
	return func() { close(goOn); <-done }
}

// waitQueued waits until n Updates wait for the committer.
func waitQueued(t testing.TB, s *Store, n int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for len(s.queue) < n {
		if time.Now().After(deadline) {
			t.Fatalf("%d queued, want %d", len(s.queue), n)
		}
		<-time.After(time.Millisecond)
	}
}

func TestGroup(t *testing.T) {
	var commits atomic.Int64
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), Queue: 8, OnCommit: func(batch int, _ time.Duration) {
		commits.Add(1)
		if batch != 1 && batch != 8 {
			t.Errorf("a batch of %d", batch)
		}
	}})
	commits.Store(0)
	release := hold(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 7 {
		wg.Go(func() {
			if err := put(context.Background(), s, "k", i, i+1, 10); err != nil {
				t.Error(err)
			}
		})
	}
	gaveUp := make(chan error, 1)
	go func() {
		gaveUp <- s.Update(ctx, func(storage.Tx) error {
			t.Error("ran, though its context ended while it waited")
			return nil
		})
	}()
	waitQueued(t, s, 8)
	if err := put(context.Background(), s, "k", 9, 10, 10); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("queue full: %v", err)
	}
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("context ended in the queue: %v", err)
	}
	release()
	wg.Wait()
	if n := commits.Load(); n != 1 {
		t.Errorf("%d commits, want all in one", n)
	}
	if n := count(t, s, "k"); n != 7 {
		t.Errorf("%d keys", n)
	}
}

// Closures of one group see one another, and a group stays bounded.
func TestGroupBounds(t *testing.T) {
	var largest atomic.Int64
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), OnCommit: func(batch int, _ time.Duration) {
		largest.Store(max(largest.Load(), int64(batch)))
	}})
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if err := put(context.Background(), s, fmt.Sprintf("%d/", i), 0, 15, storage.MaxValueSize); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(t, s, 40)
	release()
	wg.Wait()
	if n := largest.Load(); n < 2 || n > maxGroupBytes/(15*storage.MaxValueSize)+3 {
		t.Errorf("a group of %d closures that write 960 KiB each", n)
	}
}

// Pages that earlier closures of the group emptied must not end a scan.
func TestScanOverEmptiedPages(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db")})
	for i := range 10 {
		if err := put(context.Background(), s, "k", 100*i, 100*i+100, 300); err != nil {
			t.Fatal(err)
		}
	}
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range 9 { // all but the first 50 and the last 50
		wg.Go(func() {
			err := s.Update(context.Background(), func(tx storage.Tx) error {
				for j := range 100 {
					if err := tx.Delete(fmt.Appendf(nil, "k%06d", 50+100*i+j)); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(t, s, 9)
	wg.Go(func() {
		err := s.Update(context.Background(), func(tx storage.Tx) error {
			entries, err := tx.Scan([]byte("k000040"), nil, 20)
			if len(entries) != 20 || string(entries[9].Key) != "k000049" || string(entries[10].Key) != "k000950" {
				t.Errorf("%d entries: %q", len(entries), entries)
			}
			if _, err := tx.Get([]byte("k000500")); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("deleted: %v", err)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	waitQueued(t, s, 10)
	release()
	wg.Wait()
	if n := count(t, s, "k"); n != 100 {
		t.Errorf("%d keys", n)
	}
}

func TestMaxSize(t *testing.T) {
	const size, reserve, valueSize = 4 << 20, 1 << 20, 15_000
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), MaxSize: size, Reserve: reserve})
	ctx, reserved := context.Background(), storage.WithReserve(context.Background())
	fill := func(ctx context.Context, prefix string) (n int) {
		t.Helper()
		for ; n < 10_000; n++ {
			if err := put(ctx, s, prefix, n, n+1, valueSize); err != nil {
				if !errors.Is(err, storage.ErrFull) {
					t.Fatal(err)
				}
				return n
			}
		}
		t.Fatal("never full")
		return n
	}
	n, more := fill(ctx, "new"), 0
	if used := n * valueSize; used < (size-reserve)/3 || used > size-reserve {
		t.Errorf("full after %d bytes of values", used)
	}
	if more = fill(reserved, "reserved"); more == 0 {
		t.Error("the reserve took nothing")
	}
	if used := (n + more) * valueSize; used > size {
		t.Errorf("the reserve was left at %d bytes of values", used)
	}
	if count(t, s, "new") != n || count(t, s, "reserved") != more {
		t.Error("what was acknowledged isn't there")
	}
	for i := range n {
		err := s.Update(ctx, func(tx storage.Tx) error { return tx.Delete(fmt.Appendf(nil, "new%06d", i)) })
		if err != nil {
			t.Fatalf("delete when full: %v", err)
		}
	}
	if again := fill(ctx, "again"); again < n/2 {
		t.Errorf("after deleting %d there was room for %d only", n, again)
	}
	if info, err := os.Stat(s.opts.Path); err != nil || info.Size() > size+2<<20 {
		t.Errorf("the file has %d bytes (%v)", info.Size(), err)
	}
}

// The reserve holds on a disk without MaxSize too: no disk has this much room.
func TestDiskReserve(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), Reserve: 1 << 60})
	ctx := context.Background()
	if err := put(ctx, s, "k", 0, 1, 10); !errors.Is(err, storage.ErrFull) {
		t.Errorf("new work: %v", err)
	}
	if err := put(storage.WithReserve(ctx), s, "k", 0, 1, 10); err != nil {
		t.Errorf("from the reserve: %v", err)
	}
	if err := s.Update(ctx, func(tx storage.Tx) error { return tx.Delete([]byte("k000000")) }); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// Closures that wait together must not be refused because of one another.
func TestMaxSizeGroup(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), MaxSize: 1 << 20, Reserve: -1})
	release := hold(t, s)
	var wg sync.WaitGroup
	for i := range 200 { // of ours all fit, of copied pages only if they don't share a group
		wg.Go(func() {
			if err := put(context.Background(), s, "k", i, i+1, 1000); err != nil {
				t.Error(err)
			}
		})
	}
	waitQueued(t, s, 200)
	release()
	wg.Wait()
	if n := count(t, s, "k"); n != 200 {
		t.Errorf("%d keys", n)
	}
}

// bbolt shows readers a commit before it is synced; a View waits.
func TestViewWaitsForSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: filepath.Join(t.TempDir(), "db")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		if err := put(context.Background(), s, "k", 0, 1, 1); err != nil {
			t.Fatal(err)
		}
		id := s.durable.id.Load()
		s.durable.id.Store(id - 1) // as if the commit's fsync were under way
		done := make(chan error, 1)
		go func() { done <- s.View(context.Background(), func(storage.Tx) error { return nil }) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a View showed what was not synced (%v)", err)
		default:
		}
		s.durable.set(int(id))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// In a bubble time is fake, and stands still while the store works.
func TestSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(Options{Path: filepath.Join(t.TempDir(), "db"), Daemon: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		wakes := s.Watch(ctx, []byte("k"))
		begun := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				<-time.After(time.Minute)
				err := s.Update(ctx, func(tx storage.Tx) error {
					if want := begun.Add(time.Minute); !tx.Now().Equal(want) {
						t.Errorf("now is %v, want %v", tx.Now(), want)
					}
					return tx.Put(fmt.Appendf(nil, "k%d", i), nil)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := 0
		for wake := range wakes { // until the hour is over
			seen += len(wake.Keys)
		}
		if seen != 50 || time.Since(begun) != time.Hour {
			t.Errorf("%d keys seen in %v", seen, time.Since(begun))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
