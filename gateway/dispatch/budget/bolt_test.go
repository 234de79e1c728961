package budget

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/storage"
	"smsotpd/storage/bolt"
	"smsotpd/storage/storagetest"
)

func openStore(t *testing.T, path string, now func() time.Time) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(bolt.Options{Path: path, Daemon: true, Now: now})
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestParallelChargesNeverOvershoot(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "smsotpd.db"), nil)
	l, lim := New(nil), Limits{PerMinute: 40, PerDay: 30, RecipientsPerMonth: 20, Reserve: 50}
	var codes, notices, taken atomic.Int32
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			c := Charge{SIM: paris, Notice: i%2 == 0, Recipient: token(byte(i % 40))}
			err := store.Update(t.Context(), func(tx storage.Tx) error {
				_, err := l.Charge(tx, lim, c)
				return err
			})
			var spent *SpentError
			switch {
			case errors.As(err, &spent):
				return
			case err != nil:
				t.Error(err)
				return
			case c.Notice:
				notices.Add(1)
			default:
				codes.Add(1)
			}
			s := Settlement{Result: Result(i % 3)}
			must(t, store.Update(t.Context(), func(tx storage.Tx) error {
				_, err := l.Settle(tx, lim, c, s)
				return err
			}))
			if s.Result == Taken {
				taken.Add(1)
			}
		})
	}
	all.Wait()
	must(t, store.View(t.Context(), func(tx storage.Tx) error {
		s, err := l.Standing(tx, paris, lim)
		if s.InAir != 0 || s.Day.Used != int(taken.Load()) || s.Day.Used > 30 || s.Recipients.Used > 20 {
			t.Errorf("%d codes and %d notices began, %d were taken: %+v", codes.Load(), notices.Load(), taken.Load(), s)
		}
		return err
	}))
}

// All stay in the air, so that exactly the limit begins.
func TestParallelChargesFillTheLimitExactly(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "smsotpd.db"), nil)
	l, lim := New(nil), Limits{PerMinute: 40, PerDay: 37}
	var begun atomic.Int32
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			err := store.Update(t.Context(), func(tx storage.Tx) error {
				_, err := l.Charge(tx, lim, Charge{SIM: paris, Recipient: token(byte(i))})
				return err
			})
			var spent *SpentError
			if err == nil {
				begun.Add(1)
			} else if !errors.As(err, &spent) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := begun.Load(); n != 37 {
		t.Errorf("%d of 37 began", n)
	}
}

// A kill leaves the file as the last acknowledged commit left it.
func TestKillKeepsAll(t *testing.T) {
	dir := t.TempDir()
	clock := time.Date(2026, 3, 31, 23, 58, 0, 0, time.UTC)
	now := func() time.Time { return clock }
	path := filepath.Join(dir, "0.db")
	store := openStore(t, path, now)
	l, lim := New(nil), Limits{PerMinute: 7, PerHour: 20, PerDay: 12, RecipientsPerMonth: 4, NoticesPerDay: 5, Reserve: 10}
	look := func(tx storage.Tx) (s Standing, err error) { return l.Standing(tx, paris, lim) }
	for i := range 12 {
		c := Charge{SIM: paris, Notice: i%3 == 0, Segments: 2, Recipient: token(byte(i % 3))}
		must(t, store.Update(t.Context(), func(tx storage.Tx) error {
			if _, err := l.Charge(tx, lim, c); err != nil || i%4 == 0 {
				return err // some stay in the air
			}
			_, err := l.Settle(tx, lim, c, Settlement{Result: Result(i % 3), Cause: "cms 38"})
			return err
		}))
		var before, after Standing
		must(t, store.View(t.Context(), func(tx storage.Tx) (err error) { before, err = look(tx); return err }))
		dumped, err := storagetest.Dump(t.Context(), store)
		must(t, err)

		image, err := os.ReadFile(path)
		must(t, err)
		must(t, store.Close())
		path = filepath.Join(dir, fmt.Sprintf("%d.db", i+1))
		must(t, os.WriteFile(path, image, 0o600))
		store, l = openStore(t, path, now), New(nil)

		must(t, store.View(t.Context(), func(tx storage.Tx) (err error) { after, err = look(tx); return err }))
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("before the kill\n%+v, after it\n%+v", before, after)
		}
		again, err := storagetest.Dump(t.Context(), store)
		must(t, err)
		if !reflect.DeepEqual(dumped, again) {
			t.Fatal("the records are not what they were")
		}
		clock = clock.Add(25 * time.Second)
	}
}

func TestTransactionsTouchFewKeys(t *testing.T) {
	store := openStore(t, filepath.Join(t.TempDir(), "smsotpd.db"), nil)
	l, lim, c := New(nil), Limits{PerMinute: 9, RecipientsPerMonth: 9}, Charge{SIM: paris, Recipient: token(1)}
	keys := func(fn func(tx storage.Tx) error) int {
		var n *storagetest.Counter
		must(t, store.Update(t.Context(), func(tx storage.Tx) error {
			n = storagetest.Count(tx)
			return fn(n)
		}))
		return n.Keys()
	}
	charge := keys(func(tx storage.Tx) error { _, err := l.Charge(tx, lim, c); return err })
	settle := keys(func(tx storage.Tx) error { _, err := l.Settle(tx, lim, c, Settlement{Result: Taken}); return err })
	replace := keys(func(tx storage.Tx) error { _, err := l.ReplaceType(tx, c.Recipient, 1); return err })
	if charge != 2 || settle != 3 || replace > 2 {
		t.Errorf("Charge touches %d keys, Settle %d, ReplaceType %d", charge, settle, replace)
	}
}
