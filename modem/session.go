package modem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warthog618/modem/at"

	"smsotpd/modem/wire"
)

// How a session's command or preparation can end without an answer.
var (
	// errMute: the modem did not answer in time.
	errMute = errors.New("modem: does not answer AT commands")
	// errGone: the port can be read or written no more.
	errGone = errors.New("modem: the port is gone")
	// errSuspect: the modem may have lost its settings.
	errSuspect = errors.New("modem: its state is in doubt, or its settings are lost")
)

// Time limits of commands. Those that touch the SIM or the radio take long.
const (
	limitQuick = 3 * time.Second
	limitSIM   = 10 * time.Second
	limitRadio = 20 * time.Second
)

// session drives the modem behind one open port. Whoever holds its turn may
// issue commands; the wire below reads the port at all times.
type session struct {
	log      *slog.Logger
	times    Timeouts
	wire     *wire.Wire
	incoming *incoming
	turn     chan struct{} // holds one token; taken by whoever uses the engine
	owing    *owing        // the message whose answer may come late

	// Owned by the holder of the turn.
	engine     *at.AT
	unanswered int      // messages in a row that the network said nothing of
	reboots    int      // messages in a row at which the modem started anew
	silent     silences // commands, by what ask met
	unordered  silences // queries, by what inOrder met
	routed     routing
	memories   memories
	modeless   bool      // the modem won't tell whether it is in PDU mode
	inPDU      bool      // it was brought into PDU mode
	modeAt     time.Time // when it last showed that it is in it
	keepsLink  bool      // AT+CMMS is on
	habits
	talkedAt time.Time // when the last command was over
	centre   string    // the service centre address to be used, "" if unknown

	// netless: the modem won't tell whether it is registered either. Owned by
	// the worker's goroutine.
	netless bool

	// suspect is set by signs that settings may be lost; late counts answers
	// of messages that came too late, strays those of nothing that waits,
	// chatter the weak signs since the last strong one; signed wakes whoever
	// waits.
	suspect atomic.Bool
	late    atomic.Int64
	strays  atomic.Int64
	chatter atomic.Int64
	signed  chan struct{}
	// revived is set by signs that the modem or its SIM has just started.
	revived atomic.Bool
	chores  *chores
	// noEnhanced is the SIM with which TP-VP in the enhanced format was refused.
	noEnhanced refusal
	// dialogue is that with the network by USSD codes.
	dialogue *ussd

	mu sync.Mutex
	// Guarded by mu.
	about     identity
	known     chan struct{} // closed while the SIM's identity is known
	kind      Profile       // what this kind of modem does in its own way
	operator  string
	signalDBm int
	used      time.Time // when the last message was over
	textual   time.Time // when it last handed over as in text mode
	// Restarts that nobody has been told of, and when the last began.
	restarts    []time.Time
	restartedAt time.Time
	// Stray answers since straysFrom.
	straysFrom time.Time
	straysIn   int
}

// habits are what a modem has shown of itself. They outlive a session of its port.
type habits struct {
	proven bool          // it has taken a PDU
	pace   time.Duration // of payloads: see slowDown
	gap    time.Duration // before commands: see resync
	asleep int           // commands in a row that were lost behind a pause
}

// adopt goes by what the modem has shown before.
func (s *session) adopt(h habits) {
	s.habits = h
	s.setProfile(s.profile())
}

// identity is what a modem says of itself and its SIM.
type identity struct {
	manufacturer, model, firmware string
	imei, imsi                    string
	iccid                         string // "" also where nobody asked for it
}

func newSession(port wire.Port, times Timeouts, log *slog.Logger, in *incoming) *session {
	s := &session{
		log:      log,
		times:    times,
		incoming: in,
		turn:     make(chan struct{}, 1),
		owing:    newOwing(),
		silent:   make(silences),
		signed:   make(chan struct{}, 1),
		known:    make(chan struct{}),
		chores:   newChores(),
		dialogue: newUSSD(),

		unordered: make(silences),
	}
	s.wire = wire.New(port, wire.Options{
		OnURC:          s.onURC,
		OnSign:         s.onSign,
		OnLate:         s.owing.heard,
		PromptTimeout:  times.Prompt,
		FinalTimeout:   times.Final,
		SettledTimeout: times.Settled,
		WriteTimeout:   times.Write,
	})
	s.wire.Start() // from here on its handlers run
	return s
}

// owner is the modem and SIM that what came in belongs to: those that were here
// last, while it is not known that these are others. A modem may be gone again
// before it has said who it is.
func (s *session) owner() identity {
	now := s.identity()
	if last := s.incoming.seen.Load(); last != nil && now.imsi == "" && (now.imei == "" || now.imei == last.imei) {
		return *last
	}
	return now
}

// awaitSIM waits until it is known which SIM what the modem hands over belongs
// to, or until the port is gone, or for d.
func (s *session) awaitSIM(d time.Duration) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	limit := time.NewTimer(d)
	defer limit.Stop()
	select {
	case <-known:
	case <-s.wire.Gone():
	case <-limit.C:
	}
}

// knowSIM lets go whoever waits in awaitSIM; forgetSIM lets them wait again.
func (s *session) knowSIM() {
	s.mu.Lock()
	defer s.mu.Unlock()
	about := s.about
	s.incoming.seen.Store(&about)
	select {
	case <-s.known:
	default:
		close(s.known)
	}
}

func (s *session) forgetSIM() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.known:
		s.known = make(chan struct{})
	default:
	}
}

// close closes the port. The engine and all commands under way end.
func (s *session) close() {
	s.chores.stop()
	if err := s.wire.Close(); err != nil {
		s.log.Debug("closing the port", "error", err)
	}
}

const (
	// maxChatter is how many signs of having become ready a modem may give after
	// one start. One that gives more says it while alive, and nothing by it.
	maxChatter = 8
	// maxStrays is how many answers that nothing asked for count within
	// strayFor: a modem that gives more has the habit.
	maxStrays = 6
	strayFor  = 10 * time.Minute
)

// onSign runs in the wire's reading goroutine.
func (s *session) onSign(sign wire.Sign) {
	switch sign {
	case wire.Late:
		s.late.Add(1)
	case wire.Stray:
		if s.strays.Add(1); !s.counts(time.Now()) {
			return
		}
	case wire.Restarted:
		s.chatter.Store(0)
		s.restarted(time.Now())
	case wire.Settled:
		if s.chatter.Add(1) > maxChatter {
			return
		}
	}
	if sign == wire.Restarted || sign == wire.Settled {
		s.revived.Store(true)
	}
	s.suspect.Store(true)
	select {
	case s.signed <- struct{}{}:
	default:
	}
}

// counts takes in a stray answer, and tells whether it is one of few.
func (s *session) counts(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.straysFrom) >= strayFor {
		s.straysFrom, s.straysIn = now, 0
	}
	s.straysIn++
	return s.straysIn <= maxStrays
}

// take takes the turn; the returned function gives it back.
func (s *session) take(ctx context.Context) (func(), error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *session) identity() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.about
}

// usedAt is when the last message was over.
func (s *session) usedAt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// profile is what this kind of modem does in its own way; the zero Profile
// until the modem is identified.
func (s *session) profile() Profile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kind
}

// setProfile is called between commands.
func (s *session) setProfile(p Profile) {
	s.mu.Lock()
	s.kind = p
	s.mu.Unlock()
	s.wire.SetPace(max(time.Duration(p.Pace), s.pace))
	s.wire.SetGap(max(time.Duration(p.Gap), s.gap))
}

// lossPace is the pace for a modem that may have lost octets of a payload.
const lossPace = 5 * time.Millisecond

// slowDown has payloads written in pieces from now on. It tells whether that is
// new to a modem that has taken PDUs before, and so may take this one then. The
// caller has the turn.
func (s *session) slowDown() bool {
	before := s.pace
	s.pace = lossPace
	s.setProfile(s.profile())
	return s.proven && before < lossPace
}

func (s *session) learn(change func(*identity)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.about)
}

// command issues one AT command. Errors are at.CMEError, at.CMSError or
// at.ErrError where the modem gave one, errMute, errGone, errSuspect or the
// context's error where not.
func (s *session) command(ctx context.Context, cmd string, limit time.Duration) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.engine == nil {
		return nil, errMute
	}
	if s.profile().Avoids("AT" + cmd) {
		return nil, errAvoided
	}
	rested := s.wake()
	s.wire.Limit(limit)
	info, err := s.engine.Command(cmd)
	s.talked(err == nil || answered(err), rested)
	switch cause := s.wire.Flight().Cause; {
	case s.wire.Err() != nil || cause == wire.WriteFailed:
		return nil, errGone
	case cause == wire.Restart:
		return nil, errSuspect
	case err == nil || answered(err):
		return info, err
	}
	s.owing.muddle(cmd)
	return nil, errMute
}

// silences are commands that the modem left unanswered.
type silences map[string]silence

type silence struct {
	times int       // in a row
	until time.Time // until when the command is not asked again
}

// silentFor is how long a command is left out that was twice not answered.
const silentFor = 10 * time.Minute

// mute tells whether cmd is left out for now.
func (s silences) mute(cmd string) bool {
	return s[cmd].times > 1 && time.Now().Before(s[cmd].until)
}

func (s silences) note(cmd string) {
	s[cmd] = silence{times: s[cmd].times + 1, until: time.Now().Add(silentFor)}
}

// errSilent is ask's error for a command that the modem left unanswered.
var errSilent = fmt.Errorf("modem: leaves the command unanswered: %w", at.ErrError)

// errAvoided is command's error for one that must not be given to this kind of
// modem.
var errAvoided = fmt.Errorf("modem: the command is not for this modem: %w", at.ErrError)

// manySilences is how many commands a modem leaves unanswered before it is
// taken to do so with all that it doesn't know; they are then waited for no
// longer than for AT.
const manySilences = 3

// ask is command for what preparation can do without: a command that this
// modem leaves unanswered is an error like any other, and after the second
// time is left out for a while.
func (s *session) ask(ctx context.Context, cmd string, limit time.Duration) ([]string, error) {
	if s.silent.mute(cmd) {
		return nil, errSilent
	}
	if len(s.silent) >= manySilences {
		limit = min(limit, s.times.Wake)
	}
	info, err := s.command(ctx, cmd, limit)
	if err == nil && s.wire.Flight().Cause == wire.Unfinished {
		return info, s.resync(ctx) // its OK may still come
	}
	if !errors.Is(err, errMute) {
		delete(s.silent, cmd)
		return info, err
	}
	s.silent.note(cmd)
	if err := s.resync(ctx); err != nil {
		return nil, err
	}
	s.wary()
	return nil, errSilent
}

// wary has looked after what the modem may have lost while it did not answer:
// perhaps it has started anew. Whether it is still in PDU mode resync has seen.
func (s *session) wary() {
	s.memories.sureAt = time.Time{}
	s.chores.doubtRouting()
}

// insist is ask for what must succeed: it is never left out, and a command
// that stays unanswered once is an error like any other.
func (s *session) insist(ctx context.Context, cmd string, limit time.Duration) ([]string, error) {
	delete(s.silent, cmd)
	return s.ask(ctx, cmd, limit)
}

// answered tells whether err is the modem's own answer.
func answered(err error) bool {
	var cme at.CMEError
	var cms at.CMSError
	return errors.Is(err, at.ErrError) || errors.As(err, &cme) || errors.As(err, &cms)
}

// pause waits for d, or less if the modem gives a sign.
func (s *session) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-s.signed:
	case <-s.wire.Gone():
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
