package wire

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"time"
)

const (
	ctrlZ = 0x1a
	esc   = 0x1b
)

// phase of the command under way.
type phase int

const (
	idle      phase = iota
	answering       // a one-step command: its final result is awaited
	prompting       // a two-step command: its prompt is awaited
	prompted        // the prompt is with the engine, which will write the payload
	writing         // the payload is being written
	committed       // payload and Ctrl-Z are written: the final result is awaited
	aborting        // ESC is being written; nothing counts any more
)

// command is the one that the engine has written last.
type command struct {
	phase    phase
	text     string // as the modem would echo it: AT+CREG?
	id       string // the prefix of its answers: +CREG
	shape    shape
	query    bool // its answer is known to be over when it is quiet
	twoStep  bool
	echo     echo
	echoed   bool
	answers  int       // lines with its own prefix so far
	answered bool      // what hold kept has been released
	textMode bool      // the messages of its answer are texts
	octets   int       // handed to the engine so far
	infoAt   time.Time // when something last was
	payload  echo
	until    time.Time // when the final result of a payload is overdue
	earlyOK  bool      // OK came before +CMGS
	referred string    // the newest +CMGS
	number   string    // a line that may be one, in that form
	refAt    time.Time // when it came, or the OK before it
	lateOK   time.Time // when a late +CMGS came whose OK is still to come
}

func newCommand(text string, twoStep bool) command {
	id, form := strings.TrimPrefix(text, "AT"), ""
	if i := strings.IndexAny(id, "=?"); i >= 0 {
		id, form = id[:i], id[i:]
	}
	c := command{
		phase: answering, text: text, id: id, shape: shapeOf(id, form), twoStep: twoStep,
		echo: echo{text: text},
	}
	c.query = strings.HasSuffix(form, "?") || c.shape == oneLine
	if twoStep {
		c.phase = prompting
	}
	return c
}

// ofMessages tells the commands of 27.005, which +CMS ERROR can answer.
func (c *command) ofMessages() bool {
	switch c.id {
	case "+CNMI", "+CNMA", "+CPMS", "+CSMS", "+CSCA", "+CSMP", "+CSCB", "+CSDH", "+CSAS", "+CRES":
		return true
	}
	return strings.HasPrefix(c.id, "+CMG") || c.id == "+CMSS" || c.id == "+CMMS"
}

// Write takes what the engine writes: a command line (ended by CR LF, or by CR
// alone if it is a two-step command), a payload with Ctrl-Z, or ESC.
func (w *Wire) Write(b []byte) (int, error) {
	var err error
	switch {
	case len(b) == 0:
	case b[0] == esc:
		err = w.writeEscape(b)
	case b[len(b)-1] == ctrlZ:
		err = w.writePayload(b)
	default:
		err = w.writeCommand(b)
	}
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// writeEscape writes the engine's ESC. The engine has one for every write that
// fails, and must not wait for a second time-out.
func (w *Wire) writeEscape(b []byte) error {
	w.mu.Lock()
	ended := w.ended
	w.mu.Unlock()
	if ended {
		return errEnded
	}
	return w.writeOut(b)
}

// Force writes ESC, text and CR past the engine, whatever is under way: ESC
// ends a text entry, CR a command line that the modem holds. Nobody waits for
// an answer.
func (w *Wire) Force(text string) error {
	w.awaitGap()
	return w.writeOut([]byte("\x1b" + text + "\r"))
}

// Abort ends the two-step command under way by ESC if its payload is not being
// written yet, and forbids payloads until Permit.
func (w *Wire) Abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aborted = true
	w.abort(Aborted)
}

// Permit takes an earlier Abort back and forgets the last Flight, so that the
// next one is that of the next command, even if it never gets to the port.
func (w *Wire) Permit() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.aborted, w.flight = false, Flight{}
}

// writeCommand writes a command line with CR as its only line end, which is
// what V.250 asks for: an LF would be the first octet of a payload.
func (w *Wire) writeCommand(b []byte) error {
	text := string(bytes.TrimRight(b, "\r\n"))
	w.awaitGap()
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return errEnded
	}
	w.cmd = newCommand(text, !bytes.HasSuffix(b, []byte("\n")))
	w.flight, w.result = Flight{Began: time.Now()}, ""
	w.owed = w.owed && !w.cmd.twoStep
	if w.cmd.twoStep {
		w.patience.set(w.opts.PromptTimeout)
	} else {
		w.patience.set(w.limit)
	}
	w.mu.Unlock()
	return w.writeOut([]byte(text + "\r"))
}

// SetGap has all that is written from now on wait until the modem has said
// nothing for d: some lose what comes sooner.
func (w *Wire) SetGap(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gap = d
}

// awaitGap waits until SetGap's time is over; a modem that goes on talking is
// waited for twice as long.
func (w *Wire) awaitGap() {
	for range 2 {
		w.mu.Lock()
		left := w.gap - time.Since(w.octetAt)
		w.mu.Unlock()
		if left <= 0 {
			return
		}
		time.Sleep(left)
	}
}

// writePayload writes the payload, unless the command is over since its prompt
// passed or is to be aborted: the engine then finds the final result.
func (w *Wire) writePayload(b []byte) error {
	w.awaitGap()
	w.mu.Lock()
	if w.aborted {
		w.abort(Aborted)
	}
	switch {
	case w.ended:
		w.mu.Unlock()
		return errEnded
	case w.cmd.phase != prompted:
		w.mu.Unlock()
		return nil
	}
	w.cmd.phase = writing
	w.cmd.payload = echo{text: string(b[:len(b)-1])}
	w.cmd.until = time.Now().Add(w.opts.FinalTimeout)
	w.patience.set(w.opts.FinalTimeout)
	pace := w.pace
	w.mu.Unlock()

	err := w.writePaced(b, pace)

	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		return err
	}
	w.flight.Committed, w.flight.CommittedAt = true, time.Now()
	if w.cmd.phase == writing {
		w.cmd.phase = committed
		if w.cmd.answers > 0 || w.cmd.earlyOK { // the modem was quicker than this goroutine
			w.patience.set(w.untilFinal())
		}
	}
	return nil
}

// SetPace has the payloads from now on go in pieces of 16 octets with a pause
// of d behind each, for modems that lose octets. 0: payload and Ctrl-Z go in
// one write.
func (w *Wire) SetPace(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pace = d
}

func (w *Wire) writePaced(b []byte, pace time.Duration) error {
	if pace == 0 {
		return w.writeOut(b)
	}
	for body := b[:len(b)-1]; len(body) > 0; {
		n := min(16, len(body))
		if err := w.writeOut(body[:n]); err != nil {
			return err
		}
		body = body[n:]
		time.Sleep(pace)
	}
	return w.writeOut(b[len(b)-1:])
}

// writeOut writes to the port. An error ends the stream: what the modem has
// of a half-written line is unknown.
func (w *Wire) writeOut(b []byte) error {
	err := w.port.SetWriteDeadline(time.Now().Add(w.opts.WriteTimeout))
	if err == nil || errors.Is(err, os.ErrNoDeadline) {
		var n int
		if n, err = w.port.Write(b); n == len(b) {
			return nil
		}
		if err == nil {
			err = io.ErrShortWrite
		}
	}
	w.mu.Lock()
	w.end(WriteFailed)
	w.mu.Unlock()
	return err
}

// finish ends the command under way with a final result for the engine.
func (w *Wire) finish(cause Cause, final []byte) {
	w.release(string(final) == "OK")
	w.settle(cause)
	w.result = string(final)
	w.emit(final)
}

// settle notes how the command under way ended.
func (w *Wire) settle(cause Cause) {
	w.release(false)
	w.forgetOwn()
	w.flight.Cause, w.flight.Ended = cause, time.Now()
	w.settleEcho(cause)
	w.owed = w.owed || cause == Timeout && w.cmd.phase == committed
	w.settleReference(cause)
	w.cmd.phase = idle
	w.patience.stop()
}

// abort ends a two-step command that has no payload yet. The lock is released
// while ESC is written.
func (w *Wire) abort(cause Cause) {
	if w.cmd.phase != prompting && w.cmd.phase != prompted {
		return
	}
	w.cmd.phase = aborting
	w.patience.stop()
	w.mu.Unlock()
	w.awaitGap()
	err := w.writeOut([]byte{esc})
	w.mu.Lock()
	if err == nil && w.cmd.phase == aborting {
		w.finish(cause, []byte("ERROR"))
	}
}

// isComing tells whether the answer of a one-step command is still on its way,
// octet by octet, or message by message.
func (w *Wire) isComing() bool {
	c := &w.cmd
	coming := time.Since(w.heardAt) < quietFinal || c.shape == messages && time.Since(c.infoAt) < 2*quietFinal
	return c.phase == answering && coming && time.Since(w.flight.Began) < max(maxDribble, 2*w.limit)
}

// expire is what happens when the command's time is over.
func (w *Wire) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.patience.isDue() || w.cmd.phase == idle:
	case w.cmd.phase == prompting || w.cmd.phase == prompted:
		w.abort(NoPrompt)
	case w.cmd.earlyOK:
		w.finish(Answered, []byte("OK"))
	case w.isComing():
		w.patience.set(quietFinal - min(quietFinal/2, time.Since(w.heardAt)))
	case (w.cmd.answers > 0 || w.cmd.octets > 0) && !w.awaitsOwn():
		w.finish(Unfinished, []byte("OK"))
	default:
		w.end(Timeout)
	}
}
