package bolt

import (
	"context"
	"path/filepath"
	"testing"

	"smsotpd/storage"
)

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	for i := range 3 {
		s, err := Open(Options{Path: path, Daemon: true})
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(context.Background(), func(tx storage.Tx) error {
			return tx.Put([]byte{'a', byte(i)}, []byte("v"))
		})
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(context.Background(), func(tx storage.Tx) error {
			es, err := tx.Scan(nil, nil, 1000)
			if len(es) != i+1 {
				t.Errorf("%d entries, want %d: %q", len(es), i+1, es)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
