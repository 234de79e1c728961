package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"smsotpd/gateway/ledger"
	"smsotpd/modem"
)

// crew carries out orders, as far as the tests see it.
type crew struct {
	mu     sync.Mutex
	held   map[string]bool
	air    map[string]bool
	limits map[string]Budget
	told   int
}

func newCrew() *crew {
	return &crew{held: map[string]bool{}, air: map[string]bool{}, limits: map[string]Budget{}}
}

// Hold implements hands.
func (c *crew) Hold(name string, held bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[name] = held
	c.told++
}

// InAir implements hands.
func (c *crew) InAir(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.air[name]
}

// Limit implements hands.
func (c *crew) Limit(_ context.Context, sim string, b Budget) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told++
	if delete(c.limits, sim); len(b.Set()) > 0 {
		c.limits[sim] = b
	}
}

func (c *crew) fly(name string, inAir bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.air[name] = inAir
}

func (c *crew) holds(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held[name]
}

// panel is a radio whose modems show what the test wants.
type panel struct {
	*radio
	mu    sync.Mutex
	shows map[string]func(*modem.Status)
}

// Statuses implements dispatch.Fleet.
func (p *panel) Statuses() []modem.Status {
	all := p.radio.Statuses()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range all {
		if change := p.shows[all[i].Name]; change != nil {
			change(&all[i])
		}
	}
	return all
}

func (p *panel) show(name string, change func(*modem.Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shows[name] = change
}

// shop is a world with a crew and two modems, "a" and "b".
type shop struct {
	*world
	crew  *crew
	panel *panel
}

func inShop(t *testing.T, adjust func(*Options), test func(t *testing.T, s *shop)) {
	t.Helper()
	var p *panel
	inWorld(t, func(o *Options) {
		p = &panel{radio: o.Fleet.(*radio), shows: map[string]func(*modem.Status){}}
		o.Fleet = p
		if adjust != nil {
			adjust(o)
		}
	}, func(t *testing.T, w *world) {
		s := &shop{world: w, crew: newCrew(), panel: p}
		w.hands, w.gw.hands = s.crew, s.crew
		w.radio.plug("a", takes(0))
		w.radio.plug("b", takes(0))
		synctest.Wait()
		test(t, s)
	})
}

// restart stops the gateway and starts it with a crew that knows nothing.
func (s *shop) restart() {
	s.t.Helper()
	s.down()
	s.crew = newCrew()
	s.hands = s.crew
	s.up()
}

func (s *shop) modem(name string) Modem {
	s.t.Helper()
	m, err := s.gw.modem(s.t.Context(), name)
	s.must(err)
	return m
}

// trail is what operators did, the oldest first, as words.
func (s *shop) trail() []string {
	s.t.Helper()
	list, err := s.gw.Trail(s.t.Context(), ledger.Range{Limit: 100})
	s.must(err)
	var words []string
	for _, e := range slices.Backward(list) {
		line := []string{e.Actor, e.ActorID, e.Action, e.Subject}
		for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
			line = append(line, name+"="+e.Detail[name])
		}
		words = append(words, strings.Join(line, " "))
	}
	return words
}

func (s *shop) trailIs(want ...string) {
	s.t.Helper()
	if got := s.trail(); !slices.Equal(got, want) {
		s.t.Errorf("the trail is %q, not %q", got, want)
	}
}

var ops = Call{Caller: "KEY1", Name: "ops"}
