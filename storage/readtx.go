package storage

import "time"

// NewView returns the Tx of a View: reads without MaxKeys, writes refused.
func NewView(base Snapshot, now func() time.Time) *ReadTx { return &ReadTx{base: base, now: now} }

// ReadTx is a Tx that only reads. It serves one goroutine.
type ReadTx struct {
	base Snapshot
	now  func() time.Time
	at   time.Time
}

var _ Tx = (*ReadTx)(nil)

// Close ends the closure's use of it: whoever kept it gets errors.
func (r *ReadTx) Close() { r.base = nil }

// Now returns the transaction's time, which stands still within it.
func (r *ReadTx) Now() time.Time {
	if r.at.IsZero() {
		r.at = r.now()
	}
	return r.at
}

// Get returns the value, or ErrNotFound.
func (r *ReadTx) Get(key []byte) ([]byte, error) {
	if r.base == nil {
		return nil, errEnded
	}
	if err := checkRead(key); err != nil {
		return nil, err
	}
	value, ok, err := r.base.Get(key)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ErrNotFound
	}
	return value, nil
}

// Put is refused.
func (r *ReadTx) Put(_, _ []byte) error { return errReadOnly }

// Delete is refused.
func (r *ReadTx) Delete(_ []byte) error { return errReadOnly }

// Scan returns up to limit entries with start <= key < end, in order.
func (r *ReadTx) Scan(start, end []byte, limit int) ([]Entry, error) {
	switch {
	case r.base == nil:
		return nil, errEnded
	case limit < 1:
		return nil, errNoLimit
	}
	var entries []Entry
	for _, span := range aroundReserved(Range{start, end}) {
		more, err := r.base.Scan(span.Start, span.End, limit-len(entries))
		if err != nil {
			return nil, err
		}
		if entries = append(entries, more...); len(entries) == limit {
			break
		}
	}
	return entries, nil
}
