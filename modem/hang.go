package modem

import (
	"context"
	"errors"
	"time"

	"smsotpd/modem/wire"
)

// Limits of what a driver in the kernel may do to us: the calls below have no
// deadlines of their own.
const (
	openLimit  = 10 * time.Second
	closeLimit = 5 * time.Second
	hungAtEnd  = time.Second
)

// stuck is a call on a port that does not return. Until it does the port is
// not touched again, so that no more than one goroutine and one descriptor
// hang on it.
type stuck struct {
	done chan struct{}
	// reads: the port is still read, and what comes is handed on.
	reads bool
}

// free tells whether the call has returned; it waits for that for d at most.
func (s *stuck) free(d time.Duration) bool {
	select {
	case <-s.done:
		return true
	case <-time.After(d):
		return false
	}
}

// errHung: the operating system does not let go of the port.
var errHung = errors.New("modem: the port's driver hangs: unplug the modem and plug it in again, or start the machine anew")

// hung tells whether a call on the port is still stuck.
func (w *worker) hung(path string) bool {
	port := w.stuck[path]
	if port == nil {
		return false
	}
	select {
	case <-port.done:
		delete(w.stuck, path)
		return false
	default:
		return true
	}
}

// open opens the port, and gives up on a driver that does not return.
func (w *worker) open(ctx context.Context, path string) (wire.Port, error) {
	if w.hung(path) {
		return nil, errHung
	}
	type opened struct {
		port wire.Port
		err  error
	}
	result, given := make(chan opened), make(chan struct{})
	call := &stuck{done: make(chan struct{})}
	go func() {
		defer close(call.done)
		port, err := w.pool.cfg.Opener.Open(path)
		select {
		case result <- opened{port, err}:
		case <-given: // nobody waits any more
			if err == nil {
				_ = port.Close()
			}
		}
	}()
	limit := time.NewTimer(openLimit)
	defer limit.Stop()
	select {
	case r := <-result:
		return r.port, r.err
	case <-limit.C:
		close(given)
		w.stuck[path] = call
		return nil, errHung
	case <-ctx.Done():
		close(given)
		w.stuck[path] = call
		return nil, ctx.Err()
	}
}

// close ends the session, and gives up on a driver that does not return.
func (w *worker) close(path string, s *session) {
	closed := make(chan struct{})
	call := &stuck{done: make(chan struct{}), reads: true}
	go func() {
		defer close(call.done)
		s.close()
		close(closed)
		<-s.wire.Done()
	}()
	limit := time.NewTimer(closeLimit)
	defer limit.Stop()
	select {
	case <-closed:
		<-call.done // what was received is handed on
	case <-limit.C:
		w.stuck[path] = call
	}
}
