package modem

import "time"

// Some modems fall asleep when nothing is said to them for some seconds, and
// lose what wakes them: SIM800 with AT+CSCLK=2, and what smstools gives
// needs_wakeup_at.

const (
	// sleepsAfter is how long a modem may have been left alone that is asleep.
	sleepsAfter = 2 * time.Second
	// asleepTwice is how many commands in a row must get lost behind a pause
	// before it is taken for asleep.
	asleepTwice = 2
	// wakesIn is how long it takes to wake up.
	wakesIn = 100 * time.Millisecond
)

// wake tells whether the modem has been left alone for so long that it may be
// asleep, and wakes one that is known for it. The caller has the turn.
func (s *session) wake() (rested bool) {
	if rested = time.Since(s.talkedAt) >= sleepsAfter; rested && s.asleep >= asleepTwice {
		if s.wire.Force("") == nil {
			time.Sleep(wakesIn)
		}
	}
	return rested
}

// talked notes whether the modem has answered a command.
func (s *session) talked(answered, rested bool) {
	switch {
	case rested && !answered:
		s.asleep++
	case rested && s.asleep < asleepTwice:
		s.asleep = 0
	}
	s.talkedAt = time.Now()
}
