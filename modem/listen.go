package modem

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

// ear hears what comes from a port, to tell afterwards what is behind one
// that does not answer. Its methods may be called at once.
type ear struct {
	wire.Port

	mu sync.Mutex
	// Guarded by mu.
	heard, odd int  // octets, and those of them that are no text
	sentences  int  // of NMEA 0183
	lineStart  bool // the last octet ended a line
	dollar     bool // the line begins with "$"
	echoed     bool // "AT" came back
	last       byte
}

func newEar(port wire.Port) *ear { return &ear{Port: port, lineStart: true} }

// Read implements io.Reader.
func (e *ear) Read(p []byte) (int, error) {
	n, err := e.Port.Read(p)
	if n > 0 {
		e.listen(p[:n])
	}
	return n, err
}

func (e *ear) listen(octets []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard += len(octets)
	for _, c := range octets {
		switch {
		case e.dollar && (c == 'G' || c == 'P' || c == 'B'):
			e.sentences++
		case c == 'T' && e.last == 'A':
			e.echoed = true
		}
		if c < ' ' && c != '\r' && c != '\n' && c != '\t' && c != 0 || c > '~' {
			e.odd++
		}
		e.dollar = e.lineStart && c == '$'
		e.lineStart = c == '\r' || c == '\n'
		e.last = c
	}
}

// impression is what the port seems to be, in words that follow its name.
func (e *ear) impression() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.heard == 0:
		return "is silent"
	case e.sentences > 0:
		return "sends positions (NMEA): it is for GNSS, not for commands"
	case e.odd*16 > e.heard:
		return "sends binary data: it is for diagnostics, or runs at another speed"
	case e.echoed:
		return "echoes what it is sent and answers nothing"
	}
	return "sends text, but answers no AT command"
}

// glance asks once, and once more, whether anything behind the port answers
// AT, so that the wrong ports of a stick cost little time.
func (s *session) glance(ctx context.Context) error {
	leave, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	for range 2 {
		if err := s.wire.Force(""); err != nil || !s.wire.Rearm(s.times.Quiet, 3*s.times.Quiet) {
			return errGone
		}
		s.engine = at.New(s.wire, at.WithTimeout(-1))
		_, err := s.command(ctx, "", min(s.times.Wake, glanceLimit))
		if !errors.Is(err, errMute) {
			return err
		}
		s.wire.End()
		<-s.engine.Closed()
		s.engine = nil
	}
	return errMute
}

// glanceLimit is how long glance waits for each answer.
const glanceLimit = 600 * time.Millisecond
