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

// vendorClass overrides cmsClass where a maker gives a number a meaning of
// its own; ok tells whether it does.
type vendorClass func(n int) (class Class, ok bool)

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
func classify(vendor vendorClass, info []string, err error, f wire.Flight) (r Result, sound bool) {
	r = Result{
		CMS: -1, CME: -1,
		Committed: f.Committed, Began: f.Began, CommittedAt: f.CommittedAt, Ended: f.Ended,
	}
	reference, referred := submitReference(info)
	switch {
	case f.Committed && referred && f.Adrift && f.Cause == wire.Unfinished:
		r.Class, r.NoMR = Accepted, true
		return r, false
	case f.Committed && referred && !f.Adrift && (err == nil || f.Cause != wire.Answered):
		r.Class, r.MR, r.NoMR = Accepted, byte(max(reference, 0)), reference < 0
		return r, err == nil && (f.Cause == wire.Answered || f.Bare)
	case f.Cause != wire.Answered:
		r.Class, r.Cause = Ambiguous, causeWord(f.Cause)
	case err == nil:
		r.Class, r.Cause = Ambiguous, "no-reference"
	default:
		sound = classifyError(&r, vendor, err) && f.ExtraPrompts == 0 && !referred && !r.unserved()
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
		r.OtherSIM, r.NoMR = true, false
		sound = false // a prompt may still come
	}
	return r, sound
}

// unserved tells that the modem has no network.
func (r Result) unserved() bool { return r.CMS == 331 || r.CME == 30 }

// ownTrouble tells that the modem, and not the network, says why it can't send:
// it has no SIM, no memory, no network. It must be looked at before it is given
// another message.
func (r Result) ownTrouble() bool {
	return r.unserved() || r.Class == SIM && (r.CMS >= 300 || r.CME >= 0)
}

// classifyError fills in what an error result says. It tells whether the
// modem answered in good order.
func classifyError(r *Result, vendor vendorClass, err error) (orderly bool) {
	var cms at.CMSError
	var cme at.CMEError
	switch {
	case errors.As(err, &cms):
		r.CMS = errorNumber(string(cms), cmsTexts)
		r.Class, r.Cause = cmsClass(r.CMS), errorCause("cms", r.CMS)
		if class, ok := vendor(r.CMS); ok {
			r.Class = class
		}
		r.NoMR = r.Class == Accepted
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
// -1 is one in a form that is not known: the message was taken all the same.
func submitReference(info []string) (mr int, ok bool) {
	for _, line := range info {
		rest, found := strings.CutPrefix(line, "+CMGS")
		if !found {
			continue
		}
		first, _, _ := strings.Cut(rest, ",")
		first, base := strings.ToLower(strings.Trim(first, ` :="()`)), 10
		if hex, ok := strings.CutPrefix(first, "0x"); ok {
			first, base = hex, 16
		}
		if n, err := strconv.ParseInt(first, base, 32); err == nil && -128 <= n && n < 1<<16 {
			return int(byte(n)), true
		}
		mr, ok = -1, true
	}
	return mr, ok
}

// errorNumbers are the number of a +CMS ERROR and that of a +CME ERROR; -1 where
// err is none, or says nothing that is known.
func errorNumbers(err error) (cms, cme int) {
	var cmsErr at.CMSError
	var cmeErr at.CMEError
	cms, cme = -1, -1
	switch {
	case errors.As(err, &cmsErr):
		cms = errorNumber(string(cmsErr), cmsTexts)
	case errors.As(err, &cmeErr):
		cme = errorNumber(string(cmeErr), cmeTexts)
	}
	return cms, cme
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
