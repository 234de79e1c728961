package modem

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/warthog618/modem/at"
)

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
	begin := time.Now()
	info, err := s.ask(ctx, cmd, limitSIM)
	m := parseStored(info)
	switch {
	case errors.Is(err, errSilent):
		delete(s.silent, cmd)
		return m, unanswered, nil
	case err != nil && !answered(err):
		return m, fault, err
	case err != nil && !s.memories.empty.tells(p, err, time.Since(begin)):
		return m, fault, nil
	case err != nil || m.body == "" || phantom(m):
		s.chores.forget(p)
		return m, nothing, nil
	}
	s.memories.empty.over()
	s.chores.readsByIndex(p.memory, true)
	if m.textual { // PDU mode is lost, and what was to be read is still there
		s.inTextMode()
		return m, fault, nil
	}
	return m, aMessage, nil
}

// emptiness is how a modem says that nothing is in a place, where it does so by
// an error of its own: the same one at once, place after place.
type emptiness struct {
	word  string // the error; "" while none is known
	learn string // one that may be it
	at    place  // where it came last
	row   int    // for so many places in a row
}

const (
	// emptyRow is after how many places the same error means that they are
	// empty, and emptyWithin how soon it comes: what can't be read takes longer.
	emptyRow    = 3
	emptyWithin = time.Second
)

// tells takes in the error for a place, and tells whether it says that the
// place is empty: +CMS ERROR: 321, invalid memory index, no more than ERROR, or
// what this modem says.
func (m *emptiness) tells(p place, err error, took time.Duration) bool {
	cms, _ := errorNumbers(err)
	if cms == 321 || errors.Is(err, at.ErrError) {
		m.over()
		return true
	}
	word := err.Error()
	switch {
	case word == m.word:
		return true
	case took > emptyWithin || ofTheSIM(err):
		m.over()
		return false
	case word != m.learn:
		m.learn, m.row = word, 1
	case p != m.at:
		m.row++
	}
	m.at = p
	if m.row == emptyRow {
		m.word = word
	}
	return m.row >= emptyRow
}

// over ends a row.
func (m *emptiness) over() { m.learn, m.row = "", 0 }

// ofTheSIM tells the errors that are the SIM's, or the modem's because of it,
// and say nothing of a place (27.005 3.2.5, 27.007 9.2).
func ofTheSIM(err error) bool {
	cms, cme := errorNumbers(err)
	return cms >= 310 && cms <= 318 || cme >= 10 && cme <= 18
}

// decoded is the TPDU of a stored message. garbled: it contradicts its header or
// can't be decoded.
func (m storedMessage) decoded() (raw []byte, found contents, garbled bool) {
	raw, err := decodeTPDU(m.body, m.octets)
	if err != nil {
		return octetsOf(m.body), aMessage, true
	}
	wrong := m.octets > 0 && len(raw) != m.octets
	if isStatusReport(raw) {
		_, err = decodeReport(raw)
		return raw, aReport, wrong || err != nil
	}
	return raw, aMessage, wrong || decodeDeliver(raw).Undecodable
}

// others tells somebody's draft, or a copy of what they sent: by <stat>, or by
// its type (TS 23.040 9.2.3.1) where that is not told.
func (m storedMessage) others(raw []byte, found contents) bool {
	const submit = 0x01
	return m.unsent || m.sent && found != aReport || m.untold && len(raw) > 0 && raw[0]&0x03 == submit
}

// accept hands on what was read from a place, unless that is under way.
func (s *session) accept(p place, m storedMessage) contents {
	c := s.chores
	raw, found, garbled := m.decoded()
	now := time.Now()
	c.mu.Lock()
	e := c.store.enter(p, fingerprint(m.body))
	switch {
	case e == nil:
		c.mu.Unlock()
		return fault
	case e.standing == waiting || e.standing == kept:
		c.mu.Unlock()
		return found
	case m.others(raw, found):
		e.standing, e.sent = foreign, m.sent
		c.mu.Unlock()
		return notOurs
	case garbled && !e.believe(now, c.store.full):
		c.mu.Unlock()
		return found
	case c.store.elsewhere(p, e): // it may be in two memories that are one
		e.standing, e.due = reading, now.Add(time.Second)
		e.tries++
		c.mu.Unlock()
		return found
	}
	e.standing = waiting
	c.mu.Unlock()
	print := e.print
	if !s.incoming.handStored(raw, receipt{s.identity(), now}, func(err error) { c.handled(p, print, err) }) {
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
	if err != nil {
		e.sure, e.clings = false, true // perhaps it is gone, and something else there
		c.mu.Unlock()
		return nil
	}
	c.store.removed(p, e.print)
	behind := c.store.behind(p)
	c.mu.Unlock()
	if len(behind) == 0 {
		return nil
	}
	return s.closeUp(ctx, p, behind)
}

// closeUp sees to it that nothing is deleted unread on a modem that fills the
// gap which a deletion leaves with what is behind it: it looks what is in the
// place now. Where nothing is, the modem leaves places as they are, and is not
// looked at again.
func (s *session) closeUp(ctx context.Context, p place, behind []*entry) error {
	c := s.chores
	c.mu.Lock()
	moves, known := c.store.moves[p.memory]
	blind := c.store.listOnly(p.memory) // AT+CMGR tells nothing
	c.mu.Unlock()
	switch {
	case known && !moves:
		return nil
	case moves || blind:
		c.doubt(behind)
		return nil
	}
	m, found, err := s.fetch(ctx, p)
	if err == nil && found == nothing {
		c.setMoves(p.memory, false)
		return nil
	}
	c.doubt(behind)
	if err != nil || found != aMessage {
		return err
	}
	print := fingerprint(m.body)
	if slices.ContainsFunc(behind, func(e *entry) bool { return e.print == print }) {
		c.setMoves(p.memory, true)
	} // else it has just come, or was behind and not read
	s.accept(p, m)
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
	if s.chores.listOnly(memory) {
		return s.listAnnounced(ctx, a, memory)
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
