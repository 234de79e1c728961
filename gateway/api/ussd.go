package api

import (
	"net/http"
	"time"
)

// USSD is the body of POST /v1/modems/{name}/ussd.
type USSD struct {
	Code string `json:"code" minLength:"1" maxLength:"182" pattern:"^[0-9A-Za-z*#+., -]+$" doc:"A code such as *100#, or the reply in a dialogue." example:"*100#"`
}

// USSDReply is its reply.
type USSDReply struct {
	Text string `json:"text" doc:"What the network says; it may have several lines."`
	More bool   `json:"more" doc:"The network wants a reply, which is the next code. A code that begins with * or # begins anew."`
}

// ussdTime is how long the network may take, and some more.
const ussdTime = 75 * time.Second

func (a *api) ussd(r *http.Request, c call) (reply, error) {
	b, err := a.ussdBody.decode(c.body)
	if err != nil {
		return reply{}, err
	}
	said, err := a.gateway.USSD(r.Context(), c.gateway(), r.PathValue("name"), b.Code)
	if err != nil {
		return reply{}, err
	}
	return ok(USSDReply{Text: said.Text, More: said.More}), nil
}

// patient lets the connection wait for an operation that takes longer than
// others may.
func patient(w http.ResponseWriter, d time.Duration) {
	until := time.Now().Add(d)
	connection := http.NewResponseController(w)
	// Where there is no connection, as in a test, nothing ends too early.
	_ = connection.SetReadDeadline(until)
	_ = connection.SetWriteDeadline(until.Add(handlingTime))
}
