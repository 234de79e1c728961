package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How far the heap grows beyond what is live before it is collected, in percent.
// Little is live where little waits (some 8 MiB), so that Go's own 100 would
// collect many times a second under load, for a tenth of the CPU. With 100,000
// messages waiting it is the memory that counts.
const (
	mostGC  = 300
	leastGC = 100
	// heapGrowth is how much it may grow, in bytes, between the two.
	heapGrowth = 32 << 20
	// heapEvery is how often that is looked after.
	heapEvery = 2 * time.Second
)

// gcPercent is that for so many live bytes.
func gcPercent(live uint64) int {
	return int(min(max(100*heapGrowth/max(live, 1), leastGC), mostGC)) //nolint:gosec // at most 300
}

// tendHeap keeps it as what is live asks for, until ctx ends.
func tendHeap(ctx context.Context) error {
	tick := time.NewTicker(heapEvery)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for inForce := mostGC; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		metrics.Read(sample)
		if sample[0].Value.Kind() != metrics.KindUint64 { // it is called otherwise now
			continue
		}
		// Each change stops the world for a moment.
		if next := gcPercent(sample[0].Value.Uint64()); next > inForce+10 || next < inForce-10 || next == leastGC && inForce != leastGC {
			debug.SetGCPercent(next)
			inForce = next
		}
	}
}
