package bolt

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"smsotpd/storage/storagetest"
)

func BenchmarkBareCommit(b *testing.B) {
	for _, writers := range []int{1, 64, 512} {
		for _, keys := range []int{1, 4, 8} {
			for _, random := range []bool{false, true} {
				load := storagetest.Load{Writers: writers, Keys: keys, Random: random}
				b.Run(fmt.Sprintf("writers=%d/keys=%d/random=%v", writers, keys, random), func(b *testing.B) {
					var groups, syncing atomic.Int64
					s := mustOpen(b, Options{Path: filepath.Join(b.TempDir(), "db"), OnCommit: func(_ int, d time.Duration) {
						groups.Add(1)
						syncing.Add(int64(d))
					}})
					groups.Store(0)
					syncing.Store(0)
					storagetest.BareCommit(b, s, load)
					n := float64(groups.Load())
					b.ReportMetric(float64(b.N)/n, "batch")
					b.ReportMetric(float64(syncing.Load())/n/1e6, "ms/group")
				})
			}
		}
	}
}

// BenchmarkOpen opens a store of a million keys after a clean shutdown, when a
// list of free pages is there, and after a kill, when bbolt must search for
// them beside our own check.
func BenchmarkOpen(b *testing.B) {
	for _, clean := range []bool{true, false} {
		b.Run(fmt.Sprintf("clean=%v", clean), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "db")
			million(b, path, clean)
			for b.Loop() {
				s, err := Open(Options{Path: path})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func million(b *testing.B, path string, clean bool) {
	s, err := Open(Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
	s.db.NoSync = true
	for i := range 200 {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for j := range 5000 {
				key := binary.BigEndian.AppendUint64([]byte("bench/"), uint64(i*5000+j))
				if err := tx.Bucket(bucketName).Put(key, make([]byte, 300)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	s.committer.committed = clean // whether Close ends with a commit
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
