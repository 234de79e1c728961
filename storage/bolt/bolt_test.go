package bolt

import (
	"path/filepath"
	"testing"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

type backing struct{ path string }

func (b backing) Open(o storagetest.Options) (storage.Store, error) {
	return Open(Options{Path: b.path, Daemon: !o.Tool, Now: o.Now, Migrations: o.Migrations})
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Backing {
		return backing{filepath.Join(t.TempDir(), "db")}
	})
}
