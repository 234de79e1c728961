package modem

import (
	"context"
	"strconv"
	"strings"
	"time"

	"smsotpd/modem/wire"
)

// incoming carries delivery reports and messages of one modem from the wire
// to the handlers, in order. It outlives the sessions of its port: what was
// heard is handed on even if the modem is gone by then.
type incoming struct {
	onReport  func(Report) error
	onInbound func(Inbound) error
	mail      chan func()
}

// mailbox bounds what waits for the handlers; the wire's own queue waits
// behind it.
const mailbox = 256

func newIncoming(onReport func(Report) error, onInbound func(Inbound) error) *incoming {
	return &incoming{onReport: onReport, onInbound: onInbound, mail: make(chan func(), mailbox)}
}

// run calls the handlers until close, and then for what is left.
func (in *incoming) run() {
	for handle := range in.mail {
		handle()
	}
}

// close ends run. No session may be left.
func (in *incoming) close() { close(in.mail) }

// hand passes one TPDU to its handler; after runs when the handler is done.
// An error says that it is a delivery report that can't be read, so that
// nobody could match it; after has run then.
func (in *incoming) hand(raw []byte, imsi string, received time.Time, after func()) error {
	if isStatusReport(raw) {
		r, err := decodeReport(raw)
		if err != nil {
			after()
			return err
		}
		r.IMSI, r.Received = imsi, received
		in.mail <- func() {
			if in.onReport == nil || in.onReport(r) == nil {
				after()
			}
		}
		return nil
	}
	m := decodeDeliver(raw)
	m.IMSI, m.Received = imsi, received
	in.mail <- func() {
		if in.onInbound == nil || in.onInbound(m) == nil {
			after()
		}
	}
	return nil
}

// stored is a message that the modem put into a memory.
type stored struct {
	mem    string // "" where the modem did not say
	index  int
	report bool // announced as a delivery report
	read   bool // handed on: to be deleted
}

// maxStored bounds the announcements that wait to be read.
const maxStored = 256

// onURC runs in the wire's handler goroutine and may wait.
func (s *session) onURC(u wire.URC) {
	kind, _, _ := strings.Cut(u.Line, ":")
	switch kind {
	case "+CMT", "+CDS":
		raw, err := decodeTPDU(u.Body, pduLength(u.Line))
		if err != nil {
			s.unreadable(kind, len(u.Body)/2)
			return
		}
		select { // what a modem still holds from before may come while it is prepared
		case <-s.known:
		case <-s.wire.Gone():
		}
		if err := s.incoming.hand(raw, s.identity().imsi, u.Received, func() {}); err != nil {
			s.unreadable(kind, len(raw))
		}
	case "+CMTI", "+CDSI":
		if mem, index, ok := storedIndex(u.Line); ok {
			s.queueStored(stored{mem: mem, index: index, report: kind == "+CDSI"})
		}
	}
}

// unreadable tells the operator that a report or message was lost; its octets
// stay out of the log.
func (s *session) unreadable(kind string, octets int) {
	s.log.Warn("a message from the modem could not be read", "kind", kind, "octets", octets)
}

func (s *session) queueStored(m stored) {
	select {
	case s.stored <- m:
	default:
		s.log.Warn("too many stored messages wait to be read")
	}
}

// fetch reads one stored message and hands it on, or deletes it when that is
// done. The caller has the turn.
func (s *session) fetch(ctx context.Context, m stored) error {
	memories := []string{m.mem}
	if m.report && m.mem != "SR" {
		memories = append(memories, "SR") // EC25 announces "SM" and means "SR"
	}
	for _, mem := range memories {
		if mem != "" && mem != s.memory {
			if _, err := s.ask(ctx, `+CPMS="`+mem+`"`, limitSIM); err != nil {
				if answered(err) {
					continue
				}
				return err
			}
			s.memory = mem
		}
		if m.read {
			_, err := s.command(ctx, "+CMGD="+strconv.Itoa(m.index), limitSIM)
			if answered(err) {
				err = nil
			}
			return err
		}
		info, err := s.command(ctx, "+CMGR="+strconv.Itoa(m.index), limitSIM)
		if err != nil && !answered(err) {
			return err
		}
		if s.handStored(info, stored{mem: mem, index: m.index, report: m.report, read: true}) {
			return nil
		}
	}
	return nil
}

// handStored hands on what +CMGR answered; it tells whether there was a PDU.
func (s *session) handStored(info []string, m stored) bool {
	for i, line := range info {
		if !strings.HasPrefix(line, "+CMGR") || i+1 == len(info) {
			continue
		}
		raw, err := decodeTPDU(info[i+1], pduLength(line))
		if err != nil {
			s.unreadable("+CMGR", len(info[i+1])/2)
			return false
		}
		if err := s.incoming.hand(raw, s.identity().imsi, time.Now(), func() { s.queueStored(m) }); err != nil {
			s.unreadable("+CMGR", len(raw))
		}
		return true
	}
	return false
}
