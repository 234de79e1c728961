package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
	"smsotpd/storage/storagetest"
)

// desk is a Trail on a real store whose clock the test sets.
type desk struct {
	*Trail
	t     *testing.T
	store *bolt.Store
	clock atomic.Int64 // µs since 1970
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t}
	d.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	dir := t.TempDir()
	key := filepath.Join(dir, "master.key")
	d.must(keyring.Init(key))
	master, err := keyring.ReadMaster(key)
	d.must(err)
	keys, err := keyring.Open(dir, master)
	d.must(err)
	d.store, err = bolt.Open(bolt.Options{
		Path: filepath.Join(dir, "smsotpd.db"), Daemon: true,
		Now: func() time.Time { return time.UnixMicro(d.clock.Load()) },
	})
	d.must(err)
	t.Cleanup(func() { _ = d.store.Close() })
	d.Trail = NewTrail(keys)
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) pass(by time.Duration) { d.clock.Add(by.Microseconds()) }

func (d *desk) record(e Entry) {
	d.t.Helper()
	d.must(d.store.Update(d.t.Context(), func(tx storage.Tx) error { return d.Record(tx, e) }))
}

func (d *desk) list(r Range) (list []Entry) {
	d.t.Helper()
	if r.Limit == 0 {
		r.Limit = 1000
	}
	d.must(d.store.View(d.t.Context(), func(tx storage.Tx) (err error) {
		list, err = d.List(tx, r)
		return err
	}))
	return list
}

func (d *desk) drop(retention time.Duration) (total int) {
	d.t.Helper()
	for {
		n := 0
		d.must(d.store.Update(d.t.Context(), func(tx storage.Tx) (err error) {
			n, err = d.Drop(tx, retention, 64)
			return err
		}))
		if total += n; n == 0 {
			return total
		}
	}
}

func (d *desk) dated(retention time.Duration) (is bool) {
	d.t.Helper()
	d.must(d.store.View(d.t.Context(), func(tx storage.Tx) (err error) {
		is, err = d.Dated(tx, retention)
		return err
	}))
	return is
}

func action(subject string) Entry {
	e := NewEntry()
	e.Actor, e.ActorID, e.Action, e.Subject = "ops", "AAAA", "modem.pause", subject
	return e
}

func subjects(list []Entry) (names []string) {
	for _, e := range list {
		names = append(names, e.Subject)
	}
	return names
}

func TestRecordedNewestFirst(t *testing.T) {
	d := newDesk(t)
	began := time.UnixMicro(d.clock.Load()).UTC()
	for i := range 5 {
		e := action(fmt.Sprintf("m%d", i))
		if i == 3 {
			e.Detail = map[string]string{"reason": "the antenna", "per_day": "0"}
		}
		d.record(e)
		d.pass(time.Second)
	}
	all := d.list(Range{})
	if got := subjects(all); !slices.Equal(got, []string{"m4", "m3", "m2", "m1", "m0"}) {
		t.Fatalf("%q", got)
	}
	e := all[1]
	if e.Actor != "ops" || e.ActorID != "AAAA" || e.Action != "modem.pause" || !e.At.Equal(began.Add(3*time.Second)) {
		t.Errorf("what was recorded is not what is listed: %+v", e)
	}
	if !maps.Equal(e.Detail, map[string]string{"reason": "the antenna", "per_day": "0"}) || all[0].Detail != nil {
		t.Errorf("details %v and %v", e.Detail, all[0].Detail)
	}
	if got := subjects(d.list(Range{Before: all[1].ID, Limit: 2})); !slices.Equal(got, []string{"m2", "m1"}) {
		t.Errorf("before the second: %q", got)
	}
	if got := subjects(d.list(Range{After: all[2].ID})); !slices.Equal(got, []string{"m4", "m3"}) {
		t.Errorf("after the third: %q", got)
	}
	if id, err := ParseID(all[0].ID.String()); err != nil || id != all[0].ID {
		t.Error("an id does not survive its text")
	}
	for _, bad := range []string{"", "zz", strings.Repeat("z", 16), strings.Repeat("0", 17), strings.Repeat("A", 16)} {
		if _, err := ParseID(bad); !errors.Is(err, ErrBadID) {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

// What is recorded at one and the same time is all kept, in its order.
func TestAtTheSameTime(t *testing.T) {
	d := newDesk(t)
	var want []string
	for i := range 20 {
		name := fmt.Sprint(i)
		want = append([]string{name}, want...)
		d.record(action(name))
	}
	if got := subjects(d.list(Range{})); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A transaction that fails leaves no entry, and one that runs twice leaves one.
func TestRecordedWithWhatItTells(t *testing.T) {
	d := newDesk(t)
	e, sorry := action("m"), errors.New("sorry")
	if err := d.store.Update(t.Context(), func(tx storage.Tx) error {
		return errors.Join(d.Record(tx, e), sorry)
	}); !errors.Is(err, sorry) || len(d.list(Range{})) != 0 {
		t.Errorf("an entry of what was not done is kept (%v)", err)
	}
	d.record(e)
	if len(d.list(Range{})) != 1 {
		t.Error("the second run left nothing")
	}
	if err := d.store.Update(t.Context(), func(tx storage.Tx) error { return d.Record(tx, Entry{Actor: "ops"}) }); !errors.Is(err, errUnready) {
		t.Errorf("an entry without anything random is recorded (%v)", err)
	}
}

func TestEntriesAreBounded(t *testing.T) {
	d := newDesk(t)
	e := action(strings.Repeat("é", 10_000))
	e.Actor, e.ActorID, e.Action = strings.Repeat("a", 70_000), strings.Repeat("b", 70_000), "\xff\xfe"
	e.Detail = map[string]string{}
	for i := range 100 {
		e.Detail[fmt.Sprintf("%03d", i)] = strings.Repeat("x", 10_000)
	}
	e.Detail[strings.Repeat("0", 10_000)] = "long name"
	d.record(e)
	got := d.list(Range{})[0]
	if len(got.Detail) != MaxDetails || got.Detail["000"] == "" || got.Detail["099"] != "" {
		t.Errorf("%d details", len(got.Detail))
	}
	texts := []string{got.Actor, got.ActorID, got.Action, got.Subject}
	for name, value := range got.Detail {
		texts = append(texts, name, value)
	}
	for _, s := range texts {
		if len(s) > MaxText || !utf8.ValidString(s) {
			t.Errorf("%d bytes: %.40q", len(s), s)
		}
	}
	if !strings.HasSuffix(got.Subject, "é…") {
		t.Errorf("the cut does not show: %q", got.Subject)
	}
}

func TestRetention(t *testing.T) {
	d := newDesk(t)
	const retention = 48 * time.Hour
	for i := range 200 {
		d.record(action(fmt.Sprint(i)))
	}
	d.pass(retention - time.Hour)
	d.record(action("young"))
	if d.dated(retention) || d.drop(retention) != 0 {
		t.Error("entries are dropped too early")
	}
	d.pass(2 * time.Hour)
	if !d.dated(retention) {
		t.Error("nothing is too old")
	}
	if n := d.drop(retention); n != 200 {
		t.Errorf("%d were dropped", n)
	}
	if got := subjects(d.list(Range{})); !slices.Equal(got, []string{"young"}) {
		t.Errorf("left are %q", got)
	}
}

func TestDetailsAreSealed(t *testing.T) {
	d := newDesk(t)
	e := action("m")
	e.Detail = map[string]string{"reason": "the quick brown fox"}
	d.record(e)
	all, err := storagetest.Dump(t.Context(), d.store)
	d.must(err)
	for _, entry := range all {
		if bytes.Contains(entry.Value, []byte("fox")) {
			t.Error("the reason is in the store")
		}
	}
	id := d.list(Range{})[0].ID
	d.must(d.store.Update(t.Context(), func(tx storage.Tx) error {
		rec, err := d.entries.Get(tx, id[:])
		if err != nil {
			return err
		}
		rec.Detail[len(rec.Detail)-1] ^= 1
		return d.entries.Put(tx, id[:], rec)
	}))
	if got := d.list(Range{}); len(got) != 1 || got[0].Detail != nil || got[0].Actor != "ops" {
		t.Errorf("an entry whose details are damaged: %+v", got)
	}
}

// Whatever was recorded when, pages of any size that follow one another give
// all of it once, in order, and what is dropped is the oldest.
func TestPagesModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t)
		var want []string
		for i, gap := range rapid.SliceOfN(rapid.IntRange(0, 5), 0, 30).Draw(rt, "gaps") {
			d.pass(time.Duration(gap) * time.Hour)
			name := fmt.Sprint(i)
			d.record(action(name))
			want = append([]string{name}, want...)
		}
		size := rapid.IntRange(1, 7).Draw(rt, "size")
		paged := func() (got []string) {
			for r := (Range{Limit: size}); ; {
				page := d.list(r)
				got = append(got, subjects(page)...)
				if len(page) < size {
					return got
				}
				r.Before = page[len(page)-1].ID
			}
		}
		if got := paged(); !slices.Equal(got, want) {
			rt.Fatalf("pages give %q, not %q", got, want)
		}
		n := d.drop(time.Duration(rapid.IntRange(0, 150).Draw(rt, "retention")) * time.Hour)
		if got := paged(); !slices.Equal(got, want[:len(want)-n]) {
			rt.Fatalf("%d dropped of %q leaves %q", n, want, got)
		}
	})
}
