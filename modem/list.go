package modem

import (
	"context"
	"errors"
	"time"

	"smsotpd/modem/wire"
)

const (
	// limitList is for AT+CMGL=4 to begin its answer, which may be long.
	limitList = time.Minute
	// listHangsFor is how long a modem is given no list that hung over one.
	listHangsFor = 6 * time.Hour
	// maxListLosses is after how many lists in a row that the port or the modem's
	// settings were lost over the list is to blame.
	maxListLosses = 3
)

// listing is how the lists of a modem went. It outlives the sessions of its
// port: the modem that hangs may have to be unplugged.
type listing struct {
	imei   string
	losses int       // in a row
	until  time.Time // until when there is no list
}

// listingOf is what is known of the modem's lists, and nothing of another's.
func (in *incoming) listingOf(imei string) listing {
	if l := in.listed.Load(); l != nil && l.imei == imei {
		return *l
	}
	return listing{imei: imei}
}

// hung takes in how a list ended, and tells whether the modem hangs over lists:
// it stood still without a word, the port being there. One that is unplugged
// meanwhile does not, nor one whose list had no end, but if that is so each time
// the list is to blame.
func (l *listing) hung(err error, spoke bool, now time.Time) bool {
	silent := errors.Is(err, errSilent) || errors.Is(err, errMute)
	switch {
	case silent && !spoke:
		l.losses = maxListLosses
	case silent || errors.Is(err, errGone) || errors.Is(err, errSuspect):
		l.losses++
	default:
		l.losses = 0
	}
	if l.losses < maxListLosses {
		return false
	}
	l.losses, l.until = 0, now.Add(listHangsFor)
	return true
}

// list reads all that is in the selected memory by AT+CMGL=4. Where the modem
// hangs over that, it is left alone with it for hours.
func (s *session) list(ctx context.Context, memory string) error {
	how := s.incoming.listingOf(s.identity().imei)
	if time.Now().Before(how.until) {
		return nil
	}
	info, err := s.askList(ctx)
	s.takeList(memory, info) // as much as there is
	if ctx.Err() == nil && how.hung(err, len(info) > 0, time.Now()) {
		s.log.Warn("the modem does not survive AT+CMGL=4, and is not asked again for hours")
	}
	s.incoming.listed.Store(&how)
	if err != nil && answered(err) {
		return nil
	}
	return err
}

// askList is ask for the list: with its own patience even for a modem that
// leaves much unanswered, and with what came of a list that has no end.
func (s *session) askList(ctx context.Context) ([]string, error) {
	info, err := s.command(ctx, "+CMGL=4", limitList)
	switch {
	case err == nil && s.wire.Flight().Cause == wire.Unfinished:
		return info, s.outlast(ctx)
	case !errors.Is(err, errMute):
		return info, err
	}
	if err := s.resync(ctx); err != nil {
		return nil, err
	}
	s.wary()
	return nil, errSilent
}

// outlast lets the rest of a list pass that took too long, and synchronises the
// modem behind it. Entries that nothing waits for are no sign of a restart here.
func (s *session) outlast(ctx context.Context) error {
	const quiet, piece = 2 * time.Second, 5 * time.Second
	doubted, late, revived := s.suspect.Load(), s.late.Load(), s.revived.Swap(false)
	if err := s.renew(ctx); err != nil {
		return err
	}
	for begin := time.Now(); ctx.Err() == nil && time.Since(begin) < 2*limitList; {
		since := time.Now()
		if !s.wire.Rearm(quiet, piece) {
			return errGone
		}
		if time.Since(since) < piece {
			break
		}
	}
	if !doubted && !s.revived.Load() && s.late.Load() == late {
		s.suspect.Store(false) // by entries: what was listed would be listed anew
	}
	if revived {
		s.revived.Store(true)
	}
	return s.resync(ctx)
}

// takeList hands on what a list shows.
func (s *session) takeList(memory string, info []string) {
	for _, m := range parseList(info) {
		switch {
		case m.textual:
			s.inTextMode()
			return
		case m.body != "" && !phantom(m.storedMessage):
			s.accept(place{memory, m.index}, m.storedMessage)
		}
	}
}

// listDue tells whether a memory in which there is more than was found is to be
// listed.
func (c *chores) listDue(memory string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !now.Before(c.store.listAfter[memory])
}
