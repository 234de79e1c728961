package access

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

func newKeyring(t testing.TB) *keyring.Keyring {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master")
	if err := keyring.Init(path); err != nil {
		t.Fatal(err)
	}
	m, err := keyring.ReadMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	k, err := keyring.Open(t.TempDir(), m)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newStore(t testing.TB) (*bolt.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	s, err := bolt.Open(bolt.Options{Path: path, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, path
}

func add(t testing.TB, s storage.Store, k *keyring.Keyring, name string, scopes ...Scope) (string, Key) {
	t.Helper()
	secret, key, err := Add(t.Context(), s, k, name, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return secret, key
}

// start runs an Authenticator over the store until the returned stop.
func start(t testing.TB, s storage.Store, k *keyring.Keyring) (a *Authenticator, stop func()) {
	t.Helper()
	a, err := NewAuthenticator(t.Context(), s, k, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return a, stop
}

// within waits up to a second for the key's outcome.
func within(t testing.TB, a *Authenticator, secret string, want error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if _, err = a.Authenticate(t.Context(), secret); errors.Is(err, want) {
			return
		}
	}
	t.Fatalf("after a second: %v, want %v", err, want)
}

func TestAddedKeyAuthenticates(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	a, _ := start(t, s, k)
	secret, key := add(t, s, k, "shop", Check, Verify, Check)
	if key.ID == "" || key.Name != "shop" || key.Kind != Bearer || key.Created.IsZero() || !key.Revoked.IsZero() {
		t.Errorf("key = %+v", key)
	}
	within(t, a, secret, nil)
	p, err := a.Authenticate(t.Context(), secret)
	if err != nil || p.KeyID != key.ID || p.Name != "shop" || !slices.Equal(p.Scopes, []Scope{Verify, Check}) {
		t.Errorf("principal = %+v, %v", p, err)
	}
	for _, scope := range Scopes() {
		if want := scope == Verify || scope == Check; p.Can(scope) != want {
			t.Errorf("Can(%s) = %v", scope, !want)
		}
	}
	if (Principal{}).Can(Verify) || p.Can("") {
		t.Error("a scope that nobody has")
	}
}

func TestAdminImpliesNothing(t *testing.T) {
	for _, has := range Scopes() {
		for _, asked := range Scopes() {
			p := Principal{Scopes: []Scope{has}}
			if p.Can(asked) != (has == asked) {
				t.Errorf("with %s, Can(%s) = %v", has, asked, p.Can(asked))
			}
		}
	}
}

func TestSecretShape(t *testing.T) {
	s, _ := newStore(t)
	secret, key := add(t, s, newKeyring(t), "shop", Verify)
	parts := strings.Split(secret, "_")
	if len(parts) != 3 || parts[0] != prefix || parts[1] != key.ID || len(parts[2]) != secretLength {
		t.Fatalf("%d parts", len(parts))
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	if strings.Trim(parts[1]+parts[2], alphabet) != "" || len(parts[2])*5 < 128 {
		t.Error("not 128 bits of A–Z and 2–7")
	}
}

// Unknown id, wrong secret and revoked key give one and the same error.
func TestRefusalsAreAlike(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	secret, key := add(t, s, k, "shop", Verify)
	revoked, old := add(t, s, k, "old", Verify)
	if err := Revoke(t.Context(), s, old.ID); err != nil {
		t.Fatal(err)
	}
	a, _ := start(t, s, k)
	within(t, a, secret, nil)
	other := "A"
	if strings.HasSuffix(secret, other) {
		other = "B"
	}
	for name, presented := range map[string]string{
		"unknown id":      prefix + "_" + strings.Repeat("A", idLength) + "_" + secret[len(secret)-secretLength:],
		"wrong secret":    secret[:len(secret)-1] + other,
		"revoked":         revoked,
		"another's":       prefix + "_" + key.ID + "_" + revoked[len(revoked)-secretLength:],
		"empty":           "",
		"the id alone":    key.ID,
		"no prefix":       strings.TrimPrefix(secret, prefix+"_"),
		"another prefix":  "sk" + secret,
		"longer":          secret + "A",
		"shorter":         secret[:len(secret)-1],
		"lower case":      strings.ToLower(secret),
		"space in front":  " " + secret,
		"newline behind":  secret + "\n",
		"empty secret":    prefix + "_" + key.ID + "_",
		"a megabyte":      secret + strings.Repeat("A", 1<<20),
		"underscores":     "___",
		"secret and junk": secret + "_x",
	} {
		p, err := a.Authenticate(t.Context(), presented)
		if !errors.Is(err, ErrUnauthenticated) || err.Error() != ErrUnauthenticated.Error() || p.KeyID != "" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := a.check("twilio", key.ID, secret[len(secret)-secretLength:]); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("a bearer key presented as another kind: %v", err)
	}
}

func TestRevocationActsWithinASecond(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	a, _ := start(t, s, k)
	first, one := add(t, s, k, "shop", Verify)
	second, _ := add(t, s, k, "shop", Verify)
	within(t, a, first, nil)
	within(t, a, second, nil)
	if err := Revoke(t.Context(), s, one.ID); err != nil {
		t.Fatal(err)
	}
	within(t, a, first, ErrUnauthenticated)
	within(t, a, second, nil)
}

func TestRevoke(t *testing.T) {
	s, _ := newStore(t)
	_, key := add(t, s, newKeyring(t), "shop", Verify)
	if err := Revoke(t.Context(), s, key.ID); err != nil {
		t.Fatal(err)
	}
	first := list(t, s)
	if err := Revoke(t.Context(), s, key.ID); err != nil {
		t.Errorf("a second revocation: %v", err)
	}
	if again := list(t, s); len(again) != 1 || again[0].Revoked.IsZero() || !again[0].Revoked.Equal(first[0].Revoked) {
		t.Errorf("after two revocations: %+v", again)
	}
	for _, id := range []string{"", "x", strings.Repeat("A", idLength)} {
		if err := Revoke(t.Context(), s, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("Revoke(%q): %v", id, err)
		}
	}
	err := s.View(t.Context(), func(tx storage.Tx) error {
		rec, err := table().Get(tx, []byte(key.ID))
		if len(rec.MAC) != 0 {
			t.Error("the hash of a revoked key is kept")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, s storage.Store) []Key {
	t.Helper()
	keys, err := List(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// More keys than one page of a scan.
func TestListAndLoadAllPages(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	const extra = pageSize + 1
	err := s.Update(t.Context(), func(tx storage.Tx) error { return putKeys(tx, k, 0, 90) })
	for from := 90; err == nil && from < extra; from += 90 {
		err = s.Update(t.Context(), func(tx storage.Tx) error { return putKeys(tx, k, from, min(from+90, extra)) })
	}
	if err != nil {
		t.Fatal(err)
	}
	keys := list(t, s)
	if len(keys) != extra {
		t.Fatalf("%d keys listed", len(keys))
	}
	if !slices.IsSortedFunc(keys, func(a, b Key) int { return a.Created.Compare(b.Created) }) {
		t.Error("not oldest first")
	}
	a, _ := start(t, s, k)
	for i := range extra {
		if _, err := a.Authenticate(t.Context(), prefix+"_"+testID(i)+"_"+testSecret); err != nil {
			t.Fatalf("key %d: %v", i, err)
		}
	}
}

var testSecret = strings.Repeat("S", secretLength)

func testID(i int) string {
	id := []byte(strings.Repeat("A", idLength))
	id[0], id[1] = 'A'+byte(i%26), 'A'+byte(i/26)
	return string(id)
}

func putKeys(tx storage.Tx, k *keyring.Keyring, from, to int) error {
	for i := from; i < to; i++ {
		mac := secretMAC(k, Bearer, testID(i), testSecret)
		rec := record{Name: "n", Kind: Bearer, Scopes: Scopes(), MAC: mac[:], Created: storage.Time(i + 1)}
		if err := table().Put(tx, []byte(testID(i)), rec); err != nil {
			return err
		}
	}
	return nil
}

func TestAddRefuses(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	for name, in := range map[string]struct {
		name   string
		scopes []Scope
	}{
		"no name":         {"", []Scope{Verify}},
		"long name":       {strings.Repeat("n", maxName+1), []Scope{Verify}},
		"newline in name": {"shop\n", []Scope{Verify}},
		"no scope":        {"shop", nil},
		"unknown scope":   {"shop", []Scope{Verify, "everything"}},
		"empty scope":     {"shop", []Scope{""}},
	} {
		if secret, _, err := Add(t.Context(), s, k, in.name, in.scopes); !errors.Is(err, ErrInvalid) || secret != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if keys := list(t, s); len(keys) != 0 {
		t.Errorf("%d keys were stored", len(keys))
	}
}

func TestSecretIsNotStored(t *testing.T) {
	s, path := newStore(t)
	secret, _ := add(t, s, newKeyring(t), "shop", Verify)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	own := secret[len(secret)-secretLength:]
	for at := range len(own) - 8 {
		if bytes.Contains(raw, []byte(own[at:at+8])) {
			t.Fatal("the database holds a part of the secret")
		}
	}
}

func TestAnotherKeyringKnowsNoKey(t *testing.T) {
	s, _ := newStore(t)
	secret, _ := add(t, s, newKeyring(t), "shop", Verify)
	a, _ := start(t, s, newKeyring(t))
	if _, err := a.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnauthenticated) {
		t.Errorf("%v", err)
	}
}

func TestNoKeyIsAcceptedWhenRunEnded(t *testing.T) {
	s, _ := newStore(t)
	k := newKeyring(t)
	secret, _ := add(t, s, k, "shop", Verify)
	a, stop := start(t, s, k)
	if _, err := a.Authenticate(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	stop()
	if _, err := a.Authenticate(t.Context(), secret); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Run: %v", err)
	}
}

// failing is a store whose reads fail on demand.
type failing struct {
	storage.Store
	fail atomic.Bool
}

var errBroken = errors.New("broken")

func (f *failing) View(ctx context.Context, fn func(storage.Tx) error) error {
	if f.fail.Load() {
		return errBroken
	}
	return f.Store.View(ctx, fn)
}

// A change that can't be read shuts everybody out, until it can be read.
func TestUnreadableKeysShutOut(t *testing.T) {
	inner, _ := newStore(t)
	s := &failing{Store: inner}
	k := newKeyring(t)
	a, _ := start(t, s, k)
	secret, key := add(t, s, k, "shop", Verify)
	within(t, a, secret, nil)
	s.fail.Store(true)
	if err := Revoke(t.Context(), s, key.ID); err != nil {
		t.Fatal(err)
	}
	within(t, a, secret, ErrUnavailable)
	s.fail.Store(false)
	deadline := time.Now().Add(5 * reloadPause)
	for {
		if _, err := a.Authenticate(t.Context(), secret); errors.Is(err, ErrUnauthenticated) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the keys were not read again")
		}
	}
}

func TestNewAuthenticatorNeedsItsStore(t *testing.T) {
	inner, _ := newStore(t)
	s := &failing{Store: inner}
	s.fail.Store(true)
	if _, err := NewAuthenticator(t.Context(), s, newKeyring(t), slog.New(slog.DiscardHandler)); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	s, _ := newStore(b)
	k := newKeyring(b)
	secret, _ := add(b, s, k, "shop", Verify)
	a, err := NewAuthenticator(b.Context(), s, k, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
