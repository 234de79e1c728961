package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"smsotpd/storage"
)

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// put writes values of the given size under prefix+number.
func put(ctx context.Context, s *Store, prefix string, from, to, size int) error {
	return s.Update(ctx, func(tx storage.Tx) error {
		for i := from; i < to; i++ {
			if err := tx.Put(fmt.Appendf(nil, "%s%06d", prefix, i), bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				return err
			}
		}
		return nil
	})
}

func count(t testing.TB, s *Store, prefix string) (n int) {
	t.Helper()
	err := s.View(context.Background(), func(tx storage.Tx) error {
		entries, err := tx.Scan([]byte(prefix), storage.PrefixEnd([]byte(prefix)), 1<<20)
		n = len(entries)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// healthy makes a store of some depth, closed cleanly or as by kill -9, and
// returns its file's bytes.
func healthy(t testing.TB, path string, clean bool) []byte {
	t.Helper()
	s := mustOpen(t, Options{Path: path, Daemon: true})
	for i := range 40 {
		if err := put(context.Background(), s, "k", 50*i, 50*i+50, 200); err != nil {
			t.Fatal(err)
		}
	}
	if err := put(context.Background(), s, "long", 0, 2, 20_000); err != nil {
		t.Fatal(err)
	}
	if clean {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// refused opens path, wants the error, and the file as it was.
func refused(t *testing.T, path string, want error) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1_000_000_000, 0)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	s, err := Open(Options{Path: path, Daemon: true})
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) || !info.ModTime().Equal(old) {
		t.Error("the refused file was touched")
	}
}

func TestRefusedFiles(t *testing.T) {
	dir := t.TempDir()
	good := healthy(t, filepath.Join(dir, "good"), true)
	page := os.Getpagesize()
	changed := func(change func(b []byte) []byte) []byte { return change(bytes.Clone(good)) }
	flip := func(at ...int) []byte {
		return changed(func(b []byte) []byte {
			for _, i := range at {
				b[i] ^= 0x10
			}
			return b
		})
	}
	tests := map[string][]byte{
		"text":                []byte(strings.Repeat("not a database\n", 5000)),
		"short text":          []byte("x"),
		"zeros":               make([]byte, 1<<16),
		"cut to one page":     good[:page],
		"cut to three pages":  good[:3*page],
		"last page cut":       changed(func(b []byte) []byte { return b[:liveSize(b)-1] }),
		"both metas flipped":  flip(headerSize+20, page+headerSize+20),
		"both magics flipped": flip(headerSize, page+headerSize),
		"another format": changed(func(b []byte) []byte {
			b[headerSize+4], b[page+headerSize+4] = 3, 3
			return b
		}),
	}
	for i := 2; i*page < liveSize(good); i++ { // whatever refers to page i will not find it
		if binary.NativeEndian.Uint64(good[i*page:]) == uint64(i) && inUse(t, good, uint64(i)) {
			tests[fmt.Sprintf("id of page %d flipped", i)] = flip(i * page)
			tests[fmt.Sprintf("type of page %d flipped", i)] = flip(i*page + 9)
			tests[fmt.Sprintf("overflow of page %d flipped", i)] = flip(i*page + 15)
		}
		if i > 20 {
			break
		}
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, path, storage.ErrForeign)
		})
	}
	for _, names := range [][]string{{"other"}, {"other", "smsotpd"}} {
		t.Run(fmt.Sprintf("bbolt file with %v", names), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "db")
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				err = errors.Join(err, db.Update(func(tx *bbolt.Tx) error {
					b, err := tx.CreateBucket([]byte(name))
					return errors.Join(err, b.Put([]byte("k"), []byte("v")))
				}))
			}
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			refused(t, path, storage.ErrForeign)
		})
	}
}

func readMeta(t testing.TB, raw []byte) checker {
	t.Helper()
	c := checker{file: bytes.NewReader(raw), size: int64(len(raw))}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	return c
}

// liveSize is where the last page that counts ends.
func liveSize(raw []byte) int {
	c := checker{file: bytes.NewReader(raw), size: int64(len(raw))}
	if err := c.readMetas(); err != nil {
		return 0
	}
	return int(c.meta.pages) * int(c.meta.pageSize)
}

// inUse says whether page id is part of the tree.
func inUse(t testing.TB, raw []byte, id uint64) bool {
	c := checker{file: bytes.NewReader(raw), size: int64(len(raw))}
	if err := c.readMetas(); err != nil {
		t.Fatal(err)
	}
	c.meta.freelist = noFreelist
	c.seen = make([]uint64, c.meta.pages/64+1)
	if err := c.checkRoot(); err != nil {
		t.Fatal(err)
	}
	return c.seen[id/64]&(1<<(id%64)) != 0
}

// Whatever bytes are flipped, opening and reading must not take the process
// down, and what is refused stays as it was.
func TestFlippedBytes(t *testing.T) {
	for _, clean := range []bool{true, false} {
		good := healthy(t, filepath.Join(t.TempDir(), "good"), clean)
		live, page := liveSize(good), os.Getpagesize()
		random := rand.New(rand.NewPCG(7, 7))
		path := filepath.Join(t.TempDir(), "db")
		opened, foreign := 0, 0
		for range 100 {
			raw := bytes.Clone(good)
			for range 1 + random.IntN(3) {
				at := random.IntN(live)
				if random.IntN(4) > 0 { // where the structure is
					at = random.IntN(live/page)*page + random.IntN(200)
				}
				raw[at] ^= 1 << random.IntN(8)
			}
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Options{Path: path})
			if err != nil {
				after, readErr := os.ReadFile(path)
				if !errors.Is(err, storage.ErrForeign) || !bytes.Equal(after, raw) || readErr != nil {
					t.Fatalf("got %v; the file is unchanged: %v (%v)", err, bytes.Equal(after, raw), readErr)
				}
				foreign++
				continue
			}
			opened++
			count(t, s, "")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if opened == 0 || foreign == 0 {
			t.Errorf("%d opened, %d refused: both must occur", opened, foreign)
		}
	}
}

func FuzzCheck(f *testing.F) {
	good := healthy(f, filepath.Join(f.TempDir(), "good"), true)
	f.Add(good[:liveSize(good)])
	f.Fuzz(func(_ *testing.T, raw []byte) {
		c := checker{file: bytes.NewReader(raw), size: int64(len(raw))}
		_ = c.check() // must not panic
	})
}

// A power cut while a meta page is written leaves the one before it, and with
// it everything that was acknowledged.
func TestTornMeta(t *testing.T) {
	raw := healthy(t, filepath.Join(t.TempDir(), "good"), false)
	page := os.Getpagesize()
	latest := 0
	if c := readMeta(t, raw); c.meta.txid%2 == 1 {
		latest = page
	}
	for name, at := range map[string]int{"latest": latest, "older": page - latest} {
		t.Run(name, func(t *testing.T) {
			torn := bytes.Clone(raw)
			copy(torn[at:], make([]byte, 512))
			path := filepath.Join(t.TempDir(), "db")
			if err := os.WriteFile(path, torn, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s := mustOpen(t, Options{Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if n := count(t, s, "k"); n != 2000 {
				t.Errorf("%d keys, want those of all commits but the last", n)
			}
			if n := count(t, s, "long"); n != 0 && at == latest || n != 2 && at != latest {
				t.Errorf("%d keys of the last commit", n)
			}
			if !strings.Contains(log.String(), "meta pages is damaged") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestNewFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(Options{Path: filepath.Join(dir, "missing", "db")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if _, err := Open(Options{Path: dir}); err == nil {
		t.Error("a directory was opened")
	}
	path := filepath.Join(dir, "db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Options{Path: path}) // an empty file is a new one
	path = filepath.Join(dir, "other")
	mustOpen(t, Options{Path: path})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	// bbolt's own making of the file went well, ours didn't begin.
	path = filepath.Join(dir, "halfway")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, Options{Path: path})
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	mustOpen(t, Options{Path: path})
	if _, err := Open(Options{Path: path}); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("second open: %v", err)
	}
}

// A clean shutdown leaves a list of free pages, so that the next open need not
// search for them; commits never write it.
func TestFreelist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if c := readMeta(t, healthy(t, path, true)); c.meta.freelist == noFreelist {
		t.Error("no list of free pages after a clean shutdown")
	}
	s := mustOpen(t, Options{Path: path, Daemon: true})
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if c := readMeta(t, raw); c.meta.freelist != noFreelist {
		t.Error("a commit wrote the list of free pages")
	}
	if n := count(t, s, "k"); n != 2000 {
		t.Errorf("%d keys", n)
	}
}

func TestResetClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	at := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)
	o := Options{Path: path, Now: func() time.Time { return at }}
	s := mustOpen(t, o)
	if err := put(context.Background(), s, "k", 0, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	at = at.AddDate(-10, 0, 0)
	refused := o
	if _, err := Open(refused); !errors.Is(err, storage.ErrClock) || !strings.Contains(err.Error(), "2036") {
		t.Fatalf("got %v", err)
	}
	o.ResetClock = true
	s = mustOpen(t, o)
	err := s.View(context.Background(), func(tx storage.Tx) error {
		if !tx.Now().Equal(at) {
			t.Errorf("now is %v, want %v", tx.Now(), at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	o.ResetClock = false
	mustOpen(t, o)
}
