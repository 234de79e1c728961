package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"smsotpd/storage"
)

// snapshot reads the bucket of one bbolt transaction. One cursor serves all
// reads: it seeks from the root anew each time, so writes in between are seen.
type snapshot struct{ cursor *bbolt.Cursor }

var _ storage.Snapshot = snapshot{}

func newSnapshot(bucket *bbolt.Bucket) snapshot { return snapshot{bucket.Cursor()} }

// Get returns the value and whether there is one.
func (s snapshot) Get(key []byte) ([]byte, bool, error) {
	k, v := s.cursor.Seek(key)
	if k == nil || !bytes.Equal(k, key) {
		return nil, false, nil
	}
	return clip(v), true, nil
}

// Scan returns up to limit entries with start <= key < end, in order.
func (s snapshot) Scan(start, end []byte, limit int) ([]storage.Entry, error) {
	var entries []storage.Entry
	for k, v := s.cursor.Seek(start); k != nil && len(entries) < limit; k, v = s.cursor.Next() {
		if end != nil && bytes.Compare(k, end) >= 0 {
			break
		}
		entries = append(entries, storage.Entry{Key: clip(k), Value: clip(v)})
	}
	return entries, nil
}

// clip keeps an append by the caller out of bbolt's memory.
func clip(b []byte) []byte { return b[:len(b):len(b)] }
