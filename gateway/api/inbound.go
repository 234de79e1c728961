package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"smsotpd/gateway/inbound"
)

// Inbound is the reply of GET /v1/inbound.
type Inbound struct {
	Messages []InboundMessage `json:"messages" nullable:"false"`
	Next     *string          `json:"next" doc:"The value of before for the next page, which has older messages; null where there are none."`
}

// InboundMessage is an SMS that somebody sent to one of the SIMs.
type InboundMessage struct {
	ID         string     `json:"id" doc:"Names the message as far as it has come. When more of it comes, it gets another id and is listed as the newest, in place of what was listed before."`
	Modem      string     `json:"modem" doc:"The modem that received it."`
	From       string     `json:"from" doc:"The sender as the network gave it: a number, or a name of letters, which anybody can choose. Empty where it can't be read."`
	Text       string     `json:"text" doc:"Empty where it has none, or none that can be read."`
	Data       *string    `json:"data" doc:"What an 8-bit message holds, in base64; null for others."`
	SentAt     *time.Time `json:"sent_at" doc:"When the service centre took it, as it says; null where it doesn't."`
	ReceivedAt time.Time  `json:"received_at" doc:"When its first part came."`
	Parts      int        `json:"parts" minimum:"1" doc:"How many SMS it is made of."`
	Missing    []int      `json:"missing" nullable:"false" doc:"Which of them, counted from 1, have not come; the text then has gaps. When one of them comes, the message is listed anew, as the newest."`
	TPDU       *string    `json:"tpdu" doc:"The message as the network sent it, in hex, where it can't be read; null for others."`
}

func inboundParameters() []parameter {
	id := &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{32}$"}
	return []parameter{
		limitParameter("messages"),
		{"before", "Only messages that came before the one with this id.", id},
		{"after", "Only messages that came, or of which more came, after the one with this id, also if that has another by now.", id},
	}
}

func (a *api) inbound(r *http.Request, c call) (reply, error) {
	page, err := pageOf(c.query, inbound.ParseID)
	if err != nil {
		return reply{}, err
	}
	found, err := a.gateway.Inbound(r.Context(), inbound.Range{After: page.after, Before: page.before, Limit: page.limit + 1})
	if err != nil {
		return reply{}, err
	}
	found, next := cutPage(found, page.limit, func(m inbound.Message) string { return m.ID.String() })
	body := Inbound{Messages: make([]InboundMessage, 0, len(found)), Next: next}
	for _, m := range found {
		body.Messages = append(body.Messages, inboundMessage(m))
	}
	return ok(body), nil
}

func inboundMessage(m inbound.Message) InboundMessage {
	out := InboundMessage{
		ID: m.ID.String(), Modem: m.Modem, From: m.From, Text: m.Text,
		Data:   unless(m.Data == nil, base64.StdEncoding.EncodeToString(m.Data)),
		SentAt: unless(m.Sent.IsZero(), m.Sent.UTC()), ReceivedAt: m.Received.UTC(),
		Parts: m.Parts, Missing: m.Missing,
		TPDU: unless(!m.Undecodable, fmt.Sprintf("%X", m.TPDU)),
	}
	if out.Missing == nil {
		out.Missing = []int{}
	}
	return out
}
