package api

import (
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
)

// operation is one route: how it is published, who may use it, what it does.
type operation struct {
	method, path string
	// id, summary and description are for the published document.
	id, summary, description string
	// scopes of which the caller needs one.
	scopes []access.Scope
	// body is an example of the request body, nil where there is none;
	// bodyOptional: it may be left out.
	body         any
	bodyOptional bool
	// query are the query parameters that it takes.
	query []parameter
	// idempotent operations take an Idempotency-Key.
	idempotent bool
	// replies are examples of the bodies by status.
	replies map[int]any
	// errors are the statuses of problems beyond those that any may have.
	errors []int
	// lasts is how long it may take; 0: as long as others.
	lasts time.Duration
	serve func(*http.Request, call) (reply, error)
}

// call is a request that was let in: its principal is known and allowed, its
// parameters and headers are in order, its body is read but not understood.
type call struct {
	principal      access.Principal
	idempotencyKey string
	query          map[string]string
	body           []byte
}

// parameter is one of the query, of which each may be left out.
type parameter struct {
	name, description string
	schema            *huma.Schema
}

func (c call) gateway() gateway.Call {
	return gateway.Call{Caller: c.principal.KeyID, Name: c.principal.Name, IdempotencyKey: c.idempotencyKey, Body: c.body}
}

type reply struct {
	status int
	// location is the path of what was created, "" where nothing was.
	location string
	body     any
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

func (a *api) operations() []operation {
	verifying := []access.Scope{access.Verify}
	return append([]operation{
		{
			method: http.MethodPost, path: "/v1/verifications",
			id: "start", summary: "Send a code to a number",
			description: "The message is queued durably when the reply comes, and sent right after. With the same subject, a pending verification goes on instead (200): same id, same code, no second message too soon.",
			scopes:      verifying, body: Start{}, idempotent: true,
			replies: map[int]any{http.StatusCreated: Verification{}, http.StatusOK: Verification{}},
			errors:  []int{http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInsufficientStorage},
			serve:   a.start,
		},
		{
			method: http.MethodGet, path: "/v1/verifications/{id}",
			id: "verification", summary: "See how a verification stands",
			scopes:  []access.Scope{access.Verify, access.Check, access.Read},
			replies: map[int]any{http.StatusOK: Verification{}},
			errors:  []int{http.StatusNotFound},
			serve:   a.verification,
		},
		{
			method: http.MethodPost, path: "/v1/verifications/{id}/check",
			id: "check", summary: "Check the code that the person typed",
			description: "Every check of a pending verification is charged, and a code is right once. Why a check failed is never told: valid is false.",
			scopes:      []access.Scope{access.Check}, body: Check{}, idempotent: true,
			replies: map[int]any{http.StatusOK: Verdict{}},
			errors:  []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusInsufficientStorage},
			serve:   a.check,
		},
		{
			method: http.MethodPost, path: "/v1/verifications/{id}/resend",
			id: "resend", summary: "Send the code once more",
			description: "The same code is sent again, unless the service asks for a new one; the expiry stays as it is.",
			scopes:      verifying, idempotent: true,
			replies: map[int]any{http.StatusOK: Verification{}},
			errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInsufficientStorage},
			serve:   a.resend,
		},
		{
			method: http.MethodDelete, path: "/v1/verifications/{id}",
			id: "cancel", summary: "End a verification",
			description: "Its code is no longer valid, and a message not yet in the air is not sent.",
			scopes:      verifying,
			replies:     map[int]any{http.StatusOK: Verification{}},
			errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusInsufficientStorage},
			serve:       a.cancel,
		},
		{
			method: http.MethodGet, path: "/v1/messages/{id}",
			id: "message", summary: "See what became of a message",
			description: "Every attempt with what the modem and the network said of it, and how far the message has come on its last mile.",
			scopes:      []access.Scope{access.Verify, access.Messages, access.Read},
			replies:     map[int]any{http.StatusOK: Message{}},
			errors:      []int{http.StatusNotFound},
			serve:       a.message,
		},
		{
			method: http.MethodGet, path: "/v1/inbound",
			id: "inbound", summary: "See the messages that people sent to the SIMs",
			description: "The newest first, with their senders and texts, for as long as the operator keeps them.",
			scopes:      []access.Scope{access.Messages},
			query:       inboundParameters(),
			replies:     map[int]any{http.StatusOK: Inbound{}},
			serve:       a.inbound,
		},
		{
			method: http.MethodGet, path: "/v1/modems",
			id: "modems", summary: "See the modems",
			scopes:  []access.Scope{access.Read, access.Admin},
			replies: map[int]any{http.StatusOK: []Modem{}},
			serve:   a.modems,
		},
		{
			method: http.MethodPost, path: "/v1/modems/{name}/ussd",
			id: "ussd", summary: "Ask a modem's network by a USSD code",
			description: "For the balance of a SIM and the like. The reply comes when the network has answered, which takes up to a minute; messages go out meanwhile.",
			scopes:      []access.Scope{access.Admin}, body: USSD{},
			replies: map[int]any{http.StatusOK: USSDReply{}},
			errors:  []int{http.StatusNotFound, http.StatusConflict, http.StatusBadGateway, http.StatusGatewayTimeout, http.StatusInsufficientStorage},
			lasts:   ussdTime, serve: a.ussd,
		},
	}, a.operatorOperations()...)
}

func (a *api) start(r *http.Request, c call) (reply, error) {
	b, err := a.startBody.decode(c.body)
	if err != nil {
		return reply{}, err
	}
	if err := b.check(); err != nil {
		return reply{}, err
	}
	v, err := a.gateway.Start(r.Context(), c.gateway(), gateway.StartRequest{
		To: b.To, Service: b.Service, Purpose: b.Purpose,
		Locale: b.Locale, ClientIP: b.ClientIP, Subject: b.Subject,
	})
	switch {
	case err != nil:
		return reply{}, err
	case v.Continued:
		return ok(verificationReply(v)), nil
	default:
		return reply{status: http.StatusCreated, location: "/v1/verifications/" + v.ID, body: verificationReply(v)}, nil
	}
}

// check holds the rules that a schema can't tell.
func (s Start) check() error {
	if s.ClientIP != "" {
		ip, err := netip.ParseAddr(s.ClientIP)
		if err != nil || ip.Zone() != "" {
			return invalidField("client_ip", "The field must be an IPv4 or IPv6 address.")
		}
	}
	if len(s.Subject) > 256 {
		return invalidField("subject", "The field must have at most 256 bytes.")
	}
	if strings.ContainsFunc(s.Subject, unicode.IsControl) {
		return invalidField("subject", "The field must not hold control characters.")
	}
	return nil
}

func (a *api) check(r *http.Request, c call) (reply, error) {
	b, err := a.checkBody.decode(c.body)
	if err != nil {
		return reply{}, err
	}
	v, err := a.gateway.Check(r.Context(), c.gateway(), r.PathValue("id"), b.Code)
	if err != nil {
		return reply{}, err
	}
	return ok(Verdict{ID: v.ID, Status: string(v.Status), Valid: v.Valid, ChecksLeft: v.ChecksLeft}), nil
}

func (a *api) resend(r *http.Request, c call) (reply, error) {
	v, err := a.gateway.Resend(r.Context(), c.gateway(), r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	return ok(verificationReply(v)), nil
}

func (a *api) cancel(r *http.Request, _ call) (reply, error) {
	v, err := a.gateway.Cancel(r.Context(), r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	return ok(verificationReply(v)), nil
}

func (a *api) verification(r *http.Request, _ call) (reply, error) {
	v, err := a.gateway.Verification(r.Context(), r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	return ok(verificationReply(v)), nil
}

func (a *api) message(r *http.Request, _ call) (reply, error) {
	m, err := a.gateway.Message(r.Context(), r.PathValue("id"))
	if err != nil {
		return reply{}, err
	}
	return ok(messageReply(m)), nil
}

func (a *api) modems(r *http.Request, _ call) (reply, error) {
	m, err := a.gateway.Modems(r.Context())
	if err != nil {
		return reply{}, err
	}
	return ok(modemsReply(m)), nil
}
