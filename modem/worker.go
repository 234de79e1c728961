package modem

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// worker supervises one port: it waits for it, opens it, prepares the modem
// behind it, hands out lines and looks after the modem while it is idle.
type worker struct {
	pool     *Pool
	path     string // as configured or matched
	wanted   string // the name that its modem gets unless it has one
	explicit bool   // configured by path, not matched by a glob
	log      *slog.Logger
	incoming *incoming

	// Owned by run.
	lost      identity          // the modem that was last here
	neighbors map[string]string // what stood beside path when it was last ready
	rejected  map[string]stranger
	mutes     int       // sessions in a row that found the modem mute
	resetAt   time.Time // when the modem was last reset
	owed      time.Time // until when the answer of a message may come late
	seenLate  int64     // late answers that this session had when it timed out
	proven    bool      // the modem was ready since the last failure
	told      string    // what was logged of the failure that lasts, "" if none does

	// Guarded by mu.
	mu     sync.Mutex
	status Status
	rest   restOrder // until when the modem is parked
	line   *Line     // the newest one
}

const (
	// resetEvery bounds how often a mute modem is reset.
	resetEvery = 60 * time.Second
	// twinRetry is how long a modem's second port is left alone.
	twinRetry = 10 * time.Minute
)

func newWorker(p *Pool, path, name string, explicit bool) *worker {
	if name == "" {
		name = filepath.Base(path)
	}
	return &worker{
		pool:     p,
		path:     path,
		wanted:   name,
		explicit: explicit,
		log:      p.cfg.Logger.With("modem", name),
		incoming: newIncoming(p.cfg.OnReport, p.cfg.OnInbound),
		rejected: make(map[string]stranger),
		status:   Status{Name: name, State: Starting, Port: path, Since: time.Now()},
	}
}

// run supervises the port until ctx ends; a worker made by a glob also ends
// when its port is gone and its modem is served elsewhere.
func (w *worker) run(ctx context.Context) {
	var delivering sync.WaitGroup
	delivering.Go(w.incoming.run)
	defer delivering.Wait()
	defer w.incoming.close()

	failures := 0
	for ctx.Err() == nil {
		path, ok := w.locate(ctx)
		if !ok {
			return
		}
		err := w.serve(ctx, path)
		if ctx.Err() != nil {
			return
		}
		if w.proven {
			failures, w.proven = 0, false
		}
		w.down(err)
		pause := min(w.pool.cfg.Timeouts.Appear<<min(failures, 6), w.pool.cfg.Timeouts.Retry)
		if errors.Is(err, errTwin) {
			pause = twinRetry // unless the other port is freed
		}
		failures++
		w.await(ctx, path, pause)
	}
}

// serve opens the port and works with the modem until the port is gone or
// the modem mute. The error says why, and is never nil.
func (w *worker) serve(ctx context.Context, path string) error {
	w.set(func(s *Status) { s.Port = path })
	port, err := w.pool.cfg.Opener.Open(path)
	if err != nil {
		return err
	}
	if w.mutes == 0 { // else it is down until it answers
		w.setState(Starting, "")
	}
	s := newSession(port, w.patient(), w.log, w.incoming)
	defer func() { <-s.wire.Done() }()
	defer w.pool.registry.release(w)
	defer s.close()
	stop := context.AfterFunc(ctx, s.close)
	defer stop()

	w.seenLate = 0
	for {
		err := w.prepare(ctx, s, path)
		if err == nil {
			w.lost, w.mutes, w.proven = s.identity(), 0, true
			w.neighbors = w.siblings()
			err = w.operate(ctx, s)
		}
		switch {
		case errors.Is(err, errSuspect), errors.Is(err, errParked):
			continue
		case errors.Is(err, errStranger):
			w.rejected[path] = stranger{
				id:    w.pool.cfg.Opener.Lookup(path),
				until: time.Now().Add(w.pool.cfg.Timeouts.Retry),
			}
		case errors.Is(err, errMute):
			w.revive(ctx, s)
		}
		return err
	}
}

// patient are the time-outs for the next session: longer where the sessions
// before found no answer, for modems that are slow.
func (w *worker) patient() Timeouts {
	times := w.pool.cfg.Timeouts
	times.Wake <<= min(w.mutes, 2)
	return times
}

// prepare brings the modem to where it can send.
func (w *worker) prepare(ctx context.Context, s *session, path string) error {
	leave, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	p := &preparation{
		session:  s,
		port:     path,
		cards:    w.pool.cards,
		profiles: w.pool.profiles,
		waiting: func(state State, reason string) {
			w.set(func(st *Status) { st.State, st.Reason, st.Registered = state, reason, false })
		},
		claim: func(id identity) error { return w.claim(id, path) },
	}
	if err := w.stayParked(ctx, s); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	if time.Now().Before(w.owed) {
		if err := p.awaitLate(ctx, w.seenLate, w.owed); err != nil {
			return err
		}
		w.owed = time.Time{}
		return p.settled(ctx)
	}
	return nil
}

// claim binds the modem to its name, and refuses one that was not looked for.
func (w *worker) claim(id identity, path string) error {
	if path != w.path && (id.imei != w.lost.imei || id.imsi != "" && id.imsi != w.lost.imsi) {
		return errStranger
	}
	name, err := w.pool.registry.claim(w, id, w.wanted)
	if err != nil {
		return err
	}
	w.log = w.pool.cfg.Logger.With("modem", name)
	w.set(func(s *Status) {
		s.Name, s.Manufacturer, s.Model, s.Firmware = name, id.manufacturer, id.model, id.firmware
		s.IMEI, s.IMSI = id.imei, id.imsi
	})
	return nil
}

// operate hands out a line and looks after the modem until the line closes.
func (w *worker) operate(ctx context.Context, s *session) error {
	line := newLine(s, w)
	if !w.bring(line) {
		return errParked
	}
	w.observe(s)
	w.setState(Ready, "")
	w.told = ""
	w.log.Info("modem is ready")
	w.pool.happened(w.name(), EventUp, "")
	ready := w.pool.ready
	health := time.NewTimer(w.pool.cfg.Timeouts.Health)
	defer health.Stop()
	for {
		var why error
		select {
		case ready <- line:
			ready = nil
		case <-health.C:
			if time.Since(s.usedAt()) >= w.pool.cfg.Timeouts.Health/2 {
				why = w.look(ctx, s)
			}
			health.Reset(w.pool.cfg.Timeouts.Health)
		case m := <-s.stored:
			why = w.withTurn(ctx, s, func() error { return s.fetch(ctx, m) })
		case <-s.signed:
			if s.suspect.Load() {
				why = errSuspect
			}
		case <-s.wire.Gone():
			why = errGone
		case <-ctx.Done():
			why = ctx.Err()
		case <-line.closed:
		}
		if why != nil {
			line.close(why)
		}
		select {
		case <-line.closed:
		default:
			continue
		}
		// A message under way ends before anything else is done.
		if err := w.withTurn(context.WithoutCancel(ctx), s, func() error { return nil }); err != nil {
			return err
		}
		why = line.why
		if errors.Is(why, errOwed) {
			w.owed, w.seenLate = time.Now().Add(w.pool.cfg.Timeouts.Owed), s.late.Load()
			why = errSuspect
		}
		if ctx.Err() == nil {
			w.log.Info("modem must be looked after", "reason", strings.TrimPrefix(why.Error(), "modem: "))
			w.setState(Starting, "")
		}
		return why
	}
}

// withTurn runs fn when no message is under way.
func (w *worker) withTurn(ctx context.Context, s *session, fn func() error) error {
	leave, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return fn()
}

// look checks that an idle modem still answers and is registered. The turn is
// given back between commands, so that a message waits for one at most.
func (w *worker) look(ctx context.Context, s *session) error {
	err := w.withTurn(ctx, s, func() error {
		untold := s.netless
		stat, err := s.registered(ctx)
		if err == nil && !stat.usable() && !(untold && s.netless) {
			w.setState(Waiting, stat.reason())
			return errSuspect
		}
		return err
	})
	if err == nil && s.identity().imsi == "" {
		err = w.withTurn(ctx, s, func() error { return s.askSubscriber(ctx) })
	}
	for _, learn := range [...]func(context.Context) error{s.askSignal, s.askOperator} {
		if err == nil {
			err = w.withTurn(ctx, s, func() error { return learn(ctx) })
		}
	}
	if err == nil {
		w.observe(s)
	}
	return err
}

// park takes the modem out of service.
func (w *worker) park(order restOrder) {
	w.mu.Lock()
	w.rest = order
	line := w.line
	w.mu.Unlock()
	if line != nil {
		line.close(errParked)
	}
}

// bring makes line the one that park closes, unless the modem is parked.
func (w *worker) bring(line *Line) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = line
	return !time.Now().Before(w.rest.until)
}

// stayParked waits until the modem is not parked any more. An error says that
// the port or the context is over.
func (w *worker) stayParked(ctx context.Context, s *session) error {
	for {
		w.mu.Lock()
		rest := w.rest
		w.mu.Unlock()
		if !time.Now().Before(rest.until) {
			return nil
		}
		w.setState(Parked, rest.reason)
		select {
		case <-time.After(time.Until(rest.until)):
		case <-s.wire.Gone():
			return errGone
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// revive climbs the ladder for a modem that does not answer: after this the
// port is opened anew; from the second time on the modem is also reset, but
// never a port that was no modem before.
func (w *worker) revive(ctx context.Context, s *session) {
	w.mutes++
	if w.lost.imei == "" || w.mutes < 2 || time.Since(w.resetAt) < resetEvery {
		return
	}
	w.resetAt = time.Now()
	w.log.Warn("modem does not answer: resetting it")
	// Its OK may never come, so nobody waits for it, but for the octets to
	// leave: closing the port drops them.
	if err := s.wire.Force("AT+CFUN=1,1"); err == nil {
		_ = s.pause(ctx, time.Second)
	}
}

// down tells the operator why there is no modem to work with.
func (w *worker) down(err error) {
	state, reason := Down, err.Error()
	switch {
	case errors.Is(err, errMute) && w.lost.imei != "" && w.mutes < 2:
		state, reason = Parked, "the modem does not answer any more; it is tried again"
	case errors.Is(err, errMute) && w.lost.imei != "":
		state, reason = Parked, "the modem does not answer, not even after a reset; it is tried again"
	case errors.Is(err, errMute):
		reason = "nothing on this port answers AT commands: it is another port of the modem, or no modem"
	case errors.Is(err, errGone):
		reason = "the modem has gone from its port"
	case errors.Is(err, errStranger):
		reason = "the modem has gone from its port; the port beside it belongs to another modem"
	default:
		reason = strings.TrimPrefix(reason, "modem: ")
	}
	if reason != w.told {
		w.told = reason
		w.log.Warn("modem is down", "reason", reason)
		w.pool.happened(w.name(), EventDown, reason)
	}
	w.set(func(s *Status) { s.State, s.Reason, s.Registered = state, reason, false })
}

// observe puts what the session has learnt into the status.
func (w *worker) observe(s *session) {
	s.mu.Lock()
	operator, signal := s.operator, s.signalDBm
	s.mu.Unlock()
	registered := !s.netless
	w.set(func(st *Status) { st.Operator, st.SignalDBm, st.Registered = operator, signal, registered })
}

func (w *worker) name() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status.Name
}

func (w *worker) setState(state State, reason string) {
	w.set(func(s *Status) { s.State, s.Reason = state, reason })
}

func (w *worker) set(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.status.State
	change(&w.status)
	if w.status.State != before {
		w.status.Since = time.Now()
	}
}

// snapshot is the status as of now.
func (w *worker) snapshot() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
