package bolt

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/storage"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var batches []int
		s, err := Open(Options{
			Path: filepath.Join(t.TempDir(), "db"), Daemon: true,
			OnCommit: func(batch int, _ time.Duration) { batches = append(batches, batch) },
		})
		if err != nil {
			t.Fatal(err)
		}
		put := func(ctx context.Context, key string) error {
			return s.Update(ctx, func(tx storage.Tx) error { return tx.Put([]byte(key), []byte("v")) })
		}
		patient := storage.WithPatience(t.Context())

		began := time.Now()
		batches = nil
		if err := put(patient, "alone"); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited != storage.Patience || len(batches) != 1 {
			t.Errorf("alone: waited %v, commits %v", waited, batches)
		}

		began, batches = time.Now(), nil
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				if err := put(patient, fmt.Sprint("patient", i)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := put(t.Context(), "prompt"); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if waited := time.Since(began); waited != 0 || len(batches) != 1 || batches[0] != 4 {
			t.Errorf("in company: waited %v, commits %v", waited, batches)
		}

		canceled, cancel := context.WithCancel(patient)
		wg.Go(func() {
			if err := put(canceled, "canceled"); err != context.Canceled { //nolint:errorlint // as it is
				t.Errorf("canceled while it waited: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		wg.Go(func() {
			if err := put(patient, "too late"); err != storage.ErrClosed { //nolint:errorlint // as it is
				t.Errorf("closed while it waited: %v", err)
			}
		})
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	})
}

// Patient and prompt Updates in any mixture all run, once.
func TestPatienceLosesNothing(t *testing.T) {
	s, err := Open(Options{Path: filepath.Join(t.TempDir(), "db"), Daemon: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const writers, each = 16, 40
	var wg sync.WaitGroup
	for w := range writers {
		ctx := t.Context()
		if w%2 == 0 {
			ctx = storage.WithPatience(ctx)
		}
		wg.Go(func() {
			for range each {
				err := s.Update(ctx, func(tx storage.Tx) error {
					n, err := tx.Get([]byte("count"))
					if err != nil && err != storage.ErrNotFound { //nolint:errorlint // as it is
						return err
					}
					return tx.Put([]byte("count"), append(append([]byte(nil), n...), '.'))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_ = s.View(t.Context(), func(tx storage.Tx) error {
		if n, err := tx.Get([]byte("count")); err != nil || len(n) != writers*each {
			t.Errorf("%d of %d ran: %v", len(n), writers*each, err)
		}
		return nil
	})
}
