package modem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

// The tables say what an error number means for a message whose Ctrl-Z was
// written. Sources: 27.005 3.2.5 (+CMS), 24.011 E.2 and 23.040 9.2.3.22 (the
// numbers below 256: RP cause and TP-FCS, a refusal by the network), 27.007
// 9.2 (+CME); the assignment to classes follows what smstools, gammu and
// ModemManager have met in the field.

// cmsClass classifies +CMS ERROR: n.
func cmsClass(n int) Class {
	switch n {
	case 197: // duplicate rejected: the service centre has it already
		return Accepted
	case 1, 30, 195, 196: // unassigned, unknown subscriber, bad destination
		return Destination
	case 81, 95, 96, 97, 98, 99, 128, 129, 130, 143, 144, 145, 159, 160, 161, 175, 176, 198, 199, // protocol, TP-PID, TP-DCS, TP-VP
		303, 304, 305: // not supported, invalid PDU or text parameter
		return Ours
	case 8, 10, 21, 28, 29, 50, 69, 193, 208, 209, 210, 211, 212, 213, // barred, rejected, no subscription, SIM
		301, 302, 310, 311, 312, 313, 315, 316, 317, 318, 320, 321, 322, 330: // ME, SIM, memory, SMSC unknown
		return SIM
	case 17, 22, 27, 38, 41, 42, 47, 111, 127, 192, 194, 255, // network, congestion
		314, 331, 514, 515: // SIM busy, no network service
		return Temporary
	}
	if n >= 0 && n < 256 {
		return Temporary // some refusal by the network: not accepted
	}
	return Ambiguous // 300, 332, 350, 500, 512, 513, …: the modem's own, and proof of nothing
}

// cmeClass classifies +CME ERROR: n.
func cmeClass(n int) Class {
	switch {
	case n >= 24 && n <= 27: // text or dial string: length, characters
		return Ours
	case n >= 5 && n <= 7, n >= 10 && n <= 13, n >= 15 && n <= 18, n == 20, n == 23, n >= 40 && n <= 48,
		n == 103, n == 106, n >= 111 && n <= 113, n == 262, n == 770, n == 772: // SIM, PIN, PUK, memory, not allowed
		return SIM
	case n == 14, n == 30, n == 256, n == 515: // busy, no service, please wait
		return Temporary
	}
	return Ambiguous // 31 network time-out, 100 unknown, …
}

// vendorClass overrides cmsClass where a maker gives a number a meaning of
// its own; ok tells whether it does.
func vendorClass(manufacturer string, n int) (class Class, ok bool) {
	maker := strings.ToLower(manufacturer)
	if strings.Contains(maker, "siemens") || strings.Contains(maker, "cinterion") {
		return Ours, n > 512 // MC35i, TC35i: 513 and above tell of wrong parameters
	}
	return "", false
}

// otherSIM tells the causes that one try by another SIM may get past: the
// destination or the network is at fault, or this modem has no network (331).
func otherSIM(cms int) bool { return cms == 27 || cms == 38 || cms == 331 }

// suggestedWait is how soon the cause says a retry makes sense: 24.011 E.2.
func suggestedWait(cms int) time.Duration {
	switch cms {
	case 41: // "can retry almost immediately"
		return 500 * time.Millisecond
	case 42, 47, 192, 194:
		return 2 * time.Second
	}
	return 0
}

// bareErrorProves is how soon after Ctrl-Z a bare ERROR still is a refusal of
// the command itself; later it can as well be the end of a wait.
const bareErrorProves = 2 * time.Second

// classify says what became of a message from what the engine and the wire
// know of its AT+CMGS. sound tells whether the modem's state is beyond doubt,
// so that the next message may follow at once.
func classify(manufacturer string, info []string, err error, f wire.Flight) (r Result, sound bool) {
	r = Result{
		CMS: -1, CME: -1,
		Committed: f.Committed, Began: f.Began, CommittedAt: f.CommittedAt, Ended: f.Ended,
	}
	reference, referred := submitReference(info)
	switch {
	case f.Committed && referred && (err == nil || f.Cause != wire.Answered):
		r.Class, r.MR = Accepted, reference
		return r, err == nil && f.Cause == wire.Answered
	case f.Cause != wire.Answered:
		r.Class, r.Cause = Ambiguous, causeWord(f.Cause)
	case err == nil:
		r.Class, r.Cause = Ambiguous, "no-reference"
	default:
		sound = classifyError(&r, manufacturer, err) && f.ExtraPrompts == 0 && !referred && !unserved(r)
		soon := f.Ended.Sub(f.CommittedAt) <= bareErrorProves
		if r.Cause == "error" && soon && f.ExtraPrompts == 0 && !referred {
			r.Class = Temporary
		}
	}
	if !f.Committed {
		// Nothing was sent, so nothing is in doubt and no verdict on the
		// number or the PDU counts; the SIM's own troubles do.
		if r.Class != SIM {
			r.Class = Temporary
		}
		sound = false // a prompt may still come
	}
	return r, sound
}

// unserved tells that the modem has no network: its registration must be
// looked at before it is given another message.
func unserved(r Result) bool { return r.CMS == 331 || r.CME == 30 }

// classifyError fills in what an error result says. It tells whether the
// modem answered in good order.
func classifyError(r *Result, manufacturer string, err error) (orderly bool) {
	var cms at.CMSError
	var cme at.CMEError
	switch {
	case errors.As(err, &cms):
		r.CMS = errorNumber(string(cms), cmsTexts)
		r.Class, r.Cause = cmsClass(r.CMS), errorCause("cms", r.CMS)
		if class, ok := vendorClass(manufacturer, r.CMS); ok {
			r.Class = class
		}
		r.OtherSIM, r.Soon = otherSIM(r.CMS), suggestedWait(r.CMS)
	case errors.As(err, &cme):
		r.CME = errorNumber(string(cme), cmeTexts)
		r.Class, r.Cause = cmeClass(r.CME), errorCause("cme", r.CME)
	case errors.Is(err, at.ErrError):
		r.Class, r.Cause = Ambiguous, "error"
		return false
	default:
		r.Class, r.Cause = Ambiguous, "eof"
		return false
	}
	return r.Class != Ambiguous
}

func errorCause(kind string, n int) string {
	if n < 0 {
		return kind + "-unknown"
	}
	return fmt.Sprintf("%s-%d", kind, n)
}

// causeWord names the ends that are no answer of the modem.
func causeWord(c wire.Cause) string {
	switch c {
	case wire.NoPrompt:
		return "no-prompt"
	case wire.Aborted:
		return "canceled"
	case wire.Restart:
		return "reboot"
	case wire.Timeout:
		return "timeout"
	case wire.WriteFailed:
		return "write"
	default:
		return "eof"
	}
}

// submitReference finds TP-MR in +CMGS: <mr>[,<scts or ackpdu>], 27.005 3.5.1.
func submitReference(info []string) (mr byte, ok bool) {
	for _, line := range info {
		rest, found := strings.CutPrefix(line, "+CMGS")
		if !found {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimLeft(rest, " :"), ",")
		if n, err := strconv.ParseUint(strings.TrimSpace(first), 10, 16); err == nil {
			return byte(n), true
		}
	}
	return 0, false
}

// unknownCommand tells whether a modem says by err that it doesn't know the
// command, or nothing that contradicts it.
func unknownCommand(err error) bool {
	var cms at.CMSError
	var cme at.CMEError
	switch {
	case errors.As(err, &cms):
		n := errorNumber(string(cms), cmsTexts)
		return n < 0 || n == 302 || n == 303 || n == 500
	case errors.As(err, &cme):
		n := errorNumber(string(cme), cmeTexts)
		return n < 0 || n == 3 || n == 4 || n == 50 || n == 100
	}
	return errors.Is(err, at.ErrError)
}

// errorNumber reads the number of an error, or finds the text that a modem
// gives although +CMEE=1 was asked for. -1 if it is neither.
func errorNumber(s string, texts func(string) int) int {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return int(n)
	}
	return texts(strings.ToLower(s))
}

// cmsTexts: 27.005 3.2.5, the texts of verbose errors that matter here.
func cmsTexts(s string) int {
	switch s {
	case "me failure":
		return 300
	case "sms service of me reserved", "sms me reserved":
		return 301
	case "operation not allowed":
		return 302
	case "operation not supported":
		return 303
	case "invalid pdu mode parameter":
		return 304
	case "invalid text mode parameter":
		return 305
	case "(u)sim not inserted", "sim not inserted":
		return 310
	case "(u)sim pin required", "sim pin required", "sim pin necessary":
		return 311
	case "(u)sim failure", "sim failure":
		return 313
	case "(u)sim busy", "sim busy":
		return 314
	case "(u)sim wrong", "sim wrong":
		return 315
	case "(u)sim puk required", "sim puk required":
		return 316
	case "memory failure":
		return 320
	case "memory full":
		return 322
	case "smsc address unknown", "sms center address unknown":
		return 330
	case "no network service":
		return 331
	case "network timeout":
		return 332
	}
	return -1
}

// cmeTexts: 27.007 9.2.1, the texts of verbose errors that matter here.
func cmeTexts(s string) int {
	switch s {
	case "operation not allowed":
		return 3
	case "operation not supported":
		return 4
	case "ph-sim pin required":
		return 5
	case "sim not inserted":
		return 10
	case "sim pin required", "sim pin necessary":
		return 11
	case "sim puk required", "sim puk necessary":
		return 12
	case "sim failure":
		return 13
	case "sim busy":
		return 14
	case "sim wrong":
		return 15
	case "incorrect password":
		return 16
	case "memory full":
		return 20
	case "no network service":
		return 30
	case "network timeout":
		return 31
	case "unknown", "unknown error":
		return 100
	}
	return -1
}
