package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

// A line that gives everything back and doesn't close is asked at a pace.
func TestLineThatGivesEverythingBack(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		asked, reason := 0, ""
		h.plugAgain("a", func(modem.Submission) modem.Result {
			asked++
			return modem.Result{Class: modem.Temporary, Cause: "closed", CMS: -1, CME: -1}
		}, func(why string, _ time.Duration) { reason = why })
		id := h.enqueue(5 * time.Minute)
		begun := h.store.updates.Load()
		h.pass(20 * time.Second)
		if m := h.want(id, queue.Queued); len(m.Attempts) != 0 {
			t.Errorf("%+v", m.Attempts)
		}
		if asked < 2 || asked > 21 || h.store.updates.Load()-begun > 100 {
			t.Errorf("asked %d times with %d commits in 20 s", asked, h.store.updates.Load()-begun)
		}
		if !strings.Contains(reason, "gives back") {
			t.Errorf("it rests since %q", reason)
		}
		h.stop()
	})
}

// Codes to some numbers out of reach hold up the only modem for seconds, not
// for as long as they live.
func TestNumbersOutOfReachDoNotStopTheOnlyModem(t *testing.T) {
	for _, cause := range []modem.Result{
		{Class: modem.Temporary, Cause: "cms-38", CMS: 38, CME: -1, OtherSIM: true, Committed: true},
		{Class: modem.Destination, Cause: "cms-1", CMS: 1, CME: -1, Committed: true},
	} {
		for dead := 1; dead <= 6; dead++ {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				alive := h.takes(3 * time.Second)
				h.plugAgain("a", func(s modem.Submission) modem.Result {
					if s.To != "33600000000" {
						time.Sleep(3 * time.Second) // virtual time
						return cause
					}
					return alive(s)
				}, func(string, time.Duration) {})
				for i := range dead {
					h.enqueueTo(fmt.Sprintf("+3361111111%d", i), 5*time.Minute)
				}
				h.pass(time.Second)
				id := h.enqueueTo("+33600000000", 5*time.Minute)
				began := time.Now()
				for h.times(id) == 0 && time.Since(began) < 5*time.Minute {
					h.pass(time.Second)
				}
				if held := time.Since(began); held > 90*time.Second {
					t.Errorf("%s: %d numbers out of reach held up another for %v", cause.Cause, dead, held)
				} else {
					t.Logf("%s: %d numbers: %v", cause.Cause, dead, held)
				}
				h.stop()
			})
		}
	}
}

// What one modem takes for malformed, another one is to see before the message
// is given up; a modem alone is believed.
func TestMalformedSaysOneModem(t *testing.T) {
	malformed := func(modem.Submission) modem.Result {
		time.Sleep(time.Second) // virtual time
		return modem.Result{Class: modem.Ours, Cause: "cms-304", CMS: 304, CME: -1, Committed: true}
	}
	for _, c := range []struct {
		name     string
		modems   int // that say so
		sound    bool
		state    queue.State
		attempts int
	}{
		{"one and a sound one", 1, true, queue.Accepted, 2},
		{"two", 2, false, queue.Failed, 2},
		{"alone", 1, false, queue.Failed, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				for i := range c.modems {
					h.plugAgain(fmt.Sprint("a", i), malformed, func(string, time.Duration) {})
				}
				h.pass(time.Second)
				id := h.enqueue(5 * time.Minute)
				if c.sound {
					h.plugAgain("sound", h.takes(time.Second), func(string, time.Duration) {})
				}
				h.pass(20 * time.Second)
				if m := h.want(id, c.state); len(m.Attempts) != c.attempts {
					t.Errorf("%+v", m.Attempts)
				}
				h.stop()
			})
		})
	}
}
