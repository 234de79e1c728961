package sim

import (
	"io"
	"os"
	"sync"
	"time"
)

// connBuffer is how many bytes a direction holds before a write blocks, about
// what a tty does.
const connBuffer = 8 << 10

// Conn is one end of a serial line in memory: what one end writes the other
// reads, through a buffer of a few kilobytes. Closing either end ends both: the
// peer reads what is left and then io.EOF, and its writes fail with
// io.ErrClosedPipe. Deadlines work as on a *os.File. All waiting is on
// channels, so that time stands still meanwhile in a testing/synctest bubble.
type Conn struct {
	in, out *half
	rd, wd  deadline
	once    sync.Once
	closed  chan struct{} // this end
	peer    *Conn
}

// Pipe is a line between two ends.
func Pipe() (*Conn, *Conn) {
	ab, ba := newHalf(), newHalf()
	a, b := newConn(ba, ab), newConn(ab, ba)
	a.peer, b.peer = b, a
	return a, b
}

func newConn(in, out *half) *Conn {
	c := &Conn{in: in, out: out, closed: make(chan struct{})}
	c.rd.passed = make(chan struct{})
	c.wd.passed = make(chan struct{})
	return c
}

// Read returns os.ErrClosed after Close, os.ErrDeadlineExceeded after the
// deadline, and io.EOF when the peer has closed and nothing is left.
func (c *Conn) Read(b []byte) (int, error) {
	for {
		select {
		case <-c.closed:
			return 0, os.ErrClosed
		case <-c.rd.wait():
			return 0, os.ErrDeadlineExceeded
		default:
		}
		if len(b) == 0 {
			return 0, nil
		}
		n, changed := c.in.take(b)
		if n > 0 {
			return n, nil
		}
		select {
		case <-c.peer.closed:
			if n, _ := c.in.take(b); n > 0 {
				return n, nil
			}
			return 0, io.EOF
		default:
		}
		select {
		case <-changed:
		case <-c.peer.closed:
		case <-c.closed:
		case <-c.rd.wait():
		}
	}
}

// Write blocks while the buffer is full. It returns how much was written.
func (c *Conn) Write(b []byte) (int, error) {
	written := 0
	for {
		select {
		case <-c.closed:
			return written, os.ErrClosed
		case <-c.peer.closed:
			return written, io.ErrClosedPipe
		case <-c.wd.wait():
			return written, os.ErrDeadlineExceeded
		default:
		}
		n, changed := c.out.put(b[written:])
		written += n
		if written == len(b) {
			return written, nil
		}
		if n > 0 {
			continue
		}
		select {
		case <-changed:
		case <-c.peer.closed:
		case <-c.closed:
		case <-c.wd.wait():
		}
	}
}

// tryWrite implements tryWriter.
func (c *Conn) tryWrite(b []byte) int {
	n, _ := c.out.put(b)
	return n
}

// Close ends both directions. It always returns at once.
func (c *Conn) Close() error {
	err := os.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.rd.set(time.Time{})
		c.wd.set(time.Time{})
		err = nil
	})
	return err
}

// SetDeadline sets both deadlines; the zero time means none.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline ends a Read under way, and later ones, at t.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.rd, t) }

// SetWriteDeadline ends a Write under way, and later ones, at t.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.wd, t) }

func (c *Conn) setDeadline(d *deadline, t time.Time) error {
	select {
	case <-c.closed:
		return os.ErrClosed
	default:
		d.set(t)
		return nil
	}
}

// abandoned tells whether the other end has closed.
func (c *Conn) abandoned() bool {
	select {
	case <-c.peer.closed:
		return true
	default:
		return false
	}
}

// blockWrites makes the peer's writes block whatever room there is.
func (c *Conn) blockWrites(on bool) error {
	c.in.setBlocked(on)
	return nil
}

// half is one direction. changed is closed and replaced when a waiter may find
// it otherwise than before.
type half struct {
	mu      sync.Mutex
	data    []byte
	blocked bool
	changed chan struct{}
	waited  bool // somebody holds changed
}

func newHalf() *half { return &half{changed: make(chan struct{})} }

func (h *half) take(b []byte) (int, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := copy(b, h.data)
	h.data = h.data[:copy(h.data, h.data[n:])]
	return n, h.result(n > 0)
}

func (h *half) put(b []byte) (int, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	if !h.blocked {
		n = min(len(b), connBuffer-len(h.data))
		h.data = append(h.data, b[:n]...)
	}
	return n, h.result(n > 0)
}

func (h *half) setBlocked(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocked = on
	h.result(true)
}

func (h *half) result(moved bool) <-chan struct{} {
	if moved && h.waited {
		close(h.changed)
		h.changed = make(chan struct{})
		h.waited = false
	}
	if !moved {
		h.waited = true
	}
	return h.changed
}

// deadline closes a channel when its time has come.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	round  int // counts calls of set, so that an old timer does nothing
	passed chan struct{}
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.round++
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		close(d.passed)
		return
	}
	round := d.round
	d.timer = time.AfterFunc(left, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.round == round {
			close(d.passed)
		}
	})
}
