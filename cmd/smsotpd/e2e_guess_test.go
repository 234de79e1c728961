package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// e2eGuessesOverKill lets 1,000 guesses at one code run in parallel, kills the
// gateway in their midst, and counts what was evaluated: by the replies, and by
// the lock that 100 consecutive failures of one number bring about.
func e2eGuessesOverKill(t *testing.T) {
	random := dice(t)
	n := install(t, plan{modems: 1, air: "0s"})
	n.serve()
	to := mobile(0)
	first := n.begin(to)
	code := n.received(to, 1)

	// One at a time until some are charged for sure, then all the others at
	// once, and the end comes a moment later.
	known := 1 + random.IntN(3)
	for left := range known {
		if verdict := n.check(first.ID, wrong(code)); verdict.Valid || verdict.ChecksLeft != 4-left {
			t.Fatalf("guess %d: %+v", left+1, verdict)
		}
	}
	replies := n.guess(first.ID, code, 1000-known, func() {
		<-time.After(time.Duration(random.IntN(30)) * time.Millisecond)
		n.crash()
		n.serve()
	})
	for left, count := range replies {
		if count > 1 && left != "0" || left >= strconv.Itoa(5-known) {
			t.Errorf("%d replies say that %s checks are left", count, left)
		}
	}
	if v := n.verification(first.ID); v.Status != "exhausted" || v.ChecksLeft != 0 {
		t.Errorf("after 1,000 guesses: %+v", v)
	}
	if verdict := n.check(first.ID, code); verdict.Valid {
		t.Error("the right code after 1,000 wrong ones was taken")
	}

	// So far 5 failures are to be counted: 94 more must not lock the number,
	// and the one after them must.
	for range 18 {
		n.exhaust(to, 5)
	}
	last := n.exhaust(to, 4)
	if v := n.begin(to); v.Status != "pending" {
		t.Errorf("locked too early: %+v", v)
	}
	if verdict := n.check(last, "0"); verdict.ChecksLeft != 0 {
		t.Errorf("the hundredth failure: %+v", verdict)
	}
	status, err := n.call(http.MethodPost, "/v1/verifications", api.Start{To: to}, nil)
	if problem := new(api.Problem); status != http.StatusTooManyRequests || !errors.As(err, &problem) || problem.Code != "locked" {
		t.Errorf("after 100 failures: %d %v", status, err)
	}
}

// guess makes count different wrong guesses in parallel, each again while
// nobody answers, and meanwhile does what it is told. It returns how many
// replies said that so many checks are left.
func (n *installation) guess(id, code string, count int, meanwhile func()) map[string]int {
	var mu sync.Mutex
	replies := map[string]int{}
	var guesses sync.WaitGroup
	for i := range count {
		guesses.Go(func() {
			guess := fmt.Sprintf("%06d", (parsed(code)+1+i)%1_000_000)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for deadline := time.Now().Add(patient); time.Now().Before(deadline); <-tick.C {
				var v api.Verdict
				status, err := n.call(http.MethodPost, "/v1/verifications/"+id+"/check", api.Check{Code: guess}, &v)
				switch {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					replies[strconv.Itoa(v.ChecksLeft)]++
					if v.Valid {
						n.t.Error("a wrong code was taken")
					}
					return
				case status != 0 && status != http.StatusServiceUnavailable:
					n.t.Errorf("check: %d %v", status, err)
					return
				}
			}
			n.t.Error("nobody answers")
		})
	}
	meanwhile()
	guesses.Wait()
	return replies
}

func parsed(code string) int {
	i, _ := strconv.Atoi(code)
	return i
}

// exhaust starts a verification, enters count wrong codes and returns its id.
func (n *installation) exhaust(to string, count int) string {
	n.t.Helper()
	v := n.begin(to)
	for range count {
		if verdict := n.check(v.ID, "0"); verdict.Valid {
			n.t.Fatal("0 was taken for the code")
		}
	}
	return v.ID
}
