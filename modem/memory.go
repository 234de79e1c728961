package modem

import (
	"context"
	"errors"
	"slices"
	"time"
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
	empty     emptiness // by what an empty place is told
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
	inUse, _, err := p.memoriesInUse(ctx)
	if err != nil {
		return err
	}
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
		t.makeRoom(now)
	}
	if p, ok := t.pick(now, s.memories.selected, kept); ok {
		sure := t.entries[p].sure
		c.mu.Unlock()
		if ready, err := s.selectMemory(ctx, p.memory); !ready || err != nil {
			return true, err
		}
		if !sure {
			return true, s.readAgain(ctx, p)
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
		return true, s.readAgain(ctx, p)
	}
	if len(t.announced) > 0 && now.Sub(t.listedAt) >= listPause {
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

// memoriesInUse asks what the memories in use hold, the one that is read from
// first; none where the modem won't say. taken: it said OK.
func (s *session) memoriesInUse(ctx context.Context) (all []memoryUse, taken bool, err error) {
	info, err := s.ask(ctx, "+CPMS?", limitSIM)
	if err != nil && !answered(err) {
		return nil, false, err
	}
	told, _ := answer(info, "+CPMS")
	return memoryUsage(told), err == nil, nil
}

// confirmMemory selects the memory anew that is to be read from, where the modem
// says that it no longer is: it has started anew without a word. A modem that
// doesn't say is believed. What is deleted next would else be another message.
func (s *session) confirmMemory(ctx context.Context) error {
	m := &s.memories
	now, taken, err := s.memoriesInUse(ctx)
	switch {
	case err != nil:
		return err
	case len(now) == 0 && taken && m.told: // this OK is another command's
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
	t.full, t.mutedUntil = true, time.Time{}
	t.endLook()
	if t.beginLook(true, begin) {
		t.look.urged, t.look.hurried = true, true
	}
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
