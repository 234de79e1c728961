package storagetest

import (
	"bytes"
	"context"

	"smsotpd/storage"
)

// Dump returns everything in a small store but the engine's own keys.
func Dump(ctx context.Context, s storage.Store) (all []storage.Entry, err error) {
	err = s.View(ctx, func(tx storage.Tx) error {
		found, err := tx.Scan(nil, nil, 1<<20)
		all = all[:0]
		for _, e := range found {
			all = append(all, storage.Entry{Key: bytes.Clone(e.Key), Value: bytes.Clone(e.Value)})
		}
		return err
	})
	return all, err
}
