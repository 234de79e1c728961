package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"smsotpd/storage"
)

// within fails the test if do, which must return when giveUp closes, isn't
// done in time.
func within(t testing.TB, what string, do func(giveUp <-chan struct{}) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !do(ctx.Done()) {
		t.Fatalf("%s: not within %s", what, patience)
	}
}

func testWatch(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	wakes := s.Watch(ctx, []byte("a/"))
	put(t, s, "a/1", "")
	put(t, s, "b/1", "")
	update(t, s, func(tx storage.Tx) error {
		_, err := tx.Get([]byte("a/9"))
		if !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		return errors.Join(tx.Put([]byte("a/2"), nil), tx.Delete([]byte("a/3")))
	})
	_ = s.Update(ctx, func(tx storage.Tx) error {
		return errors.Join(tx.Put([]byte("a/failed"), nil), errors.New("own"))
	})
	seen := map[string]bool{}
	within(t, "wakes", func(giveUp <-chan struct{}) bool {
		for !seen["a/1"] || !seen["a/2"] || !seen["a/3"] {
			select {
			case wake := <-wakes:
				for _, k := range wake.Keys {
					seen[string(k)] = true
					if !bytes.HasPrefix(k, []byte("a/")) {
						t.Errorf("woken for %q", k)
					}
				}
			case <-giveUp:
				return false
			}
		}
		return true
	})
	if seen["a/failed"] {
		t.Error("woken by a closure that failed")
	}
	cancel()
	within(t, "close", func(giveUp <-chan struct{}) bool {
		for {
			select {
			case _, ok := <-wakes:
				if !ok {
					return true
				}
			case <-giveUp:
				return false
			}
		}
	})
}

func testWatchOverflow(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	wakes := s.Watch(ctx, nil) // not read while much is written
	for i := range 60 {
		update(t, s, func(tx storage.Tx) error {
			for j := range 100 {
				if err := tx.Put(fmt.Appendf(nil, "k%d/%d", i, j), nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	put(t, s, "last", "")
	within(t, "lost", func(giveUp <-chan struct{}) bool {
		for {
			select {
			case wake := <-wakes:
				if len(wake.Keys) > 5000 {
					t.Errorf("%d keys kept for a slow watcher", len(wake.Keys))
				}
				if wake.Lost {
					return true
				}
			case <-giveUp:
				return false
			}
		}
	})
}
