package modem

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"smsotpd/modem/wire"
)

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
	w.happened(EventUp, "")
	ready := w.pool.ready
	health := time.NewTimer(w.pool.cfg.Timeouts.Health)
	defer health.Stop()
	for {
		var why error
		select {
		case ready <- line:
			ready = nil
		case <-health.C:
			w.age(s)
			if time.Since(s.usedAt()) >= w.pool.cfg.Timeouts.Health/2 {
				why = w.look(ctx, s)
			}
			health.Reset(w.pool.cfg.Timeouts.Health)
		case <-s.chores.due:
			why = w.withTurn(ctx, s, func() error { return s.chore(ctx) })
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
		why = cmp.Or(line.sickness, line.why)
		if line.owes {
			w.owed, w.seenLate = time.Now().Add(w.pool.cfg.Timeouts.Owed), s.late.Load()
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
	if err == nil {
		err = w.withTurn(ctx, s, func() error { return s.sameSIM(ctx) })
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

// watchEvery is how often a parked modem is looked at.
const watchEvery = 5 * time.Second

// stayParked waits until the modem is not parked any more: its time is over,
// it has started anew, or what could be seen to be wrong with it is over. An
// error says that the port or the context is over. The caller has the turn.
func (w *worker) stayParked(ctx context.Context, s *session) error {
	if _, parked := w.rested(); parked {
		s.revived.Store(false)
	}
	wrong := false
	for {
		rest, parked := w.rested()
		if !parked {
			return nil
		}
		w.setState(Parked, rest.reason)
		ill, err := s.ill(ctx)
		if err != nil {
			return err
		}
		if revived := s.revived.Swap(false); !rest.firm && (wrong && !ill || revived) {
			w.endRest(rest)
			return nil
		}
		wrong = ill
		if err := s.idle(ctx, min(time.Until(rest.until), watchEvery)); err != nil {
			return err
		}
	}
}

// rested tells whether the modem is parked now, and how.
func (w *worker) rested() (restOrder, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rest, time.Now().Before(w.rest.until)
}

// endRest ends the rest, unless there is a newer one.
func (w *worker) endRest(rest restOrder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rest == rest {
		w.rest.until = time.Time{}
	}
}

// ill tells whether something is wrong with the SIM or the registration that
// can be seen. A modem that does not answer shows nothing.
func (s *session) ill(ctx context.Context) (bool, error) {
	if s.engine == nil {
		if err := s.resync(ctx); err != nil {
			return false, unless(err, errMute)
		}
	}
	info, err := s.ask(ctx, "+CPIN?", limitSIM)
	if err != nil && !answered(err) {
		return false, unless(err, errMute, errSuspect)
	}
	if lock, told := answer(info, "+CPIN"); err != nil && !unknownCommand(err) || told && lockState(lock) != SIMReady {
		return true, nil
	}
	stat, err := s.registered(ctx)
	if err != nil {
		return false, unless(err, errMute, errSuspect)
	}
	return !stat.usable() && !s.netless, nil
}

// unless is err, or nil if it is one of those.
func unless(err error, those ...error) error {
	for _, e := range those {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// sameSIM looks whether the SIM is the one that the modem was prepared with;
// all is prepared anew if not.
func (s *session) sameSIM(ctx context.Context) error {
	info, err := s.ask(ctx, "+CIMI", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	if imsi := digits(info, 6, 15); imsi != "" && imsi != s.identity().imsi {
		return errSuspect
	}
	return nil
}

// inPDUMode tells whether the modem is in PDU mode, out of which some fall
// without a word. One that won't say is believed.
func (s *session) inPDUMode(ctx context.Context) (bool, error) {
	if s.modeless {
		return true, nil
	}
	info, err := s.ask(ctx, "+CMGF?", limitQuick)
	if err != nil && !answered(err) {
		return false, err
	}
	pdu, told := inPDUMode(info)
	return pdu || !told, nil
}

// knockAfter is how long ago a modem may have shown its mode last and still be
// given a message unasked.
const knockAfter = 2 * time.Second

// knock asks a modem for its mode before it is given a message, unless it has
// just shown it: it may hang, or have started anew without a word and be in text
// mode, which answers to other commands don't show. The caller has the turn; an
// error says that the modem must be looked after first.
func (s *session) knock(ctx context.Context) error {
	if ctx.Err() != nil || time.Since(s.modeAt) < knockAfter {
		return nil
	}
	query := "+CMGF?"
	if s.modeless {
		query = "+CMGF=0"
	}
	info, err := s.command(ctx, query, limitQuick)
	if err != nil && !answered(err) {
		return errSuspect
	}
	if pdu, told := inPDUMode(info); told && !pdu {
		s.onSign(wire.TextMode)
		return errSuspect
	}
	s.modeAt = time.Now()
	return nil
}

// backInPDUMode tells whether the modem had left PDU mode and is in it again.
// All else is to be set up anew too, as soon as the caller gives the turn back.
func (s *session) backInPDUMode(ctx context.Context) bool {
	kept, err := s.inPDUMode(ctx)
	if kept || err != nil {
		return false
	}
	s.onSign(wire.TextMode)
	_, err = s.ask(ctx, "+CMGF=0", limitSIM)
	return err == nil
}
