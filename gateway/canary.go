package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"smsotpd/gateway/number"
	"smsotpd/modem"
)

// EventCanaryLost: a test message by the SIM was sent and did not arrive.
const EventCanaryLost modem.EventKind = "canary_lost"

// CanaryPolicy says which SIMs send test messages to which others of ours. They
// show what no answer of a network does: that what it takes arrives.
type CanaryPolicy struct {
	// Every is how often each pair is tried, at times of the clock that all
	// pairs share among them evenly; 0: never.
	Every time.Duration
	SIMs  []CanarySIM
	// Pairs are who sends to whom, by name. Without any each SIM sends to the
	// next one that has a number.
	Pairs [][2]string
	// Timeout is how long after it was sent a message is lost, and how long it
	// waits to be sent; DefaultCanaryTimeout if it is 0.
	Timeout time.Duration
}

// CanarySIM is a SIM that takes part.
type CanarySIM struct {
	// Name is the operator's own; it tells the SIM where IMSI is "".
	Name, IMSI string
	// Number is its own, E.164; "" for one that only sends.
	Number string
}

// String keeps number and identity out of logs.
func (s CanarySIM) String() string { return "SIM " + s.Name }

// GoString keeps number and identity out of logs.
func (s CanarySIM) GoString() string { return s.String() }

// DefaultCanaryTimeout is how long a test message may take unless the operator
// says otherwise.
const DefaultCanaryTimeout = 5 * time.Minute

// The bounds of CanaryPolicy.
const (
	leastCanaryEvery   = time.Minute
	leastCanaryTimeout = time.Minute
	mostCanaryTimeout  = time.Hour
)

// Validate says what is wrong.
func (p CanaryPolicy) Validate() error {
	if p.Every == 0 {
		return nil
	}
	switch {
	case p.Every < leastCanaryEvery:
		return fmt.Errorf("every: it must be at least %v; 0 is never", leastCanaryEvery)
	case p.Timeout != 0 && (p.Timeout < leastCanaryTimeout || p.Timeout > mostCanaryTimeout):
		return fmt.Errorf("timeout: it must be from %v to %v", leastCanaryTimeout, mostCanaryTimeout)
	}
	seen := map[string]bool{}
	for _, s := range p.SIMs {
		switch {
		case s.Name == "":
			return errors.New("a SIM without a name")
		case seen[s.Name]:
			return fmt.Errorf("sim.%s: it is there twice", s.Name)
		}
		seen[s.Name] = true
		if _, err := number.Parse(s.Number); s.Number != "" && err != nil {
			return fmt.Errorf("sim.%s: number: %w", s.Name, err)
		}
	}
	for _, pair := range p.Pairs {
		if err := p.validatePair(pair); err != nil {
			return err
		}
	}
	if len(p.routes()) == 0 {
		return errors.New("no SIM can send to another: at least two SIMs are needed, and the number of one")
	}
	return nil
}

func (p CanaryPolicy) validatePair(pair [2]string) error {
	for _, name := range pair {
		if _, known := p.named(name); !known {
			return fmt.Errorf("pairs: there is no SIM %q", name)
		}
	}
	if pair[0] == pair[1] {
		return fmt.Errorf("pairs: %q can't send to itself", pair[0])
	}
	if to, _ := p.named(pair[1]); to.Number == "" {
		return fmt.Errorf("pairs: the number of %q is not known", pair[1])
	}
	return nil
}

func (p CanaryPolicy) named(name string) (CanarySIM, bool) {
	i := slices.IndexFunc(p.SIMs, func(s CanarySIM) bool { return s.Name == name })
	if i < 0 {
		return CanarySIM{}, false
	}
	return p.SIMs[i], true
}

func (p CanaryPolicy) timeout() time.Duration { return cmp.Or(p.Timeout, DefaultCanaryTimeout) }

// canaryRoute is one SIM that sends to another.
type canaryRoute struct {
	from, to CanarySIM
	number   number.Number
	// next is when the next message is to be sent.
	next time.Time
}

// routes are who sends to whom.
func (p CanaryPolicy) routes() []canaryRoute {
	var all []canaryRoute
	add := func(from, to CanarySIM) {
		if n, err := number.Parse(to.Number); err == nil {
			all = append(all, canaryRoute{from: from, to: to, number: n})
		}
	}
	for _, pair := range p.Pairs {
		from, _ := p.named(pair[0])
		to, _ := p.named(pair[1])
		add(from, to)
	}
	if len(p.Pairs) > 0 {
		return all
	}
	for i, from := range p.SIMs {
		for n := 1; n < len(p.SIMs); n++ {
			if to := p.SIMs[(i+n)%len(p.SIMs)]; to.Number != "" {
				add(from, to)
				break
			}
		}
	}
	return all
}

// slot is the first time after now at which the route of that place among all is
// tried. Times are of the clock, so that a restart neither repeats nor skips one.
func (p CanaryPolicy) slot(now time.Time, place, of int) time.Time {
	share := p.Every / time.Duration(of) * time.Duration(place)
	since := time.Duration(now.UnixNano()) % p.Every
	wait := (share - since + p.Every) % p.Every
	if wait == 0 {
		wait = p.Every
	}
	return now.Add(wait)
}
