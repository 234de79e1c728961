package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/storage"
)

// BenchmarkBareCommit is the floor of everything that the gateway does: n
// writers who each wait for the commit of a closure that puts k values of
// 300 B. Compare speeds only within one run.
func BenchmarkBareCommit(b *testing.B) {
	for _, writers := range []int{1, 64, 512} {
		for _, keys := range []int{1, 4, 8} {
			for _, order := range []string{"ordered", "random"} {
				b.Run(fmt.Sprintf("writers=%d/keys=%d/%s", writers, keys, order), func(b *testing.B) {
					bareCommit(b, writers, keys, order == "random")
				})
			}
		}
	}
}

func bareCommit(b *testing.B, writers, keys int, random bool) {
	var groups, syncing atomic.Int64
	s, err := Open(Options{Path: filepath.Join(b.TempDir(), "db"), OnCommit: func(_ int, d time.Duration) {
		groups.Add(1)
		syncing.Add(int64(d))
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	value := make([]byte, 300)
	var serial atomic.Uint64
	write := func(tx storage.Tx) error {
		for range keys {
			key := serial.Add(1)
			if random {
				key = rand.Uint64()
			}
			if err := tx.Put(binary.BigEndian.AppendUint64([]byte("bench/"), key), value); err != nil {
				return err
			}
		}
		return nil
	}
	b.ReportAllocs()
	b.ResetTimer()
	groups.Store(0)
	syncing.Store(0)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for range writers {
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
	n := float64(max(groups.Load(), 1))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	b.ReportMetric(float64(b.N)/n, "batch")
	b.ReportMetric(float64(syncing.Load())/n/1e6, "ms/group")
}
