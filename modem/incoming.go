package modem

import (
	"encoding/hex"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"smsotpd/modem/wire"
)

// incoming carries delivery reports and messages of one modem from the wire
// to the handlers. It outlives the sessions of its port: what was heard is
// handed on even if the modem is gone by then. What a handler did not take is
// offered to it again.
type incoming struct {
	onReport  func(Report) error
	onInbound func(Inbound) error
	name      func() string // of the modem
	happened  func(EventKind, string)
	log       *slog.Logger
	mail      chan letter
	// seen is the modem and SIM that were known here last.
	seen atomic.Pointer[identity]
	// listed is how the lists of that modem went.
	listed atomic.Pointer[listing]

	again []letter // refused by their handler; owned by run
}

// letter is one report or message on its way to its handler.
type letter struct {
	handle func() error
	done   func(error) // is told what the handler said, each time
	// stored: the modem keeps it until it is deleted. What came directly nothing
	// else holds: it is offered until the handler takes it.
	stored bool
	tries  int
	due    time.Time
}

const (
	// mailbox bounds what waits for the handlers; the wire's own queue waits
	// behind it.
	mailbox = 256
	// maxAgain bounds what was refused and is to be offered again.
	maxAgain = 256
	// againFirst and againMost are the pauses between two offers.
	againFirst, againMost = time.Second, time.Minute
)

// newIncoming makes one that tells nobody of what happens; see tells.
func newIncoming(onReport func(Report) error, onInbound func(Inbound) error) *incoming {
	return &incoming{
		onReport: onReport, onInbound: onInbound, mail: make(chan letter, mailbox),
		log: slog.New(slog.DiscardHandler), name: func() string { return "" }, happened: func(EventKind, string) {},
	}
}

// tells sets who is told of what happens to the modem with the name.
func (in *incoming) tells(log *slog.Logger, name func() string, happened func(EventKind, string)) {
	in.log, in.name, in.happened = log, name, happened
}

// run calls the handlers until close, and then for what is left.
func (in *incoming) run() {
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	for {
		if len(in.again) > 0 {
			retry.Reset(time.Until(in.again[0].due))
		}
		select {
		case l, ok := <-in.mail:
			if !ok {
				in.last()
				return
			}
			in.offer(l)
		case <-retry.C:
			if len(in.again) > 0 {
				l := in.again[0]
				in.again = in.again[1:]
				in.offer(l)
			}
		}
	}
}

// offer calls the handler of l.
func (in *incoming) offer(l letter) {
	err := l.handle()
	l.done(err)
	if err == nil || l.stored {
		return
	}
	if len(in.again) == maxAgain {
		in.again = in.again[1:]
		in.lost(1)
	}
	l.due = time.Now().Add(min(againFirst<<min(l.tries, 10), againMost))
	l.tries++
	in.again = append(in.again, l)
}

// last offers once more what was refused.
func (in *incoming) last() {
	refused := 0
	for _, l := range in.again {
		if l.handle() != nil {
			refused++
		}
	}
	if refused > 0 {
		in.lost(refused)
	}
}

func (in *incoming) lost(n int) {
	in.log.Error("reports or messages could not be kept and are lost", "modem", in.name(), "count", n)
}

// close ends run. No session may be left.
func (in *incoming) close() { close(in.mail) }

// receipt says which SIM received something, and when.
type receipt struct {
	sim identity
	at  time.Time
}

// hand passes on what came directly; done is told, by another goroutine and
// perhaps several times, whether the handler took it. It waits while the mailbox
// is full.
func (in *incoming) hand(handle func() error, done func(error)) {
	in.mail <- letter{handle: handle, done: done}
}

// handStored passes on a TPDU that the modem keeps; done is told, by another
// goroutine, whether the handler took it. It reports false, and does nothing,
// while the mailbox is full.
func (in *incoming) handStored(raw []byte, by receipt, done func(error)) bool {
	select {
	case in.mail <- letter{handle: in.open(raw, false, by), done: done, stored: true}:
		return true
	default:
		return false
	}
}

// open decodes a TPDU and binds it to its handler. asReport: the modem
// announced it as a delivery report. What can't be read is kept for people to
// look at, a report too: nobody could match it.
func (in *incoming) open(raw []byte, asReport bool, by receipt) func() error {
	if isStatusReport(raw) || asReport {
		r, err := decodeReport(raw)
		if err == nil && (isStatusReport(raw) || !r.SCTS.IsZero()) {
			return in.report(r, by)
		}
	}
	return in.message(decodeDeliver(raw), by)
}

func (in *incoming) report(r Report, by receipt) func() error {
	r.IMSI, r.Alias, r.Received = by.sim.imsi, by.sim.alias(in.name()), by.at
	return func() error {
		if in.onReport == nil {
			return nil
		}
		return in.onReport(r)
	}
}

func (in *incoming) message(m Inbound, by receipt) func() error {
	m.Modem, m.IMSI, m.Received = in.name(), by.sim.imsi, by.at
	if m.Undecodable {
		in.unreadable("a report or message", len(m.PDU))
	}
	return func() error {
		if in.onInbound == nil {
			return nil
		}
		return in.onInbound(m)
	}
}

// unreadable tells the operator of a report or message that can't be read;
// its octets stay out of the log.
func (in *incoming) unreadable(what string, octets int) {
	in.log.Warn("a report or message from the modem could not be read", "modem", in.name(), "what", what, "octets", octets)
	in.happened(EventUnreadable, what)
}

// onURC runs in the wire's handler goroutine and may wait.
func (s *session) onURC(u wire.URC) {
	kind, _, _ := strings.Cut(u.Line, ":")
	switch kind {
	case "+CMT", "+CDS":
		s.chores.direct(u.Received)
		s.onDirect(kind == "+CDS", u)
	case "+CMTI", "+CDSI":
		s.chores.announce(u.Line, kind == "+CDSI")
	case "+CUSD":
		s.dialogue.heard(u.Line)
	default:
		if tellsFull(u.Line) {
			s.noteFull(true, "")
			s.chores.full()
		} else if as := s.lonePDU(u); as != "" {
			s.chores.direct(u.Received)
			s.onDirect(as == "+CDS", wire.URC{Line: as, Body: u.Line, Received: u.Received})
		}
	}
}

// lateFor is how long behind its header, +CMT or +CDS, a PDU may come.
const lateFor = time.Minute

// lonePDU tells what would have announced a line that is a PDU and that nothing
// waits for: it came too late behind its header. A delivery report can be nothing
// else; a message is one only if there was a header. "" if it is none.
func (s *session) lonePDU(u wire.URC) string {
	raw, err := decodeTPDU(u.Line, 0)
	switch {
	case err != nil || !readable(raw):
		return ""
	case isStatusReport(raw):
		if r, _ := decodeReport(raw); r.Recipient == "" || r.Discharge.IsZero() {
			return ""
		}
		return "+CDS"
	case s.chores.sinceHeadless(u.Received) <= lateFor:
		return "+CMT"
	}
	return ""
}

// claimWait is how long a report waits for the SIM that it is of. A modem may
// stand still for minutes before it says; the report can be told by its
// reference and recipient too, and what waits is lost with the process. A
// message waits longer: its parts are joined by SIM.
const claimWait = 500 * time.Millisecond

// onDirect takes a report or message that the modem hands over at once.
func (s *session) onDirect(report bool, u wire.URC) {
	// What the modem still holds from before may come while it is prepared.
	if report {
		s.awaitSIM(claimWait - time.Since(u.Received))
	} else {
		s.awaitSIM(math.MaxInt64)
	}
	handle := s.openDirect(report, u, receipt{s.owner(), u.Received})
	if handle == nil {
		s.chores.headless()
		s.incoming.unreadable("nothing behind "+u.Line[:min(len(u.Line), 4)], 0)
		return // and is not acknowledged: it may come whole when it comes again
	}
	s.incoming.hand(handle, func(err error) { s.chores.settled(u.Received, err) })
}

// openDirect binds what the modem hands over at once to its handler; nil if
// there is nothing.
func (s *session) openDirect(report bool, u wire.URC, by receipt) func() error {
	in := s.incoming
	if _, rest, _ := strings.Cut(u.Line, ":"); u.Body == "" && len(rest) > 20 && isPDU(unquoted(rest)) {
		u.Line, u.Body = u.Line[:4], rest // without a length, in one line
	}
	raw, err := decodeTPDU(u.Body, pduLength(u.Line))
	sound := err == nil && readable(raw)
	if r, ok := textReport(u.Line); report && ok && !sound {
		s.inTextMode()
		return in.report(r, by)
	}
	if m, ok := textMessage(u.Line, u.Body); !report && ok && !sound { // perhaps in hexadecimal too
		s.inTextMode()
		return in.message(m, by)
	}
	if err == nil {
		return in.open(raw, report, by)
	}
	if u.Body == "" {
		return nil
	}
	return in.message(Inbound{Undecodable: true, PDU: octetsOf(u.Body)}, by)
}

// inTextMode doubts that the modem is in PDU mode, since it hands over as in
// text mode. A modem that always does so is not doubted all the time.
func (s *session) inTextMode() {
	const rarely = 10 * time.Minute
	s.mu.Lock()
	fresh := time.Since(s.textual) > rarely
	if fresh {
		s.textual = time.Now()
	}
	s.mu.Unlock()
	if fresh {
		s.onSign(wire.TextMode)
	}
}

// maxOdd bounds what is kept of what should be a PDU and isn't.
const maxOdd = 1024

// octetsOf is what there is of a PDU that isn't one: its octets if all of it is
// hexadecimal, or else the line itself.
func octetsOf(body string) []byte {
	raw, err := hex.DecodeString(unquoted(body))
	if err != nil || len(raw) == 0 {
		raw = []byte(body)
	}
	return raw[:min(len(raw), maxOdd)]
}

// tellsFull tells the lines by which modems say that a memory is full:
// ^SMMEMFULL: "SM", +CIEV: "SMSFULL",1, +QIND: "smsfull","ME" and their kin. The
// value 0 says that it is not: 27.007 8.9.
func tellsFull(line string) bool {
	words := strings.NewReplacer(" ", "", "_", "").Replace(strings.ToUpper(line))
	if !strings.Contains(words, "MEMFULL") && !strings.Contains(words, "MEMORYFULL") && !strings.Contains(words, "SMSFULL") {
		return false
	}
	_, values, _ := strings.Cut(line, ":")
	f := fields(values)
	n, told := value(f[len(f)-1])
	return !told || n != 0
}
