package gateway

import (
	"context"
	"errors"

	"smsotpd/modem"
)

// Stable codes of what can go wrong with a USSD code.
const (
	CodeModemNotReady = "modem_not_ready"
	CodeUSSDBusy      = "ussd_busy"
	CodeUSSDRefused   = "ussd_refused"
	CodeUSSDNoAnswer  = "ussd_no_answer"
)

// USSD sends a USSD code, such as one that asks for the balance, or the reply
// in a dialogue, through the named modem, and returns what its network
// answers. That takes up to 60 s. The trail tells that a code was sent, and not
// which: it may hold a number.
func (g *Gateway) USSD(ctx context.Context, call Call, name, code string) (r modem.USSDReply, err error) {
	if _, err := g.modemStatus(name); err != nil {
		return r, err
	}
	if g.ussd == nil {
		return r, notReady()
	}
	err = g.witnessed(ctx, call, ActionUSSD, name, nil, func() error {
		r, err = g.ussd(ctx, name, code)
		return ussdFailure(err)
	})
	return r, err
}

// ussdFailure turns an error of the modems into one that may be shown.
func ussdFailure(err error) error {
	switch {
	case errors.Is(err, modem.ErrNoSuchModem):
		err = noSuchModem()
	case errors.Is(err, modem.ErrUSSDCode):
		err = invalid("code", "The field must be a USSD code, or a reply of letters and digits; codes that change a PIN are not sent.")
	case errors.Is(err, modem.ErrUSSDBusy):
		err = &Error{Kind: Conflict, Code: CodeUSSDBusy, Message: "The modem waits for the answer to another code."}
	case errors.Is(err, modem.ErrUSSDRefused):
		err = &Error{Kind: Refused, Code: CodeUSSDRefused, Message: "The modem or its network does not take the code.", cause: err}
	case errors.Is(err, modem.ErrUSSDSilent):
		err = &Error{Kind: NoAnswer, Code: CodeUSSDNoAnswer, Message: "The network did not answer."}
	case errors.Is(err, modem.ErrNotReady):
		err = notReady()
	}
	return err
}

func notReady() *Error {
	return &Error{Kind: Conflict, Code: CodeModemNotReady, Message: "The modem can't be used now; see the modems for the reason."}
}
