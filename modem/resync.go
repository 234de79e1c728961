package modem

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

// resync begins a new engine on a modem whose state is unknown: ESC ends a
// text entry, what still comes is dropped, and two different queries answered
// in order show that no answer is owed any more. A query that goes wrong
// means another round, twice at most: then it is one that this modem doesn't
// know. Where answers come late there is more patience from then on, and where
// commands get lost behind an answer there is a gap before them.
func (s *session) resync(ctx context.Context) error {
	lag := 0                     // grows when answers come behind their time
	hush := 0                    // grows when it speaks, and hears nothing right behind
	owed, waited := false, false // whether one may, and whether it was waited for
	tried, mixed := false, false // something was asked; an answer was another command's
	gap, lost := s.gap, ""       // what is tried, and a query that went wrong without
	// The third try undoes settings that make answers unreadable: V.250 6.2.
	wakes := [...]string{"", "", "Q0V1E0", ""}
	for unheard := 0; unheard < len(wakes); {
		began := time.Now()
		if err := s.renew(ctx); err != nil {
			return err
		}
		strays, quiet := s.strays.Load(), s.times.Quiet<<max(lag, hush)
		if owed && !waited {
			quiet, waited = 2*s.times.Wake, true
		}
		if !s.wire.Rearm(quiet, 10*quiet) {
			return errGone
		}
		if s.strays.Load() > strays && tried { // before, it is another's, or that of ESC
			lag = min(lag+1, maxLag)
		}
		tried = true
		wake := s.times.Wake << lag
		s.engine = at.New(s.wire, at.WithTimeout(-1))
		asked := time.Now()
		_, err := s.command(ctx, wakes[unheard], wake)
		heard, query := err == nil, ""
		if heard {
			query, err = s.inOrder(ctx, wake)
		}
		switch {
		case err == nil && gap > s.gap && lag == 0 && !mixed:
			if err = s.keepGap(ctx, gap, lost); !errors.Is(err, errMute) {
				return err
			}
			gap = s.gap
			continue
		case err == nil, errors.Is(err, errGone):
			s.setProfile(s.profile()) // without what was tried
			return err
		case s.wire.Err() != nil:
			return errGone
		case !heard || !errors.Is(err, errMute):
			unheard++
			if last := s.wire.HeardAt(); !heard && !last.Before(began) && last.Before(asked) {
				hush = min(hush+1, maxLag)
			}
		default:
			owed = s.wire.Flight().Cause == wire.Timeout
			mixed = mixed || !owed
			if !mixed && lag == 0 { // nothing comes late, so it may not have been heard
				gap, lost = wider(gap), query
				s.wire.SetGap(gap)
			}
		}
	}
	s.setProfile(s.profile())
	return errMute
}

// renew ends the engine, and a text entry in the modem.
func (s *session) renew(ctx context.Context) error {
	if s.engine != nil {
		s.wire.End()
		<-s.engine.Closed()
		s.engine = nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.wire.Force(""); err != nil {
		return errGone
	}
	return nil
}

// wider is the next gap to be tried: some modems lose what comes within 20 ms of
// their last octet (Telit AT Commands Reference 2.2.5), simple ones much later.
func wider(gap time.Duration) time.Duration {
	for _, next := range [...]time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond} {
		if gap < next {
			return next
		}
	}
	return gap
}

// keepGap keeps the gap that was tried if the query that went wrong is answered
// with it, with others in order behind it, and goes wrong again without: the
// modem may only have had a bad moment. errMute: the modem is to be synchronised
// again.
func (s *session) keepGap(ctx context.Context, gap time.Duration, lost string) error {
	info, err := s.command(ctx, lost, s.times.Wake)
	_, told := answer(info, strings.TrimSuffix(lost, "?"))
	switch {
	case told:
		delete(s.unordered, lost)
		_, err = s.inOrder(ctx, s.times.Wake)
	case err == nil:
		err = errMute // this OK may be another command's
	}
	s.setProfile(s.profile())
	if told && err == nil {
		if _, err = s.command(ctx, lost, s.times.Wake); errors.Is(err, errMute) {
			s.gap = gap
			s.log.Info("the modem loses commands right behind its answers; they are written later", "gap", gap)
			s.setProfile(s.profile())
		}
	}
	if answered(err) {
		return nil
	}
	return err
}

// maxLag bounds the patience of resync with late answers, to Wake<<maxLag.
const maxLag = 2

// inOrder asks two different queries and checks that each gets its own answer;
// it returns the one that did not. Queries that this modem refuses are passed
// over, and so are those that went wrong twice: a modem may answer OK to all that
// it doesn't know.
func (s *session) inOrder(ctx context.Context, limit time.Duration) (wrong string, err error) {
	right := 0
	for _, id := range [...]string{"+CMGF", "+CREG", "+CPIN", "+CFUN", "+CSCS", "+CSMS"} {
		query := id + "?"
		if s.unordered.mute(query) {
			continue
		}
		info, err := s.command(ctx, query, limit)
		if answered(err) {
			continue
		}
		if err == nil {
			if _, ok := answer(info, id); !ok {
				err = errMute // this OK may be another command's
			}
		}
		switch {
		case errors.Is(err, errMute):
			s.unordered.note(query)
			return query, err
		case err != nil:
			return query, err
		}
		delete(s.unordered, query)
		if pdu, told := inPDUMode(info); s.inPDU && told && !pdu {
			s.onSign(wire.TextMode)
		}
		if right++; right == 2 {
			return "", nil
		}
	}
	return "", nil
}
