package modem

import (
	"slices"
	"time"
)

// pick is an entry of the standing that is due: of the selected memory if there
// is one, and the last in its memory. What is deleted from behind moves nothing
// that waits to be deleted, on modems that close the gap.
func (t *store) pick(now time.Time, selected string, standings ...standing) (place, bool) {
	var found place
	ok := false
	for p, e := range t.entries {
		if !slices.Contains(standings, e.standing) || now.Before(e.due) || e.standing == kept && t.held(p) {
			continue
		}
		if !ok || ahead(p, found, selected) {
			found, ok = p, true
		}
	}
	return found, ok
}

// ahead tells whether the place p is picked before q.
func ahead(p, q place, selected string) bool {
	switch {
	case p.memory == q.memory:
		return p.index > q.index
	case p.memory == selected || q.memory == selected:
		return p.memory == selected
	}
	return p.memory < q.memory
}

// held tells whether what is kept stays where it is for now, unless there is no
// room: what nobody has read yet would move, or may.
func (t *store) held(p place) bool {
	moves, known := t.moves[p.memory]
	if t.full || known && !moves {
		return false
	}
	if l := t.look; l != nil && l.within && l.memory == p.memory {
		return true
	}
	if len(t.announced) > 0 && !known && !t.listOnly(p.memory) {
		return false // there may be no end of them; what is behind it will tell whether it moves
	}
	for q, e := range t.entries {
		if q.memory == p.memory && q.index > p.index && e.standing == waiting {
			return true
		}
	}
	return moves && slices.ContainsFunc(t.announced, func(a announcement) bool { return a.memory == p.memory || a.memory == "" })
}

// goBack has the look that is under way, or the next one, not pass over what may
// have moved to where it has been.
func (t *store) goBack(p place) {
	if l := t.look; l != nil && l.within && l.memory == p.memory && l.index > p.index {
		l.index--
		if _, known := t.moves[p.memory]; !known && t.entries[place{l.memory, l.index}] != nil {
			l.left++ // what is there is met a second time, unless it has moved
		}
	}
	if s, ok := t.stops[p.memory]; ok && s.index > p.index {
		t.stops[p.memory] = stop{s.index - 1, s.whole}
	}
}

// behind are the entries of the memory with higher indexes of which it is certain
// what is there.
func (t *store) behind(p place) []*entry {
	var found []*entry
	for q, e := range t.entries {
		if q.memory == p.memory && q.index > p.index && e.sure {
			found = append(found, e)
		}
	}
	return found
}

// setMoves notes whether what is behind a deleted message moves up.
func (c *chores) setMoves(memory string, moves bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.moves[memory] = moves
}

// doubt has what is in the places of the entries compared before it is deleted.
func (c *chores) doubt(entries []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		e.sure, e.clings = false, false
	}
}
