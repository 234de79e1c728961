package sim

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// PTY is the modem's end of a pseudo-terminal behind a symbolic link that
// never changes its name. What always holds:
//
//   - No slave end is kept open, so Read sees when the client goes.
//   - What is written while no client has it open is lost, and each client
//     finds a terminal of its own behind the link: one that was killed leaves
//     neither stale bytes nor TIOCEXCL (which outlives its file descriptor as
//     long as the master is open) nor a full buffer to the next.
//   - Read waits over any number of clients; it ends with io.EOF at Close.
type PTY struct {
	link  string
	opens *opens
	owns  bool // opens is closed with it

	mu      sync.Mutex
	current *terminal
	spare   *terminal // behind the link already, while an earlier client goes on
	closed  bool
}

// terminal is one pseudo-terminal.
type terminal struct {
	master *os.File
	name   string          // of the slave
	opened <-chan struct{} // closed when a client has opened the slave
	used   atomic.Bool     // that was seen
	ended  chan struct{}   // closed by close
	unlook func()          // ends the watch for opened
}

func (t *terminal) close() error {
	close(t.ended)
	t.unlook()
	return t.master.Close()
}

// OpenPTY makes a pseudo-terminal in raw mode and the symbolic link to it. An
// older symbolic link is replaced, anything else of that name is left alone
// and an error.
func OpenPTY(link string) (*PTY, error) {
	o, err := newOpens()
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	p, err := o.openPTY(link)
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	p.owns = true
	return p, nil
}

// openPTY is OpenPTY for one of many.
func (o *opens) openPTY(link string) (*PTY, error) {
	t, err := o.openTerminal()
	if err != nil {
		return nil, err
	}
	p := &PTY{link: link, opens: o, current: t}
	if err := p.point(t); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return p, nil
}

// Link is the symbolic link's path.
func (p *PTY) Link() string { return p.link }

// Close ends Read, hangs up on the client and removes the link.
func (p *PTY) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	newest := p.current
	if p.spare != nil {
		newest = p.spare
	}
	// First the link: the terminal's name is anybody's once it is closed.
	var err error
	if target, _ := os.Readlink(p.link); target == newest.name { // it is ours still
		err = os.Remove(p.link)
	}
	err = errors.Join(err, p.current.close())
	if newest != p.current {
		err = errors.Join(err, newest.close())
	}
	if p.owns {
		err = errors.Join(err, p.opens.close())
	}
	return err
}

// Read returns what a client has written.
func (p *PTY) Read(b []byte) (int, error) {
	for {
		p.mu.Lock()
		t := p.current
		p.mu.Unlock()
		if t.used.Load() {
			if n, err := t.master.Read(b); err == nil {
				return n, nil
			}
		}
		if err := p.waitClient(); err != nil {
			return 0, err
		}
	}
}

// Write sends b to the client; without one, or when it goes, b is lost.
func (p *PTY) Write(b []byte) (int, error) {
	p.mu.Lock()
	t, closed := p.current, p.closed
	p.mu.Unlock()
	if closed {
		return 0, io.ErrClosedPipe
	}
	if !t.used.Load() {
		return len(b), nil
	}
	if _, err := t.master.Write(b); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, syscall.EIO) {
		return 0, fmt.Errorf("sim: pty: %w", err)
	}
	return len(b), nil
}

// tryWrite implements tryWriter.
func (p *PTY) tryWrite(b []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !p.current.used.Load() {
		return len(b)
	}
	written := 0
	err := control(p.current.master, func(fd int) error {
		n, err := unix.Write(fd, b)
		written = max(n, 0)
		return err
	})
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return len(b)
	}
	return written
}

// waitClient waits until a client has opened the terminal, after it has
// replaced one that a client has left.
func (p *PTY) waitClient() error {
	for {
		p.mu.Lock()
		t, closed := p.current, p.closed
		p.mu.Unlock()
		switch {
		case closed:
			return io.EOF
		case !t.used.Load():
			select {
			case <-t.opened:
				t.used.Store(true)
				return nil
			case <-t.ended: // by Close
				return io.EOF
			}
		case !hungUp(t.master):
			return nil
		}
		if err := p.renew(t); err != nil {
			return err
		}
	}
}

// renew puts a fresh terminal behind the link after the client of t has gone.
// If another client was quick enough to open t meanwhile, t serves it first.
func (p *PTY) renew(t *terminal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return io.EOF
	}
	if !hungUp(t.master) {
		return nil
	}
	if p.spare == nil {
		fresh, err := p.opens.openTerminal()
		if err != nil {
			return err
		}
		if err := p.point(fresh); err != nil {
			return errors.Join(err, fresh.close())
		}
		p.spare = fresh
		if !hungUp(t.master) {
			return nil
		}
	}
	p.current, p.spare = p.spare, nil
	return t.close()
}

// point makes the link lead to t, in one step.
func (p *PTY) point(t *terminal) error {
	if info, err := os.Lstat(p.link); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return fmt.Errorf("sim: %s is there and is no symbolic link", p.link)
	}
	next := filepath.Join(filepath.Dir(p.link), "."+filepath.Base(p.link)+"."+filepath.Base(t.name))
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sim: %w", err)
	}
	if err := os.Symlink(t.name, next); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	if err := os.Rename(next, p.link); err != nil {
		return errors.Join(fmt.Errorf("sim: %w", err), os.Remove(next))
	}
	return nil
}

// blockWrites makes the client's writes block by the XOFF of software flow
// control, whatever room the kernel's buffer has.
func (p *PTY) blockWrites(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return control(p.current.master, func(fd int) error {
		attr, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		attr.Iflag &^= unix.IXON
		if on {
			attr.Iflag |= unix.IXON
			attr.Cc[unix.VSTOP] = xoff
		}
		if err := unix.IoctlSetTermios(fd, unix.TCSETS, attr); err != nil || !on {
			return err
		}
		_, err = unix.Write(fd, []byte{xoff})
		return err
	})
}

const xoff = 0x13

// openTerminal makes a pseudo-terminal and watches for who opens it.
func (o *opens) openTerminal() (*terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	name, err := prepareTerminal(master)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sim: pty: %w", err), master.Close())
	}
	opened, end, err := o.watch(name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sim: inotify for a pty: %w", err), master.Close())
	}
	return &terminal{master: master, name: name, opened: opened, ended: make(chan struct{}), unlook: end}, nil
}

// prepareTerminal unlocks the slave and puts it into raw mode. It is opened
// for that and closed again, which the master sees as a client that has gone.
func prepareTerminal(master *os.File) (string, error) {
	var name string
	err := control(master, func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
		name = "/dev/pts/" + strconv.Itoa(number)
		return err
	})
	if err != nil {
		return "", err
	}
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer slave.Close()
	return name, control(slave, func(fd int) error {
		attr, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		attr.Iflag = 0
		attr.Oflag = 0
		attr.Lflag = 0
		attr.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
		attr.Cc[unix.VMIN], attr.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, unix.TCSETS, attr)
	})
}

// hungUp tells whether no client has the terminal open and all that the last
// one wrote was read.
func hungUp(master *os.File) bool {
	events := int16(0)
	err := control(master, func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(fds, 0)
		events = fds[0].Revents
		return err
	})
	return err != nil || events&(unix.POLLHUP|unix.POLLIN) == unix.POLLHUP
}

// control runs do on the file descriptor, which stays non-blocking.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = do(int(fd)) }); err != nil {
		return err
	}
	return result
}
