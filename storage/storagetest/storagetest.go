// Package storagetest is the conformance suite of the storage engines: whatever
// stands in the contract of package storage is tested here against any of them.
// It knows that contract and no engine.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"smsotpd/storage"
)

// Options are what the suite varies from one opening to the next.
type Options struct {
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Tool opens the store as an offline tool does: without a session.
	Tool       bool
	Migrations []storage.Migration
}

// Backing is one store's durable state. Open may be called again after the
// store that it returned was closed.
type Backing interface {
	Open(o Options) (storage.Store, error)
}

// Run holds an engine to the contract; fresh makes an empty Backing.
func Run(t *testing.T, fresh func(t *testing.T) Backing) {
	tests := []struct {
		name string
		test func(t *testing.T, b Backing)
	}{
		{"ReadWrite", testReadWrite},
		{"Scan", testScan},
		{"FailedClosure", testFailedClosure},
		{"Panic", testPanic},
		{"Goexit", testGoexit},
		{"Bounds", testBounds},
		{"View", testView},
		{"EndedTx", testEndedTx},
		{"Context", testContext},
		{"Closed", testClosed},
		{"Serializable", testSerializable},
		{"Watch", testWatch},
		{"WatchOverflow", testWatchOverflow},
		{"Session", testSession},
		{"Clock", testClock},
		{"ClockFarBehind", testClockFarBehind},
		{"Migrations", testMigrations},
		{"MigrationResumes", testMigrationResumes},
		{"NewerSchema", testNewerSchema},
		{"Model", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.test(t, fresh(t)) })
	}
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

func open(t testing.TB, b Backing, o Options) storage.Store {
	t.Helper()
	s, err := b.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func closeStore(t testing.TB, s storage.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func update(t testing.TB, s storage.Store, fn func(tx storage.Tx) error) {
	t.Helper()
	if err := s.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s storage.Store, key, value string) {
	t.Helper()
	update(t, s, func(tx storage.Tx) error { return tx.Put([]byte(key), []byte(value)) })
}

// get returns the value and whether there is one.
func get(t testing.TB, s storage.Store, key string) (value string, found bool) {
	t.Helper()
	err := s.View(context.Background(), func(tx storage.Tx) error {
		v, err := tx.Get([]byte(key))
		value, found = string(v), err == nil
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value, found
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: got %v, want %v", what, err, want)
	}
}

func show(entries []storage.Entry) string {
	s := ""
	for _, e := range entries {
		s += fmt.Sprintf("%s=%s ", e.Key, e.Value)
	}
	return s
}
