package budget

import (
	"math"
	"time"

	"smsotpd/storage"
)

// Demand is a kind of message that might be begun.
type Demand struct {
	Notice bool
	// Segments of it; below 1 it is 1.
	Segments int
	// Fresh: each is to another recipient, to whom the SIM has sent nothing this
	// month.
	Fresh bool
}

const (
	// horizon is how far Allowance looks ahead at most.
	horizon = time.Hour
	// mostSteps is how many refills Opens looks at.
	mostSteps = 4096
)

// Allowance is how many more messages could be begun from now until the given
// time, an hour from now at most, each taken at once; math.MaxInt if there is no
// limit. now may be later than the standing, as long as nothing happened since.
// What is in the air is taken to stay there.
func (s Standing) Allowance(now, until time.Time, d Demand) (total int) {
	if until.After(now.Add(horizon)) {
		until = now.Add(horizon)
	}
	p, end := s.plan(now, d), storage.TimeOf(until)
	for p.at <= end {
		if n := p.next(math.MaxInt); n < math.MaxInt {
			total += n
			continue
		}
		return math.MaxInt
	}
	return total
}

// Opens is from when SIMs of these standings could begin one more message than so
// many, if each of those is begun as early as it may be and taken at once, as is
// what is in the air. Where that is further away than can be told it is a time
// before; zero if none is known.
func Opens(now time.Time, sims []Standing, d Demand, waiting int) time.Time {
	plans := make([]plan, len(sims))
	for i, s := range sims {
		plans[i] = s.plan(now, d)
		plans[i].land()
	}
	var reached time.Time
	for range mostSteps {
		var p *plan
		for i := range plans {
			if p == nil || plans[i].at < p.at {
				p = &plans[i]
			}
		}
		if p == nil || p.at == never {
			break
		}
		reached = p.at.Time()
		if waiting -= p.next(waiting + 1); waiting < 0 {
			break
		}
	}
	return reached
}

// plan is how messages could be begun from a time on, one after the other.
type plan struct {
	demand Demand
	// windows are those that count them.
	windows []window
	// at is the next time at which some may; never if none is known.
	at storage.Time
}

func (s Standing) plan(now time.Time, d Demand) plan {
	d.Segments = max(d.Segments, 1)
	p := plan{demand: d, at: storage.TimeOf(now), windows: make([]window, 0, len(s.windows)+1)}
	for _, w := range s.windows {
		if d.Notice || !w.notices {
			p.windows = append(p.windows, w)
		}
	}
	if d.Fresh && s.Recipients.Limit > 0 {
		p.windows = append(p.windows, s.recipients)
	}
	for i := range p.windows {
		refills := p.windows[i].refills
		p.windows[i].refills = refills[:len(refills):len(refills)]
	}
	return p
}

// land has what is in the air taken at the plan's time.
func (p *plan) land() {
	for i := range p.windows {
		w := &p.windows[i]
		air := w.used
		for _, r := range w.refills {
			air -= r.n
		}
		w.used -= air
		w.take(p.at, air)
	}
}

// next begins as many as the windows have room for, so many at most, says how
// many, and goes on to the next time.
func (p *plan) next(most int) int {
	at, n := p.at, most
	for i := range p.windows {
		w := &p.windows[i]
		w.refill(at)
		n = min(n, max(0, w.free(at, p.demand.Notice)/w.need(p.demand.Segments)))
	}
	p.at = never
	for i := range p.windows {
		w := &p.windows[i]
		if n > 0 {
			w.take(at, n*w.need(p.demand.Segments))
		}
		if len(w.refills) > 0 {
			p.at = min(p.at, w.refills[0].at)
		}
	}
	return n
}
