package modem

import (
	"context"
	"sync"
	"time"
)

// chores are what a session has to do between messages, one command a turn,
// so that a message waits for one command at most: acknowledge what came,
// read and delete what the modem has stored, and look whether it still hands
// over what comes.
type chores struct {
	due chan struct{} // holds a token when something is to be done

	mu sync.Mutex
	// Guarded by mu.
	timer *time.Timer // puts the token in
	began time.Time   // when the preparation was over; zero: nothing is due yet
	acks  []time.Time // what must be acknowledged and is kept, by when it came
	// startedAt is when the modem was last given up for started anew: what came
	// before that it has forgotten, and waits for no acknowledgement of it.
	startedAt time.Time
	// doubted: the routing is to be verified.
	doubted bool
	// distrusted: a report was not where the modem announced it.
	distrusted bool
	// wide: all memories are to be looked through at the next look.
	wide     bool
	tidyAt   time.Time // of the next look, and the next check of the routing
	directAt time.Time // when something last came directly
	bareAt   time.Time // when the last +CMT or +CDS came without its PDU
	store    store
}

const (
	// tidyEvery is how often a modem's memory and routing are looked at, unless
	// Timeouts.Tidy says otherwise.
	tidyEvery = time.Minute
	// wideEvery is how often memories are looked at that nothing should be in.
	wideEvery = 10 * time.Minute
)

func newChores() *chores {
	c := &chores{due: make(chan struct{}, 1)}
	c.store.entries = make(map[place]*entry)
	c.store.stops, c.store.unfound, c.store.listAfter = make(map[string]stop), make(map[string]int), make(map[string]time.Time)
	c.store.moves, c.store.byIndex = make(map[string]bool), make(map[string]bool)
	return c
}

// signal puts the token in. The caller may hold mu.
func (c *chores) signal() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// reset forgets what a restart of the modem makes void.
func (c *chores) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.acks, c.doubted, c.distrusted = time.Time{}, nil, false, false
	c.startedAt = time.Now()
	c.store.reset()
}

// begin makes the chores due: the modem is prepared.
func (c *chores) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.wide = time.Now(), true
	c.tidyAt = c.began
	c.signal()
}

// stop ends the timer. Nothing is due after that by itself.
func (c *chores) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = time.Time{}
	if c.timer != nil {
		c.timer.Stop()
	}
}

// direct notes that a report or message came directly.
func (c *chores) direct(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.directAt = at
}

// headless notes that +CMT or +CDS came without its PDU; sinceHeadless is how
// long ago that was.
func (c *chores) headless() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bareAt = time.Now()
}

func (c *chores) sinceHeadless(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return now.Sub(c.bareAt)
}

// settled takes in what the handler said of something that came directly at the
// given time. Only what it has made durable is acknowledged, since the network
// then forgets it. What takes longer than the network waits comes again, and the
// modem may have turned the routing off.
func (c *chores) settled(at time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case at.Before(c.startedAt):
	case time.Since(at) > lateAck:
		c.doubted = true
		c.signal()
	case err == nil && len(c.acks) < maxAnnounced:
		c.acks = append(c.acks, at)
		c.signal()
	}
}

// overtaken tells whether something newer came directly: an acknowledgement
// would count for that.
func (c *chores) overtaken(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.directAt.After(at)
}

// oweAck puts an acknowledgement in front.
func (c *chores) oweAck(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks = append([]time.Time{since}, c.acks...)
	c.signal()
}

// doubtRouting has the routing verified.
func (c *chores) doubtRouting() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubted = true
	c.signal()
}

// full notes that the modem says that a memory is full.
func (c *chores) full() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.full, c.wide = true, true
	c.hasten(time.Now())
}

// hasten has the memories looked at by the given time. The caller holds mu.
func (c *chores) hasten(by time.Time) {
	if c.tidyAt.After(by) {
		c.tidyAt = by
	}
	c.signal()
}

// chore does the next thing that is due, with one command or a few that belong
// together. The caller has the turn. Errors are those of command. Nothing is
// done while settings may be lost: what is to be deleted is in the memory that
// was selected.
func (s *session) chore(ctx context.Context) error {
	if s.suspect.Load() {
		return errSuspect
	}
	did, err := s.nextChore(ctx, time.Now())
	if err == nil {
		s.chores.schedule(did)
	}
	return err
}

// nextChore tells whether there was something to do.
func (s *session) nextChore(ctx context.Context, now time.Time) (did bool, err error) {
	c := s.chores
	c.mu.Lock()
	if c.began.IsZero() {
		c.mu.Unlock()
		return false, nil
	}
	acks := c.acks
	if len(acks) > 0 {
		c.acks = acks[1:]
		if !s.routed.acknowledged {
			c.acks = nil
		}
	}
	doubted, distrusted := c.doubted, c.distrusted
	tidy := !now.Before(c.tidyAt)
	switch {
	case len(acks) > 0 && s.routed.acknowledged:
		c.mu.Unlock()
		return true, s.acknowledge(ctx, acks[0])
	case distrusted:
		c.distrusted = false
		c.mu.Unlock()
		return true, s.distrust(ctx)
	case doubted:
		c.doubted = false
		c.mu.Unlock()
		return true, s.verifyRouting(ctx)
	case tidy:
		c.tidyAt = now.Add(max(s.times.Tidy, tidyEvery))
		c.doubted = now.Sub(c.began) >= tidyEvery/2
		if c.store.beginLook(c.wide || now.Sub(c.store.wideAt) >= wideEvery, now) {
			c.store.look.urged, c.wide = c.wide, false
		}
		silent := c.fellSilent(now, s.usedAt())
		c.mu.Unlock()
		if silent && !s.routed.acknowledged && !s.routed.probed {
			return true, s.revivePath(ctx)
		}
		return true, nil
	}
	c.mu.Unlock()
	return s.tidy(ctx, now)
}

// fellSilent tells whether something came directly once, and nothing since,
// although messages were sent whose reports should be here by now. The caller
// holds mu.
func (c *chores) fellSilent(now, used time.Time) bool {
	return !c.directAt.IsZero() && used.After(c.directAt) && now.Sub(c.directAt) > silentFor && now.Sub(used) >= tidyEvery/2
}

// schedule sees to it that the token is there when something is due: at once
// only after something was done, so that nothing can go round in circles.
func (c *chores) schedule(did bool) {
	const atLeast = time.Second
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.began.IsZero() {
		return
	}
	now := time.Now()
	next := c.tidyAt
	if at, ok := c.store.next(now); ok && at.Before(next) {
		next = at
	}
	wait := next.Sub(now)
	if !did {
		wait = max(wait, atLeast)
	}
	switch {
	case len(c.acks) > 0 || c.doubted || c.distrusted || wait <= 0:
		c.signal()
	case c.timer == nil:
		c.timer = time.AfterFunc(wait, c.signal)
	default:
		c.timer.Reset(wait)
	}
}

// idle waits for d, or less if the modem gives a sign, and meanwhile does what
// is due. The caller has the turn.
func (s *session) idle(ctx context.Context, d time.Duration) error {
	over := time.After(d)
	for {
		select {
		case <-s.chores.due:
			if err := s.chore(ctx); err != nil {
				return err
			}
		case <-over:
			return nil
		case <-s.signed:
			return nil
		case <-s.wire.Gone():
			return errGone
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
