package modem

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/warthog618/modem/at"
)

// errStoreFull: no room could be made in the modem's memory.
var errStoreFull = errors.New("modem: its memory for messages is full")

// memories are those that the modem has; they belong to the holder of the
// turn.
type memories struct {
	names     []string  // that can be read from, in the order of looking
	selected  string    // to be read from, "" if that is not known
	sureAt    time.Time // when that was last certain; zero after a message
	told      bool      // the modem says what is selected
	rest      string    // the one to be selected between looks
	receiving string    // where what comes is stored
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
	m.told = len(inUse) > 0
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
			m.selected, m.sureAt = m.rest, time.Now()
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
	if t.blocked(now) {
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

// selectMemory makes the memory the one to be read and deleted from. ready: it
// is.
func (s *session) selectMemory(ctx context.Context, name string) (ready bool, err error) {
	switch m := &s.memories; {
	case name == "":
		return true, nil
	case name != m.selected:
		_, err = s.openMemory(ctx, name)
		return false, err
	case m.sureAt.IsZero() || time.Since(m.sureAt) >= knockAfter:
		return true, s.confirmMemory(ctx)
	}
	return true, nil
}

// confirmMemory selects the memory anew that is to be read from, where the modem
// says that it no longer is: it has started anew without a word. A modem that
// doesn't say is believed. What is deleted next would else be another message.
func (s *session) confirmMemory(ctx context.Context) error {
	m := &s.memories
	info, err := s.ask(ctx, "+CPMS?", limitSIM)
	if err != nil && !answered(err) {
		return err
	}
	told, _ := answer(info, "+CPMS")
	now := memoryUsage(told)
	switch {
	case len(now) == 0 && err == nil && m.told: // this OK is another command's
		return errSuspect
	case len(now) > 0 && now[0].name != m.selected:
		s.chores.doubtRouting()
		if _, err := s.ask(ctx, `+CPMS="`+m.selected+`"`, limitSIM); err != nil && !answered(err) {
			return err
		}
	}
	m.sureAt = time.Now()
	return nil
}

// openMemory selects the memory and returns what it holds. Where the modem
// refuses, nothing is looked for in it any more.
func (s *session) openMemory(ctx context.Context, name string) (usage, error) {
	info, err := s.ask(ctx, `+CPMS="`+name+`"`, limitSIM)
	if err == nil {
		s.memories.selected, s.memories.sureAt = name, time.Now()
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
	switch {
	case err != nil:
		return found, err
	case found == aMessage:
		return s.accept(p, m), nil
	case found != nothing:
		s.chores.postpone(p)
	}
	return found, nil
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
	case err != nil || m.body == "" || phantom(m):
		s.chores.forget(p)
		return m, nothing, nil
	case m.textual: // PDU mode is lost, and what was to be read is still there
		s.inTextMode()
		return m, fault, nil
	}
	return m, aMessage, nil
}

// emptyPlace tells the errors by which modems say that nothing is in a place:
// +CMS ERROR: 321, invalid memory index, or no more than ERROR.
func emptyPlace(err error) bool {
	cms, _ := errorNumbers(err)
	return cms == 321 || errors.Is(err, at.ErrError)
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
	if err != nil {
		c.postpone(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.store.removed(p, e.print)
		return nil
	}
	e.sure = false // perhaps it is gone, and something else there
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
	if found == aMessage {
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

// purgeFor bounds purge.
const purgeFor = 15 * time.Second

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
	defer c.schedule(true)
	for time.Since(begin) < purgeFor {
		if s.suspect.Load() {
			return errSuspect
		}
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
