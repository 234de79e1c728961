package modem

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// seek looks for what a memory has and a look by index has not found: at
// indexes behind its end, or on a modem that reads none. The one way is to have
// all listed, which hangs on some modems, and for minutes: that is done only
// where there is something to be found. What isn't, the operator is told of.
func (s *session) seek(ctx context.Context, l *look) error {
	if !l.confirmed {
		return s.confirmMissing(ctx, l)
	}
	l.missing, l.confirmed = false, false
	c := s.chores
	if l.hurried && !c.listOnly(l.memory) {
		return nil // a list may take minutes, in vain
	}
	due, before := c.listDue(l.memory, time.Now()), c.known(l.memory)
	if due {
		if ready, err := s.selectMemory(ctx, l.memory); err != nil || !ready {
			return err
		}
		if err := s.list(ctx, l.memory); err != nil {
			return err
		}
	}
	if c.known(l.memory) > before {
		c.readsByIndex(l.memory, false)
		return nil // and the next look tells whether that was all
	}
	s.noteUnfound(l.memory, l.left)
	if due {
		c.mu.Lock()
		c.store.listAfter[l.memory] = time.Now().Add(wideEvery)
		c.mu.Unlock()
		c.dropForeign(l.memory) // once: else each look would miss them
	}
	return nil
}

// confirmMissing asks again how much there is: something may have been deleted
// while places were read. What has come since is not missed.
func (s *session) confirmMissing(ctx context.Context, l *look) error {
	now, _, err := s.memoriesInUse(ctx)
	switch {
	case err != nil:
		return err
	case len(now) == 0:
	case now[0].name != l.memory:
		s.memories.sureAt = time.Time{}
	default:
		s.memories.sureAt = time.Now()
		l.left = min(l.left, now[0].used-s.chores.known(l.memory))
	}
	l.missing, l.confirmed = l.left > 0, l.left > 0
	return nil
}

// noteUnfound takes in how many messages of a memory can't be found, and tells
// of them once.
func (s *session) noteUnfound(memory string, n int) {
	c := s.chores
	c.mu.Lock()
	before := c.store.unfound[memory]
	if n > 0 {
		c.store.unfound[memory] = n
	} else {
		delete(c.store.unfound, memory)
	}
	c.mu.Unlock()
	if n > 0 && before == 0 {
		s.log.Warn("the modem says that it has messages stored, and gives them in no way", "memory", memory, "count", n)
		s.incoming.happened(EventUnreadable, strings.TrimSpace(fmt.Sprintf("%d stored that the modem does not give, in memory %s", n, memory)))
	}
}

// storeNotice is what the operator should know of the modem's memories, "" for
// nothing.
func (s *session) storeNotice() string {
	c := s.chores
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, count := range c.store.unfound {
		n += count
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("messages stored in the modem or SIM that it does not give: %d; a phone may read or delete them", n)
}
