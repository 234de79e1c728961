package storagetest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"smsotpd/storage"
)

// Load is what BareCommit puts on a store.
type Load struct {
	// Writers each wait for their commit before they begin the next.
	Writers int
	// Keys is how many values of 300 B each commit puts.
	Keys int
	// Random keys, against keys that only grow.
	Random bool
}

// BareCommit is the floor under everything that commits: b.N Updates that do
// nothing but put. Ratios to it hold only within one run on one machine.
func BareCommit(b *testing.B, s storage.Store, load Load) {
	value := make([]byte, 300)
	var serial atomic.Uint64
	write := func(tx storage.Tx) error {
		for range load.Keys {
			key := serial.Add(1)
			if load.Random {
				key = rand.Uint64()
			}
			if err := tx.Put(binary.BigEndian.AppendUint64([]byte("bench/"), key), value); err != nil {
				return err
			}
		}
		return nil
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range load.Writers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := s.Update(context.Background(), write); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
