package verification

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/gateway/keyring"
	"smsotpd/gateway/number"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
	"smsotpd/storage/storagetest"
)

const alice, bob = "+33612345678", "+33698765432"

// office is a book on a real store whose clock the test sets.
type office struct {
	*Book
	path  string
	store *bolt.Store
	clock atomic.Int64 // µs since 1970
}

// tb is what a *testing.T and a *rapid.T have in common.
type tb interface {
	rapid.TB
	Context() context.Context
}

func newOffice(t testing.TB) *office {
	t.Helper()
	dir := t.TempDir()
	o := &office{path: filepath.Join(dir, "smsotpd.db")}
	o.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	key := filepath.Join(dir, "master.key")
	must(t, keyring.Init(key))
	master, err := keyring.ReadMaster(key)
	must(t, err)
	keys, err := keyring.Open(dir, master)
	must(t, err)
	o.Book = NewBook(keys)
	o.open(t)
	t.Cleanup(func() { _ = o.store.Close() })
	return o
}

func (o *office) open(t rapid.TB) {
	t.Helper()
	var err error
	o.store, err = bolt.Open(bolt.Options{Path: o.path, Daemon: true, Now: o.now})
	must(t, err)
}

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) now() time.Time       { return time.UnixMicro(o.clock.Load()).UTC() }
func (o *office) pass(d time.Duration) { o.clock.Add(d.Microseconds()) }

// do runs one transaction that must succeed.
func (o *office) do(t tb, fn func(tx storage.Tx) error) {
	t.Helper()
	must(t, o.store.Update(t.Context(), fn))
}

func ask(t rapid.TB, to, subject string) Ask {
	t.Helper()
	n, err := number.Parse(to)
	must(t, err)
	return Ask{Service: "default", Purpose: "login", To: n, Subject: subject}
}

// create begins a verification and returns its code.
func (o *office) create(t tb, a Ask, p Policy) (ID, Code) {
	t.Helper()
	d := o.Draft(a, p)
	o.do(t, func(tx storage.Tx) error {
		_, err := o.Create(tx, d, p, []byte("message"))
		return err
	})
	return d.ID, d.Code
}

func (o *office) check(t tb, id ID, entered Code, p Policy) (v Verdict) {
	t.Helper()
	o.do(t, func(tx storage.Tx) (err error) {
		v, err = o.Check(tx, id, entered, p)
		return err
	})
	return v
}

// sweep does what the gateway's sweeper does, and returns what it deleted.
func (o *office) sweep(t tb, p Policy) (gone []ID) {
	t.Helper()
	for {
		var due []Deadline
		must(t, o.store.View(t.Context(), func(tx storage.Tx) (err error) {
			due, err = o.Deadlines(tx, 10)
			return err
		}))
		if len(due) == 0 || due[0].At.After(o.now()) {
			return gone
		}
		o.do(t, func(tx storage.Tx) error {
			_, over, err := o.Mature(tx, due[0], p)
			if over {
				gone = append(gone, due[0].ID)
			}
			return err
		})
	}
}

// dump is everything in the store but the engine's own.
func (o *office) dump(t tb) []storage.Entry {
	t.Helper()
	all, err := storagetest.Dump(t.Context(), o.store)
	must(t, err)
	return all
}

// keysOf runs a transaction and returns how many keys it counts for: distinct
// ones and scans.
func (o *office) keysOf(t tb, fn func(tx storage.Tx) error) int {
	t.Helper()
	var c *storagetest.Counter
	o.do(t, func(tx storage.Tx) error {
		c = storagetest.Count(tx)
		return fn(c)
	})
	return c.Keys()
}

// wrong is a code that is not the given one.
func wrong(c Code) Code {
	other := []byte(c)
	other[0] = '0' + (other[0]-'0'+1)%10
	return Code(other)
}
