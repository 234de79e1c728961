package storage

import (
	"bytes"
	"fmt"
)

// reserved begins the keys of this package; afterReserved is the first key
// behind all of them.
var (
	reserved      = []byte("!")
	afterReserved = []byte(`"`)
)

var (
	errTooMany  = fmt.Errorf("%w: more than %d keys", ErrBounds, MaxKeys)
	errNoLimit  = fmt.Errorf("%w: scan without a limit", ErrBounds)
	errReadOnly = fmt.Errorf("%w: write in a View", ErrBounds)
	errEnded    = fmt.Errorf("%w: transaction used after its closure ended", ErrBounds)
)

func checkKey(key []byte) error {
	switch {
	case len(key) == 0:
		return fmt.Errorf("%w: empty key", ErrBounds)
	case len(key) > MaxKeySize:
		return fmt.Errorf("%w: key of %d bytes, at most %d", ErrBounds, len(key), MaxKeySize)
	}
	return nil
}

// checkRead allows one kind of reserved key: that which Alive asks for.
func checkRead(key []byte) error {
	if bytes.HasPrefix(key, reserved) && !bytes.HasPrefix(key, sessions) {
		return fmt.Errorf("%w: reserved key read", ErrBounds)
	}
	return checkKey(key)
}

// aroundReserved is span without the reserved keys.
func aroundReserved(span Range) []Range {
	var spans []Range
	add := func(start, end []byte) {
		if end == nil || bytes.Compare(start, end) < 0 {
			spans = append(spans, Range{start, end})
		}
	}
	before, after := span, span
	if span.End == nil || bytes.Compare(span.End, reserved) > 0 {
		before.End = reserved
	}
	if bytes.Compare(span.Start, afterReserved) < 0 {
		after.Start = afterReserved
	}
	add(before.Start, before.End)
	add(after.Start, after.End)
	return spans
}
