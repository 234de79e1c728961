package modem

import (
	"errors"
	"hash/fnv"
	"slices"
	"time"
)

// place is where the modem has stored a message.
type place struct {
	memory string // "" where the modem has no names for its memories
	index  int
}

// standing is how far a stored message has come.
type standing int

const (
	reading standing = iota // nothing is known of it, or its reading goes on
	waiting                 // with its handler
	refused                 // its handler failed: it is read and offered again
	kept                    // its handler has made it durable: to be deleted
	foreign                 // somebody's draft, or a copy of what they sent
)

// entry is what is known of one place.
type entry struct {
	standing standing
	print    uint64 // of what was read
	sent     bool   // a copy of what was sent: deleted when there is no room
	// sure: nothing can have taken its place since it was read. clings: it could
	// not be deleted, and is likely to be there still.
	sure, clings bool
	tries        int
	due          time.Time
	// same counts the readings of what can't be right, since the time of the
	// first one.
	same  int
	since time.Time
}

const (
	// sameReadings of what can't be right, over sameFor, are believed.
	sameReadings = 3
	sameFor      = time.Minute
)

// believe takes in a reading that can't be right, and tells whether what is
// there is handed on as it is, and deleted then. It may have been garbled on its
// way here, so it must be the same several times, unless room is needed: else
// it is read again.
func (e *entry) believe(now time.Time, full bool) bool {
	if e.same++; e.same == 1 {
		e.since = now
	}
	if e.same >= sameReadings && now.Sub(e.since) >= sameFor || full && e.tries >= sameReadings-1 {
		return true
	}
	pause := time.Second
	if e.tries > 0 && !full {
		pause = min(sameFor/3<<min(e.tries-1, 10), mutedFor)
	}
	e.standing, e.due = reading, now.Add(pause)
	e.tries++
	return false
}

// there tells whether the message is taken to be in its place.
func (e *entry) there() bool { return e.sure || e.clings }

// announcement is a stored message that the modem told of.
type announcement struct {
	place
	report bool
	// tried are the memories in which it was not.
	tried []string
}

// store is what is known of the stored messages; guarded by chores.mu.
type store struct {
	entries   map[place]*entry
	announced []announcement
	// failures counts handlers that failed in a row; resumeAt is when one is
	// tried again.
	failures int
	resumeAt time.Time
	// full: the modem has no room, told: the operator knows. freed counts
	// deleted messages.
	full, told bool
	freed      int
	look       *look
	wideAt     time.Time // of the last look at all memories
	// stops are, by memory, where the next look goes on.
	stops map[string]stop
	// unfound counts, by memory, what the modem says to have and is not to be
	// found; it is listed again after listAfter.
	unfound    map[string]int
	listAfter  map[string]time.Time
	mutedUntil time.Time // the modem leaves AT+CMGR unanswered
	// moves tells of memories whether what is behind a deleted message moves up,
	// byIndex whether AT+CMGR gives what is in them, or only a list did.
	moves, byIndex map[string]bool
	listedAt       time.Time // when something announced was last listed
}

const (
	// maxAnnounced bounds the announcements that wait to be read; what is
	// beyond is found by a look.
	maxAnnounced = 256
	// maxPlaces bounds the places that something is known of; a look ends
	// there.
	maxPlaces = 4096
	// maxHandled bounds what is with the handlers.
	maxHandled = 32
)

// reset forgets what a restart makes void; what was read is to be compared
// before it is deleted.
func (t *store) reset() {
	t.full, t.told = false, false
	t.announced, t.mutedUntil = nil, time.Time{}
	clear(t.moves)
	t.endLook()
	for _, e := range t.entries {
		e.sure = false
	}
}

// blocked tells whether no more can be read or handed on for now.
func (t *store) blocked(now time.Time) bool {
	if now.Before(t.mutedUntil) {
		return true
	}
	handled := 0
	for _, e := range t.entries {
		if e.standing == waiting {
			handled++
		}
	}
	return handled >= maxHandled || t.failures >= 3 && (now.Before(t.resumeAt) || handled > 0)
}

// next is when something is to be done next; ok is false if that is not known.
func (t *store) next(now time.Time) (first time.Time, ok bool) {
	sooner := func(at time.Time) {
		if !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	blocked := t.blocked(now)
	for p, e := range t.entries {
		if e.standing == kept && !t.held(p) || !blocked && (e.standing == refused || e.standing == reading) {
			sooner(e.due)
		}
	}
	switch {
	case blocked:
		for _, at := range [...]time.Time{t.resumeAt, t.mutedUntil} {
			if now.Before(at) {
				sooner(at)
			}
		}
	case len(t.announced) > 0:
		sooner(t.listedAt.Add(listPause))
	case t.look != nil:
		sooner(t.look.resume)
	}
	return first, ok
}

// announce takes in +CMTI or +CDSI. One that doesn't say where means that
// there is something to be found.
func (c *chores) announce(line string, report bool) {
	memory, index, ok := storedIndex(line)
	c.mu.Lock()
	defer c.mu.Unlock()
	a := announcement{place: place{memory, index}, report: report}
	switch {
	case !ok || len(c.store.announced) == maxAnnounced:
		c.wide = true
		c.hasten(time.Now().Add(lookAgain))
	case !slices.ContainsFunc(c.store.announced, func(b announcement) bool { return a.place == b.place && report == b.report }):
		c.store.announced = append(c.store.announced, a)
		c.signal()
	}
}

// errMailbox: too much waits for the handlers already.
var errMailbox = errors.New("modem: the handlers are busy")

// enter returns the entry of a place in which something with the given print
// was read, nil if there can be no more. What was known of something else there
// is void.
func (t *store) enter(p place, print uint64) *entry {
	e := t.entries[p]
	if e != nil && e.print == print {
		e.sure = true
		return e
	}
	if e == nil && len(t.entries) >= maxPlaces {
		return nil
	}
	fresh := &entry{print: print, sure: true}
	if e != nil && e.standing == reading {
		fresh.tries = e.tries
	}
	t.entries[p] = fresh
	return fresh
}

// removed takes in that a message was deleted. What looks the same elsewhere may
// have been it, since a modem can give one memory two names: its place may hold
// something new by now, and is read before anything is deleted there.
func (t *store) removed(p place, print uint64) {
	delete(t.entries, p)
	t.freed++
	if moves, known := t.moves[p.memory]; moves || !known {
		t.goBack(p)
	}
	for _, e := range t.entries {
		if e.print == print {
			e.sure = false
		}
	}
}

// elsewhere tells whether the same is on its way from a memory that overlaps.
func (t *store) elsewhere(p place, e *entry) bool {
	for q, other := range t.entries {
		if other != e && other.print == e.print && (other.standing == waiting || other.standing == kept) && overlap(p.memory, q.memory) {
			return true
		}
	}
	return false
}

// handled takes in what the handler said of a stored message.
func (c *chores) handled(p place, print uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.store
	e := t.entries[p]
	if e == nil || e.print != print || e.standing != waiting {
		return
	}
	now := time.Now()
	if err == nil {
		t.failures = 0
		e.standing, e.tries, e.due = kept, 0, now
	} else {
		t.failures++
		e.standing, e.due = refused, now.Add(min(againFirst<<min(e.tries, 10), 5*againMost))
		e.tries++
		t.resumeAt = now.Add(min(againFirst<<min(t.failures, 10), 5*againMost))
	}
	c.signal()
}

// postpone puts off what is to be done with a place that could not be read.
func (c *chores) postpone(p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.store.entries[p]; e != nil {
		e.due = time.Now().Add(min(5*time.Second<<min(e.tries, 10), mutedFor))
		e.tries++
	}
}

// forget drops what is known of a place that turned out to be empty.
func (c *chores) forget(p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.store.entries, p)
}

// makeRoom gives the copies of what was sent up, and hastens the reading of what
// can't be right: there is no room.
func (t *store) makeRoom(now time.Time) {
	for _, e := range t.entries {
		switch {
		case e.standing == foreign && e.sent:
			e.standing, e.tries, e.due = kept, 0, time.Time{}
		case e.standing == reading && e.due.After(now.Add(time.Second)):
			e.due = now.Add(time.Second)
		}
	}
}

// found ends an announcement.
func (c *chores) found(a announcement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.store
	t.announced = slices.DeleteFunc(t.announced, func(b announcement) bool { return a.place == b.place && a.report == b.report })
}

// tried notes that what was announced is not in the memory.
func (c *chores) tried(a announcement, memory string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.store.announced {
		if b := &c.store.announced[i]; b.place == a.place && b.report == a.report {
			b.tried = append(b.tried, memory)
		}
	}
	if a.report {
		c.distrusted = true
	}
}

// missed ends an announcement of something that is nowhere at its index: all
// memories are looked through.
func (c *chores) missed(a announcement) {
	c.found(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wide = true
	c.hasten(time.Now().Add(lookAgain))
}

// known counts the messages in a memory of which something is known. What may
// have moved since would count twice.
func (c *chores) known(memory string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for p, e := range c.store.entries {
		if p.memory == memory && e.there() {
			n++
		}
	}
	return n
}

// dropForeign forgets which places of a memory are not ours: perhaps they have
// been given to others.
func (c *chores) dropForeign(memory string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p, e := range c.store.entries {
		if p.memory == memory && e.standing == foreign {
			delete(c.store.entries, p)
		}
	}
}

// fingerprint tells what is in a place from what was there before.
func fingerprint(body string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(body))
	return h.Sum64()
}
