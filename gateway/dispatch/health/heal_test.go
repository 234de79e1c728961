package health

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However it came about, a breaker closes within its longest rest once
// everything is as it should be.
func TestEveryBreakerCloses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel()
		sims, regions := []string{"a", "b", "c"}, []string{"FR", "DE", "IT"}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			sim, region := rapid.SampledFrom(sims).Draw(t, "sim"), rapid.SampledFrom(regions).Draw(t, "region")
			for range rapid.IntRange(1, 12).Draw(t, "times") {
				m.tell(t, sim, region)
			}
			m.now = m.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "s")) * time.Second)
			if rapid.Bool().Draw(t, "probe") {
				m.probe(t, sim, region)
			}
			if rapid.IntRange(0, 9).Draw(t, "reload") == 0 {
				m.reload(t)
			}
		}
		m.now = m.now.Add(m.p.LongestRest)
		for _, sim := range sims {
			for _, region := range regions {
				m.b.Accepted(m.now, sim, region)
				m.b.Reported(m.now, sim, region, time.Second)
				m.b.Verified(m.now, sim, region)
				if state, _ := m.b.State(m.now, sim, region); state != Closed {
					t.Fatalf("%s in %s is %v: %+v", sim, region, state, m.b.Rates(m.now, sim))
				}
			}
		}
	})
}
