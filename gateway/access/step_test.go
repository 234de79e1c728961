package access

import (
	"context"
	"errors"
	"testing"

	"smsotpd/storage"
)

// What is done with a key is done in the same transaction, and only with it.
func TestStepsBelongToTheChange(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	errStep := errors.New("no room")
	fails := func(storage.Tx, Key) error { return errStep }
	if _, _, err := Add(t.Context(), s, k, "shop", []Scope{Verify}, fails); !errors.Is(err, errStep) {
		t.Errorf("added: %v", err)
	}
	if keys := list(t, s); len(keys) != 0 {
		t.Errorf("a key without its step: %v", keys)
	}

	var seen []Key
	note := func(_ storage.Tx, key Key) error {
		seen = append(seen, key)
		return nil
	}
	_, key, err := Add(t.Context(), s, k, "shop", []Scope{Verify}, note)
	if err != nil || len(seen) != 1 || seen[0].ID != key.ID || seen[0].Name != "shop" {
		t.Fatalf("the step saw %v, %v", seen, err)
	}
	revoke := func(ctx context.Context, also Step) error { return Revoke(ctx, s, key.ID, also) }
	if err := revoke(t.Context(), fails); !errors.Is(err, errStep) || !list(t, s)[0].Revoked.IsZero() {
		t.Errorf("revoked without its step: %v", err)
	}
	for range 2 { // the second one changes nothing
		if err := revoke(t.Context(), note); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 || seen[1].Revoked.IsZero() {
		t.Errorf("the steps saw %v", seen)
	}
}
