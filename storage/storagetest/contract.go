package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"smsotpd/storage"
)

func testReadWrite(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	update(t, s, func(tx storage.Tx) error {
		if _, err := tx.Get([]byte("a")); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("missing key: %v", err)
		}
		key, value := []byte("a"), []byte("1")
		if err := tx.Put(key, value); err != nil {
			return err
		}
		key[0], value[0] = 'x', 'x' // the caller's slices are his again
		v, err := tx.Get([]byte("a"))
		if string(v) != "1" || err != nil {
			t.Errorf("own write: %q, %v", v, err)
		}
		if err := tx.Delete([]byte("a")); err != nil {
			return err
		}
		if _, err := tx.Get([]byte("a")); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("own delete: %v", err)
		}
		return errors.Join(tx.Delete([]byte("never")), tx.Put([]byte("a"), []byte("2")), tx.Put([]byte("empty"), nil))
	})
	if v, ok := get(t, s, "a"); v != "2" || !ok {
		t.Errorf("a = %q, %v", v, ok)
	}
	closeStore(t, s)
	s = open(t, b, Options{})
	if v, ok := get(t, s, "a"); v != "2" || !ok {
		t.Errorf("a after reopening = %q, %v", v, ok)
	}
	if v, ok := get(t, s, "empty"); v != "" || !ok {
		t.Errorf("empty value after reopening = %q, %v", v, ok)
	}
	update(t, s, func(tx storage.Tx) error { return tx.Delete([]byte("a")) })
	if _, ok := get(t, s, "a"); ok {
		t.Error("deleted key is there")
	}
}

func testScan(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	update(t, s, func(tx storage.Tx) error {
		return errors.Join(tx.Put([]byte("\x01"), []byte("low")), tx.Put([]byte("b"), []byte("1")),
			tx.Put([]byte("d"), []byte("1")), tx.Put([]byte("f"), []byte("1")), tx.Put([]byte("\xff"), []byte("high")))
	})
	tests := []struct {
		start, end string
		limit      int
		want       string
	}{
		{"", "", 100, "\x01=low a=2 b=2 f=1 g=2 \xff=high "},
		{"", "", 2, "\x01=low a=2 "},
		{"a", "g", 100, "a=2 b=2 f=1 "},
		{"aa", "b", 100, ""},
		{"c", "g", 100, "f=1 "},
		{"c", "g\x00", 2, "f=1 g=2 "},
		{"g", "a", 100, ""},
		{"", "a", 100, "\x01=low "},
		{"!", `"`, 100, ""},
		{"z", "", 1, "\xff=high "},
	}
	check := func(tx storage.Tx) error {
		for _, test := range tests {
			var end []byte
			if test.end != "" {
				end = []byte(test.end)
			}
			got, err := tx.Scan([]byte(test.start), end, test.limit)
			if err != nil {
				return err
			}
			if show(got) != test.want {
				t.Errorf("scan %q…%q limit %d: %q, want %q", test.start, test.end, test.limit, show(got), test.want)
			}
		}
		return nil
	}
	update(t, s, func(tx storage.Tx) error {
		err := errors.Join(tx.Put([]byte("a"), []byte("2")), tx.Put([]byte("b"), []byte("2")), tx.Delete([]byte("d")), tx.Put([]byte("g"), []byte("2")))
		return errors.Join(err, check(tx)) // merged with what is not committed
	})
	if err := s.View(context.Background(), check); err != nil { // and as committed
		t.Error(err)
	}
}

func testFailedClosure(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	own := errors.New("own")
	err := s.Update(context.Background(), func(tx storage.Tx) error {
		return errors.Join(tx.Put([]byte("a"), []byte("1")), own)
	})
	wantErr(t, "closure's own error", err, own)
	if _, ok := get(t, s, "a"); ok {
		t.Error("a failed closure wrote")
	}
}

func testPanic(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			defer func() {
				if p := recover(); (p == "own") != (i%2 == 0) {
					t.Errorf("closure %d: recovered %v", i, p)
				}
			}()
			err := s.Update(context.Background(), func(tx storage.Tx) error {
				if err := tx.Put(fmt.Appendf(nil, "k%d", i), nil); err != nil {
					return err
				}
				if i%2 == 0 {
					panic("own")
				}
				return nil
			})
			if err != nil {
				t.Errorf("closure %d beside panics: %v", i, err)
			}
		})
	}
	wg.Wait()
	for i := range 20 {
		if _, ok := get(t, s, fmt.Sprintf("k%d", i)); ok != (i%2 == 1) {
			t.Errorf("k%d is there: %v", i, ok)
		}
	}
	func() {
		defer func() {
			if p := recover(); p != "own" {
				t.Errorf("View: recovered %v", p)
			}
		}()
		_ = s.View(context.Background(), func(storage.Tx) error { panic("own") })
	}()
	put(t, s, "after", "")
}

// A test that calls t.Fatal in a closure must not hang the store.
func testGoexit(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := s.Update(context.Background(), func(tx storage.Tx) error {
			_ = tx.Put([]byte("a"), nil)
			runtime.Goexit()
			return nil
		})
		if err == nil {
			t.Error("a closure that never returned was acknowledged")
		}
	}()
	<-done
	if _, ok := get(t, s, "a"); ok {
		t.Error("a closure that never returned wrote")
	}
	put(t, s, "b", "")
}

func testBounds(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	key := func(i int) []byte { return fmt.Appendf(nil, "k%03d", i) }
	update(t, s, func(tx storage.Tx) error {
		for i := range 100 {
			if err := tx.Put(key(i), []byte("v")); err != nil {
				return err
			}
			if err := tx.Put(key(i), []byte("w")); err != nil { // not a key more
				return err
			}
		}
		return nil
	})
	many := func(n int, do func(tx storage.Tx, key []byte) error) func(tx storage.Tx) error {
		return func(tx storage.Tx) error {
			for i := range n {
				if err := do(tx, key(i)); err != nil && !errors.Is(err, storage.ErrNotFound) {
					return err
				}
			}
			return nil
		}
	}
	read := func(tx storage.Tx, key []byte) error { _, err := tx.Get(key); return err }
	write := func(tx storage.Tx, key []byte) error { return tx.Put(key, []byte("x")) }
	remove := func(tx storage.Tx, key []byte) error { return tx.Delete(key) }
	scan := func(n int) func(tx storage.Tx) error {
		return func(tx storage.Tx) error { _, err := tx.Scan(key(0), nil, n); return err }
	}
	both := func(a, b func(tx storage.Tx) error) func(tx storage.Tx) error {
		return func(tx storage.Tx) error {
			if err := a(tx); err != nil {
				return err
			}
			return b(tx)
		}
	}
	one := func(key string, size int) func(tx storage.Tx) error {
		return func(tx storage.Tx) error { return tx.Put([]byte(key), make([]byte, size)) }
	}
	tests := []struct {
		name    string
		fn      func(tx storage.Tx) error
		refused bool
	}{
		{"100 reads", many(100, read), false},
		{"101 reads", many(101, read), true},
		{"100 deletes", many(100, remove), false},
		{"100 writes", many(100, write), false},
		{"101 writes", many(101, write), true},
		{"101 deletes", many(101, remove), true},
		{"100 reads, then written", both(many(100, read), many(100, write)), false},
		{"scan of 99", scan(99), false},
		{"scan of 100", scan(100), true},
		{"scan of 99, written", both(scan(99), many(99, write)), false},
		{"scan of 99, one more", both(scan(99), one("other", 1)), true},
		{"two scans of the same 98", both(scan(98), scan(98)), false},
		{"two scans of the same 99", both(scan(99), scan(99)), true},
		{"no limit", scan(0), true},
		{"longest key", one(strings.Repeat("k", storage.MaxKeySize), 1), false},
		{"key too long", one(strings.Repeat("k", storage.MaxKeySize+1), 1), true},
		{"empty key", one("", 1), true},
		{"reserved key", one("!session/x", 1), true},
		{"reserved key deleted", func(tx storage.Tx) error { return tx.Delete([]byte("!schema")) }, true},
		{"reserved key read", func(tx storage.Tx) error { return read(tx, []byte("!schema")) }, true},
		{"largest value", one("k", storage.MaxValueSize), false},
		{"value too large", one("k", storage.MaxValueSize+1), true},
		{"too much in all", many(17, func(tx storage.Tx, key []byte) error { return tx.Put(key, make([]byte, storage.MaxValueSize)) }), true},
		{"error ignored", func(tx storage.Tx) error { _ = tx.Put(nil, nil); return tx.Put([]byte("k"), nil) }, true},
	}
	for _, test := range tests {
		err := s.Update(context.Background(), test.fn)
		if test.refused {
			wantErr(t, test.name, err, storage.ErrBounds)
		} else if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func testView(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	put(t, s, "a", "1")
	err := s.View(context.Background(), func(tx storage.Tx) error {
		wantErr(t, "put in a View", tx.Put([]byte("a"), nil), storage.ErrBounds)
		wantErr(t, "delete in a View", tx.Delete([]byte("a")), storage.ErrBounds)
		for i := range storage.MaxKeys + 10 {
			if _, err := tx.Get(fmt.Appendf(nil, "k%d", i)); !errors.Is(err, storage.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if v, _ := get(t, s, "a"); v != "1" {
		t.Errorf("a = %q", v)
	}
}

func testEndedTx(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	var kept []storage.Tx
	keep := func(tx storage.Tx) error { kept = append(kept, tx); return nil }
	update(t, s, keep)
	if err := s.View(context.Background(), keep); err != nil {
		t.Fatal(err)
	}
	for _, tx := range kept {
		_, err := tx.Get([]byte("a"))
		wantErr(t, "get after the end", err, storage.ErrBounds)
		_, err = tx.Scan(nil, nil, 1)
		wantErr(t, "scan after the end", err, storage.ErrBounds)
		wantErr(t, "put after the end", tx.Put([]byte("a"), nil), storage.ErrBounds)
	}
}

func testContext(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	ran := false
	fn := func(storage.Tx) error { ran = true; return nil }
	wantErr(t, "Update", s.Update(ended, fn), context.Canceled)
	wantErr(t, "View", s.View(ended, fn), context.Canceled)
	if ran {
		t.Error("ran under an ended context")
	}

	// While one closure holds the engine up, another's context ends: it must
	// not run. A context that ends while its closure runs changes nothing.
	ctx, cancel := context.WithCancel(context.Background())
	running, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := make(chan error, 1)
	go func() {
		first <- s.Update(ctx, func(tx storage.Tx) error {
			once.Do(func() { close(running); <-goOn })
			return tx.Put([]byte("first"), nil)
		})
	}()
	<-running
	waiting, give := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() {
		second <- s.Update(waiting, func(tx storage.Tx) error { return tx.Put([]byte("second"), nil) })
	}()
	give()
	err := <-second
	cancel()
	close(goOn)
	if err := <-first; err != nil {
		t.Errorf("context ended while the closure ran: %v", err)
	}
	if _, ok := get(t, s, "first"); !ok {
		t.Error("an acknowledged write is missing")
	}
	if _, ok := get(t, s, "second"); ok != (err == nil) {
		t.Errorf("error %v, but its write is there: %v", err, ok)
	}
}

func testClosed(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	wakes := s.Watch(context.Background(), nil)
	var wg sync.WaitGroup
	acknowledged := make([]bool, 50)
	for i := range acknowledged {
		wg.Go(func() {
			err := s.Update(context.Background(), func(tx storage.Tx) error { return tx.Put(fmt.Appendf(nil, "k%d", i), nil) })
			acknowledged[i] = err == nil
			if err != nil {
				wantErr(t, "Update beside Close", err, storage.ErrClosed)
			}
		})
	}
	closeStore(t, s)
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	wantErr(t, "Update", s.Update(context.Background(), func(storage.Tx) error { return nil }), storage.ErrClosed)
	wantErr(t, "View", s.View(context.Background(), func(storage.Tx) error { return nil }), storage.ErrClosed)
	for range wakes { // ends when the store has
	}
	s = open(t, b, Options{})
	for i, ack := range acknowledged {
		if _, ok := get(t, s, fmt.Sprintf("k%d", i)); ok != ack {
			t.Errorf("k%d: acknowledged %v, there %v", i, ack, ok)
		}
	}
}
