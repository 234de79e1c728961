package wire

import "time"

// alarm is a timer that is set again and again. It is used under the lock
// that ring takes; an alarm that was stopped or set anew while ring waited for
// the lock is not due.
type alarm struct {
	ring  func()
	timer *time.Timer
	due   time.Time
}

func (a *alarm) set(d time.Duration) {
	a.due = time.Now().Add(d)
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) stop() {
	if a.due = (time.Time{}); a.timer != nil {
		a.timer.Stop()
	}
}

// isDue is for ring, and true once.
func (a *alarm) isDue() bool {
	if a.due.IsZero() || time.Now().Before(a.due) {
		return false
	}
	a.due = time.Time{}
	return true
}
