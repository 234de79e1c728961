package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// hold is how long a send in doubt is held before its one re-send.
const hold = 30 * time.Second

// dice are random and tell how to throw them again.
func dice(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// e2eKills kills the gateway ten times at random moments while 200
// verifications are asked for and sent over two modems. Whoever asks gets no
// answer from a killed gateway and asks again under the same Idempotency-Key,
// as an application should. Every second delivery report is dropped, so that
// sends in doubt stay so.
func e2eKills(t *testing.T) {
	const (
		total = 200
		kills = 10
	)
	random := dice(t)
	n := install(t, plan{
		modems: 2, air: "150ms",
		script: "[[fault]]\non = \"report\"\ndo = \"drop-report\"\nevery = 2\n",
	})
	n.serve()

	asked := n.askSteadily(total)
	var deaths []time.Time
	for i := range kills {
		// The moments are spread over the messages, so that each kill finds
		// work; where in a message they fall is left to chance.
		enough := (i + 1) * total / (kills + 2)
		await(t, "some messages", func() error {
			if got := len(n.sent()); got < enough {
				return fmt.Errorf("%d of %d", got, enough)
			}
			return nil
		})
		<-time.After(time.Duration(random.IntN(400)) * time.Millisecond)
		n.crash()
		deaths = append(deaths, time.Now())
		n.serve()
	}
	started := <-asked
	if len(started) != total {
		t.Fatalf("%d of %d starts were acknowledged", len(started), total)
	}

	again := n.judge(started, deaths)
	t.Logf("%d messages were sent again after a doubt", again)
	sent := n.sentTo()
	if len(sent) != total {
		t.Errorf("SMS went to %d numbers, not %d", len(sent), total)
	}
	for to, id := range started {
		if verdict := n.check(id, sent[to][0].code()); !verdict.Valid {
			t.Errorf("a number did not get its own code: %+v", verdict)
		}
	}
}

// e2eKilledStarts kills the gateway while it is asked for many verifications at
// once, which are asked for again until each is acknowledged: each number gets
// one code, and it is that of the verification that was acknowledged.
func e2eKilledStarts(t *testing.T) {
	const (
		rounds = 15
		each   = 20
	)
	random := dice(t)
	n := install(t, plan{modems: 1, air: "0s", ports: []string{"later*"}})
	n.serve()
	started, replayed := map[string]string{}, 0
	var mu sync.Mutex
	for round := range rounds {
		var askers sync.WaitGroup
		for i := range each {
			askers.Go(func() {
				to := mobile(round*each + i)
				if v, again, ok := n.insist(to); ok {
					mu.Lock()
					defer mu.Unlock()
					started[to] = v.ID
					if again {
						replayed++
					}
				}
			})
		}
		<-time.After(time.Duration(random.IntN(12_000)) * time.Microsecond)
		n.crash()
		n.serve()
		askers.Wait()
	}
	t.Logf("%d of %d had been started by a gateway that was killed before it said so", replayed, rounds*each)
	n.sim.tell(t, "unplug 0")
	n.sim.tell(t, "plug 0 %s", n.path("later0"))
	for _, id := range started {
		n.settled(n.verification(id).Message.ID, "delivered")
	}
	// Verifications that nobody was told of would be sent by now, too: their
	// messages are older than those that were acknowledged last.
	sent := n.sentTo()
	for to, id := range started {
		if len(sent[to]) != 1 {
			t.Errorf("%d SMS to one number", len(sent[to]))
		} else if verdict := n.check(id, sent[to][0].code()); !verdict.Valid {
			t.Errorf("the code is of another verification: %+v", verdict)
		}
	}
	if len(sent) != rounds*each {
		t.Errorf("SMS to %d of %d numbers", len(sent), rounds*each)
	}
}

// askSteadily starts verifications of mobile(0) and those after it, a few at a
// time, so that the queue is never empty and never long. It gives the ids by
// number once all are acknowledged.
func (n *installation) askSteadily(total int) <-chan map[string]string {
	const lead = 40
	var mu sync.Mutex
	started := map[string]string{}
	next := make(chan int)
	var askers sync.WaitGroup
	for range 4 {
		askers.Go(func() {
			for i := range next {
				v, _, ok := n.insist(mobile(i))
				if !ok {
					return
				}
				mu.Lock()
				started[mobile(i)] = v.ID
				mu.Unlock()
			}
		})
	}
	done := make(chan map[string]string, 1)
	ctx := n.t.Context()
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := 0; i < total && ctx.Err() == nil; {
			if i >= len(n.sent())+lead {
				<-tick.C
				continue
			}
			select {
			case next <- i:
				i++
			case <-ctx.Done():
			}
		}
		close(next)
		askers.Wait()
		done <- started
	}()
	return done
}

// insist starts a verification, again and again under one Idempotency-Key
// while nobody answers, and says whether the answer is one that an earlier try
// should have got.
func (n *installation) insist(to string) (v api.Verification, replayed, ok bool) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patient); time.Now().Before(deadline); <-tick.C {
		asked := time.Now()
		status, err := n.call(http.MethodPost, "/v1/verifications", api.Start{To: to}, &v, "Idempotency-Key", "start "+to)
		if err == nil {
			return v, v.CreatedAt.Before(asked), true
		}
		if status != 0 && status != http.StatusServiceUnavailable {
			n.t.Errorf("start: %d %v", status, err)
			return v, false, false
		}
	}
	n.t.Error("nobody answers")
	return v, false, false
}

// judge holds every message to the simulator's log once all have come to their
// end, and returns how many were sent twice. deaths are when the gateway was
// killed.
func (n *installation) judge(started map[string]string, deaths []time.Time) (again int) {
	n.t.Helper()
	type life struct {
		death int
		modem string
	}
	doubts := map[life]int{}
	for to, id := range started {
		m := n.settledAfterDoubt(n.verification(id).Message.ID)
		got := n.sentTo()[to]
		for _, s := range got {
			if s.code() == "" || s.code() != got[0].code() {
				n.t.Errorf("a number got two codes, or none; the second at %v: %+v", s.AcceptedAt, m)
			}
		}
		switch {
		case len(got) == 0:
			n.t.Errorf("a message is lost: %+v", m)
		case len(got) > 2, len(got) == 2 && !m.PossibleDuplicate:
			n.t.Errorf("sent %d times: %+v", len(got), m)
		case len(got) == 2:
			again++
			// The hold counts from Ctrl-Z, which was no later than the
			// network's acceptance.
			if gap := got[1].AcceptedAt.Sub(got[0].AcceptedAt); gap < hold {
				n.t.Errorf("sent again after %v", gap)
			}
		}
		for _, a := range m.Attempts {
			if a.Result == nil || *a.Result == "accepted" {
				continue
			}
			if *a.Result != "ambiguous" || a.Cause != "restart" {
				n.t.Errorf("an attempt that no kill explains: %+v", m)
			}
			death := 0
			for death < len(deaths) && a.StartedAt.After(deaths[death]) {
				death++
			}
			doubts[life{death, a.Modem}]++
		}
	}
	for l, count := range doubts {
		if count > 1 {
			n.t.Errorf("kill %d left %d messages of %s in doubt", l.death, count, l.modem)
		}
	}
	n.t.Logf("%d messages were in doubt after %d kills", len(doubts), len(deaths))
	return again
}

// settledAfterDoubt waits until a message is with the network for sure, and
// holds it to have waited for that where it was in doubt.
func (n *installation) settledAfterDoubt(id string) api.Message {
	n.t.Helper()
	m := n.settled(id, "accepted", "delivered", "unconfirmed")
	for i, a := range m.Attempts[1:] {
		before := m.Attempts[i]
		if *before.Result == "ambiguous" && !m.PossibleDuplicate {
			n.t.Errorf("sent again unmarked: %+v", m)
		}
		if a.StartedAt.Sub(before.StartedAt) < hold {
			n.t.Errorf("sent again after %v", a.StartedAt.Sub(before.StartedAt))
		}
	}
	return m
}

// e2eStopInTheAir stops the gateway while both modems have a message in the
// air: their answers are waited for, nothing is in doubt, nothing is lost.
func e2eStopInTheAir(t *testing.T) {
	n := install(t, plan{modems: 2, air: "1s"})
	n.serve()
	n.ready()
	var ids []string
	for i := range 8 {
		ids = append(ids, n.begin(mobile(i)).Message.ID)
	}
	for range 2 {
		await(t, "messages in the air", func() error {
			flying := 0
			for _, id := range ids {
				if n.message(id).Status == "sending" {
					flying++
				}
			}
			if flying < 2 {
				return fmt.Errorf("%d", flying)
			}
			return nil
		})
		began := time.Now()
		n.stop()
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the stop took %v", took)
		}
		n.serve()
	}
	for i, id := range ids {
		// A report that came while nobody had the port open is lost.
		if m := n.settled(id, "accepted", "delivered"); len(m.Attempts) != 1 || m.PossibleDuplicate {
			t.Errorf("after a stop: %+v", m)
		}
		if got := n.sentTo()[mobile(i)]; len(got) != 1 {
			t.Errorf("sent %d times", len(got))
		}
	}
	if strings.Contains(readAll(n.gateway.err), "level=ERROR") {
		t.Errorf("the log has errors:\n%s", tail(n.gateway.err))
	}
}
