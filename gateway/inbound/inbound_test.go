package inbound

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
	"smsotpd/storage/storagetest"
)

const alice, bob = "+33612345678", "+33698765432"

// desk is a Book on a real store whose clock the test sets. Its TPDUs are a
// first octet and their text.
type desk struct {
	*Book
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
	d.Book = NewBook(keys, func(tpdus [][]byte) (Content, error) {
		text := ""
		for _, tpdu := range tpdus {
			text += string(tpdu[1:])
		}
		if strings.HasPrefix(text, "bad") {
			return Content{}, errors.New("bad")
		}
		return Content{Text: text}, nil
	})
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) pass(by time.Duration) { d.clock.Add(by.Microseconds()) }

func (d *desk) keep(p Part) (fresh bool) {
	d.t.Helper()
	draft := d.Draft(p)
	d.must(d.store.Update(d.t.Context(), func(tx storage.Tx) (err error) {
		fresh, err = d.Keep(tx, draft)
		return err
	}))
	return fresh
}

func (d *desk) list(r Range) (list []Message) {
	d.t.Helper()
	if r.Limit == 0 {
		r.Limit = 100
	}
	d.must(d.store.View(d.t.Context(), func(tx storage.Tx) (err error) {
		list, err = d.List(tx, r)
		return err
	}))
	return list
}

func (d *desk) texts() []string {
	d.t.Helper()
	var texts []string
	for _, m := range d.list(Range{}) {
		texts = append(texts, m.Text)
	}
	return texts
}

func (d *desk) dump() []storage.Entry {
	d.t.Helper()
	all, err := storagetest.Dump(d.t.Context(), d.store)
	d.must(err)
	return all
}

func whole(text string) Part {
	return Part{Modem: "a", SIM: "1", From: alice, TPDU: append([]byte{deliver}, text...)}
}

// deliver is the first octet of most messages: SMS-DELIVER, no more wait.
const deliver = 0x04

func part(ref uint16, n, of int, text string) Part {
	p := whole(text)
	p.Ref, p.Number, p.Of = ref, n, of
	return p
}

func TestKeptNewestFirst(t *testing.T) {
	d := newDesk(t)
	for i := range 5 {
		d.keep(whole(fmt.Sprintf("m%d", i)))
		d.pass(time.Second)
	}
	if got := d.texts(); !slices.Equal(got, []string{"m4", "m3", "m2", "m1", "m0"}) {
		t.Fatalf("%q", got)
	}
	all := d.list(Range{})
	if all[0].From != alice || all[0].Modem != "a" || all[0].Parts != 1 || all[0].Missing != nil {
		t.Error("what was kept is not what is listed")
	}
	page := d.list(Range{Before: all[1].ID, Limit: 2})
	if len(page) != 2 || page[0].Text != "m2" || page[1].Text != "m1" {
		t.Errorf("before the second: %d messages", len(page))
	}
	fresh := d.list(Range{After: all[2].ID})
	if len(fresh) != 2 || fresh[0].Text != "m4" || fresh[1].Text != "m3" {
		t.Errorf("after the third: %d messages", len(fresh))
	}
	if id, err := ParseID(all[0].ID.String()); err != nil || id != all[0].ID {
		t.Error("an id does not survive its text")
	}
	for _, bad := range []string{"", "zz", strings.Repeat("z", 32), strings.Repeat("0", 33), strings.Repeat("A", 32)} {
		if _, err := ParseID(bad); !errors.Is(err, ErrBadID) {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

// A modem that was not told in time that a message is kept gives it again.
func TestTheSameTPDUIsKeptOnce(t *testing.T) {
	d := newDesk(t)
	if !d.keep(whole("m")) || d.keep(whole("m")) {
		t.Error("a repetition is not told from something new")
	}
	other := whole("m")
	other.SIM = "2"
	if !d.keep(other) {
		t.Error("another SIM's message is taken for a repetition")
	}
	d.keep(part(7, 1, 2, "x"))
	d.keep(part(7, 1, 2, "x"))
	d.keep(part(7, 2, 2, "y"))
	d.keep(part(7, 2, 2, "y"))
	if got := d.texts(); !slices.Contains(got, "xy") || len(got) != 3 {
		t.Errorf("%q", got)
	}
}

func TestParts(t *testing.T) {
	d := newDesk(t)
	d.keep(part(7, 3, 3, "c"))
	d.pass(time.Minute)
	d.keep(part(7, 1, 3, "a"))
	if m := d.list(Range{})[0]; m.Text != "ac" || !slices.Equal(m.Missing, []int{2}) || m.Parts != 3 {
		t.Errorf("with a gap: %d parts, missing %v", m.Parts, m.Missing)
	}
	elsewhere := part(7, 2, 3, "B")
	elsewhere.From = bob
	d.keep(elsewhere) // the same reference by another sender
	d.keep(part(8, 2, 3, "β"))
	d.pass(time.Minute)
	d.keep(part(7, 2, 3, "b"))
	if got := d.list(Range{})[0]; got.Text != "abc" || got.Missing != nil {
		t.Errorf("missing %v of a message of which all came", got.Missing)
	}
	// The reference comes round again.
	d.keep(part(7, 1, 3, "new"))
	if got := d.texts(); !slices.Contains(got, "abc") || !slices.Contains(got, "new") {
		t.Errorf("%q", got)
	}
	// One that never was completed does not swallow the next with its reference.
	d.pass(together + time.Hour)
	d.keep(part(8, 1, 3, "late"))
	if got := d.texts(); !slices.Contains(got, "β") || !slices.Contains(got, "late") {
		t.Errorf("%q", got)
	}
	// Nor does another text under the same number.
	d.keep(part(8, 1, 3, "again"))
	if got := d.texts(); !slices.Contains(got, "late") || !slices.Contains(got, "again") {
		t.Errorf("%q", got)
	}
}

// A part whose message doesn't open any more is kept by itself: refused, it
// would come again for ever.
func TestPartOfADamagedMessageIsKept(t *testing.T) {
	d := newDesk(t)
	d.keep(part(7, 1, 2, "a"))
	first := d.list(Range{})[0].ID
	d.must(d.store.Update(t.Context(), func(tx storage.Tx) error {
		rec, err := d.messages.Get(tx, first[:])
		if err != nil {
			return err
		}
		rec.Sealed[len(rec.Sealed)-1] ^= 1
		return d.messages.Put(tx, first[:], rec)
	}))
	d.pass(time.Second)
	if !d.keep(part(7, 2, 2, "b")) {
		t.Error("the part is not kept")
	}
	all := d.list(Range{})
	if len(all) != 2 || all[0].Text != "b" || !all[1].Undecodable {
		t.Errorf("%d messages", len(all))
	}
}

func TestWhatCannotBeReadIsKept(t *testing.T) {
	d := newDesk(t)
	bad := whole("\xff\x00")
	bad.Undecodable, bad.From = true, ""
	d.keep(bad)
	d.keep(whole("bad and not said to be"))
	for _, p := range []Part{part(1, 0, 3, "p0"), part(1, 4, 3, "p4"), part(1, 1, 255, "p255"), part(1, 1, 1, "p1")} {
		d.keep(p)
	}
	undecodable := 0
	for _, m := range d.list(Range{}) {
		if m.Undecodable {
			undecodable++
			if len(m.TPDU) == 0 || m.Text != "" {
				t.Error("an undecodable message has no TPDU, or a text")
			}
		} else if m.Parts != 1 || m.Missing != nil {
			t.Errorf("a message in impossible parts is not one by itself: %d", m.Parts)
		}
	}
	if undecodable != 2 {
		t.Errorf("%d undecodable", undecodable)
	}
}

func TestRetention(t *testing.T) {
	d := newDesk(t)
	const retention = 48 * time.Hour
	for i := range 20 {
		for n := 1; n <= MaxParts; n++ {
			d.keep(part(uint16(i), n, MaxParts, fmt.Sprint(i, " ", n)))
		}
	}
	d.keep(part(99, 1, 2, "never completed"))
	d.pass(retention - time.Hour)
	d.keep(part(99, 1, 2, "the same thread, later"))
	d.keep(whole("young"))
	drop := func() (total int) {
		for {
			n := 0
			d.must(d.store.Update(t.Context(), func(tx storage.Tx) (err error) {
				n, err = d.Drop(tx, retention, 64)
				return err
			}))
			if total += n; n == 0 {
				return total
			}
		}
	}
	dated := func() (is bool) {
		d.must(d.store.View(t.Context(), func(tx storage.Tx) (err error) {
			is, err = d.Dated(tx, retention)
			return err
		}))
		return is
	}
	if dated() || drop() != 0 {
		t.Error("messages are dropped too early")
	}
	d.pass(2 * time.Hour)
	if !dated() {
		t.Error("nothing is too old")
	}
	if n := drop(); n != 21 {
		t.Errorf("%d were dropped", n)
	}
	if got := d.texts(); len(got) != 2 {
		t.Errorf("left are %q", got)
	}
	d.keep(part(99, 2, 2, "!"))
	if got := d.texts(); !slices.Contains(got, "the same thread, later!") {
		t.Errorf("the thread of a later message went with the earlier: %q", got)
	}
	d.pass(retention + time.Hour)
	drop()
	for _, e := range d.dump() {
		if bytes.HasPrefix(e.Key, []byte("inbound")) {
			t.Errorf("left is a key of %d bytes", len(e.Key))
		}
	}
}

func TestNothingIsReadable(t *testing.T) {
	d := newDesk(t)
	d.keep(whole("the quick brown fox"))
	d.keep(part(1, 1, 2, "jumps over"))
	for _, m := range d.list(Range{}) {
		for _, s := range []string{fmt.Sprint(m), fmt.Sprintf("%+v", m), fmt.Sprintf("%#v", m)} {
			if strings.Contains(s, "fox") || strings.Contains(s, alice) {
				t.Errorf("printed: %s", s)
			}
		}
	}
	for _, e := range d.dump() {
		for _, secret := range []string{"fox", "jumps", alice, alice[1:]} {
			if bytes.Contains(e.Key, []byte(secret)) || bytes.Contains(e.Value, []byte(secret)) {
				t.Errorf("%q is in the store", secret)
			}
		}
	}
}
