package health

import (
	"math"
	"time"
)

const (
	// remember is how many times the samples needed are kept at most: what is
	// older is forgotten even if no time has passed.
	remember = 1.5
	// longTerm is the half-life of what is usual.
	longTerm = 3 * 24 * time.Hour
	// manyAnswers is how many reports tell whether reports come at all.
	manyAnswers = 50
	// manyOthers bounds what the others did between two outcomes of a SIM, so
	// that the hours in which it was silent don't outweigh those in which it
	// was not.
	manyOthers = 10
)

// count is outcomes and the good ones among them, each with its weight:
// 0 <= good <= all.
type count struct{ good, all float64 }

func (c *count) add(good bool) {
	c.all++
	if good {
		c.good++
	}
}

func (c *count) scale(f float64) {
	c.good *= f
	c.all *= f
}

// minus never falls below nothing, whatever rounding does.
func (c count) minus(o count) count {
	all := max(0, c.all-o.all)
	return count{good: min(all, max(0, c.good-o.good)), all: all}
}

// share is the good part, 0 of nothing.
func (c count) share() float64 {
	if c.all == 0 {
		return 0
	}
	return c.good / c.all
}

// rate is a count that fades.
type rate struct {
	count
	at time.Time // what the weights are of
}

// fade lets time pass, and says what part it has left.
func (r *rate) fade(now time.Time, halfLife time.Duration) float64 {
	f := 1.0
	if now.After(r.at) {
		f = math.Exp2(-float64(now.Sub(r.at)) / float64(halfLife))
		r.at = now
		r.scale(f)
	}
	return f
}

// add counts an outcome, forgets what is more than keep, and says what part it
// has left.
func (r *rate) add(good bool, keep float64) float64 {
	r.count.add(good)
	f := 1.0
	if r.all > keep {
		f = keep / r.all
		r.scale(f)
	}
	return f
}

// correct makes one bad outcome a good one.
func (r *rate) correct() { r.good = min(r.good+1, r.all) }

// faded is the count as it weighs now.
func (r rate) faded(now time.Time, halfLife time.Duration) count {
	r.fade(now, halfLife)
	return r.count
}

// window is a rate beside that of the others: what they did before each
// outcome fades with it.
type window struct {
	own    rate
	others count
	seen   count // the others' totals at the last outcome
}

// add counts an outcome; totals are the others' up to now.
func (w *window) add(now time.Time, halfLife time.Duration, good bool, totals count, keep float64) {
	w.others.scale(w.own.fade(now, halfLife))
	met := totals.minus(w.seen)
	if met.all > manyOthers {
		met.scale(manyOthers / met.all)
	}
	w.seen = totals
	w.others.all += met.all
	w.others.good = min(w.others.good+met.good, w.others.all)
	w.others.scale(w.own.add(good, keep))
}

// faded is both counts as they weigh now.
func (w *window) faded(now time.Time, halfLife time.Duration) (own, others count) {
	r, others := w.own, w.others
	others.scale(r.fade(now, halfLife))
	return r.count, others
}

// clear forgets the outcomes.
func (w *window) clear(totals count) { *w = window{seen: totals} }
