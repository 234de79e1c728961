package gateway

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

// Orders at once leave the crew with what the store says.
func TestOrdersAtOnce(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { _, err := s.gw.Pause(t.Context(), ops, "a", ""); s.must(err) })
			all.Go(func() { _, err := s.gw.Resume(t.Context(), ops, "a", ""); s.must(err) })
		}
		all.Wait()
		if held := s.modem("a").State == modem.Paused; held != s.crew.holds("a") {
			t.Errorf("the store says %t, the crew %t", held, s.crew.holds("a"))
		}
		last := ""
		for _, line := range s.trail() {
			if line == last {
				t.Error("the trail tells of what changed nothing")
			}
			last = line
		}
	})
}

// An order that can't be written is not carried out.
func TestOrderThatIsNotDurable(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.gw.Pause(ctx, ops, "a", ""); err == nil {
			t.Error("paused without a transaction")
		}
		if s.crew.holds("a") || s.modem("a").State != modem.Ready {
			t.Error("it is held")
		}
		s.trailIs()
		if got := s.counts("smsotpd_operator_actions_total"); len(got) != 0 {
			t.Errorf("counted: %v", got)
		}
	})
}

// Reasons are sealed, and one that is damaged leaves the order standing.
func TestReasonsAreSealed(t *testing.T) {
	inShop(t, nil, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "the quick brown fox")
		s.must(err)
		all, err := storagetest.Dump(t.Context(), s.store)
		s.must(err)
		for _, e := range all {
			if strings.Contains(string(e.Value), "fox") {
				t.Errorf("%s holds the reason", e.Key)
			}
		}
		s.must(s.store.Update(t.Context(), func(tx storage.Tx) error {
			rec, err := s.gw.orders.table.Get(tx, []byte("a"))
			if err != nil {
				return err
			}
			rec.Why[len(rec.Why)-1] ^= 1
			return s.gw.orders.table.Put(tx, []byte("a"), rec)
		}))
		if m := s.modem("a"); m.State != modem.Paused || m.Reason != "paused by ops" {
			t.Errorf("%s, %q", m.State, m.Reason)
		}
	})
}

// The trail is dropped when its time is over.
func TestTrailRetention(t *testing.T) {
	inShop(t, func(o *Options) { o.TrailRetention = 48 * time.Hour }, func(t *testing.T, s *shop) {
		_, err := s.gw.Pause(t.Context(), ops, "a", "")
		s.must(err)
		s.pass(47 * time.Hour)
		_, err = s.gw.Resume(t.Context(), ops, "a", "")
		s.must(err)
		if len(s.trail()) != 2 {
			t.Errorf("too early: %q", s.trail())
		}
		s.pass(2 * time.Hour)
		s.trailIs("ops KEY1 modem.resume a")
	})
}
