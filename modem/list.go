package modem

import (
	"context"
	"errors"
	"slices"
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
	// listPause is the pause between lists for announcements.
	listPause = 5 * time.Second
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
		s.chores.listHangs(memory)
		return nil
	}
	info, err := s.askList(ctx)
	s.takeList(memory, info) // as much as there is
	if ctx.Err() == nil && how.hung(err, len(info) > 0, time.Now()) {
		s.log.Warn("the modem does not survive AT+CMGL=4, and is not asked again for hours")
		s.chores.listHangs(memory)
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

// readAgain reads a place of the selected memory of which something is known.
func (s *session) readAgain(ctx context.Context, p place) error {
	c := s.chores
	c.mu.Lock()
	e, lists := c.store.entries[p], c.store.listOnly(p.memory)
	c.mu.Unlock()
	if !lists || e == nil {
		_, err := s.read(ctx, p)
		return err
	}
	c.doubt([]*entry{e})
	err := s.list(ctx, p.memory)
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.store.entries[p]; err == nil && now == e && !e.sure {
		delete(c.store.entries, p)
	}
	return err
}

// listAnnounced looks for what was announced by a list, on a modem that shows
// the memory in no other way.
func (s *session) listAnnounced(ctx context.Context, a announcement, memory string) error {
	if ready, err := s.selectMemory(ctx, memory); err != nil || !ready {
		if err == nil && s.memories.selected != memory {
			s.chores.tried(a, memory)
		}
		return err
	}
	c := s.chores
	before := c.known(memory)
	c.mu.Lock()
	c.store.listedAt = time.Now()
	c.mu.Unlock()
	err := s.list(ctx, memory)
	shown := c.shown(a, memory)
	switch {
	case shown || c.known(memory) > before:
		c.found(a)
	case err == nil:
		c.tried(a, memory)
	}
	return err
}

// shown ends the announcements of what a list of the memory has shown, and tells
// whether a was one.
func (c *chores) shown(a announcement, memory string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.store
	t.announced = slices.DeleteFunc(t.announced, func(b announcement) bool {
		return (b.memory == memory || b.memory == "") && t.entries[place{memory, b.index}] != nil
	})
	return t.entries[place{memory, a.index}] != nil
}

// readsByIndex notes whether AT+CMGR gives what is in a memory. What it gave
// once counts: a list finds what has just come, too.
func (c *chores) readsByIndex(memory string, reads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.byIndex[memory] = c.store.byIndex[memory] || reads
}

// listHangs has the memory read by index again.
func (c *chores) listHangs(memory string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.store.byIndex, memory)
}

// listOnly tells whether only a list shows what is in the memory.
func (t *store) listOnly(memory string) bool {
	byIndex, known := t.byIndex[memory]
	return known && !byIndex
}

func (c *chores) listOnly(memory string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.store.listOnly(memory)
}

// listDue tells whether a memory in which there is more than was found is to be
// listed.
func (c *chores) listDue(memory string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !now.Before(c.store.listAfter[memory])
}
