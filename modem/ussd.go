package modem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/warthog618/modem/at"
)

// USSDReply is what the network answered to a USSD code: TS 22.090, 27.007
// 7.15. It may hold balances and numbers.
type USSDReply struct {
	Text string
	// More: the network wants a reply, which is the next code. A code that
	// begins with * or # ends the dialogue and begins another.
	More bool
}

// String keeps the text out of logs.
func (r USSDReply) String() string { return "USSD reply" }

// GoString keeps the text out of logs.
func (r USSDReply) GoString() string { return r.String() }

// LogValue keeps the text out of logs.
func (r USSDReply) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Why there is no USSDReply.
var (
	// ErrNoSuchModem: no modem has the name.
	ErrNoSuchModem = errors.New("modem: there is no modem of that name")
	// ErrNotReady: the modem can't be used now.
	ErrNotReady = errors.New("modem: not ready")
	// ErrUSSDCode: not a code that can be sent.
	ErrUSSDCode = errors.New("modem: not a USSD code")
	// ErrUSSDBusy: the modem waits for the answer to another code.
	ErrUSSDBusy = errors.New("modem: another USSD code is under way")
	// ErrUSSDRefused: the modem or the network does not take the code, or has
	// ended the dialogue without an answer.
	ErrUSSDRefused = errors.New("modem: the USSD code was refused")
	// ErrUSSDSilent: the network did not answer in time.
	ErrUSSDSilent = errors.New("modem: the USSD code was not answered")
)

const (
	// ussdLimit bounds the wait for the network's answer; it must be shorter
	// than whatever waits for USSD.
	ussdLimit = 60 * time.Second
	// ussdMost is how long a code or reply may be, TS 23.038 5.
	ussdMost = 182
	// ussdDialogue is how long a network waits for a reply at most; what comes
	// after is a new code.
	ussdDialogue = 3 * time.Minute
)

// ussd is a session's dialogue with the network.
type ussd struct {
	busy    sync.Mutex  // held while a code is under way
	answers chan string // +CUSD lines, the newest few

	// Guarded by busy.
	form     string    // by name of the one that the modem takes; "" until known
	charset  string    // AT+CSCS, "" if not told
	asked    bool      // charset was asked for
	openTill time.Time // a reply is wanted until then
}

func newUSSD() *ussd { return &ussd{answers: make(chan string, 4)} }

// heard is given each +CUSD line. It never waits: what nobody asked for, and
// what is too much, is dropped.
func (u *ussd) heard(line string) {
	select {
	case u.answers <- line:
	default:
	}
}

// drain drops what came before anything was asked.
func (u *ussd) drain() {
	for {
		select {
		case <-u.answers:
		default:
			return
		}
	}
}

// isUSSDCode tells whether code may be sent: digits, * and #, or in a reply
// also letters. Codes that change a PIN are none: **04*, **042*, **05*, **052*
// (TS 22.030 6.6.2).
func isUSSDCode(code string) bool {
	if code == "" || len(code) > ussdMost {
		return false
	}
	for _, pin := range [...]string{"**04", "**05"} {
		if strings.HasPrefix(code, pin) {
			return false
		}
	}
	begins := strings.ContainsAny(code[:1], "*#")
	for i := range len(code) {
		c := code[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == ' ' || c == '.' || c == ',' || c == '-' || c == '+'
		if !('0' <= c && c <= '9' || c == '*' || c == '#' || letter && !begins) {
			return false
		}
	}
	return true
}

// USSD sends a code, or the reply in a dialogue, through the named modem and
// waits for the network's answer, for 60 s at most. Messages go out meanwhile.
func (p *Pool) USSD(ctx context.Context, name, code string) (USSDReply, error) {
	if !isUSSDCode(code) {
		return USSDReply{}, ErrUSSDCode
	}
	line, err := p.lineNamed(name)
	if err != nil {
		return USSDReply{}, err
	}
	return line.ussd(ctx, code)
}

// lineNamed is the open line of the modem with the name.
func (p *Pool) lineNamed(name string) (*Line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := ErrNoSuchModem
	for _, w := range p.workers {
		w.mu.Lock()
		known, line := w.status.Name == name, w.line
		w.mu.Unlock()
		if !known {
			continue
		}
		err = ErrNotReady
		if line == nil {
			continue
		}
		select {
		case <-line.closed:
		default:
			return line, nil
		}
	}
	return nil, err
}

// ussd asks and waits. The turn is taken for each command alone, so that a
// message waits for one at most.
func (l *Line) ussd(ctx context.Context, code string) (USSDReply, error) {
	u := l.session.dialogue
	if !u.busy.TryLock() {
		return USSDReply{}, ErrUSSDBusy
	}
	defer u.busy.Unlock()
	limited, cancel := context.WithTimeout(ctx, ussdLimit)
	defer cancel()
	err := l.prepareUSSD(limited, code)
	if err == nil {
		err = l.sendUSSD(limited, code)
	}
	if err != nil {
		if ctx.Err() == nil && limited.Err() != nil { // a message was in the air all the time
			err = fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		return USSDReply{}, err
	}
	reply, err := l.awaitUSSD(limited)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		l.endUSSD()
		if ctx.Err() == nil {
			err = ErrUSSDSilent
		}
	case err == nil && reply.More:
		u.openTill = time.Now().Add(ussdDialogue)
	}
	return reply, err
}

// prepareUSSD learns how the modem writes texts, and ends a dialogue that the
// code is no reply in.
func (l *Line) prepareUSSD(ctx context.Context, code string) error {
	u := l.session.dialogue
	open := time.Now().Before(u.openTill)
	u.openTill = time.Time{}
	if open && (code[0] == '*' || code[0] == '#') {
		if _, err := l.askBetween(ctx, "+CUSD=2", limitSIM); err != nil && !answered(err) {
			return err
		}
	}
	if u.asked {
		return nil
	}
	info, err := l.askBetween(ctx, "+CSCS?", limitQuick)
	if err != nil && !answered(err) {
		return err
	}
	u.asked = true
	charset, _ := answer(info, "+CSCS")
	u.charset = strings.Trim(charset, `" `)
	return nil
}

// sendUSSD hands the code to the modem, in the form that it takes: what it
// refuses as malformed has not been sent, and is tried in another form.
func (l *Line) sendUSSD(ctx context.Context, code string) error {
	u := l.session.dialogue
	for _, form := range ussdForms(l.id.manufacturer, u.charset) {
		if u.form != "" && u.form != form.name {
			continue
		}
		u.drain()
		_, err := l.askBetween(ctx, form.command(code), limitSIM)
		switch {
		case err == nil:
			u.form = form.name
			return nil
		case errors.Is(err, errSilent): // its OK may come with the answer
			return nil
		case !answered(err):
			return err
		case !malformed(err):
			return fmt.Errorf("%w: %w", ErrUSSDRefused, err)
		}
	}
	return ErrUSSDRefused
}

// malformed tells errors that say that the modem did not understand a command,
// from those by which it or the network refuses what was understood: 27.007
// 9.2.1.
func malformed(err error) bool {
	var cme at.CMEError
	if !errors.As(err, &cme) {
		return errors.Is(err, at.ErrError)
	}
	switch errorNumber(string(cme), cmeTexts) {
	case 3, 4, 24, 25, 26, 27, 50, 100:
		return true
	}
	return false
}

// askBetween issues a command between two messages.
func (l *Line) askBetween(ctx context.Context, cmd string, limit time.Duration) ([]string, error) {
	s := l.session
	leave, err := s.take(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	select {
	case <-l.closed:
		return nil, ErrNotReady
	default:
	}
	info, err := s.insist(ctx, cmd, limit)
	if err != nil && !answered(err) && ctx.Err() == nil {
		l.close(err)
		return nil, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	return info, err
}

// awaitUSSD waits for the answer.
func (l *Line) awaitUSSD(ctx context.Context) (USSDReply, error) {
	s := l.session
	for {
		select {
		case line := <-s.dialogue.answers:
			said, ok := parseUSSD(line)
			if !ok {
				continue
			}
			return said.reply(s.dialogue)
		case <-s.wire.Gone():
			return USSDReply{}, ErrNotReady
		case <-ctx.Done():
			return USSDReply{}, ctx.Err()
		}
	}
}

// endUSSD ends a dialogue that nobody waits in any more, so that a late answer
// is not taken for that to the next code.
func (l *Line) endUSSD() {
	ctx, cancel := context.WithTimeout(context.Background(), limitSIM)
	defer cancel()
	_, _ = l.askBetween(ctx, "+CUSD=2", limitSIM) // it may be over by itself
}
