package keyring

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func newMaster(t testing.TB) Master {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	m, err := ReadMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func open(t testing.TB, dir string, m Master) *Keyring {
	t.Helper()
	k, err := Open(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestReopenKeepsKeys(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	ref := Ref{Table: "verification", Key: []byte("id"), Field: "to"}
	first := open(t, dir, m)
	sealed := first.Seal(ref, []byte("+33612345678"))
	second := open(t, dir, m)
	if got, err := second.Unseal(ref, sealed); err != nil || string(got) != "+33612345678" {
		t.Errorf("Unseal after reopening = %q, %v", got, err)
	}
	part := []byte("x")
	if first.ID() != second.ID() || first.CodeMAC(part) != second.CodeMAC(part) ||
		first.APIKeyMAC(part) != second.APIKeyMAC(part) || first.SessionMAC(part) != second.SessionMAC(part) {
		t.Error("a MAC changed over reopening")
	}
	if open(t, t.TempDir(), m).ID() == first.ID() {
		t.Error("two keyrings under one master have one ID")
	}
}

func TestEachPurposeHasItsOwnKey(t *testing.T) {
	k := open(t, t.TempDir(), newMaster(t))
	part := []byte("x")
	sums := [][32]byte{k.CodeMAC(part), k.APIKeyMAC(part), k.SessionMAC(part), k.lookup.sum([][]byte{part})}
	for i, a := range sums {
		if slices.Contains(sums[i+1:], a) {
			t.Errorf("MAC %d is repeated", i)
		}
	}
}

func TestWrongMasterIsRefused(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, newMaster(t))
	before := snapshot(t, dir)
	if _, err := Open(dir, newMaster(t)); !errors.Is(err, ErrWrongMaster) {
		t.Errorf("Open with another master: %v", err)
	}
	if _, err := Open(dir, Master{}); !errors.Is(err, ErrMasterFormat) {
		t.Errorf("Open with no master: %v", err)
	}
	if after := snapshot(t, dir); !equalFiles(before, after) {
		t.Error("a refused Open changed the directory")
	}
}

// Every single flipped bit of every key file is refused.
func TestFlippedBitsAreRefused(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	open(t, dir, m)
	for path, raw := range snapshot(t, dir) {
		for bit := range len(raw) * 8 {
			changed := bytes.Clone(raw)
			changed[bit/8] ^= 1 << (bit % 8)
			write(t, path, changed)
			_, err := Open(dir, m)
			if !errors.Is(err, ErrKeyDamaged) && !errors.Is(err, ErrWrongMaster) {
				t.Fatalf("%s: bit %d flipped: %v", path, bit, err)
			}
		}
		for _, size := range []int{0, len(raw) - 1, len(raw) + 1} {
			write(t, path, append(bytes.Clone(raw), 0)[:size])
			if _, err := Open(dir, m); !errors.Is(err, ErrKeyDamaged) {
				t.Fatalf("%s cut to %d bytes: %v", path, size, err)
			}
		}
		write(t, path, raw)
	}
	open(t, dir, m)
}

// A key file is good only under its own name and in its own directory.
func TestSwappedFilesAreRefused(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	open(t, dir, m)
	files := snapshot(t, dir)
	for to, own := range files {
		for from, raw := range files {
			if from == to {
				continue
			}
			write(t, to, raw)
			if _, err := Open(dir, m); !errors.Is(err, ErrKeyDamaged) {
				t.Errorf("%s in the place of %s: %v", from, to, err)
			}
		}
		write(t, to, own)
	}
}

func TestMissingFilesAreRefused(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	open(t, dir, m)
	files := snapshot(t, dir)
	if len(files) != 5 {
		t.Fatalf("a new keyring has %d files", len(files))
	}
	for path, raw := range files {
		remove(t, path)
		if _, err := Open(dir, m); !errors.Is(err, ErrKeysLost) {
			t.Errorf("without %s: %v", path, err)
		}
		write(t, path, raw)
	}
	remove(t, filepath.Join(dir, epochsDir))
	if _, err := Open(dir, m); !errors.Is(err, ErrKeysLost) {
		t.Errorf("without %s: %v", epochsDir, err)
	}
}

// A creation that ended at any point is finished by the next Open, unless the
// directory was in use.
func TestCreationIsRepairedOnlyWhereSafe(t *testing.T) {
	m, other := newMaster(t), newMaster(t)
	tests := []struct {
		name string
		dir  func(t *testing.T, dir string)
		want error
	}{
		{"empty", func(*testing.T, string) {}, nil},
		{"unfinished directories", func(t *testing.T, dir string) {
			for _, name := range []string{"epochs-1", "keys-2"} {
				mkdir(t, filepath.Join(dir, unfinished+name))
				write(t, filepath.Join(dir, unfinished+name, "codes"), []byte("torn"))
			}
		}, nil},
		{"epochs but no keys", func(t *testing.T, dir string) {
			open(t, dir, m)
			remove(t, filepath.Join(dir, keysDir))
		}, nil},
		{"empty epochs", func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, epochsDir)) }, ErrKeysLost},
		{"an empty database", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "smsotpd.db"), nil) }, nil},
		{"other things", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "master.key"), []byte("smsotpd"))
			mkdir(t, filepath.Join(dir, "lost+found"))
		}, nil},
		{"a database", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "smsotpd.db"), []byte("records"))
		}, ErrKeysLost},
		{"a database, epochs but no keys", func(t *testing.T, dir string) {
			open(t, dir, m)
			remove(t, filepath.Join(dir, keysDir))
			write(t, filepath.Join(dir, "smsotpd.db"), []byte("records"))
		}, ErrKeysLost},
		{"epochs of another master", func(t *testing.T, dir string) {
			open(t, dir, other)
			remove(t, filepath.Join(dir, keysDir))
		}, ErrWrongMaster},
		{"a later epoch", func(t *testing.T, dir string) {
			open(t, dir, m)
			remove(t, filepath.Join(dir, keysDir))
			write(t, filepath.Join(dir, epochsDir, "2"), []byte("x"))
		}, ErrKeysLost},
		{"empty keys", func(t *testing.T, dir string) { mkdir(t, filepath.Join(dir, keysDir)) }, ErrKeysLost},
		{"keys is a file", func(t *testing.T, dir string) { write(t, filepath.Join(dir, keysDir), nil) }, syscall.ENOTDIR},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.dir(t, dir)
			before := snapshot(t, dir)
			_, err := Open(dir, m)
			switch {
			case !errors.Is(err, tt.want):
				t.Fatalf("Open = %v, want %v", err, tt.want)
			case err != nil:
				if !equalFiles(before, snapshot(t, dir)) {
					t.Error("a refused Open changed the directory")
				}
				return
			}
			open(t, dir, m)
			for path := range snapshot(t, dir) {
				if strings.Contains(path, unfinished) {
					t.Errorf("%s was left", path)
				}
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing"), m); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing state directory: %v", err)
	}
}

func TestFirstOpensAtOnceAgree(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	var wg sync.WaitGroup
	ids := make([]Token, 8)
	for i := range ids {
		wg.Go(func() {
			k, err := Open(dir, m)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID()
		})
	}
	wg.Wait()
	if got := slices.Compact(ids); len(got) != 1 {
		t.Errorf("%d different keyrings from one directory", len(got))
	}
}

// Not even 8 bytes of an unwrapped key are in the state directory.
func TestNoUnwrappedKeyInDirectory(t *testing.T) {
	dir, m := t.TempDir(), newMaster(t)
	open(t, dir, m)
	w, err := newWrapper(m)
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{m.key[:]}
	for path := range snapshot(t, dir) {
		p := purposeKey
		if filepath.Base(filepath.Dir(path)) == epochsDir {
			p = purposeEpoch
		}
		key, err := w.read(filepath.Dir(path), p, filepath.Base(path))
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, key)
	}
	if len(secrets) != 6 {
		t.Fatalf("%d keys", len(secrets))
	}
	for path, raw := range snapshot(t, dir) {
		for _, s := range secrets {
			for at := range len(s) - 7 {
				if bytes.Contains(raw, s[at:at+8]) {
					t.Errorf("%s holds 8 bytes of a key", path)
				}
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, %v", filepath.Dir(path), info.Mode(), err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	m := newMaster(t)
	k := open(t, t.TempDir(), m)
	token := k.Lookup("number", []byte("x"))
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "master", m, "token", token)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "master", m, "token", token)
	out := log.String()
	for _, verb := range "vsqxXdbocUtTeEfFgGpw" {
		for _, flag := range []string{"", "+", "#"} {
			format := "%" + flag + string(verb)
			out += fmt.Sprintf(format+"\n", m) + fmt.Sprintf(format+"\n", &m) + fmt.Sprintf(format+"\n", k)
			if verb != 'p' && verb != 'w' { // fmt passes Format by for these
				out += fmt.Sprintf(format+"\n", token)
			}
		}
	}
	for _, secret := range [][]byte{m.key[:], token[:]} {
		for _, form := range []string{"%x", "%X", "%d", "%s", "%#v"} {
			if text := strings.Trim(fmt.Sprintf(form, secret), "[]"); strings.Contains(out, text) {
				t.Errorf("a secret was printed as %s", form)
			}
		}
	}
}

// snapshot is the content of every regular file below dir, by path.
func snapshot(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func equalFiles(a, b map[string][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for path, raw := range a {
		if other, ok := b[path]; !ok || !bytes.Equal(raw, other) {
			return false
		}
	}
	return true
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
