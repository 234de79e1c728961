package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Table is a set of records of one type under one prefix. A record is one
// version byte and the CBOR (RFC 8949) of V, whose fields carry integer keys
// (`cbor:"1,keyasint,omitempty"`), so that fields can be added freely: a
// reader skips the keys it doesn't know and leaves the absent ones zero. A
// change of meaning raises the version and needs a Migration.
type Table[V any] struct {
	prefix  []byte
	version byte
}

// Row is one record of a table with its key (without the table's prefix).
type Row[V any] struct {
	Key   []byte
	Value V
}

// NewTable describes the table called name ([a-z]+), whose records are at the
// given version (from 1).
func NewTable[V any](name string, version byte) Table[V] {
	return Table[V]{prefix: append([]byte(name), '/'), version: version}
}

// Prefix is what every key of the table begins with.
func (t Table[V]) Prefix() []byte { return bytes.Clone(t.prefix) }

// Name is the table's name, for the associated data of sealed fields.
func (t Table[V]) Name() string { return string(t.prefix[:len(t.prefix)-1]) }

// Trim returns the record's key of a whole store key, and whether the key is
// one of this table.
func (t Table[V]) Trim(key []byte) ([]byte, bool) { return bytes.CutPrefix(key, t.prefix) }

func (t Table[V]) full(key []byte) []byte {
	return append(append(make([]byte, 0, len(t.prefix)+len(key)), t.prefix...), key...)
}

// Get returns the record, ErrNotFound, or an error that says which table
// couldn't be read.
func (t Table[V]) Get(tx Tx, key []byte) (V, error) {
	var v V
	raw, err := tx.Get(t.full(key))
	if err != nil {
		return v, err
	}
	return t.decode(raw)
}

// Find is Get that tells a missing record by its second result.
func (t Table[V]) Find(tx Tx, key []byte) (V, bool, error) {
	v, err := t.Get(tx, key)
	if errors.Is(err, ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

// Put stores the record.
func (t Table[V]) Put(tx Tx, key []byte, v V) error {
	body, err := encoding().Marshal(v)
	if err != nil {
		return fmt.Errorf("storage: table %s: encode: %w", t.Name(), err)
	}
	raw := make([]byte, 0, 1+len(body))
	return tx.Put(t.full(key), append(append(raw, t.version), body...))
}

// Delete removes the record; a missing one is no error.
func (t Table[V]) Delete(tx Tx, key []byte) error { return tx.Delete(t.full(key)) }

// Scan returns up to limit records with from <= key < to. A nil from begins
// at the table's first record, a nil to ends after its last.
func (t Table[V]) Scan(tx Tx, from, to []byte, limit int) ([]Row[V], error) {
	end := PrefixEnd(t.prefix)
	if to != nil {
		end = t.full(to)
	}
	entries, err := tx.Scan(t.full(from), end, limit)
	if err != nil {
		return nil, err
	}
	rows := make([]Row[V], 0, len(entries))
	for _, e := range entries {
		v, err := t.decode(e.Value)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Row[V]{Key: bytes.Clone(e.Key[len(t.prefix):]), Value: v})
	}
	return rows, nil
}

// Drop deletes up to limit records with key < to, the first ones first, and
// returns how many.
func (t Table[V]) Drop(tx Tx, to []byte, limit int) (int, error) {
	entries, err := tx.Scan(t.prefix, t.full(to), limit)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if err := tx.Delete(e.Key); err != nil {
			return 0, err
		}
	}
	return len(entries), nil
}

func (t Table[V]) decode(raw []byte) (V, error) {
	var v V
	switch {
	case len(raw) == 0 || raw[0] == 0:
		return v, fmt.Errorf("%w: table %s: a record without a version", ErrForeign, t.Name())
	case raw[0] > t.version:
		return v, fmt.Errorf("%w: table %s: record version %d, known up to %d", ErrNewer, t.Name(), raw[0], t.version)
	}
	if err := cbor.Unmarshal(raw[1:], &v); err != nil {
		return v, fmt.Errorf("%w: table %s: %w", ErrForeign, t.Name(), err)
	}
	return v, nil
}

// PrefixEnd is the first key after all keys that begin with prefix; nil if
// there is none.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

var encoding = sync.OnceValue(func() cbor.EncMode {
	mode, err := cbor.EncOptions{Sort: cbor.SortCanonical}.EncMode()
	if err != nil {
		panic(err) // constant options
	}
	return mode
})

// Time is a point in time as records keep it: microseconds since 1970 UTC, as
// exact as Tx.Now; 0 is "never".
type Time int64

// TimeOf is the stored form of t; the zero time becomes 0.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMicro())
}

// Time is the point in time in UTC; the zero time for 0.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(t)).UTC()
}

// EachPage is how many records one View of Each reads.
const EachPage = 64

// Each calls do with the key and value of every record of a table, in the order of
// the keys. It reads in several Views: what changes meanwhile may be met or not.
func Each[V any](ctx context.Context, s Store, t Table[V], do func(key []byte, v V)) error {
	for from := []byte(nil); ; {
		var rows []Row[V]
		err := s.View(ctx, func(tx Tx) (err error) {
			rows, err = t.Scan(tx, from, nil, EachPage)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			do(row.Key, row.Value)
		}
		from = append(bytes.Clone(rows[len(rows)-1].Key), 0)
	}
}
