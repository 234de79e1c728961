package storage_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

// What an engine needs to guard a transaction: every key that the snapshot was
// asked for, every range, every write; own writes are no reads.
func TestWriteSetRecord(t *testing.T) {
	m := storagetest.Memory{"a": []byte("1"), "c": []byte("1"), "e": []byte("1")}
	w := begin(m)
	_, err := w.Get([]byte("a"))
	_, missing := w.Get([]byte("b"))
	err = errors.Join(err, w.Put([]byte("c"), []byte("2")), w.Delete([]byte("d")), w.Put([]byte("x"), nil))
	_, own := w.Get([]byte("x"))
	_, full := w.Scan([]byte("c"), nil, 2)          // c and e: cut off behind e
	_, whole := w.Scan([]byte("f"), []byte("g"), 2) // none
	if err := errors.Join(err, own, full, whole); err != nil || !errors.Is(missing, storage.ErrNotFound) {
		t.Fatal(err, missing)
	}
	var got []string
	for _, touch := range w.Touched() {
		got = append(got, fmt.Sprintf("%s read=%v put=%v deleted=%v", touch.Key, touch.Read, touch.Put, touch.Deleted))
	}
	want := []string{
		"a read=true put=false deleted=false",
		"b read=true put=false deleted=false",
		"c read=false put=true deleted=false",
		"d read=false put=false deleted=true",
		"e read=true put=false deleted=false",
		"x read=false put=true deleted=false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("touched %q, want %q", got, want)
	}
	ranges := fmt.Sprintf("%q", w.Ranges())
	if ranges != `[{"c" "e\x00"} {"f" "g"}]` {
		t.Errorf("ranges %s", ranges)
	}
	if w.Size() != len("c2")+len("d")+len("x") {
		t.Errorf("size %d", w.Size())
	}
	if w.Timed() || w.Now().UnixMicro() != 1 || !w.Timed() {
		t.Error("Timed must tell whether the time was asked for")
	}
}

// A set that takes over a spent one's memory starts empty, and the spent one's
// closure can do no harm.
func TestWriteSetReuse(t *testing.T) {
	m := storagetest.Memory{}
	first := begin(m)
	if err := first.Put([]byte("a"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	m.Commit(first)
	first.Close()
	second := storage.NewWriteSet(m, nil, first)
	if len(second.Touched()) != 0 || second.Size() != 0 || second.Err() != nil {
		t.Error("the second set isn't empty")
	}
	if err := second.Put([]byte("b"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	if err := first.Put([]byte("c"), []byte("3")); !errors.Is(err, storage.ErrBounds) {
		t.Errorf("the first set after its end: %v", err)
	}
	m.Commit(second)
	if string(m["a"]) != "1" || string(m["b"]) != "2" || len(m) != 2 {
		t.Errorf("the store holds %q", m)
	}
}

// The engine's own keys are free: a migration step has all of MaxKeys.
func TestWriteSetSystem(t *testing.T) {
	m := storagetest.Memory{}
	w := begin(m)
	system := w.System()
	for i := range storage.MaxKeys {
		err := errors.Join(w.Put(fmt.Appendf(nil, "k%03d", i), nil), system.Put(fmt.Appendf(nil, "!%03d", i), nil))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Put([]byte("one more"), nil); !errors.Is(err, storage.ErrBounds) {
		t.Errorf("one more: %v", err)
	}
	w = begin(m)
	if err := w.System().Put([]byte("!x"), []byte("1")); err != nil {
		t.Fatal(err)
	}
	if v, err := w.System().Get([]byte("!x")); string(v) != "1" || err != nil {
		t.Errorf("system read: %q, %v", v, err)
	}
	if entries, err := w.Scan(nil, nil, 10); len(entries) != 0 || err != nil {
		t.Errorf("a scan shows reserved keys: %q, %v", entries, err)
	}
}
