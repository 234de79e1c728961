package storage_test

import (
	"time"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

// begin is a transaction over m.
func begin(m storagetest.Memory) *storage.WriteSet {
	return storage.NewWriteSet(m, func() time.Time { return time.UnixMicro(1) }, nil)
}
