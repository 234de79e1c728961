package dispatch

import (
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// doubtThen leaves the message in doubt, and tells its late answer after a
// while; at once where after is 0, which is before Submit has returned.
func (h *hall) doubtThen(after time.Duration, late modem.Result) func(modem.Submission) modem.Result {
	return func(s modem.Submission) modem.Result {
		h.went(s.Text)
		if after == 0 {
			s.Late(late)
			time.Sleep(10 * time.Millisecond) // virtual time
		} else {
			time.AfterFunc(after, func() { s.Late(late) })
		}
		return modem.Result{Class: modem.Ambiguous, Cause: "timeout", CMS: -1, CME: -1, Committed: true, CommittedAt: time.Now()}
	}
}

func taken(mr byte) modem.Result {
	return modem.Result{Class: modem.Accepted, MR: mr, CMS: -1, CME: -1, Committed: true}
}

func TestLateAnswers(t *testing.T) {
	none := modem.Result{Class: modem.Temporary, Cause: "cms-42", CMS: 42, CME: -1, Committed: true}
	for _, c := range []struct {
		name  string
		after time.Duration
		late  modem.Result
		// at is when the state is looked at, before the hold is over.
		at   time.Duration
		want queue.State
		sent int
		mr   int
	}{
		{"taken, within the hold", 5 * time.Second, taken(41), 6 * time.Second, queue.Accepted, 1, 41},
		{"taken, before the doubt is written", 0, taken(41), time.Second, queue.Accepted, 1, 41},
		{"refused, within the hold", 5 * time.Second, none, 7 * time.Second, queue.Accepted, 2, -1},
		{"refused, before the doubt is written", 0, none, 2 * time.Second, queue.Accepted, 2, -1},
		{"taken, when it was sent again", 35 * time.Second, taken(41), 36 * time.Second, queue.Accepted, 2, 41},
		{"refused, when it was sent again", 35 * time.Second, none, 36 * time.Second, queue.Accepted, 2, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHall(t, func(t *testing.T, h *hall) {
				h.run()
				first := h.doubtThen(c.after, c.late)
				asked := 0
				again := h.takes(time.Second)
				h.plug("a", func(s modem.Submission) modem.Result {
					if asked++; asked == 1 {
						return first(s)
					}
					return again(s)
				})
				id := h.enqueue(5 * time.Minute)
				h.pass(c.at)
				m := h.want(id, c.want)
				if n := h.times(id); n != c.sent || m.Attempts[0].MR != c.mr {
					t.Errorf("sent %d times, reference %d", n, m.Attempts[0].MR)
				}
				h.pass(time.Minute)
				if n := h.times(id); n != c.sent {
					t.Errorf("sent %d times in the end", n)
				}
				h.stop()
			})
		})
	}
}

// A late answer races with the re-send of the same moment: whichever comes
// first, the message is sent twice at most, and its first attempt is known to
// have been taken.
func TestLateAnswerRacesWithTheResend(t *testing.T) {
	for d := -3 * time.Millisecond; d <= 3*time.Millisecond; d += time.Millisecond {
		inHall(t, func(t *testing.T, h *hall) {
			h.run()
			for _, name := range []string{"a", "b"} {
				h.plug(name, h.doubtThen(30*time.Second+d, taken(41)))
			}
			id := h.enqueue(5 * time.Minute)
			h.pass(2 * time.Minute)
			m := h.want(id, queue.Accepted)
			if n := h.times(id); n > 2 || n != len(m.Attempts) || m.Attempts[0].Result != queue.ResultAccepted {
				t.Errorf("%v: sent %d times: %+v", d, n, m.Attempts)
			}
			if m.PossibleDuplicate != (len(m.Attempts) == 2) {
				t.Errorf("%v: possible duplicate %v after %d attempts", d, m.PossibleDuplicate, len(m.Attempts))
			}
			h.stop()
		})
	}
}

// While the store is too busy to take the doubt, its late answer waits.
func TestLateAnswerWaitsForTheStore(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.plug("a", func(s modem.Submission) modem.Result {
			h.refusing(busy)
			return h.doubtThen(0, taken(41))(s)
		})
		id := h.enqueue(5 * time.Minute)
		h.pass(5 * time.Second)
		h.want(id, queue.Sending)
		h.refusing(nil)
		h.pass(2 * time.Second)
		if m := h.want(id, queue.Accepted); m.Attempts[0].MR != 41 {
			t.Errorf("%+v", m.Attempts)
		}
		h.stop()
	})
}

// What a closing line gives back goes out by the next one at once, as if it had
// never been taken.
func TestGivenBackGoesOutAtOnce(t *testing.T) {
	for _, cause := range []string{"closed", "canceled"} {
		inHall(t, func(t *testing.T, h *hall) {
			h.run()
			var l *scripted
			l = h.plug("a", func(modem.Submission) modem.Result {
				l.unplug()
				return modem.Result{Class: modem.Temporary, Cause: cause, CMS: -1, CME: -1}
			})
			id := h.enqueue(5 * time.Minute)
			h.pass(time.Millisecond)
			h.want(id, queue.Queued)
			h.plug("a", h.takes(0))
			h.pass(2 * storage.Patience)
			if m := h.want(id, queue.Accepted); len(m.Attempts) != 1 {
				t.Errorf("%s: %+v", cause, m.Attempts)
			}
			h.stop()
		})
	}
}

// CMS 38 for one number (modem facts 3): another SIM once and at once, or else
// 2, 4, 8 s; the modem goes on with other numbers meanwhile.
func TestOneNumberThatIsNotReached(t *testing.T) {
	unreached := modem.Result{Class: modem.Temporary, Cause: "cms-38", CMS: 38, CME: -1, OtherSIM: true, Committed: true}
	for _, sims := range []int{1, 2} {
		inHall(t, func(t *testing.T, h *hall) {
			h.run()
			var at []time.Duration
			var by []string
			begin := time.Now()
			for _, name := range []string{"a", "b"}[:sims] {
				h.plug(name, func(modem.Submission) modem.Result {
					at, by = append(at, time.Since(begin).Round(time.Second)), append(by, name)
					return unreached
				})
			}
			h.pass(0)
			h.enqueue(5 * time.Minute)
			h.pass(33 * time.Second)
			want := map[int][]time.Duration{
				1: {0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second},
				2: {0, 0, 4 * time.Second, 12 * time.Second, 28 * time.Second},
			}[sims]
			if len(at) != len(want) {
				t.Fatalf("%d SIMs: tried at %v by %v", sims, at, by)
			}
			for i := range want {
				if at[i] != want[i] {
					t.Errorf("%d SIMs: tried at %v by %v, want %v", sims, at, by, want)
				}
			}
			if sims == 2 && by[0] == by[1] {
				t.Error("the other SIM did not get it")
			}
			h.stop()
		})
	}
}

// An unknown reference is kept as unknown.
func TestUnknownReference(t *testing.T) {
	inHall(t, func(t *testing.T, h *hall) {
		h.run()
		h.plug("a", func(s modem.Submission) modem.Result {
			h.went(s.Text)
			return modem.Result{Class: modem.Accepted, NoMR: true, Cause: "cms-197", CMS: 197, CME: -1, Committed: true}
		})
		id := h.enqueue(5 * time.Minute)
		h.pass(time.Second)
		if m := h.want(id, queue.Accepted); m.Attempts[0].MR != -1 || m.Attempts[0].Cause != "cms-197" {
			t.Errorf("%+v", m.Attempts[0])
		}
		h.stop()
	})
}
