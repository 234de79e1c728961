package dispatch

import (
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
