package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/guard"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/storage/bolt"
)

// The tests of this package run the whole gateway, on a real store, in virtual
// time: all but the modems, which are scripted lines.

const alice, bob = "+33612345678", "+33698765432"

// radio is a fleet of scripted modems and the phones that they reach.
type radio struct {
	mu    sync.Mutex
	lines []*fakeLine
	fresh chan *fakeLine
	inbox []sms
	// nameless: the modems don't tell their SIMs' IMSI.
	nameless bool
	// cards are the operator's names of the SIMs, by modem.
	cards map[string]string
}

// sms is one message that a modem was asked to send.
type sms struct {
	line, to, text string
	validity       byte
	at             time.Time
}

var digits = regexp.MustCompile(`\b\d{4,10}\b`)

// code is the code that the message carries.
func (s sms) code() string { return digits.FindString(s.text) }

func newRadio() *radio { return &radio{fresh: make(chan *fakeLine, 100)} }

// Next implements dispatch.Fleet.
func (r *radio) Next(ctx context.Context) (dispatch.Line, error) {
	select {
	case l := <-r.fresh:
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Statuses implements dispatch.Fleet.
func (r *radio) Statuses() []modem.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []modem.Status
	for _, l := range r.lines {
		select {
		case <-l.closed:
		default:
			out = append(out, l.status())
		}
	}
	return out
}

// plug adds a modem whose every submission is answered by answer, which may
// wait; the message counts as heard before it is asked.
func (r *radio) plug(name string, answer func(ctx context.Context, s sms) modem.Result) *fakeLine {
	l := &fakeLine{radio: r, name: name, answer: answer, closed: make(chan struct{})}
	r.mu.Lock()
	r.lines = append(r.lines, l)
	r.mu.Unlock()
	r.fresh <- l
	return l
}

// heard are the messages that modems were asked to send, in order.
func (r *radio) heard() []sms {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sms(nil), r.inbox...)
}

type fakeLine struct {
	radio  *radio
	name   string
	answer func(ctx context.Context, s sms) modem.Result
	closed chan struct{}
	once   sync.Once
}

func (l *fakeLine) status() modem.Status {
	s := modem.Status{Name: l.name, State: modem.Ready, Card: l.radio.cards[l.name]}
	if !l.radio.nameless {
		s.IMSI = "imsi-" + l.name
	}
	return s
}

func (l *fakeLine) Info() modem.Info {
	return modem.Info{Modem: l.name, IMSI: l.status().SIM(), Card: l.radio.cards[l.name]}
}
func (l *fakeLine) Closed() <-chan struct{} { return l.closed }
func (l *fakeLine) unplug()                 { l.once.Do(func() { close(l.closed) }) }

// Park implements dispatch.Line: the session ends, and comes back later.
func (l *fakeLine) Park(_ string, d time.Duration) {
	l.unplug()
	time.AfterFunc(d, func() { l.radio.plug(l.name, l.answer) })
}

func (l *fakeLine) Submit(ctx context.Context, s modem.Submission) modem.Result {
	heard := sms{line: l.name, to: "+" + s.To, text: s.Text, validity: s.Validity, at: time.Now()}
	l.radio.mu.Lock()
	l.radio.inbox = append(l.radio.inbox, heard)
	l.radio.mu.Unlock()
	began := time.Now()
	r := l.answer(ctx, heard)
	r.Began, r.Ended = began, time.Now()
	return r
}

// takes answers with success after the given air time.
func takes(air time.Duration) func(context.Context, sms) modem.Result {
	var mu sync.Mutex
	var mr byte
	return func(context.Context, sms) modem.Result {
		time.Sleep(air) // virtual time
		mu.Lock()
		defer mu.Unlock()
		mr++
		return modem.Result{Class: modem.Accepted, MR: mr, Committed: true, CommittedAt: time.Now(), CMS: -1, CME: -1}
	}
}

// fails answers with a class and a cause, n times, and then with then.
func fails(n int, class modem.Class, cause string, then func(context.Context, sms) modem.Result) func(context.Context, sms) modem.Result {
	var mu sync.Mutex
	return func(ctx context.Context, s sms) modem.Result {
		mu.Lock()
		n--
		more := n >= 0
		mu.Unlock()
		if !more {
			return then(ctx, s)
		}
		r := modem.Result{Class: class, Cause: cause, CMS: -1, CME: -1}
		if class == modem.Ambiguous {
			r.Committed, r.CommittedAt = true, time.Now()
		}
		return r
	}
}

// world is a gateway that runs, with everything around it.
type world struct {
	t      *testing.T
	dir    string
	store  *bolt.Store
	keys   *keyring.Keyring
	radio  *radio
	gw     *Gateway
	opts   Options
	cancel context.CancelFunc
	ended  chan error
	// now is the store's wall clock, nil for the bubble's.
	now func() time.Time
	// hands is who carries out orders; nil for nobody.
	hands hands
	// maxSize is the store's, 0 for no bound.
	maxSize int64
}

// inWorld runs a test in virtual time with a gateway that may send to France.
func inWorld(t *testing.T, adjust func(*Options), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: t.TempDir(), radio: newRadio()}
		key := filepath.Join(w.dir, "master.key")
		w.must(keyring.Init(key))
		master, err := keyring.ReadMaster(key)
		w.must(err)
		w.keys, err = keyring.Open(w.dir, master)
		w.must(err)
		w.opts = Options{
			Services: []Service{DefaultService()}, Guard: guard.Policy{AllowRegions: []string{"FR"}},
			Queue: queue.DefaultPolicy(), Fleet: w.radio, Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
			Keys: w.keys,
		}
		if adjust != nil {
			adjust(&w.opts)
		}
		w.up()
		defer w.down()
		test(t, w)
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// up opens the store and sets the gateway going.
func (w *world) up() {
	w.t.Helper()
	var err error
	w.store, err = bolt.Open(bolt.Options{Path: filepath.Join(w.dir, "smsotpd.db"), Daemon: true, Now: w.now, MaxSize: w.maxSize})
	w.must(err)
	w.opts.Store, w.opts.Metrics = w.store, prometheus.NewRegistry()
	w.gw, err = New(w.opts)
	w.must(err)
	if w.hands != nil {
		w.gw.hands = w.hands
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.cancel, w.ended = cancel, make(chan error, 1)
	go func() { w.ended <- w.gw.Run(ctx) }()
	synctest.Wait()
}

// down stops the gateway and closes the store.
func (w *world) down() {
	w.t.Helper()
	w.cancel()
	w.must(<-w.ended)
	w.must(w.store.Close())
}

// start starts a verification and fails the test if it is refused.
func (w *world) start(to, subject string) Verification {
	w.t.Helper()
	v, err := w.gw.Start(w.t.Context(), Call{Caller: "test"}, StartRequest{To: to, Subject: subject})
	w.must(err)
	return v
}

func (w *world) check(id, code string) Verdict {
	w.t.Helper()
	v, err := w.gw.Check(w.t.Context(), Call{Caller: "test"}, id, code)
	w.must(err)
	return v
}

// pass lets virtual time go by and everything settle.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // virtual time
	synctest.Wait()
}

func (w *world) status(id string, want verification.State) Verification {
	w.t.Helper()
	v, err := w.gw.Verification(w.t.Context(), id)
	w.must(err)
	if v.Status != want {
		w.t.Fatalf("verification is %s, want %s", v.Status, want)
	}
	return v
}

func (w *world) message(id string, want queue.State) Message {
	w.t.Helper()
	m, err := w.gw.Message(w.t.Context(), id)
	w.must(err)
	if m.Status != want {
		w.t.Fatalf("message is %s, want %s; attempts: %+v", m.Status, want, m.Attempts)
	}
	return m
}

// sent fails the test unless so many messages were handed to modems.
func (w *world) sent(n int) []sms {
	w.t.Helper()
	heard := w.radio.heard()
	if len(heard) != n {
		w.t.Fatalf("%d messages were handed to modems, want %d", len(heard), n)
	}
	return heard
}

// refusedWith fails the test unless err is an Error with the code.
func (w *world) refusedWith(err error, code string) *Error {
	w.t.Helper()
	e := AsError(err)
	if err == nil || e.Code != code {
		w.t.Fatalf("refused with %v (%v), want %s", err, e.Unwrap(), code)
	}
	return e
}

// wrong is a code that is not the given one.
func wrong(code string) string { return fmt.Sprintf("%c%s", '0'+(code[0]-'0'+1)%10, code[1:]) }

// testWriter shows the gateway's log where a test fails.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}
