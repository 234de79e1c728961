package sim

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Point is a moment at which a fault may strike.
type Point string

// The points, in the order in which a message passes them.
const (
	// OnCommand: a whole command is there and not yet carried out.
	OnCommand Point = "command"
	// OnCMGS: AT+CMGS was understood.
	OnCMGS Point = "cmgs"
	// OnPrompt: its prompt is due.
	OnPrompt Point = "prompt"
	// OnPayload: Ctrl-Z came behind a sound PDU. The network does not have
	// the message, and gets it only if the fault lets it go on.
	OnPayload Point = "payload"
	// OnAccepted: the network has the message, the answer is due.
	OnAccepted Point = "accepted"
	// OnReport: the service centre decides what it reports of a message.
	OnReport Point = "report"
	// OnTime: after the fault's After, counted from the modem's making.
	OnTime Point = "time"
	// OnBoot: a start has ended.
	OnBoot Point = "boot"
)

// Action is what a fault does.
type Action string

// Answers: what the client is told instead of the truth. They strike at
// command, cmgs, prompt, payload and accepted.
const (
	// ReplyError answers ERROR.
	ReplyError Action = "error"
	// ReplyCMS answers +CMS ERROR: <code>, whatever AT+CMEE says.
	ReplyCMS Action = "cms-error"
	// ReplyCME answers +CME ERROR: <code>, whatever AT+CMEE says.
	ReplyCME Action = "cme-error"
	// ReplyText answers <text>, whatever it is.
	ReplyText Action = "foreign-final"
	// BareOK answers OK without the lines that belong in front of it.
	BareOK Action = "bare-ok"
	// LateReference answers OK, or +CMS ERROR: <code>, and gives the reference
	// <after> that. It strikes at accepted.
	LateReference Action = "late-reference"
	// Mute answers nothing; the next command is heard.
	Mute Action = "mute"
	// Slow goes on after <after>; bytes that come meanwhile are lost.
	Slow Action = "delay"
	// Hang stops the whole modem for <for>, or until it is started anew; it
	// then goes on where it was, and takes what came meanwhile.
	Hang Action = "hang"
)

// Prompts. They strike at prompt, SecondPrompt at payload.
const (
	// NoPrompt never asks for the message; ESC ends the command.
	NoPrompt Action = "no-prompt"
	// LatePrompt asks after <after>, even if the client gave up meanwhile.
	LatePrompt Action = "late-prompt"
	// SecondPrompt asks once more after Ctrl-Z.
	SecondPrompt Action = "second-prompt"
	// PromptNoLF asks with CR, ">" and a space.
	PromptNoLF Action = "prompt-no-lf"
	// PromptNoSpace asks with CR LF and ">".
	PromptNoSpace Action = "prompt-no-space"
)

// Things that happen to the modem, at any point but report; with <after> so
// much later.
const (
	// Unplug takes the power away; with <back> it returns after that, under
	// the link <as> where that is set.
	Unplug Action = "unplug"
	// Reboot starts the modem anew; what was in the air is lost.
	Reboot Action = "reboot"
	// Forget loses all settings, as a reboot that says nothing.
	Forget Action = "forget"
	// EchoOn turns the echo on.
	EchoOn Action = "echo-on"
	// TextModeOn turns text mode on.
	TextModeOn Action = "text-mode"
	// NotRegistered loses the network for <for>, or for good.
	NotRegistered Action = "not-registered"
	// Outage loses the network of the SIM's operator for <for>, or for good:
	// what is in the air then is not taken.
	Outage Action = "outage"
	// Ban has the network refuse the SIM's messages with +CMS ERROR: <code> for
	// <for>, or for good.
	Ban Action = "ban"
	// Swallow has the network take the SIM's messages and no phone get them, and
	// sends no report, for <for>, or for good.
	Swallow Action = "swallow"
	// RemoveSIM takes the SIM out for <for>, or for good.
	RemoveSIM Action = "sim-remove"
	// SplitBytes sends single bytes, <interval> apart, for <for> or for good.
	SplitBytes Action = "split-bytes"
	// BlockWrites takes no byte any more for <for>, or for good: the
	// client's writes block.
	BlockWrites Action = "write-block"
	// URC writes <text> as an unsolicited line, also where a real modem
	// would wait. URC, Noise, NULFlood and NMEA come again every <interval>
	// for <for>, or for good.
	URC Action = "urc"
	// URCInEcho writes <text> as a line in the middle of a command's echo, and
	// URCInAnswer between its information and its final result. They strike
	// at command.
	URCInEcho   Action = "urc-in-echo"
	URCInAnswer Action = "urc-in-answer"
	// Noise writes <size> random bytes.
	Noise Action = "noise"
	// NULFlood writes <size> zero bytes.
	NULFlood Action = "nul-flood"
	// NMEA writes a sentence as GPS receivers do.
	NMEA Action = "nmea"
)

// Reports. They strike at report.
const (
	// DropReport never sends it; the handset has the message.
	DropReport Action = "drop-report"
	// EarlyReport sends it before the answer to AT+CMGS.
	EarlyReport Action = "early-report"
	// DoubleReport sends each twice.
	DoubleReport Action = "double-report"
	// DelayReport sends it after <after>.
	DelayReport Action = "delay-report"
	// ReportStatus sends the TP-ST in <codes>, one after the other; the
	// handset has the message at the first below 32, if there is one.
	ReportStatus Action = "report-status"
	// NationalReport names the recipient (TP-RA) without country code.
	NationalReport Action = "national-report"
	// ShiftReport has times that are wrong by <shift>, as of another zone.
	ShiftReport Action = "shift-report"
	// TextReport comes as the one line of text mode.
	TextReport Action = "text-report"
	// StoreReport is put into a memory, whatever <ds> says, and announced as
	// at <text>, like ,-1; without it, not at all.
	StoreReport Action = "store-report"
	// ShuffleReports keeps reports back until <size> wait, or two minutes
	// have passed, and then sends them in random order.
	ShuffleReports Action = "shuffle-reports"
)

// Fault is one thing that goes wrong. Which of its fields count depends on Do.
type Fault struct {
	// Modem is the index of the modem that it strikes; nil is every one.
	Modem *int
	// Operator limits it to the modems of one, by MCC and MNC.
	Operator string
	On       Point
	// Match limits OnCommand to the commands that it fits, written as
	// "AT+CMGF=0", in capitals but for arguments.
	Match *regexp.Regexp
	// To limits OnPayload, OnAccepted and OnReport to one recipient.
	To string
	// Nth is the only occasion, from 1, at which it strikes; Every makes it
	// strike at each so many; Count is how often it strikes at most. Each
	// modem counts for itself. 0 is no limit.
	Nth, Every, Count int
	Do                Action
	// Code and Codes are error numbers and TP-ST.
	Code  int
	Codes []byte
	// After delays, For is how long it lasts, Back how long until the modem
	// returns, Interval the time between repetitions.
	After, For, Back, Interval time.Duration
	// As is the link under which the modem returns.
	As   string
	Text string
	// Shift is how wrong a clock is, early or late.
	Shift time.Duration
	// Size counts bytes or reports.
	Size int
}

// actions are all there are.
func actions() []Action {
	return []Action{
		ReplyError, ReplyCMS, ReplyCME, ReplyText, BareOK, LateReference, Mute, Slow, Hang,
		NoPrompt, LatePrompt, SecondPrompt, PromptNoLF, PromptNoSpace,
		Unplug, Reboot, Forget, EchoOn, TextModeOn, NotRegistered, RemoveSIM, SplitBytes, BlockWrites,
		URC, URCInEcho, URCInAnswer, Noise, NULFlood, NMEA,
		DropReport, EarlyReport, DoubleReport, DelayReport, ReportStatus, NationalReport, ShiftReport, TextReport, StoreReport,
		ShuffleReports,
		Outage, Ban, Swallow,
	}
}

// ofService: the action is no mishap, but what a network does to a SIM for long.
func (a Action) ofService() bool { return a == Outage || a == Ban || a == Swallow }

// points at which an action may strike.
func (a Action) points() []Point {
	switch a {
	case ReplyError, ReplyCMS, ReplyCME, ReplyText, BareOK, Mute, Slow, Hang:
		return []Point{OnCommand, OnCMGS, OnPrompt, OnPayload, OnAccepted}
	case LateReference:
		return []Point{OnAccepted}
	case URCInEcho, URCInAnswer:
		return []Point{OnCommand}
	case NoPrompt, LatePrompt, PromptNoLF, PromptNoSpace:
		return []Point{OnPrompt}
	case SecondPrompt:
		return []Point{OnPayload}
	case Unplug, Reboot, Forget, EchoOn, TextModeOn, NotRegistered, Outage, Ban, Swallow, RemoveSIM, SplitBytes, BlockWrites, URC, Noise, NULFlood, NMEA:
		return []Point{OnCommand, OnCMGS, OnPrompt, OnPayload, OnAccepted, OnTime, OnBoot}
	case DropReport, EarlyReport, DoubleReport, DelayReport, ReportStatus, NationalReport, ShiftReport, TextReport, StoreReport,
		ShuffleReports:
		return []Point{OnReport}
	default:
		return nil
	}
}

// Validate tells what a Fault lacks.
func (f Fault) Validate() error {
	points := f.Do.points()
	text := f.Do == URC || f.Do == URCInEcho || f.Do == URCInAnswer || f.Do == ReplyText
	size := f.Do == Noise || f.Do == NULFlood || f.Do == ShuffleReports
	switch {
	case points == nil:
		return fmt.Errorf("sim: fault: do = %q is not known", f.Do)
	case !slices.Contains(points, f.On):
		return fmt.Errorf("sim: fault: do = %q strikes on one of %q, not on %q", f.Do, points, f.On)
	case f.Match != nil && f.On != OnCommand:
		return fmt.Errorf("sim: fault: match is for on = %q", OnCommand)
	case f.To != "" && !slices.Contains([]Point{OnPayload, OnAccepted, OnReport}, f.On):
		return fmt.Errorf("sim: fault: to is not for on = %q", f.On)
	case text != (f.Text != "") && f.Do != StoreReport:
		return fmt.Errorf("sim: fault: text is for do = %q, %q, %q and %q, and needed there", URC, URCInEcho, URCInAnswer, ReplyText)
	case size != (f.Size > 0):
		return fmt.Errorf("sim: fault: size is for do = %q, %q and %q, and needed there", Noise, NULFlood, ShuffleReports)
	case f.Do != LateReference && (f.Do == ReplyCMS || f.Do == ReplyCME || f.Do == Ban) != (f.Code > 0):
		return fmt.Errorf("sim: fault: code is for do = %q, %q and %q, and needed there", ReplyCMS, ReplyCME, Ban)
	case f.Do == Ban && f.Code > 255:
		return fmt.Errorf("sim: fault: do = %q needs a code of 1 to 255", Ban)
	case (f.Do == ShiftReport) != (f.Shift != 0):
		return fmt.Errorf("sim: fault: shift is for do = %q, and needed there", ShiftReport)
	case (f.Do == ReportStatus) != (len(f.Codes) > 0):
		return fmt.Errorf("sim: fault: codes are for do = %q, and needed there", ReportStatus)
	case (f.Do == Slow || f.Do == LateReference || f.Do == LatePrompt || f.Do == DelayReport) && f.After <= 0:
		return fmt.Errorf("sim: fault: do = %q needs after", f.Do)
	case (f.As != "" || f.Back != 0) && f.Do != Unplug || f.As != "" && f.Back == 0:
		return fmt.Errorf("sim: fault: back, and as with it, are for do = %q", Unplug)
	case f.On == OnBoot && (f.Do == Unplug || f.Do == Reboot) && f.After <= 0:
		return fmt.Errorf("sim: fault: do = %q on = %q needs after", f.Do, f.On)
	case min(f.Nth, f.Every, f.Count) < 0 || min(f.After, f.For, f.Back, f.Interval) < 0:
		return fmt.Errorf("sim: fault: negative number")
	case f.Size > maxPending:
		return fmt.Errorf("sim: fault: size is at most %d", maxPending)
	}
	return nil
}
