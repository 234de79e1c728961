package modem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Line is one modem that is prepared and can send. It ends with the first
// doubt about the modem's state; after a new preparation the Pool hands out
// another one. Its methods may be called from many goroutines.
type Line struct {
	session *session
	name    string
	id      identity
	card    Card // the operator's settings for the SIM, or zero
	worker  *worker
	closed  chan struct{}
	once    sync.Once
	why     error // why it closed; readable once it is
	owes    bool  // the answer to its last message may still come; as why
	// sickness is what its last message has shown, whatever closed it; as why.
	sickness error
	// keepsLink: as in Info.
	keepsLink bool
}

// restOrder is a caller's wish that a modem stay down for some time.
type restOrder struct {
	reason string
	until  time.Time
	firm   bool // nothing that the modem shows ends it
}

func newLine(s *session, w *worker) *Line {
	id := s.identity()
	card, _ := w.pool.cards.find(id)
	return &Line{session: s, name: w.name(), id: id, card: card, worker: w, keepsLink: s.keepsLink, closed: make(chan struct{})}
}

// alias tells the SIM in this modem from all others where its IMSI is not
// known.
func (id identity) alias(modem string) string {
	if id.imei != "" {
		return "imei-" + id.imei
	}
	return "modem-" + modem
}

// sim is the IMSI, or else the alias.
func (id identity) sim(modem string) string { return cmp.Or(id.imsi, id.alias(modem)) }

// Name is the modem's name.
func (l *Line) Name() string { return l.name }

// IMEI of the modem, "" where it does not tell.
func (l *Line) IMEI() string { return l.id.imei }

// IMSI of the SIM; where the modem does not tell it, the alias that its Reports
// bear.
func (l *Line) IMSI() string { return l.id.sim(l.name) }

// Closed is closed when the line can be used no more.
func (l *Line) Closed() <-chan struct{} { return l.closed }

// Park closes the line and keeps the modem down for d, in state parked, with
// the reason for the operator. Delivery reports still come in. It works on a
// closed line too: what made the caller park the modem may have closed it.
func (l *Line) Park(reason string, d time.Duration) {
	l.worker.park(restOrder{reason: reason, until: time.Now().Add(d)})
	l.close(errParked)
}

// What closes a line, beside errMute, errGone and errSuspect.
var (
	errParked = errors.New("modem: parked")
	// errSick: the modem answers commands, but the network never answers its
	// messages.
	errSick = errors.New("modem: the network does not answer its messages")
)

func (l *Line) close(why error) {
	l.once.Do(func() {
		l.why = why
		close(l.closed)
	})
}

// turnPatience is how long a message waits for what the modem does between
// messages; longer than any one command of that takes where all is well.
const turnPatience = 5 * time.Second

// Submit sends one SMS and says what became of it; messages of one line go
// one after the other, and one that waits longer than turnPatience is given
// back. If ctx ends before the payload is written the message is not sent;
// after that its answer is waited for, for 180 s at most. A refusal whose cause
// can be done away with is followed by one more try, or two where TP-VP in the
// enhanced format was asked for: that format goes first, and once it was refused
// no message of this SIM has it while the port is open.
func (l *Line) Submit(ctx context.Context, sub Submission) Result {
	patient, cancel := context.WithTimeout(ctx, turnPatience)
	defer cancel()
	leave, err := l.session.take(patient)
	switch {
	case ctx.Err() != nil && err != nil:
		return unsent(Temporary, "canceled")
	case err != nil: // it hangs over something else
		l.close(errSuspect)
		return unsent(Temporary, "closed")
	}
	defer leave()
	select {
	case <-l.closed:
		return unsent(Temporary, "closed")
	default:
	}
	if l.session.suspect.Load() {
		l.close(errSuspect)
		return unsent(Temporary, "closed")
	}
	if why := l.session.knock(ctx); why != nil {
		l.close(why)
		return unsent(Temporary, "closed")
	}
	l.worker.setState(Sending, "")
	r, sound := l.submitMended(ctx, sub)
	if !sound { // nothing else is to be asked before the modem is looked after
		l.session.suspect.Store(true)
	}
	l.owes = r.Cause == "timeout"
	l.sickness = l.sick(r)
	switch {
	case l.sickness != nil:
		l.close(l.sickness)
	case sound && !r.ownTrouble():
		l.worker.setState(Ready, "")
	case r.Cause == "eof" || r.Cause == "write":
		l.close(errGone)
	default:
		l.close(errSuspect)
	}
	return r
}

// submitMended writes one message, and once more, or twice where its validity may
// be written in a simpler way, when what it was refused for is done away with. The
// caller has the turn.
func (l *Line) submitMended(ctx context.Context, sub Submission) (r Result, sound bool) {
	sub.Enhanced = sub.Enhanced && !l.unenhanced()
	more := 1
	if sub.Enhanced {
		more = 2
	}
	for simpler := false; ; more-- {
		r, sound = l.submit(ctx, sub)
		if simpler && r.Class == Accepted || r.Validity == ValidityEnhanced && (r.CMS == 198 || r.CMS == 199) {
			l.session.noEnhanced.note(l.IMSI())
		}
		enhanced := sub.Enhanced
		if more == 0 || !sound || !l.mend(ctx, &sub, r) {
			return r, sound
		}
		simpler = enhanced && !sub.Enhanced // and nothing else is new
	}
}

// submit writes one message; sound tells whether the next may follow at once.
// The caller has the turn.
func (l *Line) submit(ctx context.Context, sub Submission) (r Result, sound bool) {
	s := l.session
	pdu, octets, err := encodeSubmit(sub)
	if err != nil {
		s.log.Error("a message has no encoding", "error", err)
		return unsent(Ours, "encode"), true
	}
	if ctx.Err() != nil {
		return unsent(Temporary, "canceled"), true
	}
	s.wire.Permit()
	s.owing.begin()
	s.memories.sureAt = time.Time{}
	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.wire.Abort()
		close(aborted)
	})
	info, err := s.engine.SMSCommand(fmt.Sprintf("+CMGS=%d", octets), pdu)
	if !stop() {
		<-aborted
	}
	f := s.wire.Flight()
	s.mu.Lock()
	s.used, s.talkedAt = f.Ended, time.Now()
	s.mu.Unlock()
	vendor := s.profile().CMS
	r, sound = classify(vendor, info, err, f)
	r.Validity = sub.validityFormat()
	s.modeAt = time.Time{}
	if r.Class == Accepted && sound {
		s.modeAt, s.proven = f.Ended, true // it has taken a PDU
	}
	if r.Class == Ambiguous && s.wire.Err() == nil && r.Cause != "reboot" {
		until := r.Ended.Add(l.worker.pool.cfg.Timeouts.Owed)
		r = s.owing.settle(r, vendor, sub.Late, until, s.wire.Gone())
	}
	return r, sound
}

// mend does away with what the message was refused for, where that can be done
// here and now, and tells whether it was. The caller has the turn.
func (l *Line) mend(ctx context.Context, sub *Submission, r Result) bool {
	var err error
	switch r.CMS {
	case 198, 199: // the service centre takes no TP-VP, or not in this format
		sub.withoutVP = !sub.Enhanced
		sub.Enhanced = false
	case 303, 304, 305: // so says a modem that has fallen out of PDU mode, does not know the format, or has lost octets
		switch {
		case l.session.backInPDUMode(ctx):
		case sub.Enhanced && r.Committed:
			sub.Enhanced = false
		default:
			return l.session.slowDown()
		}
	case 320, 322: // some modems keep a copy of what they send
		err = l.session.purge(ctx)
	case 330:
		err = l.session.restoreServiceCentre(ctx)
	default:
		return false
	}
	if err != nil {
		l.session.log.Warn("what a message was refused for can't be mended", "cause", r.Cause, "error", err)
	}
	return err == nil
}

// tooManyUnanswered is how many messages in a row a modem may send without a
// word of the network before it is taken to be sick.
const tooManyUnanswered = 3

// sick counts the messages of which the network said nothing, and returns an
// error when they are too many in a row; whatever is done about it then, the
// count begins anew. What was given back, refused by the modem itself or lost
// with the port counts neither way.
func (l *Line) sick(r Result) error {
	s := l.session
	switch {
	case r.Class == Accepted, r.CMS > 0 && r.CMS < 256:
		s.unanswered, s.reboots = 0, 0
	case r.Cause == "eof", r.Cause == "write":
	case r.Class == Ambiguous, r.Cause == "no-prompt", r.Cause == "error", r.Cause == "reboot":
		s.unanswered++
		if r.Cause == "reboot" {
			s.reboots++
		}
	}
	if s.unanswered < tooManyUnanswered {
		return nil
	}
	why := errSick
	if s.reboots >= tooManyUnanswered {
		why = errWeak
	}
	s.unanswered, s.reboots = 0, 0
	return why
}

// unsent is the Result of a message of which no octet was written.
func unsent(class Class, cause string) Result {
	return Result{Class: class, Cause: cause, CMS: -1, CME: -1, Ended: time.Now()}
}
