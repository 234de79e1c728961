package queue

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
	"smsotpd/storage/storagetest"
)

const alice, bob = "+33612345678", "+33698765432"

// office is a queue on a real store whose clock the test sets.
type office struct {
	*Queue
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
	o := &office{}
	o.clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	dir := t.TempDir()
	key := filepath.Join(dir, "master.key")
	must(t, keyring.Init(key))
	master, err := keyring.ReadMaster(key)
	must(t, err)
	keys, err := keyring.Open(dir, master)
	must(t, err)
	o.store, err = bolt.Open(bolt.Options{Path: filepath.Join(dir, "smsotpd.db"), Daemon: true, Now: o.now})
	must(t, err)
	t.Cleanup(func() { _ = o.store.Close() })
	o.Queue = New(keys, DefaultPolicy())
	return o
}

func must(t tb, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (o *office) now() time.Time       { return time.UnixMicro(o.clock.Load()).UTC() }
func (o *office) pass(d time.Duration) { o.clock.Add(d.Microseconds()) }

// do runs one transaction.
func (o *office) do(t tb, fn func(tx storage.Tx) error) {
	t.Helper()
	must(t, o.store.Update(t.Context(), fn))
}

func (o *office) enqueue(t tb, to string, life time.Duration) ID {
	t.Helper()
	d := o.Draft(Address{To: to, Region: "FR"})
	o.Write(&d, []byte("owner"), "text for "+to)
	o.do(t, func(tx storage.Tx) error {
		_, err := o.Enqueue(tx, d, tx.Now().Add(life))
		return err
	})
	return d.ID
}

// carrier is a modem of this process, with an IMSI after its name.
func (o *office) carrier(name string) Carrier {
	return Carrier{Session: o.store.Session(), Modem: name, IMSI: "imsi-" + name}
}

func (o *office) begin(t tb, id ID, c Carrier) Begun {
	t.Helper()
	var b Begun
	o.do(t, func(tx storage.Tx) (err error) {
		b, err = o.Begin(tx, id, c, Choice{})
		return err
	})
	return b
}

func (o *office) settle(t tb, b Begun, s Settlement) Outcome {
	t.Helper()
	return o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Settle(tx, b.ID, b.Attempt, s) })
}

// send begins and settles at once.
func (o *office) send(t tb, id ID, modem string, s Settlement) Outcome {
	t.Helper()
	return o.settle(t, o.begin(t, id, o.carrier(modem)), s)
}

func accepted(mr byte) Settlement { return Settlement{Result: ResultAccepted, MR: int(mr)} }

func doubt() Settlement { return Settlement{Result: ResultAmbiguous, Cause: "timeout"} }

func (o *office) move(t tb, fn func(tx storage.Tx) (Outcome, error)) (out Outcome) {
	t.Helper()
	o.do(t, func(tx storage.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out
}

func (o *office) advance(t tb, id ID) Outcome {
	t.Helper()
	return o.move(t, func(tx storage.Tx) (Outcome, error) { return o.Advance(tx, id) })
}

func (o *office) report(t tb, modem string, mr byte, to string, fate Fate, scts time.Time) (Outcome, bool) {
	t.Helper()
	status := map[Fate]byte{FateDelivered: 0, FateTrying: 48, FateUndeliverable: 70, FateGaveUp: 99}[fate]
	r := Report{IMSI: "imsi-" + modem, MR: mr, Recipient: to, SCTS: scts, Status: status, Fate: fate}
	hold := NewID()
	var out Outcome
	var matched bool
	o.do(t, func(tx storage.Tx) (err error) {
		out, matched, err = o.Reported(tx, r, hold)
		return err
	})
	return out, matched
}

func (o *office) get(t tb, id ID) Message {
	t.Helper()
	var m Message
	must(t, o.store.View(t.Context(), func(tx storage.Tx) (err error) {
		m, err = o.Get(tx, id)
		return err
	}))
	return m
}

// want fails the test unless the message is in the state.
func (o *office) want(t tb, id ID, state State) Message {
	t.Helper()
	m := o.get(t, id)
	if m.State != state {
		t.Fatalf("the message is %s, want %s; attempts: %+v", m.State, state, m.Attempts)
	}
	return m
}

// dump is everything in the store but the engine's own.
func (o *office) dump(t tb) []storage.Entry {
	t.Helper()
	all, err := storagetest.Dump(t.Context(), o.store)
	must(t, err)
	return all
}

// dropped runs the sweeper's part and returns how many records it deleted.
func (o *office) dropped(t tb) (n int) {
	t.Helper()
	o.do(t, func(tx storage.Tx) error {
		dated, err := o.Dated(tx)
		if err != nil {
			return err
		}
		n, err = o.DropHeld(tx, 50)
		if n > 0 && !dated {
			t.Error("Dated says that there is nothing to drop")
		}
		return err
	})
	return n
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
