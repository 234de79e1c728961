package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"smsotpd/gateway/api"
	"smsotpd/modem/sim"
)

// address is where the gateway that runs now, or ran last, answers.
func (n *installation) address() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.url
}

// do makes a request with the key and returns the reply with its body read.
func (n *installation) do(method, path, body string, header ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, n.address()+path, strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+n.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp, raw, err
}

// call sends in as JSON, if there is any, and reads the reply into out. It
// returns the status, 0 where nobody answered; refusals are errors too
// (*api.Problem).
func (n *installation) call(method, path string, in, out any, header ...string) (int, error) {
	body := ""
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = string(raw)
	}
	resp, raw, err := n.do(method, path, body, header...)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		problem := new(api.Problem)
		if json.Unmarshal(raw, problem) != nil || problem.Code == "" {
			return resp.StatusCode, fmt.Errorf("the server answered %s", resp.Status)
		}
		return resp.StatusCode, problem
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(raw, out)
}

// begin starts a verification of the default service, or of another one.
func (n *installation) begin(to string, service ...string) api.Verification {
	n.t.Helper()
	in := api.Start{To: to}
	if len(service) > 0 {
		in.Service = service[0]
	}
	var v api.Verification
	status, err := n.call(http.MethodPost, "/v1/verifications", in, &v)
	if err != nil || status != http.StatusCreated {
		n.t.Fatalf("start: %d %v", status, err)
	}
	return v
}

// verification and message read the present state of one.
func (n *installation) verification(id string) api.Verification {
	n.t.Helper()
	var v api.Verification
	if _, err := n.call(http.MethodGet, "/v1/verifications/"+id, nil, &v); err != nil {
		n.t.Fatalf("verification: %v", err)
	}
	return v
}

func (n *installation) message(id string) api.Message {
	n.t.Helper()
	var m api.Message
	if _, err := n.call(http.MethodGet, "/v1/messages/"+id, nil, &m); err != nil {
		n.t.Fatalf("message: %v", err)
	}
	return m
}

// settled waits until a message is in one of the states.
func (n *installation) settled(id string, states ...string) api.Message {
	n.t.Helper()
	var m api.Message
	await(n.t, fmt.Sprintf("a message that is %v", states), func() error {
		if m = n.message(id); !slices.Contains(states, m.Status) {
			return fmt.Errorf("it is %s: %+v", m.Status, m)
		}
		return nil
	})
	return m
}

// check enters a code.
func (n *installation) check(id, code string) api.Verdict {
	n.t.Helper()
	var v api.Verdict
	if _, err := n.call(http.MethodPost, "/v1/verifications/"+id+"/check", api.Check{Code: code}, &v); err != nil {
		n.t.Fatalf("check: %v", err)
	}
	return v
}

// modems are as the gateway lists them, by name.
func (n *installation) modems() map[string]api.Modem {
	n.t.Helper()
	var list []api.Modem
	if _, err := n.call(http.MethodGet, "/v1/modems", nil, &list); err != nil {
		n.t.Fatalf("modems: %v", err)
	}
	byName := map[string]api.Modem{}
	for _, m := range list {
		byName[m.Name] = m
	}
	if len(byName) != len(list) {
		n.t.Errorf("two modems have one name: %+v", list)
	}
	return byName
}

// awaitModem waits until the named modem has the status and returns it.
func (n *installation) awaitModem(name, status string) api.Modem {
	n.t.Helper()
	var m api.Modem
	await(n.t, "modem "+name+" being "+status, func() error {
		all := n.modems()
		if m = all[name]; m.Status != status {
			return fmt.Errorf("the modems are %+v", all)
		}
		return nil
	})
	return m
}

// sms is one message that the simulated network took.
type sms struct {
	Event      string    `json:"event"`
	Kind       string    `json:"kind"`
	Modem      int       `json:"modem"`
	To         string    `json:"to"`
	Text       string    `json:"text"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// code is the one run of six digits in the text.
func (s sms) code() string {
	found := regexp.MustCompile(`[0-9]+`).FindAllString(s.Text, -1)
	found = slices.DeleteFunc(found, func(digits string) bool { return len(digits) != 6 })
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// sent is what the simulated network took so far, in order.
func (n *installation) sent() []sms {
	n.t.Helper()
	var all []sms
	raw := []byte(readAll(n.path("sms.log")))
	// The last line may be half written.
	for line := range bytes.Lines(raw[:bytes.LastIndexByte(raw, '\n')+1]) {
		var s sms
		if err := json.Unmarshal(line, &s); err != nil {
			n.t.Fatalf("the simulator's log: %v", err)
		}
		switch {
		case n.crashed.Load() && s.Kind == string(sim.ViolationBusy):
		case s.Event == "violation":
			n.t.Errorf("the driver broke the protocol: %s", line)
		case s.To != "" && s.Text != "":
			all = append(all, s)
		}
	}
	return all
}

// sentTo is sent, by number.
func (n *installation) sentTo() map[string][]sms {
	n.t.Helper()
	byNumber := map[string][]sms{}
	for _, s := range n.sent() {
		byNumber[s.To] = append(byNumber[s.To], s)
	}
	return byNumber
}

// received waits for the count-th SMS to the number and returns its code.
func (n *installation) received(to string, count int) string {
	n.t.Helper()
	code := ""
	await(n.t, fmt.Sprintf("SMS number %d", count), func() error {
		got := n.sentTo()[to]
		if len(got) < count {
			return fmt.Errorf("there are %d", len(got))
		}
		code = got[count-1].code()
		return nil
	})
	if code == "" {
		n.t.Fatal("the SMS carries no code")
	}
	return code
}

// wrong is a code that is not the right one.
func wrong(code string) string {
	return code[:5] + string('0'+(code[5]-'0'+1)%10)
}

// mobile is the i-th of a million French mobile numbers.
func mobile(i int) string { return fmt.Sprintf("+336%08d", 12_000_000+i) }
