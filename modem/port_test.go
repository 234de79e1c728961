package modem

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"smsotpd/modem/sim"
)

func TestOpenExplains(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, says string
		is         error
	}{
		{filepath.Join(dir, "none"), "plugged in", fs.ErrNotExist},
		{plain, "not a serial port", syscall.ENOTTY},
	} {
		_, err := Devices{}.Open(c.path)
		if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	if got := explain("/dev/ttyUSB0", fs.ErrPermission).Error(); !strings.Contains(got, "dialout") {
		t.Error(got)
	}
}

func TestOpenIsExclusive(t *testing.T) {
	path := openPTY(t)
	first, err := Devices{}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Devices{}).Open(path); !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "in use by") {
		t.Errorf("second: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Devices{}.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

// TestOpenNamesTheHolder: what has the port open is told by name, and is not
// taken for this process.
func TestOpenNamesTheHolder(t *testing.T) {
	path := openPTY(t)
	holder := exec.Command("flock", path, "cat") // until its input ends
	input, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Skip("no flock to hold the port with")
	}
	defer func() {
		_ = input.Close()
		_ = holder.Wait()
	}()
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		port, err := Devices{}.Open(path)
		if err == nil { // not held yet
			port.Close()
			continue
		}
		if !strings.Contains(err.Error(), "(process ") || strings.Contains(err.Error(), "this daemon") {
			t.Error(err)
		}
		if held := others(path); len(held) == 0 || !strings.Contains(describe(path, held), held[0].String()) {
			t.Errorf("others: %v", held)
		}
		return
	}
	t.Error("the port was never held")
}

// TestBlockedPort: writes end at their deadline, and Close returns although
// octets wait to be sent and a Read is pending.
func TestBlockedPort(t *testing.T) {
	port, err := Devices{}.Open(openPTY(t))
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan error, 1)
	go func() {
		_, err := port.Read(make([]byte, 10))
		reading <- err
	}()
	if err := port.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := port.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
	if err := port.Close(); err != nil {
		t.Error(err)
	}
	if err := <-reading; err == nil {
		t.Error("a Read outlived Close")
	}
}

// openPTY returns the path of a pty whose other end is never read.
func openPTY(t *testing.T) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "tty")
	p, err := sim.OpenPTY(link)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	real, err := filepath.EvalSymlinks(link)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

// TestExplained: what keeps a port from being opened, and what to do.
func TestExplained(t *testing.T) {
	dir := t.TempDir()
	node := filepath.Join(dir, "ttyUSB0")
	if err := os.WriteFile(node, nil, 0o660); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(node, 0o660); err != nil { // whatever the umask
		t.Fatal(err)
	}
	alone := filepath.Join(dir, "ttyUSB1")
	if err := os.WriteFile(alone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		err  error
		says []string
	}{
		{"/dev/ttyUSB99", syscall.EACCES, []string{"group dialout may", "sudo usermod -aG dialout"}},
		{node, syscall.EACCES, []string{"although group", "this is user"}},
		{alone, syscall.EACCES, []string{"only its owner may (mode 0600)", "udev rule", `KERNEL=="ttyUSB1"`}},
		{node, syscall.EPERM, []string{"container", "--device " + node}},
		{node, syscall.EBUSY, []string{"in use by", "sudo fuser -v " + node}},
		{dir, syscall.EISDIR, []string{"is a directory"}},
		{node, syscall.ENXIO, []string{"no device behind"}},
		{node, syscall.EMFILE, []string{"LimitNOFILE="}},
	} {
		got := explain(c.path, c.err)
		if !errors.Is(got, c.err) {
			t.Errorf("%v hides its cause", got)
		}
		for _, words := range c.says {
			if !strings.Contains(got.Error(), words) {
				t.Errorf("%v: no %q", got, words)
			}
		}
	}
	manager := describe(node, []process{{os.Getpid(), "smsotpd"}, {12, "ModemManager"}})
	for _, words := range []string{"process 12", `ENV{ID_MM_DEVICE_IGNORE}="1"`, "systemctl"} {
		if !strings.Contains(manager, words) {
			t.Errorf("%s: no %q", manager, words)
		}
	}
}
