package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

type record struct {
	Name string       `cbor:"1,keyasint,omitempty"`
	At   storage.Time `cbor:"2,keyasint,omitempty"`
	Raw  []byte       `cbor:"3,keyasint,omitempty"`
}

// wider is record as a later release may have it: with a field more.
type wider struct {
	Name string       `cbor:"1,keyasint,omitempty"`
	At   storage.Time `cbor:"2,keyasint,omitempty"`
	Raw  []byte       `cbor:"3,keyasint,omitempty"`
	More map[int]bool `cbor:"4,keyasint,omitempty"`
}

func TestTable(t *testing.T) {
	table := storage.NewTable[record]("things", 2)
	neighbour := storage.NewTable[record]("thingsandmore", 1)
	tx := begin(storagetest.Memory{})
	at := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)
	for i := range 5 {
		want := record{Name: fmt.Sprint(i), At: storage.TimeOf(at), Raw: []byte{byte(i)}}
		if err := errors.Join(table.Put(tx, []byte{byte(i)}, want), neighbour.Put(tx, []byte{byte(i)}, want)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := table.Get(tx, []byte{3})
	if err != nil || got.Name != "3" || !got.At.Time().Equal(at) || !bytes.Equal(got.Raw, []byte{3}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := table.Delete(tx, []byte{3}); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Get(tx, []byte{3}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if _, found, err := table.Find(tx, []byte{3}); found || err != nil {
		t.Errorf("deleted: found %v, %v", found, err)
	}
	if _, found, err := table.Find(tx, []byte{4}); !found || err != nil {
		t.Errorf("there: found %v, %v", found, err)
	}

	scans := []struct {
		from, to []byte
		limit    int
		want     string
	}{
		{nil, nil, 10, "[0 1 2 4]"},
		{nil, nil, 2, "[0 1]"},
		{[]byte{1}, []byte{4}, 10, "[1 2]"},
		{[]byte{5}, nil, 10, "[]"},
	}
	for _, scan := range scans {
		rows, err := table.Scan(tx, scan.from, scan.to, scan.limit)
		names := []string{}
		for _, row := range rows {
			names = append(names, row.Value.Name)
			if fmt.Sprint(row.Key[0]) != row.Value.Name {
				t.Errorf("row %q has key %v", row.Value.Name, row.Key)
			}
		}
		if fmt.Sprint(names) != scan.want || err != nil {
			t.Errorf("scan %v…%v limit %d: %v, %v; want %s", scan.from, scan.to, scan.limit, names, err, scan.want)
		}
	}
	if key, ok := table.Trim([]byte("things/x")); string(key) != "x" || !ok {
		t.Errorf("trim: %q, %v", key, ok)
	}
	if _, ok := table.Trim([]byte("thingsandmore/x")); ok {
		t.Error("a key of another table was trimmed")
	}
	if table.Name() != "things" || string(table.Prefix()) != "things/" {
		t.Errorf("name %q, prefix %q", table.Name(), table.Prefix())
	}
}

func TestTableVersions(t *testing.T) {
	key := []byte("k")
	old, now, later := storage.NewTable[record]("t", 1), storage.NewTable[record]("t", 2), storage.NewTable[wider]("t", 2)
	tx := begin(storagetest.Memory{})
	put := func(raw string) {
		t.Helper()
		if err := tx.Put([]byte("t/k"), []byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	if err := now.Put(tx, key, record{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Get(tx, key); !errors.Is(err, storage.ErrNewer) {
		t.Errorf("a newer record: %v", err)
	}
	if _, err := old.Scan(tx, nil, nil, 5); !errors.Is(err, storage.ErrNewer) {
		t.Errorf("a newer record, scanned: %v", err)
	}
	if err := later.Put(tx, key, wider{Name: "n", More: map[int]bool{1: true}}); err != nil {
		t.Fatal(err)
	}
	if got, err := now.Get(tx, key); err != nil || got.Name != "n" {
		t.Errorf("a record with a field more: %+v, %v", got, err)
	}
	if err := old.Put(tx, key, record{Name: "n"}); err != nil {
		t.Fatal(err)
	}
	if got, err := later.Get(tx, key); err != nil || got.Name != "n" || got.More != nil {
		t.Errorf("a record with a field less: %+v, %v", got, err)
	}
	for _, raw := range []string{"", "\x00\xa0", "\x01", "\x01\xff", "\x01\xa1\x01", "\x01\xa0\xa0", "\x01\xa1\x01\x05"} {
		put(raw)
		if _, err := now.Get(tx, key); !errors.Is(err, storage.ErrForeign) {
			t.Errorf("record %x: %v", raw, err)
		}
	}
}

func FuzzTableDecode(f *testing.F) {
	table := storage.NewTable[wider]("t", 1)
	m := storagetest.Memory{}
	tx := begin(m)
	if err := table.Put(tx, []byte("k"), wider{Name: "n", At: 5, Raw: []byte{1}, More: map[int]bool{1: true}}); err != nil {
		f.Fatal(err)
	}
	m.Commit(tx)
	f.Add(m["t/k"])
	f.Add([]byte{})
	f.Add([]byte{1, 0xbf})
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := storagetest.Memory{"t/k": raw}
		tx := begin(m)
		v, err := table.Get(tx, []byte("k"))
		switch {
		case errors.Is(err, storage.ErrForeign), errors.Is(err, storage.ErrNewer):
			return
		case err != nil:
			t.Fatalf("unclassified: %v", err)
		}
		if err := table.Put(tx, []byte("k"), v); err != nil { // what was read can be written
			t.Fatal(err)
		}
		again, err := table.Get(tx, []byte("k"))
		if err != nil || fmt.Sprint(again) != fmt.Sprint(v) {
			t.Fatalf("read %v, wrote it, read %v (%v)", v, again, err)
		}
	})
}

func TestTime(t *testing.T) {
	if storage.TimeOf(time.Time{}) != 0 || !storage.Time(0).Time().IsZero() {
		t.Error("never must stay never")
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("", -3600))
	got := storage.TimeOf(at).Time()
	if !got.Equal(at.Truncate(time.Microsecond)) || got.Location() != time.UTC {
		t.Errorf("got %v, want %v", got, at)
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"a": "b", "a/": "a0", "a\xff": "b", "\xfe\xff\xff": "\xff"} {
		if got := storage.PrefixEnd([]byte(prefix)); string(got) != want {
			t.Errorf("%q: %q, want %q", prefix, got, want)
		}
	}
	if got := storage.PrefixEnd([]byte("\xff\xff")); got != nil {
		t.Errorf("no key can follow: %q", got)
	}
	if got := storage.PrefixEnd(nil); got != nil {
		t.Errorf("the empty prefix: %q", got)
	}
}
