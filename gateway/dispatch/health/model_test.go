package health

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

type fataler interface{ Fatalf(string, ...any) }

// sane holds every number that the book keeps to what it can be.
func sane(t fataler, b *Book, now time.Time) {
	hold := func(what string, c count) {
		if !(c.good >= 0 && c.good <= c.all+slack) || math.IsInf(c.all, 0) {
			t.Fatalf("%s: %v of %v", what, c.good, c.all)
		}
	}
	b.mu.Lock()
	for _, s := range b.sims {
		for _, r := range s.list {
			hold("success", r.success.count)
			hold("delivery", r.delivery.own.count)
			hold("delivery of others", r.delivery.others)
			hold("codes", r.verified.own.count)
			hold("codes of others", r.verified.others)
			hold("usual", r.usual.count)
			hold("answers", r.answers.count)
			for _, w := range r.times.weights {
				hold("times", count{float64(w), math.MaxFloat32})
			}
		}
	}
	b.mu.Unlock()
	for _, sim := range b.SIMs() {
		rates := b.Rates(now, sim)
		for _, r := range append([]Rate{rates.Success, rates.Delivery, rates.Verified}, Rate{}) {
			if !(r.Value >= 0 && r.Value <= 1+slack && r.Samples >= 0) {
				t.Fatalf("rates of %s: %+v", sim, rates)
			}
		}
	}
}

// seenCounts is what was told of a SIM since its breaker closed last, without
// fading.
type seenCounts struct{ tries, reports, codes, canaries float64 }

// model drives a book at random and knows what must hold whatever is told.
type model struct {
	p     Policy
	b     *Book
	now   time.Time
	open  map[[2]string]bool // by SIM and region, as onChange has told
	seen  map[string]*seenCounts
	fails []string
}

func newModel() *model {
	m := &model{p: DefaultPolicy(), now: start, open: map[[2]string]bool{}, seen: map[string]*seenCounts{}}
	m.p.MinReports, m.p.MinCodes = 4, 5
	m.b = New(m.p, m.changed)
	return m
}

func (m *model) of(sim string) *seenCounts {
	if m.seen[sim] == nil {
		m.seen[sim] = &seenCounts{}
	}
	return m.seen[sim]
}

func (m *model) changed(c Change) {
	key := [2]string{c.SIM, c.Region}
	if m.open[key] == c.Open {
		m.fails = append(m.fails, fmt.Sprintf("told twice: %+v", c))
	}
	if c.Why == "" || !c.At.Equal(m.now) {
		m.fails = append(m.fails, fmt.Sprintf("without reason or time: %+v", c))
	}
	m.open[key] = c.Open
	s := m.of(c.SIM)
	if c.Open && s.tries < m.p.MinTries && s.reports < m.p.MinReports && s.codes < m.p.MinCodes && s.canaries < float64(m.p.Canaries) {
		m.fails = append(m.fails, fmt.Sprintf("opened after %+v: %+v", *s, c))
	}
	if !c.Open && c.Region == "" {
		*s = seenCounts{}
	}
}

func (m *model) tell(t *rapid.T, sim, region string) {
	s, after := m.of(sim), time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "after"))
	switch rapid.SampledFrom([]string{
		"accepted", "refused", "refused", "reported", "answered", "missing", "missing", "late",
		"verified", "unverified", "unverified", "canary",
	}).Draw(t, "outcome") {
	case "accepted":
		s.tries++
		m.b.Accepted(m.now, sim, region)
	case "refused":
		s.tries++
		m.b.Refused(m.now, sim, region)
	case "reported":
		s.reports++
		m.b.Reported(m.now, sim, region, after)
	case "answered":
		m.b.Answered(m.now, sim, region)
	case "missing":
		s.reports++
		m.b.Missing(m.now, sim, region)
	case "late":
		m.b.Late(m.now, sim, region, after)
	case "verified":
		s.codes++
		m.b.Verified(m.now, sim, region)
	case "unverified":
		s.codes++
		m.b.Unverified(m.now, sim, region)
	case "canary":
		s.canaries++
		m.b.Canary(m.now, sim, rapid.Bool().Draw(t, "arrived"))
	}
}

func (m *model) probe(t *rapid.T, sim, region string) {
	state, until := m.b.State(m.now, sim, region)
	took := m.b.Probe(m.now, sim, region)
	if took != (state == Probing && until.IsZero()) {
		t.Fatalf("a probe is %v while %v until %v", took, state, until)
	}
	if took && m.b.Probe(m.now, sim, region) {
		t.Fatalf("two probes")
	}
}

func (m *model) reload(t *rapid.T) {
	records, err := m.b.Save(m.now)
	if err != nil {
		t.Fatalf("save: %v", err)
	}
	m.b = New(m.p, m.changed)
	for sim, data := range records {
		if err := m.b.Load(m.now, sim, data); err != nil {
			t.Fatalf("load: %v", err)
		}
	}
}

func (m *model) check(t *rapid.T) {
	if len(m.fails) > 0 {
		t.Fatalf("%v", m.fails)
	}
	sane(t, m.b, m.now)
	for _, sim := range []string{"a", "b", "c"} {
		for _, region := range []string{"FR", "DE", "IT"} {
			state, until := m.b.State(m.now, sim, region)
			open := m.open[[2]string{sim, ""}] || m.open[[2]string{sim, region}]
			if (state != Closed) != open {
				t.Fatalf("%s in %s is %v, told open: %v", sim, region, state, open)
			}
			if state == Open && !(until.After(m.now) && until.Sub(m.now) <= m.p.LongestRest) || state == Closed && !until.IsZero() {
				t.Fatalf("%s in %s is %v until %v", sim, region, state, until)
			}
			if late, known := m.b.Usual(m.now, sim, region); known && (late < m.p.MinWait || late > m.p.MaxWait) {
				t.Fatalf("usual: %v", late)
			}
		}
	}
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		sims, regions := rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"FR", "DE", "IT"})
		t.Repeat(map[string]func(*rapid.T){
			"tell": func(t *rapid.T) {
				sim, region := sims.Draw(t, "sim"), regions.Draw(t, "region")
				for range rapid.IntRange(1, 12).Draw(t, "times") {
					m.tell(t, sim, region)
				}
			},
			"wait": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "s")) * time.Second)
			},
			"probe": func(t *rapid.T) { m.probe(t, sims.Draw(t, "sim"), regions.Draw(t, "region")) },
			"reset": func(t *rapid.T) { m.b.Reset(m.now, sims.Draw(t, "sim")) },
			"sweep": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 9*24).Draw(t, "h")) * time.Hour)
				m.b.Sweep(m.now)
			},
			"reload": m.reload,
			"":       m.check,
		})
	})
}

// Times out of order are taken to be the present.
func TestTimeNeverRunsBack(t *testing.T) {
	w := newWorld(t)
	w.run(8, "FR", map[string]fares{"a": banned})
	w.state("a", "FR", Probing) // a minute after the last
	w.now = start
	w.state("a", "FR", Probing)
	w.Accepted(w.now, "a", "FR")
	if at := w.changes[1].At; !at.Equal(start.Add(8 * time.Minute)) {
		t.Errorf("closed at %v", at)
	}
}

// onChange may use the book, and all calls may run at once.
func TestManyGoroutines(t *testing.T) {
	var b *Book
	b = New(DefaultPolicy(), func(c Change) {
		b.State(c.At, c.SIM, c.Region)
		b.Rates(c.At, c.SIM)
	})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			sim := fmt.Sprint(g % 2)
			for i := range 300 {
				now := start.Add(time.Duration(i) * time.Second)
				b.Refused(now, sim, "FR")
				b.Probe(now, sim, "FR")
				b.Reported(now, sim, "FR", time.Second)
				b.Unverified(now, sim, "FR")
				b.Usual(now, sim, "FR")
				b.Canary(now, sim, i%2 == 0)
				if i%100 == 0 {
					b.Sweep(now)
					b.Reset(now, sim)
					_, _ = b.Save(now)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkTell(b *testing.B) {
	const sims = 1000
	book := New(DefaultPolicy(), nil)
	names := make([]string, sims)
	for i := range names {
		names[i] = fmt.Sprintf("208010000000%03d", i)
		book.Known(start, names[i], "20801")
		for _, region := range []string{"FR", "DE", "IT"} {
			book.Accepted(start, names[i], region)
		}
	}
	now, i := start, 0
	for name, do := range map[string]func(sim string){
		"Accepted":   func(sim string) { book.Accepted(now, sim, "FR") },
		"Refused":    func(sim string) { book.Refused(now, sim, "FR") },
		"Reported":   func(sim string) { book.Reported(now, sim, "FR", 9*time.Second) },
		"Missing":    func(sim string) { book.Missing(now, sim, "FR") },
		"Verified":   func(sim string) { book.Verified(now, sim, "FR") },
		"Unverified": func(sim string) { book.Unverified(now, sim, "FR") },
		"State":      func(sim string) { book.State(now, sim, "FR") },
		"Usual":      func(sim string) { book.Usual(now, sim, "FR") },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				i++
				now = now.Add(time.Millisecond)
				do(names[i%sims])
			}
		})
	}
}
