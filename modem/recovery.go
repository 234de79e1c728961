package modem

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// rung of the ladder that a modem which does not do its work is brought back
// by. Each is tried once before the next.
type rung int

const (
	rungNone   rung = iota
	rungResync      // its stream was synchronised anew
	rungReopen      // its port was opened anew
	rungReset       // it was told to start anew
	rungUSB         // its USB device was reset
	rungRest        // it is left alone for a while; then all begins with rungReopen
)

const (
	// steady is how long a modem must do its work before the next trouble
	// begins at the foot of the ladder again; longer if it was sick, which
	// takes three messages to show.
	steady     = 15 * time.Minute
	sickSteady = time.Hour
	// startUp is how long a modem that was told to start anew may be mute.
	startUp = 30 * time.Second
	// restFirst and restMost bound how long a modem is left alone that nothing
	// helps.
	restFirst = time.Minute
	restMost  = 10 * time.Minute
)

// ladder is how far a worker's modem has driven it. Owned by run.
type ladder struct {
	rung  rung
	mutes int // sessions in a row that found the modem mute
	// worked is when it last became ready, climbed when the last rung was
	// taken, reset when that was a restart.
	worked, climbed, reset time.Time
	// sick is what the last trouble was if the modem answers all the same:
	// errSick or an errStuck; nil: it is mute.
	sick  error
	rests int // in a row
	// Until when it is left alone, unless another device takes the port.
	until time.Time
	id    string
}

// waits tells whether the modem behind the port with that identity is left
// alone.
func (l *ladder) waits(id string, now time.Time) bool {
	return now.Before(l.until) && id == l.id
}

// ready notes that the modem does its work again, which is no proof yet.
func (l *ladder) ready() { l.worked, l.mutes, l.until = time.Now(), 0, time.Time{} }

// startsByHand tells that the modem may be mute because somebody had it start
// anew.
func (l *ladder) startsByHand() bool {
	return l.rung < rungReset && !l.reset.IsZero() && time.Since(l.reset) < startUp
}

// begin notes a new trouble. It is at the foot of the ladder if the modem has
// worked long enough since the last.
func (l *ladder) begin(sick error) {
	enough := steady
	if l.sick != nil {
		enough = sickSteady
	}
	if !l.worked.IsZero() && l.worked.After(l.climbed) && time.Since(l.worked) >= enough {
		l.rung, l.rests = rungNone, 0
	}
	l.sick = sick
}

// climb takes the next rung for a modem that is mute or sick. It tells whether
// the session goes on: else the port is to be closed, and opened anew. A port
// that never was a modem's is never written to for this.
func (w *worker) climb(ctx context.Context, s *session, c candidate, why error, prepared bool) bool {
	l := &w.ladder
	var sick error
	switch {
	case errors.Is(why, errSick):
		sick = errSick
		w.happened(EventSick, "")
	case errors.Is(why, errStuck):
		sick = why
	default:
		l.mutes++
	}
	if !w.met() && sick == nil || c.away {
		return false
	}
	l.begin(sick)
	if !l.reset.IsZero() && time.Since(l.reset) < startUp && sick == nil {
		return false // it is starting
	}
	switch {
	case sick != nil && l.rung < rungReopen:
		l.rung = rungReopen // of no use for one that answers
	case !prepared && l.rung == rungNone:
		l.rung = rungResync // preparing began with that
		w.happened(EventResync, "")
	case l.rung == rungRest:
		l.rung = rungResync
		if sick != nil {
			l.rung = rungReopen
		}
	}
	l.rung++
	l.climbed = time.Now()
	switch l.rung {
	case rungResync:
		w.happened(EventResync, "")
		return true
	case rungReopen:
		w.happened(EventReopen, "")
		return false
	case rungReset:
		_ = w.restart(ctx, s) // where it fails, the next rung comes
		return false
	case rungUSB:
		if w.resetUSB(c) {
			return false
		}
		l.rung = rungRest
	}
	return w.leaveAlone(c)
}

// restart tells the modem to start anew. Its OK may never come, so nobody
// waits for it, but for the octets to leave: closing the port drops them.
func (w *worker) restart(ctx context.Context, s *session) error {
	if p := s.profile(); p.Name != "" {
		w.profile = p
	}
	command := w.profile.ResetCommand()
	w.happened(EventReset, command)
	w.ladder.reset = time.Now()
	if err := s.wire.Force(command); err != nil {
		return err
	}
	_ = s.pause(ctx, time.Second)
	return nil
}

// resetUSB resets the modem's USB device, if that is possible, wise, and no
// other modem's too.
func (w *worker) resetUSB(c candidate) bool {
	if c.device() == "" || !w.profile.AllowsUSBReset() || w.pool.shared(w, c.device()) {
		return false
	}
	if err := w.pool.cfg.USB.Reset(c.usb); err != nil {
		w.log.Debug("the USB device can't be reset", "error", err)
		return false
	}
	w.ladder.reset = time.Now()
	w.happened(EventUSBReset, "")
	return true
}

// leaveAlone parks a modem that nothing helps. A sick one keeps its port open:
// what it receives is still taken.
func (w *worker) leaveAlone(c candidate) bool {
	l := &w.ladder
	rest := min(restFirst<<min(l.rests, 6), restMost)
	l.rests++
	until := time.Now().Add(rest)
	w.happened(EventParked, w.trouble())
	if l.sick != nil {
		w.park(restOrder{reason: w.trouble() + "; it is tried again at " + until.Format(time.TimeOnly), until: until, firm: errors.Is(l.sick, errWeak)})
		return true
	}
	l.until, l.id = until, c.id
	return false
}

// trouble says in words what is wrong with the modem and what was done.
func (w *worker) trouble() string {
	l := &w.ladder
	what := "the modem does not answer"
	switch {
	case errors.Is(l.sick, errSick):
		what = "the modem answers, but three messages in a row got no answer from the network"
	case l.sick != nil:
		what = "the modem answers, but " + strings.TrimPrefix(l.sick.Error(), "modem: ")
	}
	switch l.rung {
	case rungReopen:
		return what + "; its port is opened anew"
	case rungReset:
		return what + "; it was told to start anew"
	case rungUSB:
		return what + "; its USB device was reset"
	case rungRest:
		help := "unplug it and plug it in again, and see whether its power supply is strong enough"
		if errors.Is(l.sick, errSick) {
			help = "see whether the SIM has credit, and whether the antenna is in place"
		}
		return fmt.Sprintf("%s, not even after a reset: %s", what, help)
	}
	return what + "; it is tried again"
}

// happened tells of an event of the worker's modem, and logs it.
func (w *worker) happened(kind EventKind, detail string) {
	switch kind {
	case EventResync, EventReopen, EventReset, EventUSBReset:
		w.set(func(s *Status) { s.Recoveries++ })
		w.log.Warn("a step is taken to bring the modem back", "step", string(kind))
	case EventParked:
		w.log.Error("modem is left alone", "reason", detail)
	}
	w.pool.happened(w.name(), kind, detail)
}
