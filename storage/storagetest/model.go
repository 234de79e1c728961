package storagetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"smsotpd/storage"
)

// model is what a store must be indistinguishable from.
type model map[string]string

func (m model) scan(start, end string, limit int) []storage.Entry {
	var entries []storage.Entry
	for k, v := range m {
		if k >= start && (end == "" || k < end) {
			entries = append(entries, storage.Entry{Key: []byte(k), Value: []byte(v)})
		}
	}
	slices.SortFunc(entries, func(a, b storage.Entry) int { return bytes.Compare(a.Key, b.Key) })
	return entries[:min(limit, len(entries))]
}

// testModel runs random transactions, some of which fail, with reopenings in
// between, against a store and a map.
func testModel(t *testing.T, b Backing) {
	s, err := b.Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	rapid.Check(t, func(rt *rapid.T) {
		state := empty(rt, s)
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			if rapid.IntRange(0, 9).Draw(rt, "reopen") == 0 {
				if err := s.Close(); err != nil {
					rt.Fatal(err)
				}
				if s, err = b.Open(Options{}); err != nil {
					rt.Fatal(err)
				}
			}
			state = transact(rt, s, state)
		}
		err := s.View(context.Background(), func(tx storage.Tx) error {
			got, err := tx.Scan(nil, nil, 1000)
			if want := state.scan("", "", 1000); show(got) != show(want) {
				rt.Errorf("the store holds %q, want %q", show(got), show(want))
			}
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// empty empties the store.
func empty(rt *rapid.T, s storage.Store) model {
	for more := true; more; {
		err := s.Update(context.Background(), func(tx storage.Tx) error {
			entries, err := tx.Scan(nil, nil, 50)
			for _, e := range entries {
				err = errors.Join(err, tx.Delete(e.Key))
			}
			more = len(entries) > 0
			return err
		})
		if err != nil {
			rt.Fatal(err)
		}
	}
	return model{}
}

type operation struct {
	kind       int // put, delete, get, scan
	key, other string
	value      string
	limit      int
}

var errAbort = errors.New("abort")

// transact runs one random transaction on both and returns the model's state.
func transact(rt *rapid.T, s storage.Store, state model) model {
	key := rapid.StringMatching(`[a-c"~ ]{1,2}`)
	operations := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) operation {
		return operation{
			kind:  rapid.IntRange(0, 3).Draw(rt, "kind"),
			key:   key.Draw(rt, "key"),
			other: key.Draw(rt, "other"),
			value: strings.Repeat("v", rapid.IntRange(0, 3).Draw(rt, "size")) + rapid.StringMatching(`[0-9]`).Draw(rt, "value"),
			limit: rapid.IntRange(1, 5).Draw(rt, "limit"),
		}
	}), 1, 12).Draw(rt, "operations")
	abort := rapid.IntRange(0, 4).Draw(rt, "abort") == 0

	var next model
	err := s.Update(context.Background(), func(tx storage.Tx) error {
		next = model{}
		for k, v := range state {
			next[k] = v
		}
		for _, o := range operations {
			if err := o.run(rt, tx, next); err != nil {
				return err
			}
		}
		if abort {
			return errAbort
		}
		return nil
	})
	switch {
	case abort && errors.Is(err, errAbort):
		return state
	case err != nil:
		rt.Fatal(err)
	}
	return next
}

func (o operation) run(rt *rapid.T, tx storage.Tx, m model) error {
	switch o.kind {
	case 0:
		m[o.key] = o.value
		return tx.Put([]byte(o.key), []byte(o.value))
	case 1:
		delete(m, o.key)
		return tx.Delete([]byte(o.key))
	case 2:
		got, err := tx.Get([]byte(o.key))
		want, ok := m[o.key]
		if errors.Is(err, storage.ErrNotFound) != !ok || string(got) != want {
			rt.Errorf("get %q: %q, %v; want %q, %v", o.key, got, err, want, ok)
		}
		return nil
	default:
		got, err := tx.Scan([]byte(o.key), []byte(o.other), o.limit)
		if want := m.scan(o.key, o.other, o.limit); show(got) != show(want) {
			rt.Errorf("scan %q…%q limit %d: %q, want %q", o.key, o.other, o.limit, show(got), show(want))
		}
		return err
	}
}
