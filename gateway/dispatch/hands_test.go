package dispatch

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
)

// Messages that go out while the policy changes again and again go out once each.
func TestReloadWhileMessagesGo(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		defer h.stop()
		for _, name := range []string{"a", "b", "c"} {
			h.plug(name, h.takes(50*time.Millisecond))
		}
		routes, err := route.New([]route.Rule{{Name: "all", Regions: []string{"FR"}, SIMs: []string{"nowhere"}, Fallback: true}})
		h.must(err)
		var reloading sync.WaitGroup
		reloading.Go(func() {
			for i := range 200 {
				p := DefaultPolicy()
				if i%2 == 0 {
					p.Routes = routes
				}
				h.must(h.d.Reload(t.Context(), p))
				time.Sleep(7 * time.Millisecond) // virtual time
			}
		})
		var ids []queue.ID
		for i := range 60 {
			ids = append(ids, h.enqueueTo("+3361234567"+string(rune('0'+i%10)), 5*time.Minute))
			time.Sleep(10 * time.Millisecond) // virtual time
		}
		reloading.Wait()
		h.pass(10 * time.Second)
		for _, id := range ids {
			if h.want(id, queue.Accepted); h.times(id) != 1 {
				t.Errorf("sent %d times", h.times(id))
			}
		}
	})
}

// A modem that is held gets nothing more, and may be pulled once it has nothing in
// the air; others take over, and nothing is lost.
func TestHoldUnderLoad(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		a := h.sim(simA, 3*time.Second)
		b := h.sim(simB, 3*time.Second)
		var ids []queue.ID
		for i := range 40 {
			ids = append(ids, h.code(fmt.Sprintf("+336%08d", i)))
		}
		h.pass(7 * time.Second)
		h.d.Hold(a.name, true)
		var free time.Time
		for range 100 {
			if h.pass(100 * time.Millisecond); !h.d.InAir(a.name) && free.IsZero() {
				free = time.Now()
			}
		}
		for _, s := range h.given() {
			if s.imsi == simA && !free.IsZero() && s.at.After(free) {
				t.Error("a modem that is held, and told to have nothing in the air, was given a message")
			}
		}
		if free.IsZero() || !h.d.InAir(b.name) {
			t.Errorf("in the air: %v by the one that is held, %v by the other", h.d.InAir(a.name), h.d.InAir(b.name))
		}
		// All are held for a while.
		h.d.Hold(b.name, true)
		h.pass(30 * time.Second)
		n := len(h.given())
		late := h.code(alice)
		h.pass(20 * time.Second)
		if len(h.given()) != n {
			t.Error("modems that are held sent something")
		}
		h.d.Hold(a.name, false)
		h.d.Hold(b.name, false)
		h.pass(90 * time.Second)
		for _, id := range append(ids, late) {
			h.want(id, queue.Accepted)
			if n := h.times(id); n != 1 {
				t.Errorf("sent %d times", n)
			}
		}
		h.stop()
	})
}

// Another policy in the midst of it loses nothing, whatever becomes of who asked
// for it.
func TestReloadUnderLoad(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		for _, imsi := range []string{simA, simB, simC} {
			h.sim(imsi, 700*time.Millisecond)
		}
		strict := DefaultPolicy()
		strict.Routes = table(t, route.Rule{Name: "blue", Prefixes: []string{"+336"}, Operators: []string{"20801"}})
		var ids []queue.ID
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for n := range 30 {
					id, err := h.ask(queue.Address{To: fmt.Sprintf("+336%08d", 100*i+n), Region: "FR"}, 5*time.Minute)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					ids = append(ids, id)
					mu.Unlock()
					time.Sleep(300 * time.Millisecond) // virtual time
				}
			})
		}
		for i := range 20 {
			time.Sleep(331 * time.Millisecond) // virtual time
			ctx, cancel := context.WithCancel(t.Context())
			if i%3 == 0 {
				cancel()
			}
			h.must(h.d.Reload(ctx, []Policy{strict, DefaultPolicy()}[i%2]))
			cancel()
		}
		wg.Wait()
		h.pass(3 * time.Minute)
		for _, id := range ids {
			h.want(id, queue.Accepted)
			if n := h.times(id); n != 1 {
				t.Errorf("sent %d times", n)
			}
		}
		h.stop()
	})
}

// What was queued while all messages are read for another policy is not forgotten.
func TestReloadKeepsWhatComesMeanwhile(t *testing.T) {
	x := newIndex(DefaultPolicy())
	x.lay(nth(1), waiting(queue.LaneCode), 0)
	load := x.loading()
	x.lay(nth(2), waiting(queue.LaneCode), 0)
	x.keep(load)
	if x.entries[nth(1)] != nil || x.entries[nth(2)] == nil {
		t.Error("it forgets what came, or keeps what has gone")
	}
}

func TestReloadTakesLabelsAndLimits(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.under(func(p *Policy) { p.Limits.PerDay = 1 })
		h.run()
		h.sim(simA, time.Second)
		h.pass(time.Second)
		h.code(alice)
		h.pass(2 * time.Second)
		id := h.enqueueTo(bob, 5*time.Minute)
		h.pass(2 * time.Second)
		h.want(id, queue.Queued)
		h.must(h.d.Reload(t.Context(), DefaultPolicy()))
		h.pass(2 * time.Second)
		h.want(id, queue.Accepted)
		h.stop()
	})
}
