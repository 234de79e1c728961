package health

import (
	"math"
	"time"
)

// The buckets of a histogram: the first ends at shortest, each after that
// ends at 2^(1/4) of the one before, the last takes all that is longer.
const (
	shortest = 2 * time.Second
	buckets  = 34 // up to about 10 min
)

const (
	// manyTimes is how many report times tell what is usual.
	manyTimes = 20
	// fullTimes is where a histogram halves its weights.
	fullTimes = 400
	// fewAnswers is how many reports show that there are reports: three, less
	// what fades of them within some hours.
	fewAnswers = 2.5
	// oneAnswer is a report, less what fades of it within some days.
	oneAnswer = 0.25
	// quantile of the times that are waited for.
	quantile = 0.95
)

// histogram of times, fading by time and by number.
type histogram struct {
	weights [buckets]float32
	all     float64
	at      time.Time // what the weights are of, to the hour
	seen    time.Time
}

// bucket of a time.
func bucket(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	return min(int(math.Ceil(4*math.Log2(float64(d)/float64(shortest))-slack)), buckets-1)
}

// end is the longest time of a bucket.
func end(i int) time.Duration {
	return time.Duration(float64(shortest) * math.Exp2(float64(i)/4))
}

func (h *histogram) add(now time.Time, d time.Duration) {
	h.fade(now)
	h.weights[bucket(d)]++
	if h.all++; h.all > fullTimes {
		h.scale(0.5)
	}
	h.seen = now
}

// fade lets time pass, in steps that make it cheap.
func (h *histogram) fade(now time.Time) {
	past := now.Sub(h.at)
	if past < time.Hour {
		return
	}
	if h.all > 0 {
		h.scale(math.Exp2(-float64(past) / float64(longTerm)))
	}
	h.at = now
}

func (h *histogram) scale(f float64) {
	h.all = 0
	for i := range h.weights {
		h.weights[i] *= float32(f)
		h.all += float64(h.weights[i])
	}
}

// merge adds another's weights, which are of the same time.
func (h *histogram) merge(o *histogram) {
	h.all = 0
	for i := range h.weights {
		h.weights[i] += o.weights[i]
		h.all += float64(h.weights[i])
	}
}

// late is the time by which most reports have come.
func (h *histogram) late() time.Duration {
	left := quantile * h.all
	for i, w := range h.weights {
		if left -= float64(w); left <= slack {
			return end(i)
		}
	}
	return end(buckets - 1)
}

// learn counts a report's time for the route and for the operator's.
func (b *Book) learn(s *card, r *route, after time.Duration) {
	r.times.add(b.now, after)
	if s.operator != "" {
		b.timesOf(place{s.operator, r.name}).add(b.now, after)
	}
}

// timesOf finds or makes the operator's histogram.
func (b *Book) timesOf(at place) *histogram {
	h := b.operators[at]
	if h == nil {
		h = &histogram{at: b.now, seen: b.now}
		b.operators[at] = h
	}
	return h
}

// Usual is the time from acceptance by which 95 % of the delivered reports
// have come: as the SIM has it in the region, or else its operator there, or
// else the SIM everywhere; Policy.DefaultWait before enough have come. It is
// known only where most reports that were due have come, at least three, or
// come to the others in the region; elsewhere, and of a SIM whose codes are
// entered though it never reports, a report that is missing says nothing, and
// nobody should wait.
func (b *Book) Usual(now time.Time, sim, region string) (late time.Duration, known bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.advance(now)
	s := b.sims[sim]
	if s == nil || !b.reports(s, region) {
		return 0, false
	}
	if r := s.routes[region]; r != nil {
		if late, ok := b.late(&r.times); ok {
			return late, true
		}
	}
	if h := b.operators[place{s.operator, region}]; h != nil {
		if late, ok := b.late(h); ok {
			return late, true
		}
	}
	var all histogram
	for _, r := range s.list {
		r.times.fade(b.now)
		all.merge(&r.times)
	}
	all.at = b.now
	if late, ok := b.late(&all); ok {
		return late, true
	}
	return b.p.DefaultWait, true
}

// reports says whether reports come: in the region if that can be told, or
// else anywhere, or else to the others in the region.
func (b *Book) reports(s *card, region string) bool {
	var all count
	for _, r := range s.list {
		c := r.answers.faded(b.now, longTerm)
		if r.name == region && c.all >= fewAnswers {
			all = c
			break
		}
		all.good += c.good
		all.all += c.all
	}
	if all.good >= fewAnswers && all.good > all.all/2 {
		return true
	}
	r := s.routes[region]
	return r != nil && !b.silent(s, r) && b.othersReport(r)
}

// silent says whether the SIM is known to work without reports: in the region, or
// wherever it was used.
func (b *Book) silent(s *card, r *route) bool {
	silent := false
	for _, o := range s.list {
		if o.answers.faded(b.now, longTerm).good >= oneAnswer {
			return r.silent
		}
		silent = silent || o.silent
	}
	return silent
}

// othersReport says whether most reports come to the others in the region: at the
// time of its own outcomes, or else since the start.
func (b *Book) othersReport(r *route) bool {
	totals := r.region.delivered.minus(r.delivered)
	_, others := r.delivery.faded(b.now, b.p.SlowHalfLife)
	met := totals.minus(r.delivery.seen)
	others.good, others.all = others.good+met.good, others.all+met.all
	if others.all < fewAnswers {
		others = totals
	}
	return others.good >= fewAnswers && others.good > others.all/2
}

// late is a histogram's answer within the bounds, if it has enough.
func (b *Book) late(h *histogram) (time.Duration, bool) {
	h.fade(b.now)
	if h.all < manyTimes-slack {
		return 0, false
	}
	return min(max(h.late(), b.p.MinWait), b.p.MaxWait), true
}
