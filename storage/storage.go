// Package storage is the contract between the gateway and the place where its
// records survive: an ordered map of byte keys with serializable transactions.
//
// What always holds, whichever engine is behind it:
//
//   - Update returns nil only after every change of its closure is durable:
//     kill -9 and power loss keep it. It returns an error only if none of the
//     closure's changes was made, with one exception: an error that wraps
//     ErrUnknown says that the outcome could not be learned.
//   - Transactions are serializable. A closure sees every change that a
//     transaction acknowledged before it began has made, and its own.
//   - Closures are pure and may run more than once: no I/O, no clock but
//     Tx.Now, no randomness, no effects outside but plain assignments that the
//     last run overwrites. Ids, nonces and sealed values are made before.
//   - One closure touches at most MaxKeys distinct keys.
//   - A View shows nothing that a crash could still take back.
//   - Tx.Now never runs backwards, not within a process and not over restarts.
//     (A time that only a View was given, no Update since, survives a clean
//     shutdown but no crash; a daemon that commits something every few seconds
//     keeps that gap short.)
//
// The package knows nothing of what is stored. Keys that begin with "!" belong
// to it.
package storage

import (
	"context"
	"errors"
	"time"
)

// MaxKeys is how many distinct keys one Update may read, scan or write; a scan
// counts one more than the entries that it returns. A View has no such bound.
const MaxKeys = 100

// MaxTxSize is how many bytes of keys and values one Update may write; etcd
// takes no more than 1.5 MiB a request.
const MaxTxSize = 1 << 20

// Bounds on single keys and values, in bytes; both engines refuse more.
const (
	MaxKeySize   = 512
	MaxValueSize = 64 << 10
)

// What callers branch on. Every error of a Store wraps one of these, the
// context's error, or is the closure's own, returned as it is.
var (
	// ErrNotFound: the key has no value.
	ErrNotFound = errors.New("storage: not found")
	// ErrBusy: the commit queue is full; nothing was run. Try again later.
	ErrBusy = errors.New("storage: commit queue is full")
	// ErrFull: no room (the size ceiling less its reserve, or the disk);
	// nothing was changed.
	ErrFull = errors.New("storage: no room")
	// ErrBounds: a closure broke MaxKeys, MaxKeySize, MaxValueSize or MaxTxSize,
	// used an empty or reserved key, wrote in a View, or used its Tx after it
	// returned. A bug of the caller, which fails the closure even if it makes
	// light of the error.
	ErrBounds = errors.New("storage: transaction out of bounds")
	// ErrClosed: the store is closed.
	ErrClosed = errors.New("storage: closed")
	// ErrFatal: durability can no longer be promised (an fsync failed). The
	// process must end and start anew; every later call gets the same error.
	ErrFatal = errors.New("storage: durability lost")
	// ErrUnknown: the change may or may not have been made.
	ErrUnknown = errors.New("storage: outcome unknown")
	// ErrForeign: the file or cluster holds something else, or is damaged. It
	// was not changed.
	ErrForeign = errors.New("storage: not a store of ours, or damaged")
	// ErrNewer: a record or the schema was written by a later version.
	ErrNewer = errors.New("storage: written by a newer version")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("storage: in use by another process")
	// ErrClock: the wall clock is far behind the stored high-water mark.
	ErrClock = errors.New("storage: the clock is behind what is stored")
)

// Refused says whether err means that the store takes no work of this kind at
// present: what must be done is to be tried again later.
func Refused(err error) bool { return errors.Is(err, ErrFull) || errors.Is(err, ErrBusy) }

// Ended says whether err means that nothing can be done any more: the store is
// closed or lost, or the context has ended.
func Ended(err error) bool {
	return errors.Is(err, ErrFatal) || errors.Is(err, ErrClosed) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Store is an ordered map of byte keys. Its methods may be called at once from
// many goroutines.
type Store interface {
	// View runs fn over a consistent snapshot. Keep it short and page with
	// Scan: a long one keeps old pages from being used again.
	View(ctx context.Context, fn func(Tx) error) error

	// Update runs fn and commits its changes if it returns nil. If ctx ends
	// before fn is taken up, fn does not run and ctx's error is returned;
	// after that the caller waits for the outcome. A panic in fn is raised
	// again in the caller and changes nothing.
	Update(ctx context.Context, fn func(Tx) error) error

	// Watch tells of commits that touched keys under prefix, until ctx or the
	// store ends, which closes the channel. Whoever watches first and then
	// reads the prefix misses nothing. Wakes may be spurious and keys may
	// repeat.
	Watch(ctx context.Context, prefix []byte) <-chan Wake

	// Session names this process's life in the store; see Alive. It is ""
	// for a store opened by an offline tool.
	Session() string

	// Close waits for the transactions under way and releases the store. Later
	// calls get ErrClosed; closing twice is no error.
	Close() error
}

// Tx is one transaction. It must not leave its closure. Byte slices that it
// returns must not be changed, and are valid until the closure returns.
type Tx interface {
	// Now is the transaction's time (UTC, microseconds): the wall clock, but
	// never before any time that an earlier transaction was given.
	Now() time.Time
	// Get returns the value, or ErrNotFound.
	Get(key []byte) ([]byte, error)
	// Put sets the value; the slices may be used again after it returns.
	Put(key, value []byte) error
	// Delete removes the key; a missing one is no error.
	Delete(key []byte) error
	// Scan returns up to limit entries with start <= key < end, in order. A
	// nil end means no upper bound. limit must be at least 1.
	Scan(start, end []byte, limit int) ([]Entry, error)
}

// Entry is one key and its value.
type Entry struct{ Key, Value []byte }

// Wake says which keys under a watched prefix were put or deleted by commits
// since the last one.
type Wake struct {
	// Keys are whole keys, in no promised order.
	Keys [][]byte
	// Lost: there were too many to keep; read the prefix anew.
	Lost bool
}

type patienceKey struct{}

// Patience is how long an Update made with WithPatience waits for company.
const Patience = 20 * time.Millisecond

// WithPatience lets the Updates made with the returned context wait for up to
// Patience for others whose commit they can share: for what nobody waits for,
// such as a delivery report. An engine may ignore it.
func WithPatience(ctx context.Context) context.Context {
	return context.WithValue(ctx, patienceKey{}, true)
}

// Patient tells an engine whether ctx came from WithPatience.
func Patient(ctx context.Context) bool {
	yes, _ := ctx.Value(patienceKey{}).(bool)
	return yes
}

type reserveKey struct{}

// WithReserve lets the Updates made with the returned context use the room
// that is kept back for ending what was begun: settling, wiping and deleting
// go on when new work already gets ErrFull.
func WithReserve(ctx context.Context) context.Context {
	return context.WithValue(ctx, reserveKey{}, true)
}

// Reserved tells an engine whether ctx came from WithReserve.
func Reserved(ctx context.Context) bool {
	yes, _ := ctx.Value(reserveKey{}).(bool)
	return yes
}
