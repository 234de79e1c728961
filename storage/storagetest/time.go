package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"smsotpd/storage"
)

func testSession(t *testing.T, b Backing) {
	alive := func(s storage.Store, session string) (yes bool) {
		t.Helper()
		err := s.View(context.Background(), func(tx storage.Tx) (err error) {
			yes, err = storage.Alive(tx, session)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	s := open(t, b, Options{})
	first := s.Session()
	if len(first) < 22 { // 128 bits in some text form
		t.Errorf("session %q", first)
	}
	if !alive(s, first) || alive(s, "other") || alive(s, "") {
		t.Error("exactly the own session must be alive")
	}
	update(t, s, func(tx storage.Tx) error { // within an Update as well
		yes, err := storage.Alive(tx, first)
		if !yes {
			t.Error("own session not alive in an Update")
		}
		return err
	})
	closeStore(t, s)

	tool := open(t, b, Options{Tool: true})
	if tool.Session() != "" {
		t.Errorf("a tool has session %q", tool.Session())
	}
	closeStore(t, tool)

	s = open(t, b, Options{})
	if s.Session() == first || !alive(s, s.Session()) || alive(s, first) {
		t.Error("a new process must have a new session, and the old one must be gone")
	}
}

// wall is a clock that tests set.
type wall struct {
	mu sync.Mutex
	at time.Time
}

func (w *wall) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *wall) move(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func now(t testing.TB, s storage.Store) (at time.Time) {
	t.Helper()
	update(t, s, func(tx storage.Tx) error {
		at = tx.Now()
		if !tx.Now().Equal(at) {
			t.Error("the time changed within a transaction")
		}
		return nil
	})
	return at
}

func testClock(t *testing.T, b Backing) {
	w := &wall{at: time.Date(2026, 11, 23, 12, 0, 0, 123456789, time.FixedZone("", 3600))}
	s := open(t, b, Options{Now: w.now})
	first := now(t, s)
	if want := w.at.Truncate(time.Microsecond); !first.Equal(want) || first.Location() != time.UTC || first.Nanosecond()%1000 != 0 {
		t.Errorf("now is %v, want %v", first, want)
	}
	steps := []time.Duration{time.Second, -time.Hour, time.Microsecond, 2 * time.Hour, -3 * time.Hour, -10 * time.Hour}
	last := first
	for i, step := range steps {
		w.move(step)
		if i%2 == 1 {
			closeStore(t, s)
			s = open(t, b, Options{Now: w.now})
		}
		at := now(t, s)
		if at.Before(last) {
			t.Errorf("step %d (%s): time ran back from %v to %v", i, step, last, at)
		}
		if at.Before(w.now().Truncate(time.Microsecond)) {
			t.Errorf("step %d (%s): %v is behind the wall clock %v", i, step, at, w.now())
		}
		err := s.View(context.Background(), func(tx storage.Tx) error {
			if tx.Now().Before(at) {
				t.Errorf("a View's time %v is before the last Update's %v", tx.Now(), at)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		last = at
	}
}

func testClockFarBehind(t *testing.T, b Backing) {
	w := &wall{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	s := open(t, b, Options{Now: w.now})
	now(t, s)
	closeStore(t, s)
	w.move(-25 * time.Hour)
	_, err := b.Open(Options{Now: w.now})
	wantErr(t, "25 h behind", err, storage.ErrClock)
	w.move(2 * time.Hour)
	open(t, b, Options{Now: w.now})
}

// rename moves the records under old/ to new/, ten a step.
func rename(from int) storage.Migration {
	return storage.Migration{To: from + 1, Name: "rename", Step: func(tx storage.Tx, cursor []byte) ([]byte, error) {
		old, next := fmt.Appendf(nil, "v%d/", from), fmt.Appendf(nil, "v%d/", from+1)
		start := old
		if cursor != nil {
			start = cursor
		}
		entries, err := tx.Scan(start, storage.PrefixEnd(old), 10)
		if err != nil || len(entries) == 0 {
			return nil, err
		}
		for _, e := range entries {
			key := append(append([]byte(nil), next...), e.Key[len(old):]...)
			if err := errors.Join(tx.Put(key, e.Value), tx.Delete(e.Key)); err != nil {
				return nil, err
			}
		}
		return append(append([]byte(nil), entries[len(entries)-1].Key...), 0), nil
	}}
}

func fill(t *testing.T, s storage.Store, n int) {
	for i := range n {
		put(t, s, fmt.Sprintf("v1/%03d", i), fmt.Sprint(i))
	}
}

func wantRenamed(t *testing.T, s storage.Store, version, n int) {
	t.Helper()
	err := s.View(context.Background(), func(tx storage.Tx) error {
		entries, err := tx.Scan(nil, nil, 10*n)
		if len(entries) != n {
			t.Errorf("%d records, want %d", len(entries), n)
		}
		for i, e := range entries {
			if string(e.Key) != fmt.Sprintf("v%d/%03d", version, i) || string(e.Value) != fmt.Sprint(i) {
				t.Errorf("record %d is %s=%s", i, e.Key, e.Value)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testMigrations(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	fill(t, s, 35)
	closeStore(t, s)
	s = open(t, b, Options{Migrations: []storage.Migration{rename(1)}})
	wantRenamed(t, s, 2, 35)
	closeStore(t, s)
	s = open(t, b, Options{Migrations: []storage.Migration{rename(1), rename(2), rename(3)}})
	wantRenamed(t, s, 4, 35)
	put(t, s, "v1/late", "") // not migrated again
	closeStore(t, s)
	s = open(t, b, Options{Migrations: []storage.Migration{rename(1), rename(2), rename(3)}})
	if _, ok := get(t, s, "v1/late"); !ok {
		t.Error("a migration ran twice")
	}
	closeStore(t, s)
	if _, err := b.Open(Options{Migrations: []storage.Migration{rename(2)}}); err == nil {
		t.Error("a list with a gap was accepted")
	}
}

// A migration that is interrupted goes on behind the steps that were kept.
func testMigrationResumes(t *testing.T, b Backing) {
	s := open(t, b, Options{})
	fill(t, s, 35)
	closeStore(t, s)
	power := errors.New("power cut")
	steps := 0
	failing := rename(1)
	step := failing.Step
	failing.Step = func(tx storage.Tx, cursor []byte) ([]byte, error) {
		if (steps == 0) != (cursor == nil) {
			t.Errorf("step %d begins at %q", steps, cursor)
		}
		next, err := step(tx, cursor)
		if steps++; steps == 3 {
			return nil, errors.Join(err, power) // what it wrote isn't kept
		}
		return next, err
	}
	_, err := b.Open(Options{Migrations: []storage.Migration{failing}})
	wantErr(t, "interrupted", err, power)
	s = open(t, b, Options{Migrations: []storage.Migration{failing}})
	wantRenamed(t, s, 2, 35)
	if steps != 6 { // 10, 10, 10 (cut), 10, 5, none left
		t.Errorf("%d steps, want 6", steps)
	}
}

func testNewerSchema(t *testing.T, b Backing) {
	s := open(t, b, Options{Migrations: []storage.Migration{rename(1)}})
	put(t, s, "v2/000", "0")
	closeStore(t, s)
	_, err := b.Open(Options{})
	wantErr(t, "older program", err, storage.ErrNewer)
	s = open(t, b, Options{Migrations: []storage.Migration{rename(1)}})
	wantRenamed(t, s, 2, 1)
}
