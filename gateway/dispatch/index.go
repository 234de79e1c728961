package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// index holds the open messages in memory: which may be sent now, which later,
// and which time will change. It is rebuilt from the store at start and fed by
// Watch. It only proposes; the store's transactions decide.
//
// Its methods may be called from many goroutines.
type index struct {
	mu      sync.Mutex
	entries map[queue.ID]*entry
	// ready may be sent now. chosen may be too: they are what busy lines
	// mean to send next. An entry is in at most one of the two.
	ready, chosen heapOf
	// timed wait for a time; an entry may be in it besides.
	timed heapOf
	// lines are the modem sessions that can send, idle those of them that
	// wait in take, the longest waiting first.
	lines map[*line]bool
	idle  []*line
	// sooner tells whoever sleeps until the earliest time to look again.
	sooner chan struct{}
}

// line is one modem session as the index sees it.
type line struct {
	queue.Carrier
	// next is what the line means to send next, chosen while it was busy; an
	// idle line may take it over. Guarded by index.mu.
	next *entry
	// hand is where an idle line is handed an entry; it has room for one.
	hand chan *entry
}

func newLine(c queue.Carrier) *line { return &line{Carrier: c, hand: make(chan *entry, 1)} }

// entry is one open message; index.mu guards all but id.
type entry struct {
	id   queue.ID
	lane queue.Lane
	// created is for the age of the queue alone.
	created time.Time
	// rank is its place in the lane, by the store's clock; see rank.
	rank storage.Time
	// send says that it is to be sent, from due on; advance is when time
	// changes its state, zero for never. Both are times of the local clock.
	send         bool
	due, advance time.Time
	// avoid are SIMs (IMSI) that another one is better than; see patience.
	avoid []string
	// taken: a line has it and asks the store.
	taken bool
	// by is the line that has chosen it.
	by *line
	// sendable is its place in ready or chosen, timed in timed.
	sendable, timed place
}

// patience is how long a message waits for a SIM that it need not avoid before
// any will do: longer than most sends take, so that a modem that hangs holds up
// none but its own.
const patience = 10 * time.Second

func newIndex() *index {
	x := &index{
		entries: map[queue.ID]*entry{}, lines: map[*line]bool{},
		sooner: make(chan struct{}, 1),
	}
	better := func(a, b *entry) bool {
		if a.lane != b.lane {
			return a.lane < b.lane
		}
		if a.rank != b.rank {
			return a.rank < b.rank
		}
		return a.due.Before(b.due)
	}
	sendable := func(e *entry) *place { return &e.sendable }
	x.ready = heapOf{less: better, place: sendable}
	x.chosen = heapOf{less: better, place: sendable}
	x.timed = heapOf{
		less:  func(a, b *entry) bool { return a.timed.at.Before(b.timed.at) },
		place: func(e *entry) *place { return &e.timed },
	}
	return x
}

// put makes the message's entry say what a transaction at storeNow found.
func (x *index) put(id queue.ID, m queue.Message, send, advance, storeNow time.Time) {
	now := time.Now()
	local := func(t time.Time) time.Time {
		if t.IsZero() {
			return t
		}
		return now.Add(t.Sub(storeNow))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entries[id]
	if !m.State.Open() {
		x.drop(e)
		return
	}
	if e == nil {
		e = &entry{id: id, created: local(m.Created.Time())}
		x.entries[id] = e
	}
	e.lane, e.rank, e.avoid = m.Lane, rank(m), m.Avoid()
	e.send, e.due, e.advance = !send.IsZero(), local(send), local(advance)
	x.sort(e, now)
}

// rank is a message's place among those that are due: that of its creation, so
// that a try that went wrong does not put it behind later ones. Refused twice,
// it goes behind what came until it is due again: numbers out of reach must not
// hold up all others.
func rank(m queue.Message) storage.Time {
	if m.Refusals() > 1 {
		return m.Due
	}
	return m.Created
}

// remove forgets a message.
func (x *index) remove(id queue.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(x.entries[id])
}

// keep forgets every message that is not among the known ones.
func (x *index) keep(known map[queue.ID]bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, e := range x.entries {
		if !known[id] {
			x.drop(e)
		}
	}
}

func (x *index) drop(e *entry) {
	if e == nil {
		return
	}
	x.unsend(e)
	x.timed.remove(e)
	delete(x.entries, e.id)
}

// unsend takes the entry out of ready and chosen.
func (x *index) unsend(e *entry) {
	x.ready.remove(e)
	x.chosen.remove(e)
	if e.by != nil {
		e.by.next, e.by = nil, nil
	}
}

// sort puts the entry where its times say, and serves an idle line with it.
func (x *index) sort(e *entry, now time.Time) {
	due := e.send && !e.due.After(now)
	switch {
	case !due || e.taken:
		x.unsend(e)
	case e.by == nil:
		x.ready.set(e)
		x.serve(e, now)
	default:
		x.chosen.set(e)
		x.serve(e, now)
	}
	at := e.advance
	soonest := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if e.send {
		soonest(e.due)
		if len(e.avoid) > 0 {
			soonest(e.due.Add(patience))
		}
	}
	if at.IsZero() {
		x.timed.remove(e)
		return
	}
	e.timed.at = at
	x.timed.set(e)
	if x.timed.first() == e {
		select {
		case x.sooner <- struct{}{}:
		default:
		}
	}
}

// serve hands an entry that is ready or chosen to the idle line that has waited
// longest of those that may send it.
func (x *index) serve(e *entry, now time.Time) {
	i := slices.IndexFunc(x.idle, func(l *line) bool { return x.allowed(e, l, now) })
	if i < 0 {
		return
	}
	l := x.idle[i]
	x.idle = slices.Delete(x.idle, i, i+1)
	x.claim(e)
	l.hand <- e
}

// allowed says whether the line may send the entry: its SIM has not failed
// with it, no other SIM is there, or the others have kept it waiting.
func (x *index) allowed(e *entry, l *line, now time.Time) bool {
	if !slices.Contains(e.avoid, l.IMSI) || now.Sub(e.due) >= patience {
		return true
	}
	for other := range x.lines {
		if !slices.Contains(e.avoid, other.IMSI) {
			return false
		}
	}
	return true
}

// another says whether a line is there whose SIM is none of the given ones.
func (x *index) another(sims []string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	for l := range x.lines {
		if !slices.Contains(sims, l.IMSI) {
			return true
		}
	}
	return false
}

func (x *index) claim(e *entry) {
	x.unsend(e)
	e.taken = true
}

// pick returns the best entry of h that the line may send, nil if there is
// none.
func (x *index) pick(h *heapOf, l *line) *entry {
	now := time.Now()
	var passed []*entry
	var found *entry
	for found == nil && h.Len() > 0 {
		e := h.first()
		h.remove(e)
		passed = append(passed, e)
		if x.allowed(e, l, now) {
			found = e
		}
	}
	for _, e := range passed {
		h.set(e)
	}
	return found
}

// add makes a line known, gone takes it away.
func (x *index) add(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lines[l] = true
}

func (x *index) gone(l *line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.lines, l)
	x.idle = slices.DeleteFunc(x.idle, func(other *line) bool { return other == l })
	if e := l.next; e != nil {
		l.next, e.by = nil, nil
		x.chosen.remove(e)
		x.sort(e, time.Now())
	}
	// What waited for this line may be anybody's now.
	now := time.Now()
	for _, e := range slices.Concat(x.ready.entries, x.chosen.entries) {
		if len(e.avoid) > 0 {
			x.serve(e, now)
		}
	}
}

// tryTake gives the line its next entry: what it chose ahead, the best that
// nobody has chosen, or what a busy line has. nil: there is nothing to send.
func (x *index) tryTake(l *line) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.takeNow(l)
}

func (x *index) takeNow(l *line) *entry {
	e := l.next
	if e == nil {
		e = x.pick(&x.ready, l)
	}
	if e == nil {
		e = x.pick(&x.chosen, l)
	}
	if e != nil {
		x.claim(e)
	}
	return e
}

// take waits for an entry; nil when ctx or the session ends.
func (x *index) take(ctx context.Context, l *line, closed <-chan struct{}) *entry {
	select {
	case <-ctx.Done():
		return nil
	case <-closed:
		return nil
	default:
	}
	x.mu.Lock()
	if e := x.takeNow(l); e != nil {
		x.mu.Unlock()
		return e
	}
	x.idle = append(x.idle, l)
	x.mu.Unlock()
	select {
	case e := <-l.hand:
		return e
	case <-ctx.Done():
	case <-closed:
	}
	x.mu.Lock()
	x.idle = slices.DeleteFunc(x.idle, func(other *line) bool { return other == l })
	x.mu.Unlock()
	select {
	case e := <-l.hand:
		x.release(e)
	default:
	}
	return nil
}

// choose makes the best entry that nobody has chosen the line's next, and
// returns it; nil if there is none.
func (x *index) choose(l *line) *entry {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l.next != nil {
		return l.next
	}
	e := x.pick(&x.ready, l)
	if e == nil {
		return nil
	}
	x.ready.remove(e)
	l.next, e.by = e, l
	x.chosen.set(e)
	return e
}

// release gives back an entry that was taken; what the store says of it comes
// with the next put.
func (x *index) release(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e.taken = false
	if x.entries[e.id] == e {
		x.sort(e, time.Now())
	}
}

// begun notes that a taken entry is being sent: nothing is to be done about it
// until a put says what became of it.
func (x *index) begun(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e.taken, e.send, e.advance = false, false, time.Time{}
	if x.entries[e.id] == e {
		x.sort(e, time.Now())
	}
}

// mature moves what has fallen due to ready, and returns the messages whose
// state time has changed, and how long until there is more to do.
func (x *index) mature() (advance []queue.ID, wait time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	for x.timed.Len() > 0 {
		e := x.timed.first()
		if e.timed.at.After(now) {
			return advance, e.timed.at.Sub(now)
		}
		x.timed.remove(e)
		if !e.advance.IsZero() && !e.advance.After(now) {
			advance = append(advance, e.id)
			e.advance = time.Time{}
		}
		x.sort(e, now)
	}
	return advance, time.Hour
}

// depth is how many messages wait to be sent in each lane, and since when the
// oldest does.
func (x *index) depth() (waiting map[queue.Lane]int, oldest map[queue.Lane]time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	waiting, oldest = map[queue.Lane]int{}, map[queue.Lane]time.Time{}
	for _, e := range x.entries {
		if !e.send {
			continue
		}
		waiting[e.lane]++
		if at, ok := oldest[e.lane]; !ok || e.created.Before(at) {
			oldest[e.lane] = e.created
		}
	}
	return waiting, oldest
}
