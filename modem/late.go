package modem

import (
	"strings"
	"sync"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

// A doubt that the modem itself left (an error that proves nothing, OK without
// a reference) waits for its answer: some give +CMGS only after OK or CMS 500,
// when the network has the message. It also keeps that answer from the next
// message.
const (
	// firstGrace is how long the first time, leastGrace and mostGrace bound what
	// it comes to: half after each wait in vain, twice the lag that was seen.
	firstGrace = 5 * time.Second
	leastGrace = time.Second
	mostGrace  = 30 * time.Second
)

// owing is the newest message of a session, while its answer may come after
// its command was over. Nothing is credited to it that can be another's: the
// next message ends it, and a refusal counts only while no other command has
// gone unanswered that may be refused the same way.
type owing struct {
	came chan struct{} // holds a token once an answer may have come

	mu sync.Mutex
	// Guarded by mu.
	grace   time.Duration // by what this modem has shown
	answer  string        // the newest that came since ended, "" if none did
	heardAt time.Time     // when it did
	muddled bool          // a refusal can be another command's
	doubt   Result        // what the message came to
	tell    func(Result)  // its Submission.Late; nil: nobody waits
	until   time.Time     // until when it is told
	vendor  vendorClass
}

func newOwing() *owing { return &owing{came: make(chan struct{}, 1), grace: firstGrace} }

// begin forgets the message before: another one begins.
func (o *owing) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer, o.tell, o.muddled = "", nil, false
	select {
	case <-o.came:
	default:
	}
}

// muddle notes that a command went unanswered, whose refusal may still come. It
// is +CMS ERROR for those of the message service alone, 27.005 3.2.5.
func (o *owing) muddle(cmd string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, prefix := range [...]string{"+CM", "+CN", "+CPMS", "+CS", "+CRES"} {
		o.muddled = o.muddled || strings.HasPrefix(cmd, prefix)
	}
}

// heard takes in what the wire calls late. It runs in its reading goroutine.
func (o *owing) heard(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	reference := strings.HasPrefix(line, "+CMGS")
	if o.muddled && !reference {
		return
	}
	if lag := time.Since(o.doubt.Ended); reference && o.doubt.Cause != "timeout" && lag < mostGrace {
		o.grace = max(o.grace, min(2*lag, mostGrace))
	}
	if o.tell != nil {
		if r, ok := o.result(line); ok && time.Now().Before(o.until) {
			tell := o.tell
			o.tell = nil
			tell(r)
		}
		return
	}
	o.answer, o.heardAt = line, time.Now()
	select {
	case o.came <- struct{}{}:
	default:
	}
}

// result is what the late answer makes of the doubt; ok is false if it proves
// no more than is known.
func (o *owing) result(line string) (r Result, ok bool) {
	f := wire.Flight{
		Committed: o.doubt.Committed, Began: o.doubt.Began, CommittedAt: o.doubt.CommittedAt, Ended: time.Now(),
	}
	if number, refused := strings.CutPrefix(line, "+CMS ERROR: "); refused {
		r, _ = classify(o.vendor, nil, at.CMSError(number), f)
	} else {
		r, _ = classify(o.vendor, []string{line}, nil, f)
	}
	r.Validity = o.doubt.Validity
	return r, r.Class != Ambiguous
}

// settle waits for the answer of a message in doubt for a moment, and arranges
// for it to be told later where it does not come.
func (o *owing) settle(doubt Result, vendor vendorClass, tell func(Result), until time.Time, gone <-chan struct{}) Result {
	o.mu.Lock()
	o.doubt, o.vendor = doubt, vendor
	grace := time.NewTimer(o.grace)
	o.mu.Unlock()
	defer grace.Stop()
	waits := doubt.Cause != "timeout"
	for waiting := waits; ; {
		o.mu.Lock()
		if o.answer != "" && !o.heardAt.Before(doubt.Ended) {
			if r, ok := o.result(o.answer); ok {
				o.mu.Unlock()
				return r
			}
		}
		o.answer = ""
		if !waiting {
			if waits {
				o.grace = max(leastGrace, o.grace/2)
			}
			o.tell, o.until = tell, until
			o.mu.Unlock()
			return doubt
		}
		o.mu.Unlock()
		select {
		case <-o.came:
		case <-grace.C:
			waiting = false
		case <-gone:
			waiting = false
		}
	}
}
