package modem

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// LoopbackConfig says between which modems a loopback is made.
type LoopbackConfig struct {
	// From and To are the ports of two modems, each ready to send.
	From, To string
	// Number is that of the SIM behind To: "+" and digits.
	Number string
	// Opener, Profiles, Cards and Timeouts are as in PoolConfig.
	Opener   Opener
	Profiles []Profile
	Cards    []Card
	Timeouts Timeouts
	// Ready and Arrive bound the wait for both modems (60 s) and for what is
	// to arrive after the last message was accepted (90 s).
	Ready, Arrive time.Duration
}

// String keeps the number out of logs.
func (c LoopbackConfig) String() string { return "loopback from " + c.From + " to " + c.To }

// GoString keeps the number out of logs.
func (c LoopbackConfig) GoString() string { return c.String() }

// LogValue keeps the number out of logs.
func (c LoopbackConfig) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Proof is one thing that a loopback looks at.
type Proof string

// The proofs. Unproven is what nothing could be learnt about.
const (
	Proven   Proof = "yes"
	Refuted  Proof = "no"
	Unproven Proof = "unknown"
)

// Loopback is what messages from one SIM to another have shown of the first.
type Loopback struct {
	// IMEI and IMSI of the modem that sent.
	IMEI, IMSI string
	// Sent: the network took the first message; Cause is modem.Result.Cause
	// if not. Submitted is how long it took.
	Sent      Proof
	Cause     string
	Submitted time.Duration
	// Received: the other SIM got it, Arrived after it had been accepted;
	// Reported: its delivery report came, so long after.
	Received, Reported           Proof
	ReceivedAfter, ReportedAfter time.Duration
	// Enhanced: a message with its validity in the enhanced format (23.040
	// 9.2.3.12.3) was accepted.
	Enhanced Proof
	// Replace: messages of a replace type (TP-PID 0x41) were accepted. Whether
	// the phone replaces them can't be seen from here.
	Replace Proof
	// ReportReference: the report carried the reference that AT+CMGS had told.
	ReportReference Proof
	// Consecutive: references of messages that followed one another did too.
	Consecutive Proof
	// Foreign is how many messages of others came meanwhile; they were left
	// in the SIM where the modem stores them.
	Foreign int
	Tested  time.Time
}

// String keeps identities out of logs.
func (l Loopback) String() string { return "loopback" }

// GoString keeps identities out of logs.
func (l Loopback) GoString() string { return l.String() }

// LogValue keeps identities out of logs.
func (l Loopback) LogValue() slog.Value { return slog.StringValue(l.String()) }

// OK tells whether sending, receiving and reporting work.
func (l Loopback) OK() bool { return l.Sent == Proven && l.Received == Proven && l.Reported == Proven }

// LoopbackMessages is how many messages a loopback sends.
const LoopbackMessages = 4

// errNotOurs: the message or report is none of the loopback's, and stays where
// it is.
var errNotOurs = errors.New("modem: not of this loopback")

// loopback is one under way.
type loopback struct {
	cfg   LoopbackConfig
	token string
	fresh chan struct{}

	mu      sync.Mutex
	inbound map[string]time.Time // texts of ours, and when they came
	reports []Report
	foreign map[string]bool // what is not ours; it is offered again and again
}

// RunLoopback sends LoopbackMessages short messages from one SIM to another
// and says what that has shown. An error says that the modems did not get
// ready. Messages and reports that are not its own are left where they are.
func RunLoopback(ctx context.Context, cfg LoopbackConfig) (Loopback, error) {
	if cfg.Ready == 0 {
		cfg.Ready = time.Minute
	}
	if cfg.Arrive == 0 {
		cfg.Arrive = 90 * time.Second
	}
	l := &loopback{cfg: cfg, token: rand.Text()[:10], fresh: make(chan struct{}, 1), inbound: make(map[string]time.Time), foreign: make(map[string]bool)}
	pool, err := NewPool(PoolConfig{
		Ports: []string{"from=" + cfg.From, "to=" + cfg.To}, Opener: cfg.Opener, Cards: cfg.Cards,
		Profiles: cfg.Profiles, Timeouts: cfg.Timeouts, Logger: slog.New(slog.DiscardHandler),
		OnReport: l.reported, OnInbound: l.received,
	})
	if err != nil {
		return Loopback{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = pool.Run(ctx) }) // it ends with ctx
	line, err := l.lines(ctx, pool)
	if err != nil {
		return Loopback{}, err
	}
	return l.prove(ctx, line), nil
}

// lines waits for both modems and returns the one that sends.
func (l *loopback) lines(ctx context.Context, pool *Pool) (*Line, error) {
	late := time.NewTimer(l.cfg.Ready)
	defer late.Stop()
	var from *Line
	receiver := false
	for from == nil || !receiver {
		select {
		case line := <-pool.Ready():
			if line.Name() == "from" {
				from = line
			} else {
				receiver = true
			}
		case <-late.C:
			return nil, notReady(pool)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return from, nil
}

// notReady says which modem did not get ready, and why.
func notReady(pool *Pool) error {
	var why []string
	for _, s := range pool.Statuses() {
		if s.State != Ready {
			why = append(why, s.Port+": "+s.Reason)
		}
	}
	return fmt.Errorf("the modems did not get ready to send: %s", strings.Join(why, "; "))
}

// received takes the loopback's own messages.
func (l *loopback) received(m Inbound) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !strings.Contains(m.Text, l.token) {
		l.foreign[string(m.PDU)] = true
		return errNotOurs
	}
	if _, twice := l.inbound[m.Text]; !twice {
		l.inbound[m.Text] = m.Received
	}
	l.wake()
	return nil
}

// reported takes the reports on the loopback's own messages.
func (l *loopback) reported(r Report) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lastDigits(r.Recipient) != lastDigits(l.cfg.Number) {
		l.foreign[fmt.Sprint(r.MR, r.SCTS, r.Status)] = true
		return errNotOurs
	}
	l.reports = append(l.reports, r)
	l.wake()
	return nil
}

func (l *loopback) wake() {
	select {
	case l.fresh <- struct{}{}:
	default:
	}
}

// lastDigits are what two writings of one number have in common, with country
// code and without: no plan has mobile numbers of less than 5 digits.
func lastDigits(number string) string { return number[max(0, len(number)-5):] }

const (
	// validFor is TP-VP of the loopback's messages: 5 minutes.
	validFor = 0
	// enhancedFor is that of the one with the enhanced format.
	enhancedFor = 240 * time.Second
)

// prove sends the messages and gathers what they show.
func (l *loopback) prove(ctx context.Context, line *Line) Loopback {
	out := Loopback{
		IMEI: line.IMEI(), IMSI: line.IMSI(), Tested: time.Now().UTC(),
		Sent: Refuted, Received: Unproven, Reported: Unproven, Enhanced: Unproven, Replace: Unproven,
		ReportReference: Unproven, Consecutive: Unproven,
	}
	var results []Result
	send := func(kind string, change func(*Submission)) Result {
		sub := Submission{
			To: strings.TrimPrefix(l.cfg.Number, "+"), Text: "smsotpd " + kind + " " + l.token,
			Validity: validFor, Report: true,
		}
		change(&sub)
		r := line.Submit(ctx, sub)
		results = append(results, r)
		return r
	}
	first := send("test", func(*Submission) {})
	out.Cause, out.Submitted = first.Cause, first.Ended.Sub(first.Began)
	if first.Class != Accepted {
		return out
	}
	out.Sent = Proven
	out.Enhanced = enhanced(send("validity", func(s *Submission) { s.Enhanced, s.Life = true, enhancedFor }))
	replaced := accepted(send("replace 1", func(s *Submission) { s.Replace = 0x41 }))
	if out.Replace = replaced; replaced == Proven {
		out.Replace = accepted(send("replace 2", func(s *Submission) { s.Replace = 0x41 }))
	}
	out.Consecutive = consecutive(results)
	l.await(ctx, &out, first)
	return out
}

// accepted is what a Result proves of the kind of message: a refusal counts
// only if it is not about something else.
func accepted(r Result) Proof {
	switch r.Class {
	case Accepted:
		return Proven
	case Ours:
		return Refuted
	}
	return Unproven
}

// enhanced is what the Result of a message with TP-VP in the enhanced format
// proves: accepted in another format, it was refused in this one.
func enhanced(r Result) Proof {
	if r.Class == Accepted && r.Validity != ValidityEnhanced {
		return Refuted
	}
	return accepted(r)
}

// consecutive tells whether the references of accepted messages follow one
// another; after a message that was refused nothing can be said.
func consecutive(results []Result) Proof {
	proof := Unproven
	for i := 1; i < len(results); i++ {
		a, b := results[i-1], results[i]
		if a.Class != Accepted || b.Class != Accepted || a.NoMR || b.NoMR {
			continue
		}
		if b.MR != a.MR+1 {
			return Refuted
		}
		proof = Proven
	}
	return proof
}

// await waits for the first message and its report to arrive.
func (l *loopback) await(ctx context.Context, out *Loopback, first Result) {
	late := time.NewTimer(l.cfg.Arrive)
	defer late.Stop()
	for waiting := true; waiting; {
		l.look(out, first)
		if out.Received == Proven && out.Reported == Proven {
			break
		}
		select {
		case <-l.fresh:
		case <-late.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	if out.Received == Unproven {
		out.Received = Refuted
	}
	if out.Reported == Unproven {
		out.Reported = Refuted
	}
}

// look takes over what has arrived by now.
func (l *loopback) look(out *Loopback, first Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out.Foreign = len(l.foreign)
	for text, at := range l.inbound {
		if strings.HasPrefix(text, "smsotpd test ") {
			out.Received, out.ReceivedAfter = Proven, max(0, at.Sub(first.Ended))
		}
	}
	delivered := slices.IndexFunc(l.reports, func(r Report) bool { return r.Outcome() == Delivered })
	if delivered < 0 {
		return
	}
	own := slices.IndexFunc(l.reports, func(r Report) bool { return r.Outcome() == Delivered && r.MR == first.MR })
	out.ReportReference = Refuted
	if own >= 0 && !first.NoMR {
		delivered, out.ReportReference = own, Proven
	}
	out.Reported = Proven
	out.ReportedAfter = max(0, l.reports[delivered].Received.Sub(first.Ended))
}
