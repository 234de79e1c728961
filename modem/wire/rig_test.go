package wire

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine over a Wire, and the modem's end of the line.
type rig struct {
	t      testing.TB
	wire   *Wire
	engine *at.AT
	modem  net.Conn

	mu    sync.Mutex
	urcs  []URC
	signs []Sign
	late  []string
}

func newRig(t testing.TB, opts Options) *rig {
	t.Helper()
	ours, modem := net.Pipe()
	r := &rig{t: t, modem: modem}
	opts.OnURC = func(u URC) {
		r.mu.Lock()
		defer r.mu.Unlock()
		u.Received = time.Time{}
		r.urcs = append(r.urcs, u)
	}
	opts.OnSign = func(s Sign) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.signs = append(r.signs, s)
	}
	opts.OnLate = func(line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.late = append(r.late, line)
	}
	r.wire = New(ours, opts)
	r.wire.Start()
	r.engine = at.New(r.wire, at.WithTimeout(-1))
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	r.wire.Close()
	<-r.wire.Done()
	<-r.engine.Closed()
	r.modem.Close()
}

// heard are the unsolicited lines, the body behind a "|" where there is one.
func (r *rig) heard() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := []string{}
	for _, u := range r.urcs {
		if u.Body != "" {
			u.Line += "|" + u.Body
		}
		lines = append(lines, u.Line)
	}
	return lines
}

// say writes to the Wire in pieces of size octets, 0 for all at once.
func (r *rig) say(s string, size int) {
	if size == 0 {
		size = max(len(s), 1)
	}
	for piece := range slices.Chunk([]byte(s), size) {
		if _, err := r.modem.Write(piece); err != nil {
			return
		}
	}
}

// turn is one thing that the modem waits for and what it says then.
type turn struct{ hears, says string }

// play lets the modem follow a script, and returns all that it has heard when
// the line is closed.
func (r *rig) play(size int, script ...turn) <-chan string {
	all := make(chan string, 1)
	go func() {
		var heard, fresh []byte
		buf := make([]byte, 4096)
		for {
			n, err := r.modem.Read(buf)
			heard, fresh = append(heard, buf[:n]...), append(fresh, buf[:n]...)
			for len(script) > 0 {
				i := bytes.Index(fresh, []byte(script[0].hears))
				if i < 0 {
					break
				}
				fresh = fresh[i+len(script[0].hears):]
				r.say(script[0].says, size)
				script = script[1:]
			}
			if err != nil {
				all <- string(heard)
				return
			}
		}
	}()
	return all
}

const pdu = "0011000B913316325476F80000000441E19008"

// dialogue is one command, what the modem says to it, and what must come of it.
type dialogue struct {
	name, cmd, says string
	info            []string
	err             error
	urcs            []string
	took            time.Duration
}

func (c dialogue) check(t *testing.T) {
	for _, size := range []int{0, 1, 5} {
		t.Run(fmt.Sprintf("%s/%d", c.name, size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.play(size, turn{"AT" + c.cmd + "\r", c.says})
				begin := time.Now()
				info, err := r.engine.Command(c.cmd)
				took := time.Since(begin)
				time.Sleep(secondLine) // virtual: nothing is pending any more
				synctest.Wait()
				if !slices.Equal(info, c.info) || !errors.Is(err, c.err) || took != c.took {
					t.Errorf("got %q, %v after %v", info, err, took)
				}
				if got := r.heard(); !slices.Equal(got, append([]string{}, c.urcs...)) {
					t.Errorf("unsolicited: %q", got)
				}
			})
		})
	}
}
