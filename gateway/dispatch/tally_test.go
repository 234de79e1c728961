package dispatch

import (
	"fmt"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
)

func to(n int) queue.Message { return queue.Message{Recipient: []byte(fmt.Sprint("token", n))} }

func cms(n int, c modem.Class) modem.Result {
	return modem.Result{Class: c, CMS: n, CME: -1, Cause: fmt.Sprint("cms-", n), Committed: true}
}

func TestBlame(t *testing.T) {
	const d, s, p = modem.Destination, modem.SIM, modem.Temporary
	ok := modem.Result{Class: modem.Accepted, CMS: -1, CME: -1, Committed: true}
	type step struct {
		to   int
		r    modem.Result
		want modem.Class
		rest time.Duration
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"one number again and again", []step{
			{1, cms(38, p), p, 0}, {1, cms(27, p), p, 0}, {1, cms(38, p), p, 0}, {1, cms(38, p), p, 0},
		}},
		{"three numbers can't be reached", []step{
			{1, cms(38, p), p, 0},
			{2, cms(27, p), p, 0},
			{3, cms(38, p), s, 5 * time.Second},
			{1, cms(38, p), s, 5 * time.Second},
			{2, cms(38, p), s, 5 * time.Second}, // the same ones prove nothing new
			{4, cms(38, p), s, 10 * time.Second},
			{5, cms(27, p), s, 20 * time.Second},
		}},
		{"two numbers, then success", []step{
			{1, cms(38, p), p, 0}, {2, cms(38, p), p, 0}, {3, ok, modem.Accepted, 0}, {3, cms(38, p), p, 0}, {2, cms(38, p), p, 0},
		}},
		{"three numbers are not known", []step{
			{1, cms(1, d), d, 0}, {2, cms(30, d), d, 0}, {3, cms(30, d), s, 5 * time.Second},
		}},
		{"what the SIM is rejected for by one number", []step{
			{1, cms(21, s), s, 5 * time.Second}, {1, cms(50, s), s, 10 * time.Second}, {1, cms(21, s), s, 20 * time.Second},
		}},
		{"what the SIM is rejected for by many", []step{
			{1, cms(21, s), s, 5 * time.Second},
			{2, cms(50, s), s, 10 * time.Second},
			{3, cms(21, s), s, 20 * time.Second},
			{4, cms(21, s), s, 40 * time.Second},
			{5, cms(21, s), s, time.Minute},
			{6, cms(21, s), s, time.Minute},
		}},
		{"unknown and unreached are counted apart", []step{
			{1, cms(1, d), d, 0}, {2, cms(30, d), d, 0}, {3, cms(38, p), p, 0}, {4, cms(27, p), p, 0},
		}},
		{"others say nothing of either", []step{
			{1, cms(42, p), p, 0}, {2, cms(195, d), d, 0}, {3, cms(41, p), p, 0}, {4, cms(500, modem.Ambiguous), modem.Ambiguous, 0},
		}},
		{"barred", []step{{1, cms(8, s), s, time.Minute}, {1, cms(10, s), s, 2 * time.Minute}}},
		{"the modem's own trouble", []step{
			{1, cms(310, s), s, time.Second},
			{1, cms(310, s), s, 2 * time.Second},
			{1, ok, modem.Accepted, 0},
			{1, cms(322, s), s, time.Second},
		}},
		{"before Ctrl-Z a number proves nothing", []step{
			{1, modem.Result{Class: p, CMS: 38, CME: -1}, p, 0},
			{2, modem.Result{Class: p, CMS: 38, CME: -1}, p, 0},
			{3, modem.Result{Class: p, CMS: 38, CME: -1}, p, 0},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			y := newTally()
			for i, step := range c.steps {
				r := step.r
				if rest := y.judge("sim", to(step.to), &r, false); r.Class != step.want || rest != step.rest {
					t.Errorf("step %d: %s and %v, want %s and %v", i+1, r.Class, rest, step.want, step.rest)
				}
				other := step.r
				if y.judge(fmt.Sprint("other", i), to(step.to), &other, false); other.Class != step.r.Class {
					t.Error("one SIM was blamed for another's")
				}
			}
		})
	}
}

// The only SIM is blamed by the same refusals, and goes on all the same.
func TestTheOnlySIMGoesOn(t *testing.T) {
	y := newTally()
	for n := range 20 {
		r := cms(38, modem.Temporary)
		rest, class := time.Duration(0), modem.Temporary
		if n+1 >= blameAfter {
			rest, class = restItself, modem.SIM
		}
		if got := y.judge("a", to(n), &r, true); got != rest || r.Class != class {
			t.Errorf("number %d: %s, a rest of %v", n+1, r.Class, got)
		}
	}
	r := cms(8, modem.SIM)
	if rest := y.judge("a", to(1), &r, true); rest != restRefused {
		t.Errorf("barred: a rest of %v", rest)
	}
}

func TestRestsEnd(t *testing.T) {
	y := newTally()
	for range 100 {
		r := cms(8, modem.SIM)
		if rest := y.judge("a", to(1), &r, false); rest <= 0 || rest > longestRest {
			t.Fatalf("a rest of %v", rest)
		}
		r = cms(310, modem.SIM)
		if rest := y.judge("b", to(1), &r, false); rest <= 0 || rest > longestSuspect {
			t.Fatalf("a rest of %v", rest)
		}
	}
}
