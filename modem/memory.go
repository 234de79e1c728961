package modem

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warthog618/modem/at"
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
	// sure: nothing can have taken its place since it was read.
	sure  bool
	tries int
	due   time.Time
}

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
	mutedUntil time.Time // the modem leaves AT+CMGR unanswered
}

// look is one look through the memories, by index: AT+CMGL hangs on some
// modems, and for minutes.
type look struct {
	wide  bool
	asked bool // what the memories in use hold
	known map[string]usage
	queue []string // memories still to be looked through
	// of the memory that is looked through; within says whether one is
	within            bool
	memory            string
	index, last, left int
	silent, faults    int // answers to AT+CMGR in a row that were none
	spent             time.Duration
	resume            time.Time
}

// usage of one memory; total is 0 where it is not known.
type usage struct{ used, total int }

const (
	// maxAnnounced bounds the announcements that wait to be read; what is
	// beyond is found by a look.
	maxAnnounced = 256
	// maxPlaces bounds the places that something is known of; a look ends
	// there.
	maxPlaces = 4096
	// maxHandled bounds what is with the handlers.
	maxHandled = 32
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
	// purgeFor bounds purge.
	purgeFor = 15 * time.Second
)

// errStoreFull: no room could be made in the modem's memory.
var errStoreFull = errors.New("modem: its memory for messages is full")

// reset forgets what a restart makes void; what was read is to be compared
// before it is deleted.
func (t *store) reset() {
	t.full, t.told = false, false
	t.announced, t.look, t.mutedUntil = nil, nil, time.Time{}
	for _, e := range t.entries {
		e.sure = false
	}
}

func (t *store) beginLook(wide bool, now time.Time) {
	if t.look != nil || now.Before(t.mutedUntil) {
		return
	}
	t.look = &look{wide: wide || t.full, known: make(map[string]usage)}
	if t.look.wide {
		t.wideAt = now
	}
}

// blocked tells whether no more can be handed on for now.
func (t *store) blocked(now time.Time) bool {
	handled := 0
	for _, e := range t.entries {
		if e.standing == waiting {
			handled++
		}
	}
	return handled >= maxHandled || t.failures >= 3 && (now.Before(t.resumeAt) || handled > 0)
}

// next is when something is to be done next, if that is known.
func (t *store) next(now time.Time) (time.Time, bool) {
	var first time.Time
	sooner := func(at time.Time) {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	blocked := t.blocked(now)
	for _, e := range t.entries {
		if e.standing == kept || !blocked && (e.standing == refused || e.standing == reading) {
			sooner(e.due)
		}
	}
	if !blocked {
		if len(t.announced) > 0 {
			sooner(now)
		}
		if t.look != nil {
			sooner(t.look.resume)
		}
	} else if now.Before(t.resumeAt) {
		sooner(t.resumeAt)
	}
	return first, !first.IsZero() || t.look != nil && !blocked
}

// pick is an entry of the standing that is due, of the selected memory if
// there is one.
func (t *store) pick(now time.Time, selected string, standings ...standing) (place, bool) {
	var found place
	ok := false
	for p, e := range t.entries {
		if slices.Contains(standings, e.standing) && !now.Before(e.due) && (!ok || p.memory == selected) {
			found, ok = p, true
			if p.memory == selected {
				break
			}
		}
	}
	return found, ok
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

// memories are those that the modem has; they belong to the holder of the
// turn.
type memories struct {
	names     []string // that can be read from, in the order of looking
	selected  string   // to be read from, "" if that is not known
	rest      string   // the one to be selected between looks
	receiving string   // where what comes is stored
}

// storage learns which memories there are and selects the one in which what
// comes is stored, so that AT+CPMS? alone shows whether there is anything.
func (p *preparation) storage(ctx context.Context) error {
	m := &p.memories
	*m = memories{}
	info, err := p.ask(ctx, "+CPMS=?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	offered, _ := answer(info, "+CPMS")
	lists := memoryLists(offered)
	info, err = p.ask(ctx, "+CPMS?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	told, _ := answer(info, "+CPMS")
	inUse := memoryUsage(told)
	if len(lists) > 0 {
		m.names = lists[0]
	}
	for _, u := range inUse {
		if !slices.Contains(m.names, u.name) {
			m.names = append(m.names, u.name)
		}
	}
	if len(inUse) > 0 {
		m.selected = inUse[0].name
		m.receiving = inUse[len(inUse)-1].name
	} else if len(m.names) > 0 {
		m.receiving = m.names[0]
	}
	m.names = distinctMemories(m.names, m.receiving)
	m.rest = m.receiving
	if p.routed.ds == 2 && slices.Contains(m.names, "SR") {
		m.rest = "SR"
	}
	p.chores.begin()
	return p.arrange(ctx)
}

// arrange selects the memories to be read from, to be written to and to
// receive, the last of which some modems refuse to be told.
func (p *preparation) arrange(ctx context.Context) error {
	m := &p.memories
	if m.rest == "" || m.rest == m.selected {
		return nil
	}
	for _, set := range [...]string{m.rest, m.rest + `","` + m.receiving, m.rest + `","` + m.receiving + `","` + m.receiving} {
		_, err := p.ask(ctx, `+CPMS="`+set+`"`, limitSIM)
		if err == nil {
			m.selected = m.rest
			return nil
		}
		if !answered(err) {
			return err
		}
	}
	m.rest = m.selected
	return nil
}

// tidy does the next thing that is to be done with stored messages, by one
// command. It reports whether there was one.
func (s *session) tidy(ctx context.Context, now time.Time) (bool, error) {
	c := s.chores
	c.mu.Lock()
	t := &c.store
	if t.full {
		t.releaseSent()
	}
	if p, ok := t.pick(now, s.memories.selected, kept); ok {
		sure := t.entries[p].sure
		c.mu.Unlock()
		if ready, err := s.selectMemory(ctx, p.memory); !ready || err != nil {
			return true, err
		}
		if !sure {
			_, err := s.read(ctx, p)
			return true, err
		}
		return true, s.remove(ctx, p)
	}
	if t.blocked(now) || now.Before(t.mutedUntil) {
		c.mu.Unlock()
		return s.restMemory(ctx)
	}
	if p, ok := t.pick(now, s.memories.selected, refused, reading); ok {
		c.mu.Unlock()
		if ready, err := s.selectMemory(ctx, p.memory); !ready || err != nil {
			return true, err
		}
		_, err := s.read(ctx, p)
		return true, err
	}
	if len(t.announced) > 0 {
		a := t.announced[0]
		c.mu.Unlock()
		return true, s.readAnnounced(ctx, a)
	}
	l := t.look
	c.mu.Unlock()
	if l == nil || now.Before(l.resume) {
		return s.restMemory(ctx)
	}
	err := s.lookOn(ctx, l)
	if l.spent += time.Since(now); l.spent > lookFor {
		l.spent, l.resume = 0, now.Add(lookAgain)
	}
	return true, err
}

// restMemory selects the memory that is to be selected between looks.
func (s *session) restMemory(ctx context.Context) (bool, error) {
	if s.memories.rest == "" || s.memories.rest == s.memories.selected {
		return false, nil
	}
	_, err := s.selectMemory(ctx, s.memories.rest)
	return true, err
}

// selectMemory makes the memory the one to be read from. ready: it is, and no
// command was needed for that.
func (s *session) selectMemory(ctx context.Context, name string) (ready bool, err error) {
	if name == "" || name == s.memories.selected {
		return true, nil
	}
	_, err = s.openMemory(ctx, name)
	return false, err
}

// openMemory selects the memory and returns what it holds. Where the modem
// refuses, nothing is looked for in it any more.
func (s *session) openMemory(ctx context.Context, name string) (usage, error) {
	info, err := s.ask(ctx, `+CPMS="`+name+`"`, limitSIM)
	if err == nil {
		s.memories.selected = name
		told, _ := answer(info, "+CPMS")
		return firstUsage(told), nil
	}
	if !answered(err) {
		return usage{}, err
	}
	m := &s.memories
	m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == name })
	if m.rest == name {
		m.rest = m.selected
	}
	s.chores.mu.Lock()
	defer s.chores.mu.Unlock()
	for p := range s.chores.store.entries {
		if p.memory == name {
			delete(s.chores.store.entries, p)
		}
	}
	return usage{}, nil
}

// contents are what AT+CMGR finds in a place.
type contents int

const (
	nothing    contents = iota // the place is empty
	fault                      // the modem can't read it
	unanswered                 // nor say so
	notOurs                    // a draft, or a copy of what was sent
	aMessage
	aReport
)

// read reads one place of the selected memory and hands on what is there. It
// is deleted when the handler has it durable, and not before.
func (s *session) read(ctx context.Context, p place) (contents, error) {
	m, found, err := s.fetch(ctx, p)
	if err != nil || found != aMessage {
		return found, err
	}
	return s.accept(p, m), nil
}

// fetch reads one place of the selected memory.
func (s *session) fetch(ctx context.Context, p place) (storedMessage, contents, error) {
	cmd := "+CMGR=" + strconv.Itoa(p.index)
	info, err := s.ask(ctx, cmd, limitSIM)
	m := parseStored(info)
	switch {
	case errors.Is(err, errSilent):
		delete(s.silent, cmd)
		return m, unanswered, nil
	case err != nil && !answered(err):
		return m, fault, err
	case err != nil && !emptyPlace(err):
		return m, fault, nil
	case err != nil || m.body == "":
		s.chores.forget(p)
		return m, nothing, nil
	case m.textual: // PDU mode is lost, and what was to be read is still there
		return m, fault, errSuspect
	}
	return m, aMessage, nil
}

// emptyPlace tells the errors by which modems say that nothing is in a place:
// +CMS ERROR: 321, invalid memory index, or no more than ERROR.
func emptyPlace(err error) bool {
	var cms at.CMSError
	if errors.As(err, &cms) {
		return errorNumber(string(cms), cmsTexts) == 321
	}
	return errors.Is(err, at.ErrError)
}

// accept hands on what was read from a place, unless that is under way.
func (s *session) accept(p place, m storedMessage) contents {
	c := s.chores
	raw, err := decodeTPDU(m.body, m.octets)
	garbled := err != nil || m.octets > 0 && len(raw) != m.octets
	report := err == nil && isStatusReport(raw)
	found := aMessage
	if report {
		found = aReport
	}
	if err != nil {
		raw = octetsOf(m.body)
	}

	c.mu.Lock()
	e := c.store.enter(p, fingerprint(m.body))
	switch {
	case e == nil:
		c.mu.Unlock()
		return fault
	case e.standing == waiting:
		c.mu.Unlock()
		return found
	case e.standing == kept:
		e.sure = true
		c.mu.Unlock()
		return found
	case m.unsent || m.sent && !report:
		e.standing, e.sent = foreign, m.sent
		c.mu.Unlock()
		return notOurs
	case garbled && e.tries == 0, c.store.elsewhere(p, e):
		// It may have been garbled on its way here, or be in two memories that
		// are one: it is read again.
		e.standing, e.due = reading, time.Now().Add(time.Second)
		e.tries++
		c.mu.Unlock()
		return found
	}
	e.standing = waiting
	c.mu.Unlock()
	print := e.print
	if !s.incoming.handStored(raw, receipt{s.identity(), time.Now()}, func(err error) { c.handled(p, print, err) }) {
		c.handled(p, print, errMailbox)
	}
	return found
}

// errMailbox: too much waits for the handlers already.
var errMailbox = errors.New("modem: the handlers are busy")

// enter returns the entry of a place in which something with the given print
// was read, nil if there can be no more. What was known of something else there
// is void.
func (t *store) enter(p place, print uint64) *entry {
	e := t.entries[p]
	if e != nil && e.print == print {
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

// forget drops what is known of a place that turned out to be empty.
func (c *chores) forget(p place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.store.entries, p)
}

// releaseSent gives the copies of what was sent up: there is no room.
func (t *store) releaseSent() {
	for _, e := range t.entries {
		if e.standing == foreign && e.sent {
			e.standing, e.tries, e.due = kept, 0, time.Time{}
		}
	}
}

// remove deletes what is in a place of the selected memory.
func (s *session) remove(ctx context.Context, p place) error {
	c := s.chores
	c.mu.Lock()
	e := c.store.entries[p]
	c.mu.Unlock()
	if e == nil {
		return nil
	}
	cmd := "+CMGD=" + strconv.Itoa(p.index)
	if e.tries%2 == 1 {
		cmd += ",0" // some modems want <delflag>
	}
	_, err := s.ask(ctx, cmd, limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	delete(s.silent, cmd)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.store.entries, p)
		c.store.freed++
		return nil
	}
	e.sure = false // perhaps it is gone, and something else there
	e.due = time.Now().Add(min(5*time.Second<<min(e.tries, 10), mutedFor))
	e.tries++
	return nil
}

// readAnnounced looks for what was announced where the modem said, then at the
// same index of its other memories: EC25 says "SM" and means "SR".
func (s *session) readAnnounced(ctx context.Context, a announcement) error {
	memory, more := s.candidate(a)
	if !more {
		s.chores.missed(a)
		return nil
	}
	p := place{memory, a.index}
	if ready, err := s.selectMemory(ctx, memory); err != nil || !ready {
		if err == nil && s.memories.selected != memory {
			s.chores.tried(a, memory)
		}
		return err
	}
	m, found, err := s.fetch(ctx, p)
	if err != nil {
		return err
	}
	if found == aMessage && !(a.report && phantom(m)) {
		found = s.accept(p, m)
	}
	switch {
	case a.report && found == aReport, !a.report && (found == aMessage || found == aReport):
		s.chores.found(a)
	case found == unanswered:
		s.chores.missed(a)
	default:
		s.chores.tried(a, memory)
	}
	return nil
}

// candidate is the memory in which an announced message is to be looked for
// next.
func (s *session) candidate(a announcement) (memory string, ok bool) {
	first := a.memory
	if first == "" {
		first = s.memories.receiving
	}
	for _, name := range append([]string{first}, s.memories.names...) {
		if !slices.Contains(a.tried, name) {
			return name, true
		}
	}
	return "", false
}

// phantom tells a report that is none: what TRM240 and its kin answer for a
// place with nothing in it.
func phantom(m storedMessage) bool {
	raw, err := decodeTPDU(m.body, m.octets)
	if err != nil || !isStatusReport(raw) {
		return false
	}
	r, err := decodeReport(raw)
	return err == nil && r.MR == 0 && r.Recipient == ""
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

// lookOn goes on with a look by one command at most.
func (s *session) lookOn(ctx context.Context, l *look) error {
	switch {
	case !l.asked:
		return s.askUsage(ctx, l)
	case !l.within:
		return s.nextMemory(ctx, l)
	}
	return s.lookAt(ctx, l)
}

// askUsage asks what the memories in use hold, and chooses those to be looked
// through: reports first.
func (s *session) askUsage(ctx context.Context, l *look) error {
	info, err := s.ask(ctx, "+CPMS?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	l.asked = true
	told, _ := answer(info, "+CPMS")
	m := &s.memories
	full := ""
	for i, u := range memoryUsage(told) {
		if i == 0 {
			m.selected = u.name
		}
		if u.total > 0 {
			l.known[u.name] = u.usage
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
	s.noteFull(full)
	return nil
}

// noteFull takes in which memory is full, "" if none is.
func (s *session) noteFull(memory string) {
	t := &s.chores.store
	s.chores.mu.Lock()
	tell := memory != "" && !t.told
	t.full, t.told = memory != "", memory != ""
	s.chores.mu.Unlock()
	if tell {
		s.log.Warn("a memory for messages is full", "memory", memory)
		s.incoming.happened(EventStoreFull, "the memory "+memory+" is full")
	}
}

// nextMemory begins with the next memory in which there is something that
// nothing is known of, and ends the look where there is none.
func (s *session) nextMemory(ctx context.Context, l *look) error {
	c := s.chores
	if len(l.queue) == 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.store.look = nil
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
		return nil
	}
	l.within, l.memory, l.index = true, name, 0
	l.last, l.left = min(u.total, maxTotal), u.used
	if !known {
		l.last, l.left = unknownTotal, unknownTotal+1
	}
	l.faults, l.silent = 0, 0
	return nil
}

// known counts the messages in a memory of which something is known.
func (c *chores) known(memory string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for p := range c.store.entries {
		if p.memory == memory {
			n++
		}
	}
	return n
}

// lookAt reads the next place of the memory that is looked through. Indexes
// begin at 0 or at 1.
func (s *session) lookAt(ctx context.Context, l *look) error {
	if ready, err := s.selectMemory(ctx, l.memory); err != nil || !ready {
		l.within = err == nil && s.memories.selected == l.memory
		return err
	}
	s.chores.mu.Lock()
	for s.chores.store.entries[place{l.memory, l.index}] != nil {
		l.index++
		l.left--
	}
	crowded := len(s.chores.store.entries) >= maxPlaces
	s.chores.mu.Unlock()
	if l.left <= 0 || l.index > l.last || crowded {
		l.within = false
		if l.left > 0 && !crowded { // less was found than there is
			s.chores.dropForeign(l.memory)
		}
		return nil
	}
	found, err := s.read(ctx, place{l.memory, l.index})
	if err != nil {
		return err
	}
	l.index++
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
	}
	if l.silent == maxSilent {
		s.chores.mu.Lock()
		s.chores.store.look = nil
		s.chores.store.mutedUntil = time.Now().Add(mutedFor)
		s.chores.mu.Unlock()
	}
	return nil
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

// purge makes room in a modem that has none, as +CMS ERROR: 322 and 320 say:
// what is there is read, handed on and, once it is durable, deleted, and so are
// copies of what was sent. It takes 15 s at most, and returns as soon as one
// message is deleted; the rest follows between messages. The caller has the
// turn. Errors are errStoreFull where no room could be made, and those of
// command.
func (s *session) purge(ctx context.Context) error {
	c := s.chores
	begin := time.Now()
	c.mu.Lock()
	t := &c.store
	t.full, t.mutedUntil, t.look = true, time.Time{}, nil
	t.beginLook(true, begin)
	before := t.freed
	c.mu.Unlock()
	defer c.schedule(begin)
	for time.Since(begin) < purgeFor {
		did, err := s.tidy(ctx, time.Now())
		if err != nil {
			return err
		}
		c.mu.Lock()
		freed, over := t.freed > before, t.look == nil && len(t.entries) == 0
		c.mu.Unlock()
		switch {
		case freed:
			return nil
		case did:
			continue
		case over:
			return errStoreFull
		}
		select {
		case <-c.due:
		case <-time.After(100 * time.Millisecond):
		case <-s.wire.Gone():
			return errGone
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errStoreFull
}

// storedMessage is what AT+CMGR answered, 27.005 3.4.2.
type storedMessage struct {
	body         string // the PDU in hex, "" where there was none
	octets       int    // of the TPDU, 0 if that was not said
	unsent, sent bool   // <stat> 2 and 3
	textual      bool   // it is in text mode
}

// parseStored reads
//
//	+CMGR: <stat>,[<alpha>],<length>
//	<pdu>
//
// and what modems make of it: without alpha, or without the first line.
func parseStored(info []string) storedMessage {
	var m storedMessage
	for i, line := range info {
		rest, ok := strings.CutPrefix(line, "+CMGR")
		if !ok {
			if len(line) > 20 && isPDU(line) {
				m.body = line
			}
			continue
		}
		f := fields(strings.TrimLeft(rest, ": "))
		stat, err := strconv.Atoi(f[0])
		m = storedMessage{unsent: err == nil && stat == 2, sent: err == nil && stat == 3, textual: err != nil && f[0] != ""}
		m.octets = pduLength(line)
		if i+1 < len(info) {
			m.body = strings.TrimSpace(info[i+1])
		}
		return m
	}
	return m
}

func isPDU(line string) bool {
	return len(line)%2 == 0 && strings.Trim(line, "0123456789ABCDEFabcdef") == ""
}

// fingerprint tells what is in a place from what was there before.
func fingerprint(body string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(body))
	return h.Sum64()
}

// memoryLists reads the answer of AT+CPMS=?: the memories to be read from, to
// be written to and to receive, as in ("SM","ME"),("SM"),().
func memoryLists(s string) [][]string {
	var lists [][]string
	for _, field := range fields(s) {
		var names []string
		for _, name := range strings.Split(strings.Trim(field, "() "), ",") {
			if name = strings.Trim(name, "\" "); isMemory(name) {
				names = append(names, name)
			}
		}
		lists = append(lists, names)
	}
	return lists
}

// isMemory tells names of memories: SM, ME, MT, SR, SM_P, ….
func isMemory(s string) bool {
	return len(s) >= 2 && len(s) <= 5 && s[0] >= 'A' && s[0] <= 'Z' && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// memoryUse is one memory in the answer of AT+CPMS?.
type memoryUse struct {
	name string
	usage
}

// memoryUsage reads "SM",3,20,"SM",3,20,"ME",0,50; numbers may be missing.
func memoryUsage(s string) []memoryUse {
	var all []memoryUse
	numbers := 0
	for _, f := range fields(s) {
		n, err := strconv.Atoi(f)
		switch {
		case isMemory(f):
			all = append(all, memoryUse{name: f})
			numbers = 0
		case err != nil || n < 0 || len(all) == 0:
		default:
			last := &all[len(all)-1]
			if numbers == 0 {
				last.used = n
			} else if numbers == 1 {
				last.total = n
			}
			numbers++
		}
	}
	return all
}

// firstUsage reads the answer of AT+CPMS="…": 3,20,3,20,0,50, with or without
// names.
func firstUsage(s string) usage {
	var numbers []int
	for _, f := range fields(s) {
		if n, err := strconv.Atoi(f); err == nil && n >= 0 {
			numbers = append(numbers, n)
		}
	}
	if len(numbers) < 2 {
		return usage{}
	}
	return usage{used: numbers[0], total: numbers[1]}
}

// distinctMemories are the names without those that overlap with one before
// them: the one to receive goes first, and then that of reports to the front.
func distinctMemories(names []string, receiving string) []string {
	var distinct []string
	for _, name := range append([]string{receiving}, names...) {
		if name == "" || len(distinct) == maxMemories || slices.ContainsFunc(distinct, func(d string) bool { return d == name || overlap(d, name) }) {
			continue
		}
		distinct = append(distinct, name)
	}
	slices.SortStableFunc(distinct, func(a, b string) int { return reportsLast(b) - reportsLast(a) })
	return distinct
}

// maxMemories bounds the memories that are looked through.
const maxMemories = 8

func reportsLast(name string) int {
	if name == "SR" {
		return 1
	}
	return 0
}

// overlap tells memories that show the same messages: MT is ME and SM in one,
// and "_P" marks the preferred one of two.
func overlap(a, b string) bool {
	if a == b {
		return false
	}
	in := func(whole, part string) bool { return whole == "MT" && (part == "ME" || part == "SM") }
	return in(a, b) || in(b, a) || strings.TrimSuffix(a, "_P") == strings.TrimSuffix(b, "_P")
}

// storedIndex reads +CMTI: <mem>,<index> and +CDSI: <mem>,<index>; ok is
// false where nothing is stored, as in "+CMTI: ,-1".
func storedIndex(line string) (mem string, index int, ok bool) {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) == 1 { // the index alone
		f = []string{"", f[0]}
	}
	if len(f) < 2 {
		return "", 0, false
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 0 || n > maxTotal {
		return "", 0, false
	}
	if !isMemory(f[0]) {
		return "", n, f[0] == ""
	}
	return f[0], n, true
}

// pduLength is the TPDU's length in octets by the header line of +CMT, +CDS,
// +CBM or +CMGR, its last number; 0 if there is none.
func pduLength(line string) int {
	_, rest, _ := strings.Cut(line, ":")
	f := fields(rest)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.Atoi(f[len(f)-1])
	if err != nil || n < 0 {
		return 0
	}
	return n
}
