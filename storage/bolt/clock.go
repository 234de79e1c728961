package bolt

import (
	"fmt"
	"sync"
	"time"

	"smsotpd/storage"
)

// maxAhead is how far the stored time may lie ahead of the wall clock at open.
const maxAhead = 24 * time.Hour

// clock never runs backwards: it shows the wall clock, or, where that fell
// behind, the latest time shown plus what passed since by monotonic time.
type clock struct {
	wall func() time.Time

	mu   sync.Mutex
	from time.Time // a reading of the wall clock
	mark int64     // what the clock showed at from, in µs since 1970
	last int64     // what it showed last
}

// newClock begins at mark (µs since 1970), or at the wall clock if that is
// later. It refuses a mark more than maxAhead ahead.
func newClock(wall func() time.Time, mark int64) (*clock, error) {
	from := wall()
	if ahead := time.UnixMicro(mark).Sub(from); ahead > maxAhead {
		return nil, fmt.Errorf("%w: the store was last written at %s, but the clock shows %s. "+
			"Set the clock right (timedatectl; a board without a battery clock must wait for NTP) and start again; "+
			"if the stored time is the wrong one, start once with the clock reset option",
			storage.ErrClock, time.UnixMicro(mark).UTC().Format(time.RFC3339), from.UTC().Format(time.RFC3339))
	}
	return &clock{wall: wall, from: from, mark: mark, last: mark}, nil
}

// micros is the time now in µs since 1970.
func (c *clock) micros() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	reading := c.wall()
	wall := reading.UnixMicro()
	if passed := c.mark + reading.Sub(c.from).Microseconds(); wall >= passed {
		c.from, c.mark = reading, wall
		c.last = max(c.last, wall)
	} else {
		c.last = max(c.last, passed)
	}
	return c.last
}

// Now is the time now in UTC.
func (c *clock) Now() time.Time { return time.UnixMicro(c.micros()).UTC() }

// latest is what the clock showed last, in µs since 1970.
func (c *clock) latest() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
