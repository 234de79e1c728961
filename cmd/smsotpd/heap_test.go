package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestGCPercent(t *testing.T) {
	const mib = 1 << 20
	for live, want := range map[uint64]int{0: 300, 8 * mib: 300, 16 * mib: 200, 32 * mib: 100, 500 * mib: 100} {
		if got := gcPercent(live); got != want {
			t.Errorf("%d MiB live: %d, want %d", live/mib, got, want)
		}
	}
}

// The heap's tender ends when it is told to, and not before.
func TestTendHeap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tendHeap(ctx) }()
		time.Sleep(10 * heapEvery)
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v", err)
		default:
		}
		cancel()
		if err := <-ended; err != context.Canceled { //nolint:errorlint // as it is
			t.Error(err)
		}
	})
}
