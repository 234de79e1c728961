package wire

import (
	"bytes"
	"strings"
	"time"
)

// Some modems answer a payload by OK, or by an error that proves nothing, and
// give its reference a second or more after that. Who sends the next message
// meanwhile, or has just opened the port, reads it in the air of another
// payload. It has no final result behind it, and the payload's own reference
// comes later. So after any sign that such a one may be on its way (adrift: a
// payload without reference, an answer that nobody asked for, none at all since
// the port was opened) a reference counts when its final result comes along with
// it, or when nothing follows.

const (
	// together is how soon behind a reference the OK comes that belongs to it.
	together = 200 * time.Millisecond
	// referenceLag is how long a reference mostly lags behind OK or an error.
	referenceLag = time.Second
	// maxLag bounds what a modem can show of that.
	maxLag = time.Minute
	// adriftFinal is how long the final result behind a reference is waited for
	// that may be an earlier payload's: most messages are in the air for less.
	adriftFinal = 20 * time.Second
)

// isReference tells a line that is a number alone, up to 255: some modems leave
// +CMGS out.
func isReference(line []byte) bool {
	n := 0
	for _, c := range line {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return len(line) > 0 && len(line) <= 3 && n <= 255
}

// referred takes +CMGS. A second one says that the first was not this
// payload's, unless it says the same.
func (w *Wire) referred(line []byte) {
	c := &w.cmd
	reference := string(line)
	switch {
	case reference == c.referred:
		return
	case strings.ContainsAny(c.referred, "0123456789"):
		w.late([]byte(c.referred))
	}
	c.referred, c.refAt = reference, time.Now()
	switch {
	case c.earlyOK && !w.adrift:
		w.finish(Answered, []byte("OK"))
	case c.phase == committed:
		w.patience.set(w.untilFinal())
	}
}

// numbered takes a number alone, which is a reference if it stands behind a
// +CMGS without one, or right before OK: some modems write it so.
func (w *Wire) numbered(line []byte) {
	c := &w.cmd
	reference := c.id + ": " + string(line)
	if c.referred != "" {
		if !strings.ContainsAny(c.referred, "0123456789") {
			c.referred = reference
		}
		return
	}
	c.number, c.refAt = reference, time.Now()
}

// missed takes in a reference that nobody waits for: where its OK came before it
// is waited for longer from now on.
func (w *Wire) missed(line []byte) {
	if !w.okAt.IsZero() && bytes.HasPrefix(line, []byte("+CMGS")) {
		w.lag = min(2*time.Since(w.okAt), maxLag)
	}
	w.okAt = time.Time{}
}

// untilFinal is how long what comes behind a reference, or OK, is waited for.
func (w *Wire) untilFinal() time.Duration {
	switch {
	case w.cmd.earlyOK && w.cmd.referred == "":
		return max(quietFinal, w.lag)
	case w.adrift && !w.cmd.earlyOK && !w.bare:
		return min(adriftFinal, max(quietFinal, time.Until(w.cmd.until)))
	}
	return quietFinal
}

// comesEarly tells whether an OK is one whose reference is still to come.
func (w *Wire) comesEarly() bool {
	c := &w.cmd
	if c.answers == 0 && c.number != "" && time.Since(c.refAt) <= together {
		c.answers, c.referred = 1, c.number
	}
	return c.answers == 0 || w.adrift && time.Since(c.refAt) > together
}

// settleReference hands on the reference of the command that ends, and notes
// how sure it is and whether one is still to come.
func (w *Wire) settleReference(cause Cause) {
	c := &w.cmd
	if c.referred != "" {
		w.info([]byte(c.referred))
	}
	switch {
	case c.phase != writing && c.phase != committed:
		// Who has just opened the port of a modem that is at work for somebody
		// else gets no answer.
		w.adrift = w.adrift || cause == Timeout && !w.met
	case c.referred == "":
		w.adrift = true
		if c.earlyOK {
			w.okAt = c.refAt
			w.lag /= 2 // unless it comes all the same
		}
	case cause == Answered:
		w.adrift, w.bare = false, false
	default:
		w.flight.Adrift = w.adrift
		if cause == Unfinished { // what may come was waited for
			w.flight.Bare, w.bare, w.adrift = w.bare, true, false
		}
	}
	w.met = w.met || cause == Answered
}
