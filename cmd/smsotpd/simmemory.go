package main

import (
	"bytes"

	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/storage"
)

// modemSIM is the record of the SIM that was in a modem last.
type modemSIM struct {
	SIM []byte `cbor:"1,keyasint"` // lookup token of its IMSI
}

// simMemory keeps in the database which SIM was in which modem, by lookup
// tokens: neither IMEI nor IMSI.
type simMemory struct {
	store storage.Store
	keys  *keyring.Keyring
	table storage.Table[modemSIM]
}

var _ modem.SIMMemory = (*simMemory)(nil)

func newSIMMemory(s *state) *simMemory {
	return &simMemory{store: s.store, keys: s.keys, table: storage.NewTable[modemSIM]("modemsim", 1)}
}

// Seen implements modem.SIMMemory.
func (m *simMemory) Seen(imei, imsi string) (another bool, err error) {
	key, sim := m.key(imei), m.keys.Lookup("sim", []byte(imsi)).Bytes()
	err = remember(m.store, func(tx storage.Tx) error {
		last, known, err := m.table.Find(tx, key)
		same := bytes.Equal(last.SIM, sim)
		if another = known && !same; err != nil || same {
			return err
		}
		return m.table.Put(tx, key, modemSIM{SIM: sim})
	})
	return another, err
}

// Forget implements modem.SIMMemory.
func (m *simMemory) Forget(imei string) error {
	key := m.key(imei)
	return remember(m.store, func(tx storage.Tx) error { return m.table.Delete(tx, key) })
}

func (m *simMemory) key(imei string) []byte { return m.keys.Lookup("modem", []byte(imei)).Bytes() }
