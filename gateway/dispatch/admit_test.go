package dispatch

import (
	"errors"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// Whoever is refused since the SIMs that are there have nothing left is told to
// come back soon while another modem comes up, and else when a budget begins anew.
func TestRefusedWhileModemsComeUp(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		policy := DefaultPolicy()
		policy.Limits = budget.Limits{PerDay: 1}
		h.d.index.reload(policy)
		h.run()
		defer h.stop()
		h.plug("a", h.takes(time.Second))
		h.enqueue(5 * time.Minute)
		h.pass(10 * time.Second)
		refused := func() time.Duration {
			t.Helper()
			number := "+33612345678"
			_, err := h.d.Admit(t.Context(), Admission{
				ID: queue.NewID(), Region: "FR", Number: number, Recipient: h.queue.Number(number), Life: 5 * time.Minute,
			})
			full, ok := errors.AsType[*NoCapacityError](err)
			if !ok {
				t.Fatalf("not refused: %v", err)
			}
			return full.After
		}
		if after := refused(); after < time.Hour {
			t.Errorf("the day is spent, and it is to be asked again in %v", after)
		}
		h.statuses = []modem.Status{{Name: "a", State: modem.Ready}, {Name: "b", State: modem.Starting}}
		if after := refused(); after != tillReady {
			t.Errorf("a modem comes up, and it is to be asked again in %v", after)
		}
	})
}
