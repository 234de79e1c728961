package health

import (
	"fmt"
	"math"
	"slices"
)

// evidence is what came, against what could be expected.
type evidence struct {
	good, all float64
	want      float64 // good ones that could be expected
	spread    float64 // the variance of want that chance explains
}

// chance is by how many standard deviations what came must fall short.
const chance = 3

// against holds the outcomes against a rate that is itself of few samples.
func against(own, reference count) evidence {
	p := reference.share()
	want := own.all * p
	return evidence{own.good, own.all, want, want * (1 - p) * (1 + own.all/max(1, reference.all))}
}

func (e evidence) plus(o evidence) evidence {
	return evidence{e.good + o.good, e.all + o.all, e.want + o.want, e.spread + o.spread}
}

// bad is less than the given part of what could be expected.
func (e evidence) bad(part float64) bool { return e.good < part*e.want }

// proves is bad, with enough samples and beyond chance.
func (e evidence) proves(least, part float64) bool {
	return e.all >= least-slack && e.bad(part) && e.want-e.good >= chance*math.Sqrt(e.spread+1)
}

// slack is the rounding that a sum of weights may have.
const slack = 1e-9

// expected is the percentage of good ones that could be expected.
func (e evidence) expected() float64 { return 100 * e.want / max(e.all, slack) }

// limits are the samples needed and the part that is bad.
func (p Policy) limits(c cause) (least, part float64) {
	switch c {
	case bySuccess:
		return p.MinTries, p.BadSuccess
	case byDelivery:
		return p.MinReports, p.BadDelivery
	default:
		return p.MinCodes, p.BadVerified
	}
}

// evidence is what a route shows of this kind; none where there is nothing to
// hold it against.
func (b *Book) evidence(s *card, r *route, c cause) evidence {
	switch c {
	case bySuccess:
		own := r.success.faded(b.now, b.p.HalfLife)
		return evidence{good: own.good, all: own.all, want: own.all}
	case byDelivery:
		own, others := r.delivery.faded(b.now, b.p.SlowHalfLife)
		if n := float64(r.lost.n); n > own.all {
			own = count{all: n}
		}
		reference := r.usual.faded(b.now, longTerm)
		known, beside := reference.all >= b.p.MinReports-slack, others.all >= b.p.MinReports-slack
		switch {
		case !known && (!beside || b.silent(s, r)):
			return evidence{}
		case !known, beside && others.share() < reference.share():
			reference = others
		}
		return against(own, reference)
	default:
		own, others := r.verified.faded(b.now, b.p.SlowHalfLife)
		if others.all < b.p.MinCodes-slack {
			return evidence{}
		}
		return against(own, others)
	}
}

// judge opens a breaker if the route's last outcome, a bad one of this kind,
// gives reason to.
func (b *Book) judge(s *card, r *route, c cause) {
	if s.breaker.open || r.breaker.open {
		return
	}
	least, part := b.p.limits(c)
	here := b.evidence(s, r, c)
	rest, used := b.elsewhere(s, r, c)
	fine := used
	if rest.all >= 1 {
		fine = !rest.bad(part)
	}
	whole := here.plus(rest)
	switch {
	case c == bySuccess && s.row.mixed && float64(s.row.n) >= least:
		b.open(s, nil, c, rowWords(s.row.n))
	case !fine && here.bad(part) && whole.proves(least, part):
		b.open(s, nil, c, c.words(whole))
	case s.elsewhereOpen(c) && here.proves(least/2, part):
		b.open(s, nil, c, c.words(here))
	case here.proves(least, part):
		b.open(s, where(fine, r), c, c.words(here))
	case c == bySuccess && float64(r.row.n) >= least:
		b.open(s, where(fine, r), c, rowWords(r.row.n))
	}
}

// where a breaker opens: in the region if the SIM is fine elsewhere.
func where(fine bool, r *route) *route {
	if fine {
		return r
	}
	return nil
}

// elsewhere is what the SIM shows in its other regions but those whose breaker
// is open, and whether it was used there lately.
func (b *Book) elsewhere(s *card, r *route, c cause) (rest evidence, used bool) {
	for _, o := range s.list {
		if o == r || o.breaker.open {
			continue
		}
		rest = rest.plus(b.evidence(s, o, c))
		used = used || o.success.faded(b.now, b.p.HalfLife).all >= 1
	}
	return rest, used
}

// elsewhereOpen says whether the breaker of one of its regions is open by the
// cause.
func (s *card) elsewhereOpen(c cause) bool {
	return slices.ContainsFunc(s.list, func(r *route) bool { return r.breaker.open && r.breaker.cause == c })
}

// distrusted says whether any breaker of the SIM is open.
func (s *card) distrusted() bool {
	return s.breaker.open || slices.ContainsFunc(s.list, func(r *route) bool { return r.breaker.open })
}

// words say why a breaker opens.
func (c cause) words(e evidence) string {
	switch c {
	case bySuccess:
		return fmt.Sprintf("%.0f of %.0f messages were accepted by the network", e.good, e.all)
	case byDelivery:
		return fmt.Sprintf("%.0f of %.0f messages were reported as delivered, where %.0f %% could be expected", e.good, e.all, e.expected())
	default:
		return fmt.Sprintf("%.0f of %.0f codes sent were verified, where others have %.0f %%", e.good, e.all, e.expected())
	}
}

func rowWords(n int) string { return fmt.Sprintf("%d messages in a row were refused", n) }

func canaryWords(n int) string { return fmt.Sprintf("%d test messages in a row did not arrive", n) }
