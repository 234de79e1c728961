package keyring

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func TestSealedOpensOnlyForItsRef(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	// The second and third differ only in where one part ends.
	refs := []Ref{
		{"message", []byte("id"), "body"},
		{"message", []byte("i"), "dbody"},
		{"messagei", []byte("d"), "body"},
		{"message", []byte("id"), "to"},
		{"message", []byte("ie"), "body"},
		{"verification", []byte("id"), "body"},
		{"", nil, ""},
	}
	for i, at := range refs {
		sealed := k.Seal(at, []byte("plaintext"))
		for j, from := range refs {
			got, err := k.Unseal(from, sealed)
			if i == j && (err != nil || string(got) != "plaintext") {
				t.Errorf("ref %d: %q, %v", i, got, err)
			}
			if i != j && !errors.Is(err, ErrSealed) {
				t.Errorf("sealed for ref %d, unsealed for ref %d: %v", i, j, err)
			}
		}
	}
	other := open(t, t.TempDir(), newMaster(t))
	if _, err := other.Unseal(refs[0], k.Seal(refs[0], nil)); !errors.Is(err, ErrSealed) {
		t.Errorf("another keyring: %v", err)
	}
}

func TestSealRoundTripAndBitFlips(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	rapid.Check(t, func(t *rapid.T) {
		ref := Ref{rapid.String().Draw(t, "table"), rapid.SliceOf(rapid.Byte()).Draw(t, "key"), rapid.String().Draw(t, "field")}
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		sealed := k.Seal(ref, plain)
		if len(sealed) != len(plain)+SealOverhead {
			t.Fatalf("%d bytes sealed are %d", len(plain), len(sealed))
		}
		if got, err := k.Unseal(ref, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Unseal = %x, %v", got, err)
		}
		if bytes.Equal(sealed, k.Seal(ref, plain)) {
			t.Fatal("two seals are equal")
		}
		changed := bytes.Clone(sealed)
		bit := rapid.IntRange(0, len(sealed)*8-1).Draw(t, "bit")
		changed[bit/8] ^= 1 << (bit % 8)
		if _, err := k.Unseal(ref, changed); !errors.Is(err, ErrSealed) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
		short := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "length")]
		if _, err := k.Unseal(ref, short); !errors.Is(err, ErrSealed) {
			t.Fatalf("cut to %d: %v", len(short), err)
		}
	})
}

func TestSealNonceDependsOnItsArgumentsAlone(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	ref, nonce := Ref{"message", []byte("id"), "body"}, NewNonce()
	if !bytes.Equal(k.SealNonce(nonce, ref, []byte("a")), k.SealNonce(nonce, ref, []byte("a"))) {
		t.Error("the same nonce, ref and plaintext gave two values")
	}
	if nonce == NewNonce() {
		t.Error("a nonce was repeated")
	}
}

// Values of an earlier epoch open while its key is there; new ones are sealed
// under the highest.
func TestEpochs(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	ref := Ref{"message", []byte("id"), "body"}
	old := open(t, dir, m).Seal(ref, []byte("old"))
	w, err := newWrapper(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"2", "10"} {
		write(t, filepath.Join(dir, epochsDir, name), w.newKey(purposeEpoch, name))
	}
	for _, name := range []string{"01", "0", "-1", "3~", "4294967296", ".11"} {
		write(t, filepath.Join(dir, epochsDir, name), []byte("no epoch"))
	}
	k := open(t, dir, m)
	recent := k.Seal(ref, []byte("recent"))
	if want := []byte{1, 0, 0, 0, 10}; !bytes.HasPrefix(recent, want) {
		t.Errorf("sealed value begins %x, want %x", recent[:5], want)
	}
	for want, sealed := range map[string][]byte{"old": old, "recent": recent} {
		if got, err := k.Unseal(ref, sealed); err != nil || string(got) != want {
			t.Errorf("Unseal %s = %q, %v", want, got, err)
		}
	}
	moved := bytes.Clone(old)
	moved[4] = 2
	if _, err := k.Unseal(ref, moved); !errors.Is(err, ErrSealed) {
		t.Errorf("a value moved to another epoch: %v", err)
	}
	remove(t, filepath.Join(dir, epochsDir, "1"))
	if _, err := open(t, dir, m).Unseal(ref, old); !errors.Is(err, ErrSealed) {
		t.Errorf("a value of a destroyed epoch: %v", err)
	}
}

func TestTokensKeepLabelsAndPartsApart(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	b := func(s string) []byte { return []byte(s) }
	tokens := []Token{
		k.Lookup("number", b("ab")), k.Lookup("number", b("a"), b("b")), k.Lookup("numbera", b("b")),
		k.Lookup("numberab"), k.Lookup("number", b("ab"), nil), k.Lookup("address", b("ab")), k.Lookup("", b("number"), b("ab")),
	}
	for i, tok := range tokens {
		if j := slices.Index(tokens, tok); j != i {
			t.Errorf("tokens %d and %d are equal", j, i)
		}
	}
	if k.Lookup("number", b("ab")) != tokens[0] {
		t.Error("a token changed")
	}
	if k.CodeMAC(b("ab")) == k.CodeMAC(b("a"), b("b")) {
		t.Error("CodeMAC joins its parts")
	}
}

func TestConcurrentUse(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	ref := Ref{"message", []byte("id"), "body"}
	want := k.Lookup("number", []byte("x"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if k.Lookup("number", []byte("x")) != want {
					t.Error("a token changed")
				}
				if got, err := k.Unseal(ref, k.Seal(ref, []byte("y"))); err != nil || string(got) != "y" {
					t.Errorf("Unseal = %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkSeal(b *testing.B) {
	k := open(b, b.TempDir(), newMaster(b))
	ref, plain := Ref{"verification", make([]byte, 16), "number"}, []byte("+33612345678")
	b.ReportAllocs()
	for b.Loop() {
		k.Seal(ref, plain)
	}
}

func BenchmarkUnseal(b *testing.B) {
	k := open(b, b.TempDir(), newMaster(b))
	ref := Ref{"verification", make([]byte, 16), "number"}
	sealed := k.Seal(ref, []byte("+33612345678"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.Unseal(ref, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	k := open(b, b.TempDir(), newMaster(b))
	part := []byte("33612345678")
	b.ReportAllocs()
	for b.Loop() {
		k.Lookup("number", part)
	}
}

func BenchmarkCodeMAC(b *testing.B) {
	k := open(b, b.TempDir(), newMaster(b))
	id, code := make([]byte, 16), []byte("123456")
	b.ReportAllocs()
	for b.Loop() {
		k.CodeMAC(id, code)
	}
}
