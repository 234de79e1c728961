package dispatch

import (
	"cmp"
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// hall is a dispatcher on a real queue and store, in virtual time, with scripted
// modems.
type hall struct {
	t     *testing.T
	dir   string
	keys  *keyring.Keyring
	store *fickle
	queue *queue.Queue
	d     *Dispatcher
	fresh chan Line

	cancel context.CancelFunc
	ended  chan error

	mu    sync.Mutex
	sent  map[string]int // by text: what really went out
	moved map[queue.State]int
	// events are all that the operator was told.
	events []modem.Event
	// statuses are what the fleet says of its modems.
	statuses []modem.Status
	// begun are the messages that the SIMs were given, in order; doubled is how
	// many are known to have come twice.
	begun   []sending
	doubled int
	// policy is what the next open dispatches by.
	policy Policy
}

// sending is one message that a SIM was given.
type sending struct {
	text, imsi string
	mr         byte
	at         time.Time
}

// inHall runs a test in a bubble of virtual time. The dispatcher is not running
// yet.
func inHall(t *testing.T, test func(t *testing.T, h *hall)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hall{t: t, dir: t.TempDir(), sent: map[string]int{}, moved: map[queue.State]int{}, policy: DefaultPolicy()}
		key := filepath.Join(h.dir, "master.key")
		h.must(keyring.Init(key))
		master, err := keyring.ReadMaster(key)
		h.must(err)
		h.keys, err = keyring.Open(h.dir, master)
		h.must(err)
		h.open(nil)
		defer func() { h.must(h.store.Close()) }()
		test(t, h)
	})
}

func (h *hall) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// open opens the store on the given wall clock, nil for the bubble's.
func (h *hall) open(now func() time.Time) {
	h.t.Helper()
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(h.dir, "smsotpd.db"), Daemon: true, Now: now})
	h.must(err)
	h.store = &fickle{Store: s}
	h.queue = queue.New(h.keys, queue.DefaultPolicy())
	h.fresh = make(chan Line, 100)
	h.d = New(Options{
		Store: h.store, Queue: h.queue, Ledger: budget.New(nil), Fleet: h, Observer: h, Policy: h.policy,
		Settled: func(storage.Tx, queue.Outcome) error { return nil },
	})
}

func (h *hall) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	h.cancel, h.ended = cancel, make(chan error, 1)
	go func() { h.ended <- h.d.Run(ctx) }()
	synctest.Wait()
}

func (h *hall) stop() {
	h.t.Helper()
	h.cancel()
	h.must(<-h.ended)
}

// pass lets virtual time go by and everything settle.
func (h *hall) pass(d time.Duration) {
	time.Sleep(d) // virtual time
	synctest.Wait()
}

// enqueue makes a message whose text is its id.
func (h *hall) enqueue(life time.Duration) queue.ID {
	h.t.Helper()
	return h.enqueueTo("+33612345678", life)
}

func (h *hall) enqueueTo(number string, life time.Duration) queue.ID {
	h.t.Helper()
	d := h.queue.Draft(queue.Address{To: number, Region: "FR"})
	h.queue.Write(&d, []byte("owner"), d.ID.String())
	if err := h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
		_, err := h.queue.Enqueue(tx, d, tx.Now().Add(life))
		return err
	}); err != nil {
		h.t.Error(err)
	}
	return d.ID
}

func (h *hall) want(id queue.ID, state queue.State) queue.Message {
	h.t.Helper()
	var m queue.Message
	h.must(h.store.Store.View(h.t.Context(), func(tx storage.Tx) (err error) {
		m, err = h.queue.Get(tx, id)
		return err
	}))
	if m.State != state {
		h.t.Fatalf("the message is %s, want %s; attempts: %+v", m.State, state, m.Attempts)
	}
	return m
}

// Next implements Fleet.
func (h *hall) Next(ctx context.Context) (Line, error) {
	select {
	case l := <-h.fresh:
		return l, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Statuses implements Fleet.
func (h *hall) Statuses() []modem.Status { return h.statuses }

// Sent implements Observer.
func (h *hall) Sent(queue.Message, string, modem.Result) {}

// Moved implements Observer.
func (h *hall) Moved(o queue.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moved[o.Message.State]++
}

// Happened implements Observer.
func (h *hall) Happened(e modem.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
}

// Doubled implements Observer.
func (h *hall) Doubled(queue.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.doubled++
}

// went notes that a text has really gone out.
func (h *hall) went(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent[text]++
}

// times is how often the message has gone out.
func (h *hall) times(id queue.ID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sent[id.String()]
}

// scripted is a modem session whose answers are a function's.
type scripted struct {
	// imsi is "imsi-" and the name if it is "".
	name, imsi string
	answer     func(s modem.Submission) modem.Result
	closed     chan struct{}
	once       sync.Once
	// parked, if set, is told of every Park.
	parked func(reason string, d time.Duration)
}

func (h *hall) plug(name string, answer func(s modem.Submission) modem.Result) *scripted {
	l := &scripted{name: name, answer: answer, closed: make(chan struct{})}
	h.fresh <- l
	return l
}

// plugAgain is plug, and again with the same answers after each rest.
func (h *hall) plugAgain(name string, answer func(s modem.Submission) modem.Result, parked func(string, time.Duration)) {
	l := &scripted{name: name, answer: answer, closed: make(chan struct{})}
	l.parked = func(reason string, d time.Duration) {
		parked(reason, d)
		time.AfterFunc(d, func() { h.plugAgain(name, answer, parked) })
	}
	h.fresh <- l
}

func (l *scripted) Info() modem.Info {
	return modem.Info{Modem: l.name, IMSI: cmp.Or(l.imsi, "imsi-"+l.name)}
}
func (l *scripted) Closed() <-chan struct{} { return l.closed }
func (l *scripted) unplug()                 { l.once.Do(func() { close(l.closed) }) }
func (l *scripted) Park(reason string, d time.Duration) {
	l.unplug()
	if l.parked != nil {
		l.parked(reason, d)
	}
}

func (l *scripted) Submit(_ context.Context, s modem.Submission) modem.Result {
	began := time.Now()
	r := l.answer(s)
	r.Began, r.Ended = began, time.Now()
	return r
}

// takes answers with success after a while in the air.
func (h *hall) takes(air time.Duration) func(modem.Submission) modem.Result {
	var mr atomic.Int32
	return func(s modem.Submission) modem.Result {
		h.went(s.Text)
		committed := time.Now()
		time.Sleep(air) // virtual time
		return modem.Result{Class: modem.Accepted, MR: byte(mr.Add(1)), Committed: true, CommittedAt: committed}
	}
}

// once answers with r for the first time, and then with next.
func once(r modem.Result, next func(modem.Submission) modem.Result) func(modem.Submission) modem.Result {
	var asked atomic.Bool
	return func(s modem.Submission) modem.Result {
		if !asked.Swap(true) {
			return r
		}
		return next(s)
	}
}

// fickle is a store that can be told to refuse, to say that it is another
// process's, and to keep wakes back.
type fickle struct {
	storage.Store
	// refuse, if set, decides on every Update.
	refuse atomic.Pointer[func(reserved bool) error]
	// updates counts the Updates asked for, widest the most keys that a View
	// has read.
	updates, widest atomic.Int64
	session         string
	wakes           chan storage.Wake
}

func (f *fickle) Update(ctx context.Context, fn func(storage.Tx) error) error {
	f.updates.Add(1)
	if refuse := f.refuse.Load(); refuse != nil {
		if err := (*refuse)(storage.Reserved(ctx)); err != nil {
			return err
		}
	}
	return f.Store.Update(ctx, fn)
}

func (f *fickle) View(ctx context.Context, fn func(storage.Tx) error) error {
	return f.Store.View(ctx, func(tx storage.Tx) error {
		c := &counted{Tx: tx}
		err := fn(c)
		f.widest.Store(max(f.widest.Load(), c.gets))
		return err
	})
}

func (f *fickle) Session() string {
	if f.session != "" {
		return f.session
	}
	return f.Store.Session()
}

func (f *fickle) Watch(ctx context.Context, prefix []byte) <-chan storage.Wake {
	if f.wakes != nil {
		return f.wakes
	}
	return f.Store.Watch(ctx, prefix)
}

type counted struct {
	storage.Tx
	gets int64
}

func (c *counted) Get(key []byte) ([]byte, error) {
	c.gets++
	return c.Tx.Get(key)
}

// full refuses all Updates but those that may use the reserve.
func full(reserved bool) error {
	if reserved {
		return nil
	}
	return storage.ErrFull
}

// busy refuses all Updates.
func busy(bool) error { return storage.ErrBusy }
