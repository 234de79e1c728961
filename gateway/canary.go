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

const (
	// EventCanaryLost: a test message by the SIM was sent and did not arrive.
	EventCanaryLost modem.EventKind = "canary_lost"
	// EventCanaryMissed: a test message to the SIM did not arrive, and nothing
	// says that its sender is at fault.
	EventCanaryMissed modem.EventKind = "canary_missed"
)

// CanaryPolicy says which SIMs send test messages to which others of ours. They
// show what no answer of a network does: that what it takes arrives.
type CanaryPolicy struct {
	// Every is how often each pair is tried, at times of the clock that all
	// pairs share among them evenly; 0: never.
	Every time.Duration
	SIMs  []CanarySIM
	// Pairs are who sends to whom, two names each. Without any each SIM sends to
	// the next one that has a number.
	Pairs [][]string
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
	leastCanaryEvery   = 5 * time.Minute
	mostCanaryEvery    = 30 * 24 * time.Hour
	leastCanaryTimeout = time.Minute
	mostCanaryTimeout  = time.Hour
)

// Validate says all that is wrong, by the keys in the file.
func (p CanaryPolicy) Validate() error {
	errs := make([]error, 0, len(p.Pairs)+2)
	if p.Every != 0 {
		errs = append(errs, p.validateTimes(), p.validateSIMs())
	}
	for i, pair := range p.Pairs {
		errs = append(errs, p.validatePair(i, pair))
	}
	return errors.Join(errs...)
}

func (p CanaryPolicy) validateTimes() error {
	switch {
	case p.Every < leastCanaryEvery || p.Every > mostCanaryEvery:
		return errors.New("every must be between 5m and 720h, or 0s for none")
	case p.Timeout != 0 && (p.Timeout < leastCanaryTimeout || p.Timeout > mostCanaryTimeout):
		return errors.New("timeout must be between 1m and 1h")
	}
	return nil
}

func (p CanaryPolicy) validateSIMs() error {
	receivers := 0
	for i, s := range p.SIMs {
		if s.Name == "" {
			return errors.New("a SIM without a name")
		}
		if first := slices.IndexFunc(p.SIMs, func(o CanarySIM) bool { return o.Name == s.Name }); first < i {
			return fmt.Errorf("sim.%s is there twice", s.Name)
		}
		if s.Number == "" {
			continue
		}
		receivers++
		if _, err := number.Parse(s.Number); err != nil {
			return fmt.Errorf("every needs to send to sim.%s.number: %w", s.Name, err)
		}
	}
	switch {
	case len(p.SIMs) < 2:
		return errors.New("every needs two SIMs with tables [sim.NAME], one to send and one to receive")
	case receivers == 0:
		return errors.New("every needs the number of a SIM to send to: sim.NAME.number")
	}
	return nil
}

func (p CanaryPolicy) validatePair(i int, pair []string) error {
	key := fmt.Sprintf("pairs[%d]", i)
	if len(pair) != 2 || pair[0] == pair[1] {
		return fmt.Errorf(`%s must be two SIMs, who sends and who receives, such as ["left", "right"]`, key)
	}
	var errs []error
	for _, name := range pair {
		if _, known := p.named(name); !known {
			errs = append(errs, fmt.Errorf("%s: there is no SIM %q; SIMs are named by their [sim.NAME] tables", key, name))
		}
	}
	if to, known := p.named(pair[1]); known && to.Number == "" {
		errs = append(errs, fmt.Errorf("%s: sim.%s.number is missing, to which it would be sent", key, pair[1]))
	}
	if slices.ContainsFunc(p.Pairs[:i], func(other []string) bool { return slices.Equal(other, pair) }) {
		errs = append(errs, fmt.Errorf("%s is there twice", key))
	}
	return errors.Join(errs...)
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
