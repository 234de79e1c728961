package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"smsotpd/storage"
)

// childVar makes the test binary play the process that is killed.
const childVar = "SMSOTPD_BOLT_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childVar) {
	case "":
		m.Run()
	case "write":
		err = writeUntilKilled(os.Args[1])
	case "fill":
		err = fillLimited(os.Args[1])
	}
	if err != nil {
		panic(err)
	}
}

func child(t *testing.T, play, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], path)
	cmd.Env = append(os.Environ(), childVar+"="+play)

	return cmd
}

const childWriters = 6

// mine is the key of a writer's n-th commit; each is of two keys.
func mine(part string, writer, n int) []byte { return fmt.Appendf(nil, "%s/%d/%08d", part, writer, n) }

// writeUntilKilled commits from several goroutines and prints each commit when
// it is acknowledged.
func writeUntilKilled(path string) error {
	s, err := Open(Options{Path: path, Daemon: true})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, childWriters)
	for w := range childWriters {
		wg.Go(func() {
			for n := 0; ; n++ {
				err := s.Update(context.Background(), func(tx storage.Tx) error {
					if n >= 20 { // deletions as well
						if err := errors.Join(tx.Delete(mine("a", w, n-20)), tx.Delete(mine("b", w, n-20))); err != nil {
							return err
						}
					}
					return errors.Join(tx.Put(mine("a", w, n), make([]byte, 300)), tx.Put(mine("b", w, n), []byte("x")))
				})
				if err != nil {
					failed <- err
					return
				}
				fmt.Println(w, n) // one write(2), so no line is torn
			}
		})
	}
	wg.Wait()
	return <-failed
}

// Every commit that was acknowledged before kill -9 is there, whole.
func TestKill(t *testing.T) {
	for round := range 25 {
		path := filepath.Join(t.TempDir(), "db")
		cmd := child(t, "write", path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		acked := make([]int, childWriters)
		for i := range acked {
			acked[i] = -1
		}
		lines := bufio.NewScanner(out)
		killAt := 1 + 15*round // lines, so that the kill falls into many places
		for read := 0; lines.Scan(); read++ {
			var w, n int
			if _, err := fmt.Sscan(lines.Text(), &w, &n); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			acked[w] = n
			if read == killAt {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("round %d: the child ended by itself: %v", round, err)
		}
		checkAcked(t, path, acked)
	}
}

func checkAcked(t *testing.T, path string, acked []int) {
	t.Helper()
	s, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.View(context.Background(), func(tx storage.Tx) error {
		has := func(key []byte) bool {
			_, err := tx.Get(key)
			if err != nil && !errors.Is(err, storage.ErrNotFound) {
				t.Error(err)
			}
			return err == nil
		}
		for w, last := range acked {
			// The one commit under way may have been kept or not.
			if has(mine("a", w, last+1)) {
				last++
			}
			for n := max(0, last-25); n <= last+2; n++ {
				want := n > last-20 && n <= last
				if a, b := has(mine("a", w, n)), has(mine("b", w, n)); a != want || b != want {
					t.Errorf("writer %d, commit %d: there %v and %v, want %v (acknowledged up to %d)", w, n, a, b, want, acked[w])
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fillLimited plays a full disk by a limit on the size of files: the group
// that doesn't fit gets ErrFull, everything acknowledged stays, deleting works
// and makes room.
func fillLimited(path string) error {
	s, err := Open(Options{Path: path, Reserve: -1})
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 6 << 20, Max: 6 << 20}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	ctx, n := context.Background(), 0
	for ; err == nil; n++ {
		if n > 2000 {
			return errors.New("never full")
		}
		err = put(ctx, s, "k", n, n+1, 10_000)
	}
	n--
	for range 2 { // and again: the store goes on
		if !errors.Is(err, storage.ErrFull) || errors.Is(err, storage.ErrFatal) {
			return fmt.Errorf("full: got %w", err)
		}
		err = put(ctx, s, "k", n, n+1, 10_000)
	}
	for i := range 50 {
		err := s.Update(ctx, func(tx storage.Tx) error { return tx.Delete(fmt.Appendf(nil, "k%06d", i)) })
		if err != nil {
			return fmt.Errorf("delete %d on a full disk: %w", i, err)
		}
	}
	for i := range 20 {
		if err := put(ctx, s, "new", i, i+1, 10_000); err != nil {
			return fmt.Errorf("put %d after deleting: %w", i, err)
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	if s, err = Open(Options{Path: path}); err != nil {
		return err
	}
	err = s.View(ctx, func(tx storage.Tx) error {
		entries, err := tx.Scan(nil, nil, 1<<20)
		if want := n - 50 + 20; len(entries) != want {
			return fmt.Errorf("%d keys, want %d (%w)", len(entries), want, err)
		}
		return err
	})
	return errors.Join(err, s.Close())
}

func TestFileSizeLimit(t *testing.T) {
	out, err := child(t, "fill", filepath.Join(t.TempDir(), "db")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// crash returns the path of what a killed process would have left: a copy of
// the file while nobody writes to it.
func crash(t *testing.T, s *Store) string {
	t.Helper()
	release := hold(t, s)
	defer release()
	raw, err := os.ReadFile(s.opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "crashed")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process that was killed can't end its session: the next daemon does.
func TestSessionAfterCrash(t *testing.T) {
	s := mustOpen(t, Options{Path: filepath.Join(t.TempDir(), "db"), Daemon: true})
	path := crash(t, s)
	alive := func(s *Store, session string) (yes bool) {
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
	tool := mustOpen(t, Options{Path: path})
	if !alive(tool, s.Session()) {
		t.Error("a tool ended the session of the daemon")
	}
	if err := tool.Close(); err != nil {
		t.Fatal(err)
	}
	next := mustOpen(t, Options{Path: path, Daemon: true})
	if alive(next, s.Session()) || !alive(next, next.Session()) {
		t.Error("the daemon must end the old session and begin its own")
	}
}

// No time that an Update saw is ever fallen behind, though the process was
// killed and the clock set back, and though the closure wrote nothing.
func TestClockAfterCrash(t *testing.T) {
	for _, write := range []bool{true, false} {
		at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		o := Options{Path: filepath.Join(t.TempDir(), "db"), Now: func() time.Time { return at }}
		s := mustOpen(t, o)
		at = at.Add(time.Hour)
		var saw time.Time
		err := s.Update(context.Background(), func(tx storage.Tx) error {
			if saw = tx.Now(); write {
				return tx.Put([]byte("k"), nil)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Path = crash(t, s)
		at = at.Add(-20 * time.Hour)
		err = mustOpen(t, o).View(context.Background(), func(tx storage.Tx) error {
			if tx.Now().Before(saw) {
				t.Errorf("wrote %v: %v is before %v", write, tx.Now(), saw)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
