package bolt

import (
	"log/slog"
	"time"

	"smsotpd/storage"
)

// Options say how a store is opened. The zero value of a field is its default.
type Options struct {
	// Path is the database file. Its directory must exist; a missing or empty
	// file becomes a new store with mode 0600.
	Path string

	// Logger gets what the operator should know: a damaged meta page, a full
	// disk, the loss of durability. Default: nothing is logged. Keys and
	// values are never logged.
	Logger *slog.Logger

	// MaxSize is how many bytes of pages the store may use; 0 is no ceiling
	// but the disk. Free pages inside the file count as room. The file itself
	// may be larger by the pages of the last commits (copy on write) and one
	// growth step of 1 MiB.
	MaxSize int64

	// Reserve is how much of the room, be it under MaxSize or on the disk, only
	// Updates with storage.WithReserve may use. Default: a sixteenth of
	// MaxSize, at least 1 MiB, at most 16 MiB; 16 MiB without a MaxSize.
	// Negative: none.
	Reserve int64

	// Daemon is set by the one long-lived process of an installation: it
	// begins a new session and ends all earlier ones. Tools that open the
	// store while no daemon runs leave it unset and have no session.
	Daemon bool

	// Migrations lead from storage.FirstSchema to the schema that the program
	// reads and writes; those that the store lacks are run at open.
	Migrations []storage.Migration

	// OnCommit is told of every commit: how many closures shared it and how
	// long writing and syncing took. It is called by the committer and must
	// not block.
	OnCommit func(batch int, d time.Duration)

	// OnFatal is called once, on a goroutine of its own, when durability is
	// lost (storage.ErrFatal): the process should end and start anew.
	OnFatal func(error)

	// Now is the wall clock. Default: time.Now. Of its readings the monotonic
	// part is used where they have one.
	Now func() time.Time

	// ResetClock gives up the stored high-water mark of the clock and goes on
	// from the wall clock, even backwards. Only the operator can order that,
	// after ErrClock, when the stored time and not the clock is wrong.
	ResetClock bool

	// Queue is how many Updates may wait for a commit before storage.ErrBusy.
	// Default: 4096.
	Queue int
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case o.Reserve < 0:
		o.Reserve = 0
	case o.Reserve > 0:
	case o.MaxSize > 0:
		o.Reserve = min(max(o.MaxSize/16, 1<<20), 16<<20)
	default:
		o.Reserve = 16 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	return o
}
