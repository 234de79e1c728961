// Package wire conditions the byte stream between a serial port and the AT
// engine github.com/warthog618/modem/at: whatever dialect the modem speaks,
// the engine reads plain 3GPP TS 27.005 and V.250.
//
// It knows the framing of AT commands and nothing of ports, SIMs or messages.
//
// What always holds:
//
//   - The port is read all the time, in a goroutine of the Wire's own.
//   - An unsolicited message never reaches the engine as the answer of a command
//     with another prefix, and each comes out once, whole and in order, short of
//     a flood: also one of several lines, or one in the middle of an echo.
//   - Of lines with the prefix of the answer where only one can be it, one is the
//     answer and the others are unsolicited; which it is, the final result tells.
//   - One prompt passes per two-step command, only before its payload.
//   - A final result passes only while a command is running.
//   - A +CMGS that may be that of an earlier payload passes before the payload's
//     own, or is told to be in doubt (Flight.Adrift).
//   - Memory is bounded, whatever the modem sends.
//   - A time-out ends the engine's stream (EOF): a late answer finds nobody.
package wire

import (
	"errors"
	"io"
	"sync"
	"time"
)

// Port is the byte stream to a modem. Close must end a Read under way.
type Port interface {
	io.ReadWriteCloser
	SetWriteDeadline(t time.Time) error
}

// URC is an unsolicited result code.
type URC struct {
	// Line is the (first) line without its line end. The text of a +CUSD can
	// have several: they are joined by "\n", empty ones left out.
	Line string
	// Body is the second line of +CMT, +CDS and +CBM: a PDU in hex, or what a
	// modem in text mode sends. "" where there is none or it never came.
	Body     string
	Received time.Time
}

// Sign is something that the stream tells about the modem's own state.
type Sign int

const (
	// Restarted: the modem has begun anew; its settings are lost.
	Restarted Sign = iota + 1
	// Settled: the SIM or the message service has just become ready, which a
	// modem says some time after a start; its settings may be lost.
	Settled
	// TextMode: the modem is in text mode (+CMGF=1).
	TextMode
	// Stray: an answer or a prompt came that nothing asked for.
	Stray
	// Late: a Stray that is the answer of a message.
	Late
)

// Cause says why a command ended otherwise than by an answer of the modem.
type Cause int

const (
	// Answered: the modem's own final result ended it.
	Answered Cause = iota
	// NoPrompt: no prompt came in time; the command was aborted by ESC.
	NoPrompt
	// Aborted by Abort, before the payload was written.
	Aborted
	// Restart: the modem said that it started anew.
	Restart
	// Unfinished: the answer's line came, but no final result within a second
	// of quiet; the engine was given OK.
	Unfinished
	// Timeout: no final result came in time; the stream has ended.
	Timeout
	// WriteFailed: the port took not all of it in time; the stream has ended.
	WriteFailed
	// Gone: the port was closed or has vanished; the stream has ended.
	Gone
)

// Flight is what became of the last command.
type Flight struct {
	Cause Cause
	// Committed: payload and Ctrl-Z were handed whole to the port.
	Committed bool
	// Prompts that came after the one that was answered.
	ExtraPrompts int
	// Adrift: its +CMGS may be that of an earlier payload. Bare: Unfinished is
	// how this modem ends a payload's command.
	Adrift, Bare bool
	// Began is when the first byte was written, CommittedAt when Ctrl-Z was,
	// Ended when the command was over; zero where it never came to that.
	Began, CommittedAt, Ended time.Time
}

// Options of a Wire. Durations that are 0 take the default.
type Options struct {
	// OnURC is given every unsolicited line in order, by one goroutine. It
	// may block; a flood meanwhile is cut down to what carries a message.
	OnURC func(URC)
	// OnSign is called by the reading goroutine and must return at once.
	OnSign func(Sign)
	// OnLate is given the answer of a two-step command that comes although
	// none is waiting for it, just before the Sign Late: "+CMGS: 41" as the
	// modem wrote it, or a "+CMS ERROR: <err>" that nobody awaits. It is called
	// by the reading goroutine and must return at once.
	OnLate func(line string)
	// PromptTimeout bounds the wait for the prompt (10 s), FinalTimeout that
	// for the final result after Ctrl-Z (180 s), SettledTimeout the same once
	// a sign said that the modem may have restarted (10 s), WriteTimeout each
	// write (5 s).
	PromptTimeout, FinalTimeout, SettledTimeout, WriteTimeout time.Duration
}

const (
	// maxLine is far above the longest line that means something (+COPS=?).
	maxLine = 4096
	// maxInfo bounds the lines, in octets, that one command's answer may have.
	maxInfo = 64 << 10
	// quietFinal is how long an answer without final result is waited for.
	quietFinal = time.Second
	// echoIsOff is how many commands in a row go without an echo before an
	// echo is a sign of a restart.
	echoIsOff = 3
	// maxDribble, or twice its limit, bounds a one-step command whose answer
	// comes so slowly that it is still coming when its time is over.
	maxDribble = 30 * time.Second
)

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.PromptTimeout, 10*time.Second)
	set(&o.FinalTimeout, 180*time.Second)
	set(&o.SettledTimeout, 10*time.Second)
	set(&o.WriteTimeout, 5*time.Second)
	return o
}

// Wire is the engine's io.ReadWriter. Read and Write are for one engine at a
// time; the other methods may be called from anywhere.
type Wire struct {
	port Port
	opts Options
	urcs *urcQueue
	gone chan struct{}
	done chan struct{}

	mu       sync.Mutex
	readable *sync.Cond

	// Guarded by mu.
	out     []byte // what the engine has not read yet
	ended   bool   // the engine's stream is over, until Rearm
	goneErr error  // why the port is over
	limit   time.Duration
	pace    time.Duration
	gap     time.Duration
	cmd     command
	flight  Flight
	// patience rings when the command has taken too long, overdue when what is
	// pending has.
	patience, overdue alarm
	aborted           bool // Abort was called: no payload is written until Permit
	echoOn            bool // the last command was echoed
	// asked: a prompt came that nobody waits for: the modem takes what is written
	// for a payload.
	asked bool
	// echoOdd: the last prompt came with an echo, or without one, that no other
	// command has.
	echoOdd bool
	// unechoed counts the commands in a row that were answered and not echoed.
	unechoed int
	owed     bool // a payload's command timed out: its answer may still come
	adrift   bool // the reference of an earlier payload may be on its way
	bare     bool // references come without a final result
	met      bool // a command was answered at this port
	// lag is how long a reference may lag behind its OK, by what this modem has
	// shown; okAt is the OK of the last payload that got none yet.
	lag     time.Duration
	okAt    time.Time
	strayAt time.Time // when something last came that nobody waited for
	result  string    // the final result of the last command; "" once the next is written
	heardAt time.Time // when the newest octet behind the last line came
	octetAt time.Time // when the newest octet of all came

	// Owned by the reading goroutine, under mu.
	partial  []byte
	skipping bool      // the rest of an endless line
	pile     []message // unsolicited or own, whose second line is to come
	quote    quote     // a +CUSD whose end is to come
	// replaying: the lines of a quote that was given up count anew.
	replaying bool
	// held are unsolicited lines that wait until it is clear which line is the
	// answer of the command; held[best] is by what is known so far.
	held []heldLine
	best int
}

// New makes a Wire that owns the port from now on, and reads it from Start on.
func New(port Port, opts Options) *Wire {
	w := &Wire{
		port:  port,
		opts:  opts.withDefaults(),
		gone:  make(chan struct{}),
		done:  make(chan struct{}),
		limit: 5 * time.Second,
	}
	w.readable = sync.NewCond(&w.mu)
	w.patience.ring, w.overdue.ring = w.expire, w.expirePending
	w.urcs = newURCQueue(w.opts.OnURC)
	return w
}

// Start begins to read the port, and to call the handlers of the Options. It is
// called once, before all else.
func (w *Wire) Start() {
	var running sync.WaitGroup
	running.Go(w.receive)
	running.Go(w.urcs.run)
	go func() {
		running.Wait()
		close(w.done)
	}()
}

// Read gives the engine the next conditioned octets. It returns io.EOF once
// the stream has ended, and never (0, nil).
func (w *Wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.out) == 0 && !w.ended {
		w.readable.Wait()
	}
	if len(w.out) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.out)
	w.out = w.out[:copy(w.out, w.out[n:])]
	return n, nil
}

// Limit sets how long the commands from now on may take to their final
// result. Two-step commands have time-outs of their own.
func (w *Wire) Limit(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = d
}

// Flight tells what became of the last command.
func (w *Wire) Flight() Flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flight
}

// Met tells whether a command was ever answered at this port.
func (w *Wire) Met() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met
}

// HeardAt is when the newest octet came; zero: none did.
func (w *Wire) HeardAt() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.octetAt
}

// End ends the engine's stream; Rearm begins the next one.
func (w *Wire) End() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end(Aborted)
}

// Rearm drops what comes until nothing unasked has come for quiet (for a second
// behind an answer that a reference may follow), or most is over, and makes the
// Wire ready for a new engine. A prompt that comes meanwhile is ended by ESC. The
// engine before must be closed. Unsolicited lines are handed on meanwhile. It
// reports whether the port is still there.
func (w *Wire) Rearm(quiet, most time.Duration) bool {
	begin := time.Now()
	for {
		w.mu.Lock()
		if w.asked {
			w.asked = false
			w.mu.Unlock()
			w.awaitGap()
			_ = w.writeOut([]byte{esc}) // that the port is gone shows below
			w.mu.Lock()
		}
		since := time.Since(begin)
		if !w.strayAt.IsZero() {
			since = min(since, time.Since(w.strayAt))
		}
		if len(w.partial) > 0 && !w.heardAt.IsZero() {
			since = min(since, time.Since(w.heardAt)) // a line is on its way
		}
		left := quiet - since
		if w.adrift && !w.strayAt.IsZero() {
			left = max(left, referenceLag-time.Since(w.strayAt))
		}
		left = min(left, most-time.Since(begin))
		if left <= 0 || w.goneErr != nil {
			w.partial, w.skipping = w.partial[:0], false
			w.out, w.cmd = w.out[:0], command{}
			w.echoOn = false
			w.ended = w.goneErr != nil
			there := !w.ended
			w.mu.Unlock()
			return there
		}
		w.mu.Unlock()
		select {
		case <-time.After(left):
		case <-w.gone:
		}
	}
}

// Gone is closed when the port can be read no more; Err then says why.
func (w *Wire) Gone() <-chan struct{} { return w.gone }

// Err says why the port is gone, nil while it is not.
func (w *Wire) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.goneErr
}

// Close closes the port and ends the engine's stream.
func (w *Wire) Close() error { return w.port.Close() }

// Done is closed after Close, when the last unsolicited line is handled.
func (w *Wire) Done() <-chan struct{} { return w.done }

func (w *Wire) receive() {
	defer w.urcs.close()
	buf := make([]byte, 4096)
	for empty := 0; ; {
		n, err := w.port.Read(buf)
		if n > 0 {
			empty = 0
			w.mu.Lock()
			w.octetAt = time.Now()
			w.heardAt = w.octetAt
			w.feed(buf[:n])
			w.mu.Unlock()
		} else if err == nil {
			if empty++; empty > 100 {
				err = io.ErrNoProgress
			}
		}
		if err != nil {
			w.mu.Lock()
			w.goneErr = err
			w.flushPending()
			w.end(Gone)
			w.mu.Unlock()
			close(w.gone)
			return
		}
	}
}

// end ends the engine's stream and the command under way.
func (w *Wire) end(cause Cause) {
	if w.ended {
		return
	}
	if w.cmd.phase != idle {
		w.settle(cause)
	}
	w.ended = true
	w.readable.Broadcast()
}

// emit hands a line to the engine.
func (w *Wire) emit(line []byte) {
	if w.ended {
		return
	}
	w.out = append(append(w.out, line...), '\n')
	w.readable.Broadcast()
}

// sign reports s, if anybody wants to know.
func (w *Wire) sign(s Sign) {
	if s != 0 && w.opts.OnSign != nil {
		w.opts.OnSign(s)
	}
}

// late reports an answer that came too late for its command.
func (w *Wire) late(line []byte) {
	w.owed = false
	w.missed(line)
	w.strayed()
	if w.opts.OnLate != nil {
		w.opts.OnLate(string(line))
	}
	w.sign(Late)
}

// errEnded is what the engine gets when it writes to a stream that is over.
var errEnded = errors.New("wire: stream has ended")
