package verification

import (
	"errors"
	"fmt"
	"time"
)

// Policy is what a service demands of its verifications.
type Policy struct {
	// Length is how many digits a code has: 4 to 10, default 6. Fewer than 6
	// need AllowWeak (NIST 800-63B asks for 20 bits).
	Length    int
	AllowWeak bool
	// TTL is how long a code lives: 30 s to 10 min, default 5 min.
	TTL time.Duration
	// Checks is how many codes may be tried: 1 to 10, default 5.
	Checks int
	// Cooldowns are the waits after the first, second, … message to one
	// subject; the last one repeats. Default 30, 60, 120, 300 s.
	Cooldowns []time.Duration
	// Calm is how long a subject must have been sent nothing for its
	// cooldowns to begin again at the first; default 1 h. Success does so too.
	Calm time.Duration
	// NewCode: a resend makes a new code, and only the newest is valid. By
	// default it keeps the code, so that a first SMS that comes late works.
	NewCode bool
	// MinLeft is the life that a pending verification must have left for a
	// repeated start to send its code again rather than begin anew; default
	// 60 s.
	MinLeft time.Duration
	// MaxFailures is how many consecutive failed checks of one number lock it
	// for the service: 1 to 100, default 100 (NIST 800-63B-4 3.2.2).
	MaxFailures int
	// LockFor is how long such a lock lasts; 0 is until an operator lifts
	// it. Default 24 h.
	LockFor time.Duration
	// Retention is how long an ended verification stays readable; default
	// 24 h.
	Retention time.Duration
}

// DefaultPolicy is what holds where a service says nothing.
func DefaultPolicy() Policy {
	return Policy{
		Length: 6, TTL: 5 * time.Minute, Checks: 5,
		Cooldowns: []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute},
		Calm:      time.Hour, MinLeft: time.Minute,
		MaxFailures: 100, LockFor: 24 * time.Hour, Retention: 24 * time.Hour,
	}
}

// Validate says which setting is out of its bounds.
func (p Policy) Validate() error {
	between := func(name string, v, lo, hi int) error {
		if v < lo || v > hi {
			return fmt.Errorf("%s must be between %d and %d", name, lo, hi)
		}
		return nil
	}
	lasting := func(name string, v, lo, hi time.Duration) error {
		if v < lo || v > hi {
			return fmt.Errorf("%s must be between %v and %v", name, lo, hi)
		}
		return nil
	}
	errs := []error{
		between("code_length", p.Length, 4, 10),
		lasting("code_ttl", p.TTL, 30*time.Second, 10*time.Minute),
		between("checks", p.Checks, 1, 10),
		between("max_failures", p.MaxFailures, 1, 100),
		lasting("lock_for", p.LockFor, 0, 10*365*24*time.Hour),
		lasting("retention", p.Retention, time.Hour, 90*24*time.Hour),
	}
	if p.Length < 6 && !p.AllowWeak {
		errs = append(errs, errors.New("code_length below 6 needs allow_weak_codes"))
	}
	if len(p.Cooldowns) == 0 || len(p.Cooldowns) > 10 {
		errs = append(errs, errors.New("cooldowns must be 1 to 10 durations"))
	}
	for _, c := range p.Cooldowns {
		// A subject's cooldown is forgotten with its last verification.
		errs = append(errs, lasting("each of cooldowns", c, time.Second, p.Retention))
	}
	return errors.Join(errs...)
}

// cooldown is the wait after the send that follows step earlier ones.
func (p Policy) cooldown(step int) time.Duration {
	return p.Cooldowns[min(step, len(p.Cooldowns)-1)]
}
