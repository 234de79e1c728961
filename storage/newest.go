package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// NewestKey is how the keys of a table begin whose newest records come first:
// what is later is less.
func NewestKey(at time.Time) [8]byte {
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], ^uint64(max(0, at.UnixMicro()))) //nolint:gosec // not negative
	return key
}

// NewestTime is the time, to the microsecond, that a NewestKey is of.
func NewestTime(key [8]byte) time.Time {
	return Time(^binary.BigEndian.Uint64(key[:])).Time() //nolint:gosec // as NewestKey made it
}

// ParseKey reads a key as hex prints it, and nothing else, into key; it says whether
// that is one.
func ParseKey(key []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(key)) {
		return false
	}
	_, err := hex.Decode(key, []byte(s))
	return err == nil && hex.EncodeToString(key) == s
}

// Newest returns up to limit records of a table whose newest come first, as read
// makes them of key and record: those that are newer than after and older than
// before, which are keys, and as long as all are; zeros bound nothing.
func Newest[V, T any](tx Tx, t Table[V], after, before []byte, limit int, read func(key []byte, v V) T) ([]T, error) {
	if bytes.Count(after, []byte{0}) == len(after) {
		after = nil
	}
	rows, err := t.Scan(tx, append(bytes.Clone(before), 0), after, limit)
	if err != nil {
		return nil, err
	}
	list := make([]T, 0, len(rows))
	for _, row := range rows {
		if len(row.Key) != len(before) {
			return nil, fmt.Errorf("%w: table %s: a key of %d bytes", ErrForeign, t.Name(), len(row.Key))
		}
		list = append(list, read(row.Key, row.Value))
	}
	return list, nil
}
