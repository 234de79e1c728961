package modem

import (
	"context"
	"slices"
	"strings"
	"time"
)

// look is one look through the memories, by index: AT+CMGL hangs on some
// modems, and for minutes.
type look struct {
	wide    bool
	urged   bool // something gave reason to it, beside its time
	hurried bool // a message waits for room
	asked   bool // what the memories in use hold
	known   map[string]usage
	queue   []string // memories still to be looked through
	// of the memory that is looked through; within says whether one is
	within            bool
	memory            string
	index, last, left int
	counted           bool // left is what the modem said
	whole             bool // no place was passed over but by looks given up
	silent, faults    int  // answers to AT+CMGR in a row that were none
	// missing: not all was found that is there; confirmed: and the modem says so
	// still.
	missing, confirmed bool
	spent              time.Duration
	resume             time.Time
}

// stop is where a look through a memory ended early. whole: because of places
// that can't be read, and all before was read or given up.
type stop struct {
	index int
	whole bool
}

// usage of one memory; total is 0 where it is not known.
type usage struct{ used, total int }

const (
	// lookFor is how long a look goes on at a stretch, lookAgain the pause
	// until it goes on.
	lookFor, lookAgain = 20 * time.Second, 10 * time.Second
	// unknownTotal is how many places a memory is taken to have that does not
	// tell.
	unknownTotal = 50
	// maxTotal bounds what it tells.
	maxTotal = 1 << 16
	// maxFaults and maxSilent are how many places in a row may fail to be read,
	// and stay unanswered, before the rest is left alone for now.
	maxFaults, maxSilent = 8, 2
	// mutedFor is how long AT+CMGR is left out that was not answered.
	mutedFor = 10 * time.Minute
)

// beginLook tells whether a look has begun: not while one is under way.
func (t *store) beginLook(wide bool, now time.Time) bool {
	if t.look != nil || now.Before(t.mutedUntil) {
		return false
	}
	t.look = &look{wide: wide || t.full, known: make(map[string]usage)}
	if t.look.wide {
		t.wideAt = now
	}
	return true
}

// lookOn goes on with a look by one command at most.
func (s *session) lookOn(ctx context.Context, l *look) error {
	switch {
	case !l.asked:
		return s.askUsage(ctx, l)
	case l.missing:
		return s.seek(ctx, l)
	case !l.within:
		return s.nextMemory(ctx, l)
	}
	return s.lookAt(ctx, l)
}

// askUsage asks what the memories in use hold, and chooses those to be looked
// through: reports first.
func (s *session) askUsage(ctx context.Context, l *look) error {
	inUse, _, err := s.memoriesInUse(ctx)
	if err != nil {
		return err
	}
	l.asked = true
	m := &s.memories
	full := ""
	for i, u := range inUse {
		if i == 0 {
			m.selected, m.sureAt = u.name, time.Now()
		}
		if u.total > 0 {
			l.known[u.name] = u.usage
		}
		if u.used == 0 {
			s.noteUnfound(u.name, 0)
		}
		if u.total > 0 && u.used >= u.total {
			full = u.name
		}
	}
	switch {
	case len(m.names) == 0 && l.wide:
		l.queue = []string{""}
	case l.wide:
		l.queue = slices.Clone(m.names)
	default:
		l.queue = slices.DeleteFunc(slices.Clone(m.names), func(n string) bool {
			u, known := l.known[n]
			return known && u.used == 0 || !known && n != m.receiving
		})
	}
	s.noteFull(full != "", full)
	return nil
}

// noteFull takes in whether a memory is full, and tells of it once. memory is
// its name, "" if that is not known.
func (s *session) noteFull(full bool, memory string) {
	t := &s.chores.store
	s.chores.mu.Lock()
	tell := full && !t.told
	t.full, t.told = full, full
	s.chores.mu.Unlock()
	if tell {
		s.log.Warn("a memory for messages is full", "memory", memory)
		s.incoming.happened(EventStoreFull, strings.TrimSpace("no room for messages "+memory))
	}
}

// nextMemory begins with the next memory in which there is something that
// nothing is known of, and ends the look where there is none.
func (s *session) nextMemory(ctx context.Context, l *look) error {
	c := s.chores
	if len(l.queue) == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.store.endLook()
		return nil
	}
	name := l.queue[0]
	l.queue = l.queue[1:]
	u, known := l.known[name]
	if !known && name != "" || known && u.used > 0 && name != s.memories.selected {
		var err error
		if u, err = s.openMemory(ctx, name); err != nil || s.memories.selected != name {
			return err
		}
		known = u.total > 0
	}
	if known && u.used <= c.known(name) {
		s.noteUnfound(name, 0)
		return nil
	}
	if known && c.nothingNew(l, name, u.used) {
		return nil
	}
	l.within, l.memory = true, name
	l.last, l.left, l.counted = min(u.total, maxTotal), u.used, known
	if !known {
		l.last, l.left = unknownTotal, unknownTotal+1
	}
	l.faults, l.silent = 0, 0
	due := c.listDue(name, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if known && due && c.store.listOnly(name) { // places would tell nothing
		l.within, l.missing, l.left = false, true, u.used
		return nil
	}
	stop := c.store.stops[name]
	l.index, l.whole = min(stop.index, l.last), stop.index == 0 || stop.whole
	delete(c.store.stops, name)
	return nil
}

// nothingNew tells whether all that was not to be found in a memory, and no more,
// is what is in it: it is looked for again when it may be listed.
func (c *chores) nothingNew(l *look, memory string, used int) bool {
	if l.urged || c.listDue(memory, time.Now()) {
		return false
	}
	known := c.known(memory)
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.store.unfound[memory]
	return n > 0 && used == known+n
}

// lookAt reads the next place of the memory that is looked through. Indexes
// begin at 0 or at 1.
func (s *session) lookAt(ctx context.Context, l *look) error {
	if ready, err := s.selectMemory(ctx, l.memory); err != nil || !ready {
		l.within = err == nil && s.memories.selected == l.memory
		return err
	}
	c := s.chores
	c.mu.Lock()
	c.store.passKnown(l)
	crowded := len(c.store.entries) >= maxPlaces
	c.mu.Unlock()
	switch {
	case crowded || l.left <= 0:
		l.within = false
		return nil
	case l.index > l.last:
		l.within = false
		if l.missing = l.counted && l.whole; !l.missing {
			c.dropForeign(l.memory)
		}
		return nil
	}
	l.index++ // also past a place over which a modem falls
	found, err := s.read(ctx, place{l.memory, l.index - 1})
	if err != nil {
		return err
	}
	if found == fault && s.suspect.Load() {
		l.index-- // it is in the wrong mode, and will be put right
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.took(l, found, time.Now())
	return nil
}

// passKnown has a look pass over the places of which it is certain what is there.
func (t *store) passKnown(l *look) {
	for l.index <= l.last {
		if e := t.entries[place{l.memory, l.index}]; e == nil || !e.there() {
			return
		}
		l.index++
		l.left--
	}
}

// took takes in what a look has found in a place, and gives up where the modem
// fails too often: the next look goes on there.
func (t *store) took(l *look, found contents, now time.Time) {
	switch found {
	case fault:
		l.faults++
		l.silent = 0
	case unanswered:
		l.silent++
	default:
		l.faults, l.silent = 0, 0
		if found != nothing {
			l.left--
		}
	}
	if l.faults == maxFaults {
		l.within = false
		t.stops[l.memory] = stop{l.index, l.whole}
	}
	if l.silent == maxSilent {
		t.endLook()
		t.mutedUntil = now.Add(mutedFor)
	}
}

// endLook ends the look that is under way, if one is: the next one goes on where
// it was.
func (t *store) endLook() {
	if t.look != nil && t.look.within {
		t.stops[t.look.memory] = stop{t.look.index, false}
	}
	t.look = nil
}
