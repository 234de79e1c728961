package storage

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Snapshot is the consistent state that an engine lets a transaction read. Its
// slices must stay as they are until the transaction has ended.
type Snapshot interface {
	// Get returns the value and whether there is one.
	Get(key []byte) ([]byte, bool, error)
	// Scan returns up to limit entries with start <= key < end, in order; a
	// nil end means no upper bound.
	Scan(start, end []byte, limit int) ([]Entry, error)
}

// Touch is what a transaction did to one key.
type Touch struct {
	Key []byte
	// Value is what was Put.
	Value []byte
	// Read: the closure was shown what the snapshot holds for the key.
	Read bool
	// Put and Deleted: the last write; at most one of them is set.
	Put, Deleted bool

	uncounted bool
}

func (t *Touch) written() bool { return t.Put || t.Deleted }

// Range is a span of keys that a transaction scanned: Start <= key < End, cut
// off behind the last entry returned if the scan's limit was reached.
type Range struct{ Start, End []byte }

// arenaChunk is how much memory a WriteSet takes at a time for its copies.
const arenaChunk = 4 << 10

// WriteSet is the Tx that an engine hands to the closure of an Update: an
// overlay over a Snapshot that keeps the writes to itself, reads them back,
// enforces the bounds of this package and remembers what was read. The engine
// carries the writes out when the closure succeeded and Err is nil.
//
// It serves one goroutine.
type WriteSet struct {
	base Snapshot
	now  func() time.Time
	at   time.Time

	touched   []Touch // in order of their keys
	uncounted int
	ranges    []Range
	size      int
	arena     []byte
	err       error
}

var _ Tx = (*WriteSet)(nil)

// NewWriteSet begins a transaction over base. It takes over the memory of
// spent, a closed set whose writes nothing refers to any more, unless it is
// nil.
func NewWriteSet(base Snapshot, now func() time.Time, spent *WriteSet) *WriteSet {
	w := &WriteSet{base: base, now: now}
	if spent != nil {
		clear(spent.touched)
		w.touched = spent.touched[:0]
		if cap(spent.arena) == arenaChunk {
			w.arena = spent.arena[:0]
		}
		spent.touched, spent.arena = nil, nil
	}
	return w
}

// Err is the first bound that the closure broke or the first failure of the
// snapshot, even if the closure made light of it.
func (w *WriteSet) Err() error { return w.err }

// Touched lists the keys read and written, in order.
func (w *WriteSet) Touched() []Touch { return w.touched }

// Ranges lists what was scanned.
func (w *WriteSet) Ranges() []Range { return w.ranges }

// Size is how many bytes of keys and values are to be written.
func (w *WriteSet) Size() int { return w.size }

// Timed says whether the closure asked for the time.
func (w *WriteSet) Timed() bool { return !w.at.IsZero() }

// Close ends the closure's use of the set: whoever kept it gets errors.
func (w *WriteSet) Close() { w.base = nil }

// Now returns the transaction's time, which stands still within it.
func (w *WriteSet) Now() time.Time {
	if w.at.IsZero() {
		w.at = w.now()
	}
	return w.at
}

// Get returns the value that the transaction wrote or the snapshot holds.
func (w *WriteSet) Get(key []byte) ([]byte, error) {
	if err := w.readable(key); err != nil {
		return nil, err
	}
	return w.get(key, false)
}

// Put sets the value within the transaction.
func (w *WriteSet) Put(key, value []byte) error {
	if err := w.writable(key); err != nil {
		return err
	}
	return w.put(key, value, false)
}

// Delete removes the key within the transaction.
func (w *WriteSet) Delete(key []byte) error {
	if err := w.writable(key); err != nil {
		return err
	}
	return w.remove(key, false)
}

// Scan merges what the transaction wrote into what the snapshot holds.
func (w *WriteSet) Scan(start, end []byte, limit int) ([]Entry, error) {
	if w.count() >= MaxKeys {
		return nil, w.fail(errTooMany)
	}
	// More than MaxKeys entries would be refused, so one more is enough to see.
	entries, err := w.scan(aroundReserved, start, end, min(limit, MaxKeys+1))
	if err != nil {
		return nil, w.fail(err)
	}
	scanned := Range{Start: bytes.Clone(start), End: bytes.Clone(end)}
	if len(entries) == limit {
		scanned.End = append(bytes.Clone(entries[limit-1].Key), 0)
	}
	w.ranges = append(w.ranges, scanned)
	for _, e := range entries {
		if i, ok := w.find(e.Key); ok && w.touched[i].written() {
			continue // its own write was shown, not the snapshot's value
		}
		if _, err := w.touch(e.Key, true, false); err != nil {
			return nil, err
		}
	}
	if w.count() > MaxKeys {
		return nil, w.fail(errTooMany)
	}
	return entries, nil
}

// scan scans the spans of start to end that split leaves.
func (w *WriteSet) scan(split func(Range) []Range, start, end []byte, limit int) ([]Entry, error) {
	switch {
	case w.base == nil:
		return nil, errEnded
	case limit < 1:
		return nil, errNoLimit
	}
	var entries []Entry
	for _, span := range split(Range{start, end}) {
		own := w.within(span)
		deleted := 0
		for i := range own {
			if own[i].Deleted {
				deleted++
			}
		}
		found, err := w.base.Scan(span.Start, span.End, limit-len(entries)+deleted)
		if err != nil {
			return nil, err
		}
		entries = append(entries, merge(found, own, limit-len(entries))...)
		if len(entries) == limit {
			break
		}
	}
	return entries, nil
}

// System is the same transaction with the rights of this package: it may read
// and write reserved keys, and what it touches doesn't count towards MaxKeys.
func (w *WriteSet) System() Tx { return system{w} }

type system struct{ *WriteSet }

func (s system) Get(key []byte) ([]byte, error) { return s.get(key, true) }
func (s system) Put(key, value []byte) error    { return s.put(key, value, true) }
func (s system) Delete(key []byte) error        { return s.remove(key, true) }

func (s system) Scan(start, end []byte, limit int) ([]Entry, error) {
	whole := func(r Range) []Range { return []Range{r} }
	return s.scan(whole, start, end, limit)
}

func (w *WriteSet) get(key []byte, uncounted bool) ([]byte, error) {
	if w.base == nil {
		return nil, errEnded
	}
	if i, ok := w.find(key); ok && w.touched[i].written() {
		if w.touched[i].Deleted {
			return nil, ErrNotFound
		}
		return w.touched[i].Value, nil
	}
	if _, err := w.touch(key, true, uncounted); err != nil {
		return nil, err
	}
	value, ok, err := w.base.Get(key)
	switch {
	case err != nil:
		return nil, w.fail(err)
	case !ok:
		return nil, ErrNotFound
	}
	return value, nil
}

func (w *WriteSet) put(key, value []byte, uncounted bool) error {
	if len(value) > MaxValueSize {
		return w.fail(fmt.Errorf("%w: value of %d bytes, at most %d", ErrBounds, len(value), MaxValueSize))
	}
	t, err := w.write(key, len(value), uncounted)
	if err != nil {
		return err
	}
	t.Value, t.Put, t.Deleted = w.keep(value), true, false
	return nil
}

func (w *WriteSet) remove(key []byte, uncounted bool) error {
	t, err := w.write(key, 0, uncounted)
	if err != nil {
		return err
	}
	t.Value, t.Put, t.Deleted = nil, false, true
	return nil
}

// write finds or makes the key's entry and accounts for a value of n bytes.
func (w *WriteSet) write(key []byte, n int, uncounted bool) (*Touch, error) {
	if w.base == nil {
		return nil, errEnded
	}
	t, err := w.touch(key, false, uncounted)
	if err != nil {
		return nil, err
	}
	if t.written() {
		w.size -= len(t.Key) + len(t.Value)
	}
	w.size += len(key) + n
	if w.size > MaxTxSize {
		return nil, w.fail(fmt.Errorf("%w: more than %d bytes written", ErrBounds, MaxTxSize))
	}
	return t, nil
}

// touch returns the key's entry, which it makes if need be.
func (w *WriteSet) touch(key []byte, read, uncounted bool) (*Touch, error) {
	i, ok := w.find(key)
	if !ok {
		if !uncounted && w.count() >= MaxKeys {
			return nil, w.fail(errTooMany)
		}
		if uncounted {
			w.uncounted++
		}
		w.touched = slices.Insert(w.touched, i, Touch{Key: w.keep(key), uncounted: uncounted})
	}
	t := &w.touched[i]
	t.Read = t.Read || read
	if t.uncounted && !uncounted {
		t.uncounted = false
		w.uncounted--
	}
	return t, nil
}

func (w *WriteSet) count() int { return len(w.touched) - w.uncounted + len(w.ranges) }

func (w *WriteSet) find(key []byte) (int, bool) {
	return slices.BinarySearchFunc(w.touched, key, func(t Touch, key []byte) int { return bytes.Compare(t.Key, key) })
}

// within returns what was done to the keys of span.
func (w *WriteSet) within(span Range) []Touch {
	from, _ := w.find(span.Start)
	to := len(w.touched)
	if span.End != nil {
		to, _ = w.find(span.End)
	}
	return w.touched[from:max(from, to)]
}

// keep copies b to memory that lives as long as the set's writes.
func (w *WriteSet) keep(b []byte) []byte {
	if len(b) > cap(w.arena)-len(w.arena) {
		w.arena = make([]byte, 0, max(arenaChunk, len(b)))
	}
	from := len(w.arena)
	w.arena = append(w.arena, b...)
	return w.arena[from:len(w.arena):len(w.arena)]
}

func (w *WriteSet) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

func (w *WriteSet) readable(key []byte) error {
	if err := checkRead(key); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *WriteSet) writable(key []byte) error {
	err := checkKey(key)
	if err == nil && bytes.HasPrefix(key, reserved) {
		err = fmt.Errorf("%w: reserved key written", ErrBounds)
	}
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// merge returns the first limit entries of what the snapshot holds and of what
// was written over it; both are in order.
func merge(found []Entry, own []Touch, limit int) []Entry {
	entries := make([]Entry, 0, min(limit, len(found)+len(own)))
	for len(entries) < limit && len(found)+len(own) > 0 {
		if len(own) > 0 && !own[0].written() {
			own = own[1:]
			continue
		}
		order := -1
		switch {
		case len(found) == 0:
			order = 1
		case len(own) > 0:
			order = bytes.Compare(found[0].Key, own[0].Key)
		}
		if order < 0 {
			entries, found = append(entries, found[0]), found[1:]
			continue
		}
		if order == 0 {
			found = found[1:]
		}
		if own[0].Put {
			entries = append(entries, Entry{Key: own[0].Key, Value: own[0].Value})
		}
		own = own[1:]
	}
	return entries
}
