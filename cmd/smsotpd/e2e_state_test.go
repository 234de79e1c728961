package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"smsotpd/gateway/api"
)

// contents are the digests of the state directory's files, by name. The local
// socket is no file, and comes and goes.
func (n *installation) contents() map[string][32]byte {
	n.t.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(n.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, n.state)] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return files
}

// refused runs serve, which must end with the exit code, say each of the words
// and leave the state directory as it was.
func (n *installation) refused(code int, args []string, words ...string) {
	n.t.Helper()
	before := n.contents()
	p := launch(n.t, n.dir, "refused", append([]string{"serve", "--config", "serve.toml"}, args...)...)
	if got := p.exit(n.t); got != code {
		n.t.Errorf("it ended with %d, not %d", got, code)
	}
	said := readAll(p.err)
	for _, word := range words {
		if !strings.Contains(said, word) {
			n.t.Errorf("it does not say %q:\n%s", word, said)
		}
	}
	if strings.Contains(readAll(p.out), "listening") {
		n.t.Error("it accepted requests")
	}
	if err := os.Remove(p.err); err != nil {
		n.t.Error(err)
	}
	after := n.contents()
	for name, sum := range before {
		if after[name] != sum {
			n.t.Errorf("%s was touched", name)
		}
	}
	if len(after) != len(before) {
		n.t.Errorf("there were %d files and are %d", len(before), len(after))
	}
}

// e2eRefusedStarts damages and swaps what a start needs.
func e2eRefusedStarts(t *testing.T) {
	n := install(t, plan{})
	n.serve()
	v := n.begin(mobile(1))
	n.run("keys", "init", "--key-file", "other.key")

	// While it runs, a second one is refused, and the first goes on.
	second := launch(t, n.dir, "second", "serve", "--config", "serve.toml")
	if code := second.exit(t); code != 1 || !strings.Contains(readAll(second.err), "another smsotpd uses the state directory") {
		t.Errorf("a second gateway ended with %d: %s", code, tail(second.err))
	}
	if now := n.verification(v.ID); now.Status != "pending" {
		t.Errorf("after a second start: %+v", now)
	}
	n.crash()

	n.refused(78, []string{"--key-file", "other.key"}, "other.key", "is not the key of")
	n.refused(78, []string{"--key-file", "nowhere.key"}, "keys init")

	database := filepath.Join(n.state, databaseName)
	sound, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"text":        func([]byte) []byte { return []byte(strings.Repeat("this is no database\n", 5000)) },
		"cut short":   func(b []byte) []byte { return b[:3*os.Getpagesize()] },
		"zeroed meta": func(b []byte) []byte { clear(b[:2*os.Getpagesize()]); return b },
		"zeroed page": func(b []byte) []byte {
			// Every page but the meta pages.
			clear(b[2*os.Getpagesize():])
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(database, damage(append([]byte(nil), sound...)), 0o600); err != nil {
				t.Fatal(err)
			}
			n.in(t).refused(1, nil, database, "not a store of ours, or damaged")
		})
	}
	if err := os.WriteFile(database, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	n.serve()
	if now := n.verification(v.ID); now.Status != "pending" {
		t.Errorf("with everything back: %+v", now)
	}
	n.stop()
}

// e2eNoModem accepts without any modem, and a modem that comes later sends.
func e2eNoModem(t *testing.T) {
	n := install(t, plan{modems: 1, air: "0s", ports: []string{"none*"}})
	n.serve()
	if status, _ := n.call(http.MethodGet, "/readyz", nil, nil); status != http.StatusServiceUnavailable {
		t.Errorf("ready without a modem: %d", status)
	}
	v := n.begin(mobile(1))
	if m := n.message(v.Message.ID); m.Status != "queued" || len(m.Attempts) != 0 {
		t.Errorf("without a modem: %+v", m)
	}
	if verdict := n.check(v.ID, "123456"); verdict.Valid {
		t.Error("a code that was never sent was taken")
	}
	n.sim.tell(t, "unplug 0")
	n.sim.tell(t, "plug 0 %s", n.path("none1"))
	n.settled(v.Message.ID, "delivered")
	n.ready()
}

// e2eFullDisk fills the disk under a gateway. New work is refused, what was
// accepted stays and comes to its end, and with room everything goes on.
func e2eFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "only root can mount a small disk")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=40m,mode=0700"); err != nil {
		missing(t, fmt.Sprint("no small disk can be mounted here: ", err))
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	n := install(t, plan{modems: 1, air: "0s", stateDir: filepath.Join(disk, "state")})
	n.serve()
	n.ready()
	kept := []api.Verification{n.begin(mobile(0))}

	// Less than the reserve is left.
	ballast := filepath.Join(disk, "ballast")
	n.fill(ballast, 4<<20)
	n.refusedAsFull(http.StatusInsufficientStorage)
	code := n.received(mobile(0), 1)
	if verdict := n.check(kept[0].ID, wrong(code)); verdict.ChecksLeft != 4 {
		t.Errorf("a check inside the reserve: %+v", verdict)
	}

	// Nothing at all is left: no verdict without its charge.
	n.fill(ballast, 0)
	n.refusedAsFull(http.StatusInsufficientStorage)
	for i := 0; ; i++ {
		var verdict api.Verdict
		status, err := n.call(http.MethodPost, "/v1/verifications/"+kept[0].ID+"/check", api.Check{Code: wrong(code)}, &verdict)
		if status == http.StatusInsufficientStorage || i == 3 {
			break
		}
		// The file may have had free pages.
		if err != nil || verdict.ChecksLeft != 3-i {
			t.Fatalf("a check on a full disk: %d %v %+v", status, err, verdict)
		}
	}
	left := n.verification(kept[0].ID).ChecksLeft
	n.crash()

	// It starts on a full disk, or says why not; nothing is lost either way.
	p := launch(t, n.dir, "full", "serve", "--config", "serve.toml")
	await(t, "a start on a full disk", func() error {
		switch {
		case !p.running() && !strings.Contains(readAll(p.err), "no room"):
			t.Fatalf("it ended: %s", tail(p.err))
		case p.running() && !strings.Contains(readAll(p.out), "listening"):
			return errors.New("undecided")
		}
		return nil
	})
	t.Logf("on a full disk it starts: %t", p.running())
	p.kill()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	n.serve()
	n.ready()
	if v := n.verification(kept[0].ID); v.ChecksLeft != left {
		t.Errorf("the checks left were %d and are %d", left, v.ChecksLeft)
	}
	if verdict := n.check(kept[0].ID, code); !verdict.Valid {
		t.Errorf("the code after all that: %+v", verdict)
	}
	n.deliverAll(10, 3)
}

// fill makes a file of zeros so large that so much of its disk is left.
func (n *installation) fill(path string, left int) {
	n.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		n.t.Fatal(err)
	}
	defer f.Close()
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		n.t.Fatal(err)
	}
	room := int64(disk.Bavail)*disk.Bsize - int64(left)
	for room > 0 {
		size, err := f.Write(make([]byte, min(room, 1<<20)))
		room -= int64(size)
		if errors.Is(err, syscall.ENOSPC) && left == 0 {
			return
		}
		if err != nil {
			n.t.Fatal(err)
		}
	}
}

// refusedAsFull waits until a start is refused for want of room: the gateway
// need not look at the disk with every one.
func (n *installation) refusedAsFull(want int) {
	n.t.Helper()
	tried := 0
	await(n.t, "a refusal for want of room", func() error {
		tried++
		status, err := n.call(http.MethodPost, "/v1/verifications", api.Start{To: mobile(1000 + tried)}, nil)
		if status != want && status != http.StatusCreated {
			n.t.Fatalf("start: %d %v", status, err)
		}
		if status != want {
			return fmt.Errorf("it was served: %d", status)
		}
		if problem := new(api.Problem); !errors.As(err, &problem) || problem.Code != "storage_full" {
			n.t.Errorf("start: %d %v", status, err)
		}
		return nil
	})
}

// missing skips a test that this machine can't run; in CI it fails it.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}
