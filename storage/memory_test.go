package storage_test

import (
	"bytes"
	"slices"
	"time"

	"smsotpd/storage"
)

// memory is a Snapshot in memory; commit carries a WriteSet out.
type memory map[string][]byte

func (m memory) Get(key []byte) ([]byte, bool, error) {
	v, ok := m[string(key)]
	return v, ok, nil
}

func (m memory) Scan(start, end []byte, limit int) ([]storage.Entry, error) {
	var entries []storage.Entry
	for k, v := range m {
		if key := []byte(k); bytes.Compare(key, start) >= 0 && (end == nil || bytes.Compare(key, end) < 0) {
			entries = append(entries, storage.Entry{Key: key, Value: v})
		}
	}
	slices.SortFunc(entries, func(a, b storage.Entry) int { return bytes.Compare(a.Key, b.Key) })
	return entries[:min(limit, len(entries))], nil
}

func (m memory) begin() *storage.WriteSet {
	return storage.NewWriteSet(m, func() time.Time { return time.UnixMicro(1) }, nil)
}

func (m memory) commit(w *storage.WriteSet) {
	for _, t := range w.Touched() {
		switch {
		case t.Put:
			m[string(t.Key)] = bytes.Clone(t.Value)
		case t.Deleted:
			delete(m, string(t.Key))
		}
	}
}
