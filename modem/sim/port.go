package sim

import (
	"io"
	"sync"
	"time"
)

// maxPending is how many bytes wait for a client that doesn't read; what comes
// on top is lost, as when a modem's own buffer is full.
const maxPending = 1 << 20

// blocker is a stream that can make its client's writes block at once, as a
// modem that takes nothing any more does by flow control.
type blocker interface{ blockWrites(on bool) error }

// tryWriter is a stream that can write what fits at once.
type tryWriter interface {
	// tryWrite never waits, and returns how much is done with.
	tryWrite(b []byte) int
}

// port is one client's use of a modem: bytes in are read by one goroutine;
// bytes out that don't fit at once are written by another, so that a client
// that doesn't read holds up nobody.
type port struct {
	stream io.ReadWriter
	gone   chan struct{} // closed when nothing serves the stream any more
	done   chan struct{} // closed when the port is to end
	once   sync.Once
	wake   chan struct{}

	mu      sync.Mutex
	pending []byte
	writing bool          // the other goroutine has taken from pending
	split   time.Duration // between single bytes
	single  bool          // bytes go out one at a time
	blocked chan struct{} // not nil: nothing is read until it is closed
}

func newPort(stream io.ReadWriter) *port {
	return &port{
		stream: stream,
		gone:   make(chan struct{}),
		done:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
	}
}

// serve hands each chunk read to input, until the stream or the port ends.
func (p *port) serve(input func([]byte)) {
	var writing sync.WaitGroup
	writing.Go(p.writeLoop)
	defer writing.Wait()
	defer p.close()
	buf := make([]byte, 4096)
	for {
		if !p.waitUnblocked() {
			return
		}
		n, err := p.stream.Read(buf)
		if n > 0 && p.waitUnblocked() {
			input(buf[:n])
		}
		if err != nil {
			return
		}
	}
}

func (p *port) close() {
	p.once.Do(func() {
		close(p.done)
		if c, ok := p.stream.(io.Closer); ok {
			c.Close()
		}
	})
}

// write writes or queues b; it never blocks and keeps nothing of b.
func (p *port) write(b []byte) {
	p.mu.Lock()
	if try, ok := p.stream.(tryWriter); ok && len(p.pending) == 0 && !p.writing && !p.single {
		if b = b[try.tryWrite(b):]; len(b) == 0 {
			p.mu.Unlock()
			return
		}
	}
	p.pending = append(p.pending, b[:min(len(b), maxPending-len(p.pending))]...)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *port) writeLoop() {
	var out []byte
	for {
		select {
		case <-p.wake:
		case <-p.done:
			return
		}
		p.mu.Lock()
		for len(p.pending) > 0 {
			out, p.pending, p.writing = p.pending, out[:0], true
			single, pause := p.single, p.split
			p.mu.Unlock()
			if !p.writeOut(out, single, pause) {
				return
			}
			p.mu.Lock()
		}
		p.writing = false
		p.mu.Unlock()
	}
}

// writeOut returns false when the port ends.
func (p *port) writeOut(out []byte, single bool, pause time.Duration) bool {
	if !single {
		_, err := p.stream.Write(out)
		return err == nil
	}
	for i := range out {
		if _, err := p.stream.Write(out[i : i+1]); err != nil {
			return false
		}
		if pause > 0 && !p.pause(pause) {
			return false
		}
	}
	return true
}

// pause waits for d, or until the port ends, which it tells by false.
func (p *port) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.done:
		return false
	}
}

// splitBytes makes bytes go out one at a time, with a pause between them.
func (p *port) splitBytes(on bool, pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.single, p.split = on, pause
}

// block stops reading, or goes on.
func (p *port) block(on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on == (p.blocked != nil) {
		return nil
	}
	if on {
		p.blocked = make(chan struct{})
	} else {
		close(p.blocked)
		p.blocked = nil
	}
	if b, ok := p.stream.(blocker); ok {
		return b.blockWrites(on)
	}
	return nil
}

// waitUnblocked returns false when the port ends.
func (p *port) waitUnblocked() bool {
	p.mu.Lock()
	blocked := p.blocked
	p.mu.Unlock()
	if blocked != nil {
		select {
		case <-blocked:
		case <-p.done:
			return false
		}
	}
	return true
}
