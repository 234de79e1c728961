package dispatch

import (
	"sync"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
)

// index holds the open messages in memory: which may be sent now and by which
// SIMs, which later, and which time will change. It is rebuilt from the store at
// start and fed by Watch. It only proposes; the store's transactions decide.
//
// Messages that may go by the same SIMs lie in one heap, so that to find a
// line's next message, or a message's line, takes no walk over messages or
// lines: see way.
//
// Its methods may be called from many goroutines.
type index struct {
	mu     sync.Mutex
	policy Policy
	// policyLimits: the policy limits some SIM.
	policyLimits bool
	epoch        time.Time // of moments
	entries      map[queue.ID]*entry
	// plain are the wants of messages that ask for nothing of their own.
	plain map[wayKey]*want
	// timed wait for a time; an entry may be elsewhere besides. waiting are
	// those to be sent, by lane, the oldest first.
	timed   heapOf[*entry]
	waiting [lanes]heapOf[*entry]
	ways    map[wayKey]*way
	lines   map[*line]bool
	cards   map[string]*card
	// served are the entries whose recipients a SIM (IMSI) has this month.
	served map[string]map[*entry]bool
	// stranded are the messages that are to go by another operator than the given
	// one, and that no other may have; they are looked at again at rescueAt.
	stranded map[*entry]string
	rescueAt time.Time
	// met: a SIM that may have no more recipients knows one more; see known.go.
	met bool
	// clocks are the cards that time will change.
	clocks heapOf[*card]
	// held are the modems that the operator has taken out.
	held map[string]bool
	// admitted are the messages that were let in and are not yet among the
	// entries, by id; pending counts them with those to be sent, by rule.
	admitted map[queue.ID]promise
	pending  map[int]*[lanes]int
	// acquainted counts the same by the SIMs (IMSI) that know their recipients, or
	// that alone they are for.
	acquainted map[string]int
	// era changes whenever another line may be the best for a message.
	era uint64
	// loads is how often all messages were read.
	loads uint64
	// sooner tells whoever sleeps until the earliest time to look again.
	sooner chan struct{}
	// breaker says whether a SIM is distrusted for a region, and from when on it
	// may have one message all the same; probe whether it may have that now.
	breaker func(sim, region string) (open bool, probeAt time.Time)
	probe   func(sim, region string) bool
	// changes are what the operator's hand has set of limits, by SIM.
	changes  map[string]budget.Change
	capacity map[capacityKey]*capacity
}

// lanes is how many there are.
const lanes = int(queue.LaneNotice) + 1

func newIndex(p Policy) *index {
	x := &index{
		policy: p, policyLimits: p.limited(), plain: map[wayKey]*want{}, entries: map[queue.ID]*entry{}, ways: map[wayKey]*way{}, lines: map[*line]bool{},
		cards: map[string]*card{}, served: map[string]map[*entry]bool{}, stranded: map[*entry]string{}, held: map[string]bool{}, admitted: map[queue.ID]promise{},
		pending: map[int]*[lanes]int{}, acquainted: map[string]int{}, era: 1, sooner: make(chan struct{}, 1),
		changes: map[string]budget.Change{}, capacity: map[capacityKey]*capacity{},
		breaker: func(string, string) (bool, time.Time) { return false, time.Time{} },
		probe:   func(string, string) bool { return false },
		epoch:   time.Now().Add(-1), // so that 0 is no time that comes up
	}
	x.timed = heapOf[*entry]{
		less:  func(a, b *entry) bool { return a.at < b.at },
		place: func(e *entry) *place { return &e.timed },
	}
	for lane := range x.waiting {
		x.waiting[lane] = heapOf[*entry]{
			less:  func(a, b *entry) bool { return a.created < b.created },
			place: func(e *entry) *place { return &e.queued },
		}
	}
	x.clocks = heapOf[*card]{
		less:  func(a, b *card) bool { return a.wake.Before(b.wake) },
		place: func(c *card) *place { return &c.clock },
	}
	return x
}

// news is what a transaction at the given time of the store found of a message.
type news struct {
	message              queue.Message
	want                 want
	send, advance, watch time.Time
	now                  time.Time
}

// put makes the message's entry say what a transaction found.
func (x *index) put(id queue.ID, n news) {
	now, m := time.Now(), n.message
	local := func(t time.Time) moment {
		if t.IsZero() {
			return 0
		}
		return x.moment(now.Add(t.Sub(n.now)))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forgetPromise(id)
	e := x.entries[id]
	if !m.State.Open() {
		x.drop(e)
		return
	}
	if e == nil {
		e = &entry{id: id, created: local(m.Created.Time())}
		x.entries[id] = e
	}
	x.uncount(e)
	x.unsend(e, true)
	x.want(e, n.want)
	e.lane, e.rank, e.put = m.Lane, rank(m), x.loads
	e.send, e.due, e.advance, e.watch = !n.send.IsZero(), local(n.send), local(n.advance), local(n.watch)
	if e.want.by != "" && e.shut != 0 && e.shut > e.due {
		e.due = e.shut
	}
	e.missed = e.missed && m.State == queue.Accepted
	if !e.missed || m.Text == nil {
		delete(x.stranded, e)
	}
	x.sort(e, now)
}

// remove forgets a message.
func (x *index) remove(id queue.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.forgetPromise(id)
	x.drop(x.entries[id])
}

// loading says that all messages will be put; see keep.
func (x *index) loading() (load uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loads++
	return x.loads
}

// keep forgets every message that was not put since the load began, and what was
// promised to those that have come and gone without a word.
func (x *index) keep(load uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.entries {
		if e.put < load {
			x.drop(e)
		}
	}
	x.breakPromises(time.Now())
}

func (x *index) drop(e *entry) {
	if e == nil {
		return
	}
	x.uncount(e)
	x.unsend(e, false)
	x.timed.remove(e)
	x.estrange(e)
	delete(x.stranded, e)
	delete(x.entries, e.id)
	e.dropped = true
}

// unsend takes the entry out of what may be sent; chosen: its line may go on to
// mean to send it.
func (x *index) unsend(e *entry, chosen bool) {
	if e.in != nil {
		e.in.remove(e)
		e.in = nil
	}
	if e.also != nil {
		e.also.remove(e)
		e.also = nil
	}
	if e.by != nil && !chosen {
		e.by.next, e.by = nil, nil
	}
}

// sort puts the entry where its times say, and serves an idle line with it.
func (x *index) sort(e *entry, now time.Time) {
	// What a line has taken counts until its SIM's ledger does.
	if e.send || e.taken {
		x.count(e)
	} else {
		x.uncount(e)
	}
	present := x.moment(now)
	if !e.send || e.due > present || e.taken {
		x.unsend(e, false)
	} else {
		x.list(e, now)
		x.serve(e, now)
	}
	at := e.advance
	soonest := func(m moment) {
		if m > present && (at == 0 || m < at) {
			at = m
		}
	}
	if e.send {
		soonest(e.due)
		if len(e.want.avoid) > 0 {
			soonest(e.due.add(patience))
		}
		if len(e.want.known) > 0 {
			soonest(e.due.add(x.policy.Stick))
		}
	}
	if !e.missed && e.watch != 0 && (at == 0 || e.watch < at) {
		at = e.watch
	}
	if at == 0 {
		x.timed.remove(e)
		return
	}
	e.at = at
	x.timed.set(e)
	if first, _ := x.timed.first(); first == e {
		x.hurry()
	}
}

// list puts an entry that may be sent among those that the same SIMs may send:
// those that wait for the one SIM that their recipient knows, or all others.
func (x *index) list(e *entry, now time.Time) {
	h, also := x.heapFor(e, now)
	if h != e.in || also != e.also {
		x.unsend(e, true)
	}
	e.in, e.also = h, also
	h.set(e)
	if also != nil {
		also.set(e)
	}
}

// heapFor is the heap that an entry which may be sent belongs in, and the one that
// it belongs in besides, if there is one.
func (x *index) heapFor(e *entry, now time.Time) (in, also *heapOf[*entry]) {
	if c := x.sticks(e, now); c != nil {
		if e.by != nil && e.by.card == c {
			return &c.chosen, nil
		}
		if e.by != nil {
			e.by.next, e.by = nil, nil
		}
		return &c.own, nil
	}
	w := x.way(e.want.way)
	b := w.bin(e, now)
	if c := x.knownTo(e, now); c != nil {
		also = w.familiarTo(c)
	}
	if e.by != nil {
		return &b.chosen, also
	}
	return &b.ready, also
}

// release gives back an entry that was taken; what the store says of it comes
// with the next put.
func (x *index) release(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e.taken = false
	if !e.dropped {
		x.sort(e, time.Now())
	}
}

// begin notes that a taken entry is being sent, or could not be: nothing is to be
// done about it until a put says what became of it.
func (x *index) begin(e *entry, now time.Time) {
	e.taken, e.send, e.advance, e.watch, e.missed = false, false, 0, 0, false
	if !e.dropped {
		x.sort(e, now)
	}
}

// refused notes that a taken entry could not be begun; the store is to be asked why.
// full: the SIM may not have its recipient, which is not to be asked about again and
// again.
func (x *index) refused(e *entry, full bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	if full {
		e.shut = x.moment(now.Add(soon))
	}
	x.begin(e, now)
}

// failedFor is after what time something is tried again that should have worked,
// with a message or a record that it needs.
const failedFor = time.Minute

// postpone lets a message be tried again a while later that could not be begun, or
// moved on by time.
func (x *index) postpone(id queue.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.entries[id]
	if e == nil {
		return
	}
	now := time.Now()
	later := x.moment(now).add(failedFor)
	if !e.send || e.due < later {
		e.due = later
	}
	if e.advance == 0 || e.advance < later && x.moment(now) >= e.advance {
		e.advance = later
	}
	x.sort(e, now)
}

// count counts the entry among those that wait to be sent; uncount does not any
// more.
func (x *index) count(e *entry) {
	if e.queued == 0 {
		x.waiting[e.lane].set(e)
		x.pendingOf(e.want.way.rule)[e.lane]++
		x.reckon(e.want.acquainted(), 1)
	}
}

func (x *index) uncount(e *entry) {
	if e.queued != 0 {
		x.waiting[e.lane].remove(e)
		x.pendingOf(e.want.way.rule)[e.lane]--
		x.reckon(e.want.acquainted(), -1)
	}
}

// reckon adds so many to what may wait for each of these SIMs.
func (x *index) reckon(sims []string, n int) {
	for _, imsi := range sims {
		if x.acquainted[imsi] += n; x.acquainted[imsi] == 0 {
			delete(x.acquainted, imsi)
		}
	}
}

func (x *index) pendingOf(rule int) *[lanes]int {
	n := x.pending[rule]
	if n == nil {
		n = new([lanes]int)
		x.pending[rule] = n
		clear(x.capacity) // none counts it
	}
	return n
}

// depth is how many messages wait to be sent in each lane, and since when the
// oldest does.
func (x *index) depth() (waiting map[queue.Lane]int, oldest map[queue.Lane]time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	waiting, oldest = map[queue.Lane]int{}, map[queue.Lane]time.Time{}
	for lane := range x.waiting {
		if e, ok := x.waiting[lane].first(); ok {
			waiting[queue.Lane(lane)], oldest[queue.Lane(lane)] = x.waiting[lane].Len(), x.time(e.created) //nolint:gosec // there are two
		}
	}
	return waiting, oldest
}
