package storagetest

import (
	"bytes"
	"slices"

	"smsotpd/storage"
)

// Memory is a storage.Snapshot in memory, for tests that set the time of every
// transaction.
type Memory map[string][]byte

// Get implements storage.Snapshot.
func (m Memory) Get(key []byte) ([]byte, bool, error) {
	v, ok := m[string(key)]
	return v, ok, nil
}

// Scan implements storage.Snapshot.
func (m Memory) Scan(start, end []byte, limit int) ([]storage.Entry, error) {
	var found []storage.Entry
	for k, v := range m {
		if key := []byte(k); bytes.Compare(key, start) >= 0 && (end == nil || bytes.Compare(key, end) < 0) {
			found = append(found, storage.Entry{Key: key, Value: v})
		}
	}
	slices.SortFunc(found, func(a, b storage.Entry) int { return bytes.Compare(a.Key, b.Key) })
	return found[:min(limit, len(found))], nil
}

// Commit carries out what w has written, and says how many keys that were.
func (m Memory) Commit(w *storage.WriteSet) (wrote int) {
	for _, t := range w.Touched() {
		switch {
		case t.Put:
			m[string(t.Key)] = bytes.Clone(t.Value)
		case t.Deleted:
			delete(m, string(t.Key))
		default:
			continue
		}
		wrote++
	}
	return wrote
}
