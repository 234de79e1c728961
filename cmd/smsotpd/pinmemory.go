package main

import (
	"context"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/storage"
)

// pinTried is the record of a PIN that was given to a SIM.
type pinTried struct {
	At int64 `cbor:"1,keyasint"` // Unix seconds
}

// pinMemory keeps in the database which PINs were tried on which SIM. A key is
// the lookup token of the attempt, whose key is wrapped by the master key: the
// PIN can't be guessed from the database.
type pinMemory struct {
	store storage.Store
	keys  *keyring.Keyring
	table storage.Table[pinTried]
}

var _ modem.PINMemory = (*pinMemory)(nil)

// memoryPatience is how long the database may take for what the driver is to
// remember. A PIN is not entered before.
const memoryPatience = 10 * time.Second

func newPINMemory(s *state) *pinMemory {
	return &pinMemory{store: s.store, keys: s.keys, table: storage.NewTable[pinTried]("pintried", 1)}
}

func (m *pinMemory) key(attempt string) []byte {
	token := m.keys.Lookup("pin attempt", []byte(attempt))
	return token.Bytes()
}

// Tried implements modem.PINMemory.
func (m *pinMemory) Tried(attempt string) (tried bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), memoryPatience)
	defer cancel()
	key := m.key(attempt)
	err = m.store.View(ctx, func(tx storage.Tx) error {
		var err error
		_, tried, err = m.table.Find(tx, key)
		return err
	})
	return tried, err
}

// Try implements modem.PINMemory.
func (m *pinMemory) Try(attempt string) error {
	key := m.key(attempt)
	return remember(m.store, func(tx storage.Tx) error {
		return m.table.Put(tx, key, pinTried{At: tx.Now().Unix()})
	})
}

// Forget implements modem.PINMemory.
func (m *pinMemory) Forget(attempt string) error {
	key := m.key(attempt)
	return remember(m.store, func(tx storage.Tx) error { return m.table.Delete(tx, key) })
}

// remember runs fn in a transaction of the driver's memories.
func remember(store storage.Store, fn func(storage.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), memoryPatience)
	defer cancel()
	return store.Update(storage.WithReserve(ctx), fn)
}
