package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// lifecycle runs the daemon's components and ends them in the reverse of the
// order in which they were started, each before the next: stop intake, drain
// workers, close modems, close the store. One deadline covers them all; a
// component that misses it is left behind by name.
type lifecycle struct {
	log *slog.Logger
	// failed ends when a component does: with an error, or too soon. fail has it
	// end with an error, as if a component had returned that; the first one counts.
	failed context.Context
	fail   context.CancelCauseFunc
	stack  []closer
}

type closer struct {
	name  string
	close func(ctx context.Context) error
}

func newLifecycle(log *slog.Logger) *lifecycle {
	failed, fail := context.WithCancelCause(context.Background())
	return &lifecycle{log: log, failed: failed, fail: fail}
}

// onStop pushes a close function; its context carries the deadline.
func (l *lifecycle) onStop(name string, stop func(ctx context.Context) error) {
	l.stack = append(l.stack, closer{name, stop})
}

// errEarly: a component returned although nobody had asked it to.
var errEarly = errors.New("ended by itself")

// component is something that runs until it is stopped.
type component struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// run runs a component. Whatever ends it before it is stopped ends the
// daemon; who calls run pushes what stops it.
func (l *lifecycle) run(name string, do func(ctx context.Context) error) component {
	ctx, cancel := context.WithCancel(context.Background())
	c := component{cancel, make(chan struct{})}
	go func() {
		defer close(c.done) // who waits for it finds in failed what it ended with
		err := do(ctx)
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			l.fail(fmt.Errorf("%s: %w", name, err))
		case ctx.Err() == nil:
			l.fail(fmt.Errorf("%s: %w", name, errEarly))
		}
	}()
	return c
}

// start runs a component that is told to stop, and waited for, when its turn
// comes.
func (l *lifecycle) start(name string, do func(ctx context.Context) error) {
	l.onStop(name, l.run(name, do).stop)
}

// stop tells the component to stop and waits for it until ctx ends.
func (c component) stop(ctx context.Context) error {
	c.cancel()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when ctx ends or a component fails, after everything was
// stopped or the deadline is over. Its error is what went wrong first.
func (l *lifecycle) wait(ctx context.Context, deadline time.Duration) error {
	select {
	case <-ctx.Done():
	case <-l.failed.Done():
	}
	if cause := context.Cause(l.failed); cause != nil {
		l.log.Error("stopping", "cause", cause)
	} else {
		l.log.Info("stopping", "deadline", deadline)
	}
	unfinished := l.stop(deadline)
	return errors.Join(context.Cause(l.failed), unfinished)
}

// stop empties the stack within the deadline.
func (l *lifecycle) stop(deadline time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var failures []error
	for _, c := range slices.Backward(l.stack) {
		began := time.Now()
		if err := c.close(ctx); err != nil {
			failures = append(failures, fmt.Errorf("stopping %s: %w", c.name, err))
			continue
		}
		l.log.Debug("stopped", "component", c.name, "took", time.Since(began))
	}
	l.stack = nil
	return errors.Join(failures...)
}
