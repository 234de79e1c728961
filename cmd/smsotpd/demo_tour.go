package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"smsotpd/gateway/api"
	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
)

// demoTour tells one verification step by step, as an application sees it:
// over HTTP alone, with a look at the phone.
type demoTour struct {
	out                    io.Writer
	number, url, key, port string
	phone                  *demoPhone
	step                   int
}

// demoPatience is how long each step may take before something is wrong.
const demoPatience = 30 * time.Second

func (t *demoTour) run(ctx context.Context) error {
	c := newClient(t.url, t.key)
	t.say(`smsotpd demo: one code travels from an HTTP call to a phone and back.
The modem, the network and the phone are simulated and quick (%v for an SMS,
always; real networks take some 3 to 8 s). The daemon, its database and its HTTP
API are the real ones.`, demoAir+demoReport)

	t.next("The daemon answers at %s; its modem is at %s.", t.url, t.port)
	if err := t.until(ctx, func() error { return modemReady(ctx, c) }); err != nil {
		return err
	}
	t.more("The modem is registered and ready.")

	started, err := t.start(ctx, c)
	if err != nil {
		return err
	}
	text, err := t.receive(ctx, c, started.Message.ID)
	if err != nil {
		return err
	}
	if err := t.check(ctx, c, started.ID, text); err != nil {
		return err
	}
	return t.timeline(ctx, c, started.Message.ID)
}

func modemReady(ctx context.Context, c *client) error {
	var modems []api.Modem
	if err := c.call(ctx, http.MethodGet, "/v1/modems", nil, &modems); err != nil {
		return err
	}
	for _, m := range modems {
		if m.Status != "ready" {
			return fmt.Errorf("modem %s is %s: %s", m.Name, m.Status, m.Reason)
		}
	}
	return nil
}

func (t *demoTour) start(ctx context.Context, c *client) (api.Verification, error) {
	t.next("An application asks to verify %s.", t.number)
	var v api.Verification
	if err := c.call(ctx, http.MethodPost, "/v1/verifications", api.Start{To: t.number}, &v); err != nil {
		return v, err
	}
	t.more("POST /v1/verifications → %s, valid for %.0f minutes, %d checks; message %s",
		v.Status, v.ExpiresAt.Sub(v.CreatedAt).Minutes(), v.ChecksLeft, v.Message.Status)
	t.more("The reply shows the number as %s. Everything is on disk by now.", v.To)
	return v, nil
}

// receive waits for the SMS and its delivery report, and returns its text.
func (t *demoTour) receive(ctx context.Context, c *client, messageID string) (string, error) {
	t.next("The modem sends it, and the phone rings.")
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	var text string
	select {
	case m := <-t.phone.delivered:
		text = m.Text
		t.show(m)
	case <-ctx.Done():
		return "", fmt.Errorf("no SMS came: %w", ctx.Err())
	}
	err := t.until(ctx, func() error {
		var m api.Message
		if err := c.call(ctx, http.MethodGet, "/v1/messages/"+messageID, nil, &m); err != nil {
			return err
		}
		if m.LastMile != "delivered" {
			return fmt.Errorf("the message is %s", m.LastMile)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("no delivery report came: %w", err)
	}
	t.more("The network's delivery report came back: delivered.")
	return text, nil
}

// errNoCode: the SMS is not what the gateway should have sent.
var errNoCode = errors.New("the SMS carries no code")

// check tries a wrong code and then the right one.
func (t *demoTour) check(ctx context.Context, c *client, id, text string) error {
	code := regexp.MustCompile(`\b[0-9]{6}\b`).FindString(text)
	if code == "" {
		return errNoCode
	}
	wrong := code[:5] + string('0'+(code[5]-'0'+1)%10)
	t.next("Somebody types a wrong code, %s.", wrong)
	verdict, err := c.check(ctx, id, wrong)
	if err != nil {
		return err
	}
	t.more("POST …/check → valid: %t, %s, %d checks left", verdict.Valid, verdict.Status, verdict.ChecksLeft)
	if verdict.Valid {
		return errors.New("a wrong code was taken for right")
	}
	t.next("The person types the code from the phone, %s.", code)
	if verdict, err = c.check(ctx, id, code); err != nil {
		return err
	}
	t.more("POST …/check → valid: %t, %s", verdict.Valid, verdict.Status)
	if !verdict.Valid {
		return fmt.Errorf("%w: the right code was refused", errNotApproved)
	}
	return nil
}

func (t *demoTour) timeline(ctx context.Context, c *client, messageID string) error {
	var m api.Message
	if err := c.call(ctx, http.MethodGet, "/v1/messages/"+messageID, nil, &m); err != nil {
		return err
	}
	t.next("What the message went through (GET /v1/messages/{id}):")
	at := func(when time.Time, what string, args ...any) {
		t.more("%6.2f s  %s", when.Sub(m.CreatedAt).Seconds(), fmt.Sprintf(what, args...))
	}
	at(m.CreatedAt, "accepted over HTTP and queued, durably")
	for _, a := range m.Attempts {
		at(a.StartedAt, "modem %s begins to send", a.Modem)
		if a.SettledAt != nil && a.Result != nil {
			at(*a.SettledAt, "%s by the network", *a.Result)
		}
		if a.ReportAt != nil && a.Report != nil {
			at(*a.ReportAt, "delivery report, status %d: %s", *a.Report, m.LastMile)
		}
	}
	return nil
}

// stay lets the person try until ctx ends, and shows what the phones get.
func (t *demoTour) stay(ctx context.Context) {
	t.say(`
Now you. Ask for a code; it appears below:

  curl -s %[1]s/v1/verifications -H 'Authorization: Bearer %[2]s' \
       -H 'Content-Type: application/json' -d '{"to":"%[3]s"}'

and check it, with the id of the reply and the code of the SMS:

  curl -s %[1]s/v1/verifications/ID/check -H 'Authorization: Bearer %[2]s' \
       -H 'Content-Type: application/json' -d '{"code":"CODE"}'

The reference of the API is at %[1]s/docs. Ctrl-C ends it all.
`, t.url, t.key, t.number)
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-t.phone.delivered:
			t.show(m)
		}
	}
}

// until tries a step again until it succeeds; the last error is returned if
// it doesn't in time.
func (t *demoTour) until(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

func (t *demoTour) say(format string, args ...any) {
	fmt.Fprintf(t.out, format+"\n", args...)
}

// show draws a message as the phone shows it.
func (t *demoTour) show(m sim.Message) {
	t.say("")
	for line := range strings.Lines(sim.Bubble(m)) {
		t.more("%s", strings.TrimRight(line, "\n"))
	}
	t.say("")
}

// next begins a step of the story.
func (t *demoTour) next(format string, args ...any) {
	t.step++
	t.say("\n%d. %s", t.step, fmt.Sprintf(format, args...))
}

// more tells more of the step.
func (t *demoTour) more(format string, args ...any) { t.say("   "+format, args...) }

// memoryPort opens a simulated modem in memory.
type memoryPort struct{ modem *sim.Modem }

var _ modem.Opener = memoryPort{}

// Open implements modem.Opener.
func (p memoryPort) Open(string) (wire.Port, error) { return p.modem.Dial() }

// Lookup implements modem.Opener.
func (p memoryPort) Lookup(path string) string { return path }

// Glob implements modem.Opener.
func (p memoryPort) Glob(pattern string) []string { return []string{pattern} }
