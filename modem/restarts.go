package modem

import (
	"fmt"
	"slices"
	"time"
)

const (
	// oneRestart is how long the signs of one restart may be apart.
	oneRestart = 5 * time.Second
	// restartsFor is how long a restart is remembered, tooManyRestarts how many
	// the operator is told of meanwhile.
	restartsFor     = 10 * time.Minute
	tooManyRestarts = 3
)

// weakSupply is what restarts mostly come from.
const weakSupply = "its power supply, its cable or the hub may be too weak"

// errWeak: the modem starts anew whenever it is to send.
var errWeak = fmt.Errorf("%w: it starts anew whenever it is to send: %s", errStuck, weakSupply)

// restarted takes in that the modem has begun anew. It runs in the wire's
// reading goroutine.
func (s *session) restarted(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.restartedAt) >= oneRestart {
		s.restarts = append(s.restarts, now)
		s.restartedAt = now
	}
}

// takeRestarts hands over the restarts since the last call.
func (s *session) takeRestarts() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.restarts
	s.restarts = nil
	return taken
}

// countRestarts tells of the restarts of the session, but for those that the
// modem was told to make, and the operator when they are too many.
func (w *worker) countRestarts(s *session) {
	for _, at := range s.takeRestarts() {
		if !w.ladder.reset.IsZero() && at.Sub(w.ladder.reset) < startUp {
			continue
		}
		w.restarts = append(w.restarts, at)
		w.happened(EventRestarted, "")
	}
	w.restarts = slices.DeleteFunc(w.restarts, func(at time.Time) bool { return time.Since(at) > restartsFor })
	before := w.restartNotice
	w.restartNotice = ""
	if n := len(w.restarts); n >= tooManyRestarts {
		w.restartNotice = fmt.Sprintf("it started anew by itself %d times in 10 minutes, last at %s: %s",
			n, w.restarts[n-1].Format(time.TimeOnly), weakSupply)
	}
	if w.restartNotice != before {
		w.notice()
		if before == "" {
			w.log.Warn("the modem starts anew again and again", "times", len(w.restarts))
		}
	}
}
