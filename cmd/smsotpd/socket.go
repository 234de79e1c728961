package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The local socket is the daemon's HTTP API for the operator's own commands
// on the same machine: smsotpd.sock in the state directory, mode 0600, where
// the kernel says who the peer is.
const socketName = "smsotpd.sock"

// maxSocketPath is less than sun_path holds (108 bytes on Linux, with a final
// NUL); longer paths go through an open directory.
const maxSocketPath = 100

// errNoDaemon: nobody answers on the local socket.
var errNoDaemon = errors.New("no daemon answers on the local socket")

// socketPath is a path of the socket in dir that fits sun_path, and what to
// close when it is no longer needed.
func socketPath(dir string) (string, func(), error) {
	path := filepath.Join(dir, socketName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	closeDir := func() { _ = unix.Close(fd) }
	path = filepath.Join("/proc/self/fd", strconv.Itoa(fd), socketName)
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		closeDir()
		return "", nil, fmt.Errorf("the path of the state directory is too long for a socket and /proc is not there; use a path of at most %d bytes: %w",
			maxSocketPath-len(socketName)-1, err)
	}
	return path, closeDir, nil
}

// socketListener removes its socket and then lets go of its directory.
type socketListener struct {
	net.Listener
	closeDir func()
}

func (l *socketListener) Close() error {
	err := l.Listener.Close()
	l.closeDir()
	return err
}

// listenSocket listens on the local socket in dir. The caller holds the store
// of dir, so that a socket found there was left by a daemon that was killed,
// and is replaced; if somebody answers on it all the same, it is left alone.
func listenSocket(ctx context.Context, dir string) (net.Listener, error) {
	path, closeDir, err := socketPath(dir)
	if err != nil {
		return nil, err
	}
	l, err := bindSocket(ctx, path)
	if err != nil {
		closeDir()
		return nil, fmt.Errorf("local socket in %s: %w", dir, err)
	}
	return &socketListener{l, closeDir}, nil
}

func bindSocket(ctx context.Context, path string) (net.Listener, error) {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		_ = conn.Close()
		return nil, errors.New("another daemon answers on it")
	case errors.Is(err, syscall.ECONNREFUSED):
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Type() != fs.ModeSocket {
			return nil, errors.New("something that is no socket is in its place")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// dialSocket connects to the daemon of the state directory dir; errNoDaemon
// says that none runs.
func dialSocket(ctx context.Context, dir string) (net.Conn, error) {
	path, closeDir, err := socketPath(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoDaemon
	}
	if err != nil {
		return nil, err
	}
	defer closeDir()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w in %s", errNoDaemon, dir)
	}
	return conn, err
}
