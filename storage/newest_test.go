package storage_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

func TestNewest(t *testing.T) {
	table, tx := storage.NewTable[record]("newest", 1), begin(storagetest.Memory{})
	at := func(n int) [8]byte { return storage.NewestKey(time.Unix(int64(n), 0)) }
	for n := range 5 {
		key := at(n)
		if err := table.Put(tx, key[:], record{Name: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
		if got := storage.NewestTime(key); n > 0 && !got.Equal(time.Unix(int64(n), 0)) {
			t.Errorf("the key of %d s is that of %s", n, got)
		}
	}
	if at(-1) != at(0) {
		t.Error("what is before 1970 is not as old as can be")
	}
	read := func(_ []byte, r record) string { return r.Name }
	list := func(after, before [8]byte, limit int) string {
		t.Helper()
		found, err := storage.Newest(tx, table, after[:], before[:], limit, read)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(found)
	}
	var none [8]byte
	for _, tt := range []struct {
		after, before [8]byte
		limit         int
		want          string
	}{
		{none, none, 10, "[4 3 2 1 0]"},
		{none, none, 2, "[4 3]"},
		{at(2), none, 10, "[4 3]"},
		{none, at(2), 10, "[1 0]"},
		{at(1), at(4), 10, "[3 2]"},
		{at(1), at(4), 1, "[3]"},
		{at(3), at(3), 10, "[]"},
		{at(3), at(1), 10, "[]"},
		{at(9), none, 10, "[]"},
	} {
		if got := list(tt.after, tt.before, tt.limit); got != tt.want {
			t.Errorf("after %x, before %x, %d at most: %s, want %s", tt.after, tt.before, tt.limit, got, tt.want)
		}
	}
	if err := table.Put(tx, []byte("short"), record{}); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Newest(tx, table, none[:], none[:], 10, read); !errors.Is(err, storage.ErrForeign) {
		t.Errorf("a key of another length: %v", err)
	}
}

func TestParseKey(t *testing.T) {
	key := storage.NewestKey(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	printed := hex.EncodeToString(key[:])
	var read [8]byte
	if !storage.ParseKey(read[:], printed) || read != key {
		t.Errorf("%x", read)
	}
	for _, bad := range []string{"", printed[1:], printed + "00", strings.ToUpper(printed), printed[:15] + "g"} {
		if storage.ParseKey(read[:], bad) {
			t.Errorf("%q was read", bad)
		}
	}
}
