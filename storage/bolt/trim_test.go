package bolt

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"smsotpd/storage"
)

// mapped is how many KiB of the file are in this process's memory: proc(5),
// smaps.
func mapped(t *testing.T, path string) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip("no proc(5): ", err)
	}
	sum, ours := 0, false
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		switch {
		case strings.Contains(fields[0], "-") && !strings.HasSuffix(fields[0], ":"):
			ours = fields[len(fields)-1] == path
		case ours && fields[0] == "Rss:":
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// TestTrim: what was looked at of a large file does not stay in memory, and is
// there all the same when it is looked at again.
func TestTrim(t *testing.T) {
	now := time.Now()
	path := filepath.Join(t.TempDir(), "db")
	s, err := Open(Options{Path: path, Daemon: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const values, size = 500, 64 << 10 // 32 MiB
	key := func(n int) []byte { return binary.BigEndian.AppendUint32([]byte("key/"), uint32(n)) }
	put := func(n int) {
		t.Helper()
		if err := s.Update(t.Context(), func(tx storage.Tx) error {
			return tx.Put(key(n), bytes.Repeat([]byte{byte(n)}, size))
		}); err != nil {
			t.Fatal(err)
		}
	}
	look := func() {
		t.Helper()
		for n := range values {
			if err := s.View(t.Context(), func(tx storage.Tx) error {
				value, err := tx.Get(key(n))
				if err == nil && !bytes.Equal(value, bytes.Repeat([]byte{byte(n)}, size)) {
					t.Errorf("value %d is another one", n)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range values {
		put(n)
	}
	look()
	before := mapped(t, path)
	if before < values*size/1024/2 {
		t.Fatalf("%d KiB are mapped: nothing to trim", before)
	}
	put(0) // too soon
	if got := mapped(t, path); got < before/2 {
		t.Errorf("trimmed from %d to %d KiB within %v", before, got, trimEvery)
	}
	now = now.Add(trimEvery)
	put(0)
	if got := mapped(t, path); got > before/4 {
		t.Errorf("%d of %d KiB are mapped still", got, before)
	}
	look()
}
