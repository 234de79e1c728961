package modem

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// errReset: the modem was told to start anew by the operator's hand.
var errReset = errors.New("modem: it was told to start anew")

// Reset starts the named modem anew, as the ladder does for one that does not do
// its work; EventReset tells of it. Its line takes no more messages, and one that
// is in the air is waited for until ctx ends: then nothing is done, and the modem
// goes on. A rest ends. It returns once the modem was told, and before it has
// started. Errors are ErrNoSuchModem, ErrNotReady where the modem's port is not
// open, and ctx's.
func (p *Pool) Reset(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := p.workerNamed(name)
	if w == nil {
		return ErrNoSuchModem
	}
	order := make(resetOrder, 1)
	if !w.order(order) {
		return fmt.Errorf("%w: its port is not open", ErrNotReady)
	}
	select {
	case err := <-order:
		return err
	case <-ctx.Done():
		if w.withdraw(order) {
			return ctx.Err()
		}
		return <-order // it is being carried out
	}
}

// Unpark ends the rest of the named modem, whoever ordered it: it is tried again
// at once. One that does not rest goes on as it is. The error is ErrNoSuchModem.
func (p *Pool) Unpark(name string) error {
	w := p.workerNamed(name)
	if w == nil {
		return ErrNoSuchModem
	}
	w.unpark()
	return nil
}

// workerNamed is the worker whose modem Statuses shows by the name; of several,
// one that has its port open.
func (p *Pool) workerNamed(name string) *worker {
	p.mu.Lock()
	var named []*worker
	for _, w := range p.workers {
		if w.name() == name {
			named = append(named, w)
		}
	}
	p.mu.Unlock()
	var found *worker
	for _, w := range named {
		if !p.registry.elsewhere(name, w) && (found == nil || w.engaged()) {
			found = w
		}
	}
	return found
}

// resetOrder is one wish that a modem start anew. It is given what became of it.
type resetOrder chan error

// orders are what the operator's hand wants of a worker; guarded by its mu.
type orders struct {
	resets []resetOrder // not carried out yet
	// interrupt has the worker come and look; nil while its port is not open.
	interrupt context.CancelFunc
	// unparkedAt is when the modem was last taken out of its rest.
	unparkedAt time.Time
}

// order hands over a wish; the worker, whose work is interrupted, closes the line
// and carries it out. It returns false where there is no open port.
func (w *worker) order(r resetOrder) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.orders.interrupt == nil {
		return false
	}
	w.orders.resets = append(w.orders.resets, r)
	w.orders.interrupt()
	return true
}

// withdraw takes a wish back, unless it is carried out already.
func (w *worker) withdraw(r resetOrder) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.orders.resets, r)
	if i < 0 {
		return false
	}
	w.orders.resets = slices.Delete(w.orders.resets, i, i+1)
	return true
}

// unpark ends the rest.
func (w *worker) unpark() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders.unparkedAt = time.Now()
	if time.Now().Before(w.rest.until) && w.orders.interrupt != nil {
		w.orders.interrupt()
	}
	w.rest.until = time.Time{}
}

// unparkedSince tells whether the rest that began then was ended by hand.
func (w *worker) unparkedSince(then time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders.unparkedAt.After(then)
}

// engaged tells whether the worker has its port open.
func (w *worker) engaged() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.orders.interrupt != nil
}

// engage returns the context for work with an open port that the operator's hand
// may interrupt. The worker's calls of it are followed by one of disengage.
func (w *worker) engage(ctx context.Context) (context.Context, context.CancelFunc) {
	work, interrupt := context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders.interrupt = interrupt
	if len(w.orders.resets) > 0 {
		interrupt()
	}
	return work, interrupt
}

// disengage refuses what was ordered and not carried out: the port is about to
// be closed.
func (w *worker) disengage() {
	w.mu.Lock()
	w.orders.interrupt = nil
	w.mu.Unlock()
	for _, r := range w.takeResets() {
		r <- fmt.Errorf("%w: its port has just been closed", ErrNotReady)
	}
}

func (w *worker) takeResets() []resetOrder {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.orders.resets
	w.orders.resets = nil
	return taken
}

// obey carries out what was ordered, and tells whether the modem was started
// anew. No message is in the air.
func (w *worker) obey(ctx context.Context, s *session) bool {
	leave, err := s.take(ctx)
	if err != nil {
		return false
	}
	defer leave()
	resets := w.takeResets()
	if len(resets) == 0 {
		return false
	}
	w.mu.Lock()
	w.rest.until = time.Time{}
	w.mu.Unlock()
	w.log.Info("the modem is told to start anew, by the operator")
	w.setState(Starting, strings.TrimPrefix(errReset.Error(), "modem: "))
	if err = w.restart(ctx, s); err != nil {
		err = fmt.Errorf("%w: its port takes nothing", ErrNotReady)
	}
	for _, r := range resets {
		r <- err
	}
	return err == nil
}
