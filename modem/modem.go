// Package modem turns a serial port with a GSM/LTE modem behind it into
// something that sends one SMS at a time and says truly what became of it.
//
// It knows 3GPP TS 27.005, 27.007 and 23.040, and nothing of verifications,
// queues or storage.
//
// What always holds:
//
//   - A Result is Committed if and only if Ctrl-Z was handed whole to the
//     port. A Result that is not Committed sent nothing.
//   - An answer is credited only to the command that it answers: after a
//     time-out the session ends and the modem is resynchronised.
//   - A PDU is written once per AT+CMGS, and only while PDU mode is verified.
//   - A modem that hangs, vanishes or lies holds up no other modem.
package modem

import (
	"log/slog"
	"time"
)

// Submission is one SMS to be sent in one segment.
type Submission struct {
	// To is the recipient: the digits of an E.164 number, without "+".
	To string
	// Text is sent in the GSM 7-bit default alphabet (TS 23.038) where it
	// fits that alphabet and in UCS-2 where not; more than one segment is
	// refused with class Ours.
	Text string
	// Validity is TP-VP in the relative format (TS 23.040 9.2.3.12.1):
	// 0 is 5 minutes, 1 is 10 minutes, …
	Validity byte
	// Enhanced asks for TP-VP in the enhanced format (TS 23.040 9.2.3.12.3) of
	// the length Life instead, in whole seconds, rounded down, from 1 s to
	// 99:59:59. Where that format was refused since the modem's port was opened,
	// or is refused now, the message goes out with Validity.
	Enhanced bool
	Life     time.Duration
	// Report asks for a delivery report (TP-SRR).
	Report bool
	// Replace is TP-PID 0x41…0x47 for a replace-type message, or 0.
	Replace byte
	// Late is called at most once, after Submit has returned Ambiguous, if the
	// answer came after all and can be nobody else's; nil: nobody wants to
	// know. It must not block.
	Late func(Result)

	// withoutVP leaves TP-VP out, for a service centre that refuses it.
	withoutVP bool
}

// String keeps numbers and texts out of logs.
func (s Submission) String() string { return "submission" }

// GoString keeps numbers and texts out of logs.
func (s Submission) GoString() string { return s.String() }

// LogValue keeps numbers and texts out of logs.
func (s Submission) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Class says what a Result means for the message; design: records and states.
type Class string

const (
	// Accepted: the network took it; MR is its reference.
	Accepted Class = "accepted"
	// Destination: the recipient can't be reached for good.
	Destination Class = "destination"
	// Ours: the PDU or the configuration is wrong; no modem will take it.
	Ours Class = "ours"
	// SIM: this SIM or modem can't send now; another may.
	SIM Class = "sim"
	// Temporary: refused, not accepted; try again within the message's life.
	Temporary Class = "temporary"
	// Ambiguous: committed, and no trustworthy answer came.
	Ambiguous Class = "ambiguous"
)

// Result is what became of one Submission.
type Result struct {
	Class Class
	// MR is TP-MR, the message reference of an accepted message, unless NoMR
	// says that it is not known: the network had the message already.
	MR   byte
	NoMR bool
	// Cause is short and stable: "cms-500", "cme-14", "no-prompt",
	// "timeout", "eof", "reboot", "error", "no-reference", "write" (the port
	// took it not), "canceled" (by the context), "closed" (the line was),
	// "encode", "" when accepted.
	Cause string
	// CMS and CME are the error numbers, -1 where there was none.
	CMS, CME int
	// OtherSIM: the cause may lie with this SIM or with the destination, so
	// one try by another SIM is worth it (RP causes 27 and 38, and all that
	// ended before Ctrl-Z).
	OtherSIM bool
	// Soon is the wait that the cause itself suggests before the next try;
	// 0 where the caller's own backoff fits.
	Soon time.Duration
	// Committed: Ctrl-Z was handed whole to the port.
	Committed bool
	// Validity is the format of TP-VP that the message was last written with;
	// "" if it never was.
	Validity ValidityFormat
	// Began is when the first byte of AT+CMGS was written (zero: never),
	// CommittedAt when Ctrl-Z was, Ended when the answer was in.
	Began, CommittedAt, Ended time.Time
}

// Report is a delivery report: SMS-STATUS-REPORT, TS 23.040 9.2.2.3.
type Report struct {
	// IMSI of the SIM, "" where the modem does not tell it; Alias is what its
	// Line is known by then.
	IMSI, Alias string

	MR byte
	// Recipient is TP-RA's digits as the network wrote them, perhaps without
	// a country code.
	Recipient string
	// SCTS is when the service centre took the message, Discharge when the
	// report's outcome came about; their time zones may be wrong.
	SCTS, Discharge time.Time
	// Status is TP-ST, TS 23.040 9.2.3.15.
	Status   byte
	Received time.Time
}

// String keeps the recipient out of logs.
func (r Report) String() string { return "delivery report" }

// GoString keeps the recipient out of logs.
func (r Report) GoString() string { return r.String() }

// LogValue keeps the recipient out of logs.
func (r Report) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Outcome of a Report's TP-Status.
type Outcome string

const (
	// Delivered: the recipient's phone has it (0–31).
	Delivered Outcome = "delivered"
	// Trying: not yet; the service centre goes on (32–63).
	Trying Outcome = "trying"
	// Undeliverable: it never will (64–95, and the reserved 128–255 as 99).
	Undeliverable Outcome = "undeliverable"
	// GaveUp: a temporary fault, but the service centre tries no more (96–127).
	GaveUp Outcome = "gave_up"
)

// Outcome classifies TP-Status.
func (r Report) Outcome() Outcome {
	switch {
	case r.Status < 32:
		return Delivered
	case r.Status < 64:
		return Trying
	case r.Status < 96:
		return Undeliverable
	default:
		return GaveUp
	}
}

// Inbound is a received SMS: SMS-DELIVER, TS 23.040 9.2.2.1.
type Inbound struct {
	// Modem is the name of the modem that received it.
	Modem, IMSI string
	// From is the originating address: "+" and digits, digits, or letters.
	From string
	// Text is that of this part alone, "" where it has none or none that can
	// be read; Data is the user data of an 8-bit message, without its header.
	Text string
	Data []byte
	// Part of Parts of the message that its sender calls Ref (TS 23.040
	// 9.2.3.24.1 and .8); all 0 for a message that is whole. Wide: Ref has 16
	// bits, and is another than the same of 8.
	Ref         uint16
	Wide        bool
	Part, Parts byte
	SCTS        time.Time
	// Undecodable: PDU is all that there is.
	Undecodable bool
	// PDU is the TPDU as received.
	PDU      []byte
	Received time.Time
}

// String keeps sender and text out of logs.
func (i Inbound) String() string { return "inbound message" }

// GoString keeps sender and text out of logs.
func (i Inbound) GoString() string { return i.String() }

// LogValue keeps sender and text out of logs.
func (i Inbound) LogValue() slog.Value { return slog.StringValue(i.String()) }

// State of a modem as the operator sees it.
type State string

// The states of contract.md.
const (
	Starting State = "starting"
	Waiting  State = "waiting"
	Ready    State = "ready"
	Sending  State = "sending"
	Paused   State = "paused"
	Parked   State = "parked"
	Down     State = "down"
)

// EventKind names something that an operator counts or is told of. The words
// are stable: metrics have them as labels.
type EventKind string

const (
	// EventUp: the modem can send. EventDown: it can't be worked with any more.
	EventUp   EventKind = "up"
	EventDown EventKind = "down"
	// EventParked: it is left alone until somebody or time helps.
	EventParked EventKind = "parked"
	// The rungs of the ladder that a modem which does not do its work is
	// brought back by.
	EventResync   EventKind = "resync"
	EventReopen   EventKind = "reopen"
	EventReset    EventKind = "reset"
	EventUSBReset EventKind = "usb_reset"
	// EventRestarted: the modem started anew by itself.
	EventRestarted EventKind = "restarted"
	// EventSick: it answers, but the network never does.
	EventSick EventKind = "sick"
	// EventMoved: the modem is at another port. EventSIMMoved: the SIM was in
	// another modem before. EventSIMChanged: another SIM is in the modem than
	// before, which may be theft.
	EventMoved      EventKind = "moved"
	EventSIMMoved   EventKind = "sim_moved"
	EventSIMChanged EventKind = "sim_changed"
	// EventRouting: the modem had turned reports or messages off, and was told
	// again to hand them over.
	EventRouting EventKind = "routing"
	// EventStoreFull: a memory of the modem or SIM was full.
	EventStoreFull EventKind = "store_full"
	// EventUnreadable: a report or message came that can't be read.
	EventUnreadable EventKind = "unreadable"
)

// Event is something that happened to a modem.
type Event struct {
	Modem string
	Kind  EventKind
	// Detail says more in words, and never a number, text or PIN; "" where
	// there is no more to say.
	Detail string
	At     time.Time
}

// Card is what the operator has set for one SIM.
type Card struct {
	// Name is the operator's own, for messages about it.
	Name string
	// IMSI or ICCID, in digits, tell which one is meant. A SIM that asks for
	// its PIN shows only its ICCID.
	IMSI, ICCID string
	// PINFile holds its PIN and goes before PoolConfig.PINFile; "": none.
	PINFile string
	// SMSC is its service centre: "+" and digits; "": what the SIM has.
	SMSC string
	// Number is its own, "+" and digits, where known; messages from it to
	// another SIM of ours prove both.
	Number string
}

// String keeps number and identity out of logs.
func (c Card) String() string { return "SIM " + c.Name }

// GoString keeps number and identity out of logs.
func (c Card) GoString() string { return c.String() }

// LogValue keeps number and identity out of logs.
func (c Card) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Status is a snapshot of one modem.
type Status struct {
	// Name is stable for the modem's life under this daemon.
	Name  string
	State State
	// Reason says in words why the modem is not ready, "" when it is.
	Reason string
	// Port is the path in use.
	Port                          string
	Manufacturer, Model, Firmware string
	IMEI, IMSI                    string
	// Card is the Name of the operator's Card that the SIM is; "" for none.
	Card       string
	Operator   string
	Registered bool
	// USB is the place of the modem's USB device on the bus, as "1-1.4", and
	// Serial its USB serial number; "" where there is none.
	USB, Serial string
	// Recoveries counts the steps that were taken to bring the modem back
	// since the daemon began.
	Recoveries int
	// Notice is what the operator should know although the modem works, as
	// that its SIM was exchanged; "" for nothing.
	Notice string
	// SignalDBm is 0 when unknown.
	SignalDBm int
	// Since is when State began.
	Since time.Time
}

// SIM is what the Line of this modem calls its SIM; see Line.IMSI.
func (s Status) SIM() string { return identity{imei: s.IMEI, imsi: s.IMSI}.sim(s.Name) }
