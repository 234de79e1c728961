package modem

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"smsotpd/modem/wire"
)

// Opener finds and opens ports. Its methods may be called at once from many
// goroutines.
type Opener interface {
	// Open opens the port for this process alone. The error says in words
	// what the operator can do about it.
	Open(path string) (wire.Port, error)
	// Lookup tells whether path exists now, by an identity that changes when
	// the port goes and another comes under the same path; "" if it doesn't.
	Lookup(path string) string
	// Glob lists the paths that match the pattern (filepath.Match).
	Glob(pattern string) []string
}

var _ Opener = Devices{}

// Devices are the serial devices of this host.
type Devices struct{}

// Lookup implements Opener.
func (Devices) Lookup(path string) string {
	var target, link unix.Stat_t
	if unix.Stat(path, &target) != nil || unix.Lstat(path, &link) != nil {
		return ""
	}
	id := fmt.Sprintf("%d:%d", target.Rdev, target.Ino)
	if link.Ino != target.Ino {
		id += fmt.Sprintf(":%d:%d", link.Ino, link.Mtim.Nano())
	}
	return id
}

// Glob implements Opener.
func (Devices) Glob(pattern string) []string {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	return paths
}

// Open implements Opener: raw, 115200 8N1, without modem control lines.
func (Devices) Open(path string) (wire.Port, error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, explain(path, err)
	}
	if err := control(f, setUp); err != nil {
		closing := f.Close() // first: who has it open is looked up
		return nil, errors.Join(explain(path, err), closing)
	}
	return tty{f}, nil
}

// tty is an open serial device. Octets that wait to be sent are dropped by
// Close, which otherwise would wait for a modem that takes no more.
type tty struct{ *os.File }

// Close implements io.Closer.
func (t tty) Close() error {
	_ = control(t.File, func(fd int) error {
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
		return unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
	})
	return t.File.Close()
}

// control runs fn on the descriptor without taking the file from the poller,
// as File.Fd would.
func control(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = fn(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func setUp(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	// Without HUPCL: a modem may reset when DTR falls.
	t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	t.Ispeed, t.Ospeed = unix.B115200, unix.B115200
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return err
	}
	if err := unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0)
}
