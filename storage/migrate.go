package storage

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// FirstSchema is the schema version of a store that no Migration has touched.
const FirstSchema = 1

// Migration takes every record from the schema version To-1 to To.
type Migration struct {
	// To is the schema version that is reached; a list begins with 2 and
	// leaves none out.
	To int
	// Name says in words what changes, for logs and errors.
	Name string
	// Step does a bounded part of the work in one transaction (MaxKeys
	// holds): from cursor on, nil at first, returning where the next one goes
	// on, or nil when all is done. The cursor is saved with the step's writes,
	// so that a step runs again only if nothing of it was kept.
	Step func(tx Tx, cursor []byte) (next []byte, err error)
}

var (
	schemaKey    = []byte("!schema")
	migrationKey = []byte("!migration")
)

// Schema returns the store's schema version, 0 if it has none yet. A version
// beyond what migrations reach is ErrNewer.
func Schema(base Snapshot, migrations []Migration) (int, error) {
	raw, ok, err := base.Get(schemaKey)
	if err != nil || !ok {
		return 0, err
	}
	version, n := binary.Uvarint(raw)
	if n != len(raw) || n == 0 || version < FirstSchema || version > 1<<30 {
		return 0, fmt.Errorf("%w: unreadable schema version", ErrForeign)
	}
	if latest := FirstSchema + len(migrations); int(version) > latest {
		return 0, fmt.Errorf("%w: schema version %d, known up to %d", ErrNewer, version, latest)
	}
	return int(version), nil
}

// Migrate brings a store to the last of migrations, step by step, each in a
// transaction of its own by update; a new store begins there. An interrupted
// migration goes on where it was.
func Migrate(update func(func(*WriteSet) error) error, migrations []Migration) error {
	for i, m := range migrations {
		if m.To != FirstSchema+1+i || m.Step == nil {
			return fmt.Errorf("storage: migration %d (%s) is out of order or has no step", m.To, m.Name)
		}
	}
	for done := false; !done; {
		err := update(func(w *WriteSet) error {
			var err error
			done, err = migrateStep(w, migrations)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// migrateStep does one step and says whether the last schema is reached.
func migrateStep(w *WriteSet, migrations []Migration) (done bool, err error) {
	tx := w.System()
	at, err := Schema(asSnapshot{tx}, migrations)
	switch {
	case err != nil:
		return false, err
	case at == 0:
		return true, tx.Put(schemaKey, binary.AppendUvarint(nil, uint64(FirstSchema+len(migrations))))
	case at == FirstSchema+len(migrations):
		return true, nil
	}
	m := migrations[at-FirstSchema]
	cursor, err := tx.Get(migrationKey)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	next, err := m.Step(w, cursor)
	if err != nil {
		return false, fmt.Errorf("storage: migration to schema %d (%s): %w", m.To, m.Name, err)
	}
	if next != nil {
		return false, tx.Put(migrationKey, next)
	}
	if err := tx.Put(schemaKey, binary.AppendUvarint(nil, uint64(m.To))); err != nil {
		return false, err
	}
	return m.To == FirstSchema+len(migrations), tx.Delete(migrationKey)
}

// asSnapshot reads a Tx as a Snapshot.
type asSnapshot struct{ Tx }

func (t asSnapshot) Get(key []byte) ([]byte, bool, error) {
	value, err := t.Tx.Get(key)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}
