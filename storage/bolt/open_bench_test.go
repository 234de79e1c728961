package bolt

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

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
