package keyring

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestInitNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Init(path); !errors.Is(err, ErrMasterExists) {
		t.Errorf("second Init: %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file changed, %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "target"), link); err != nil {
		t.Fatal(err)
	}
	if err := Init(link); !errors.Is(err, ErrMasterExists) {
		t.Errorf("Init through a dangling link: %v", err)
	}
	if err := Init(filepath.Join(t.TempDir(), "missing", "master")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Init in a missing directory: %v", err)
	}
}

// The format is final: a key file of the first release is read for ever.
func TestMasterFormatIsFinal(t *testing.T) {
	var key [keySize]byte
	for i := range key {
		key[i] = byte(i)
	}
	const want = "smsotpd-master-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_lxhDX\n"
	if got := string(formatMaster(key)); got != want {
		t.Errorf("file = %q", got)
	}
	m, err := parseMaster(want)
	if err != nil || *m.key != key {
		t.Errorf("parse: %v", err)
	}
}

func TestReadMasterRefuses(t *testing.T) {
	good := string(formatMaster([keySize]byte{1, 2, 3}))
	body := strings.TrimSuffix(good, "\n")
	tests := []struct {
		name, content string
		want          error
	}{
		{"good", good, nil},
		{"without newline", body, nil},
		{"empty", "", ErrMasterFormat},
		{"32 raw bytes", strings.Repeat("k", 32), ErrMasterFormat},
		{"prefix alone", masterPrefix, ErrMasterFormat},
		{"another version", strings.Replace(good, "key-1:", "key-2:", 1), ErrMasterFormat},
		{"short", body[:len(body)-1], ErrMasterFormat},
		{"long", body + "A", ErrMasterFormat},
		{"two newlines", good + "\n", ErrMasterFormat},
		{"leading space", " " + good, ErrMasterFormat},
		{"newline within", body[:40] + "\n" + body[41:], ErrMasterFormat},
		{"no base64url", body[:40] + "+" + body[41:], ErrMasterFormat},
		{"huge", good + strings.Repeat("A", 1<<20), ErrMasterFormat},
		{"mistyped key", body[:len(masterPrefix)] + "B" + body[len(masterPrefix)+1:], ErrMasterDamaged},
		{"mistyped checksum", body[:len(body)-1] + flip(body[len(body)-1]), ErrMasterDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "master")
			write(t, path, []byte(tt.content))
			_, err := ReadMaster(path)
			if !errors.Is(err, tt.want) {
				t.Fatalf("ReadMaster = %v, want %v", err, tt.want)
			}
			if err != nil && len(tt.content) > 30 && strings.Contains(err.Error(), tt.content[len(tt.content)-20:]) {
				t.Error("the error repeats the file")
			}
		})
	}
}

func flip(b byte) string {
	if b == 'A' {
		return "B"
	}
	return "A"
}

func TestReadMasterWantsAPrivateRegularFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "master")
	if err := Init(path); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]error{
		0o400: nil, 0o600: nil, 0o440: ErrMasterExposed, 0o604: ErrMasterExposed, 0o620: ErrMasterExposed, 0o601: ErrMasterExposed,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMaster(path); !errors.Is(err, want) {
			t.Errorf("mode %04o: %v, want %v", mode, err, want)
		}
	}
	if _, err := ReadMaster(filepath.Join(dir, "missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := ReadMaster(dir); !errors.Is(err, ErrMasterFormat) {
		t.Errorf("a directory: %v", err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadMaster(fifo); !errors.Is(err, ErrMasterFormat) {
		t.Errorf("a FIFO: %v", err)
	}
}

func TestSystemdCredentialMayBeGroupReadable(t *testing.T) {
	dir := t.TempDir()
	credential, outside := filepath.Join(dir, "creds", "master"), filepath.Join(dir, "master")
	mkdir(t, filepath.Dir(credential))
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(credential))
	for path, want := range map[string]error{credential: nil, outside: ErrMasterExposed} {
		if err := Init(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o440); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadMaster(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if _, err := ReadMaster(filepath.Join(filepath.Dir(credential), "..", "master")); !errors.Is(err, ErrMasterExposed) {
		t.Errorf("a path that leaves the credentials: %v", err)
	}
}
