package api

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
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

const (
	defaultPage = 50
	maxPage     = 100
)

func inboundParameters() []parameter {
	id := &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{32}$"}
	one, most := 1.0, float64(maxPage)
	return []parameter{
		{"limit", fmt.Sprintf("How many messages at most; %d if left out.", defaultPage), &huma.Schema{Type: huma.TypeInteger, Minimum: &one, Maximum: &most}},
		{"before", "Only messages that came before the one with this id.", id},
		{"after", "Only messages that came, or of which more came, after the one with this id, also if that has another by now.", id},
	}
}

func (a *api) inbound(r *http.Request, c call) (reply, error) {
	asked := inbound.Range{Limit: defaultPage}
	for name, set := range map[string]func(string) error{
		"limit": func(s string) (err error) {
			asked.Limit, err = strconv.Atoi(s)
			if err == nil && (asked.Limit < 1 || asked.Limit > maxPage || strconv.Itoa(asked.Limit) != s) {
				err = strconv.ErrRange
			}
			return err
		},
		"before": func(s string) (err error) { asked.Before, err = inbound.ParseID(s); return err },
		"after":  func(s string) (err error) { asked.After, err = inbound.ParseID(s); return err },
	} {
		if text, given := c.query[name]; given && set(text) != nil {
			return reply{}, invalidField(name, "This is no value that the parameter can have.")
		}
	}
	page := asked.Limit
	asked.Limit++ // to see whether there is more
	found, err := a.gateway.Inbound(r.Context(), asked)
	if err != nil {
		return reply{}, err
	}
	body := Inbound{Messages: make([]InboundMessage, 0, len(found))}
	for i, m := range found {
		if i == page {
			next := found[i-1].ID.String()
			body.Next = &next
			break
		}
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
