package modem

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// worker supervises one modem's place: it waits for its port, opens it,
// prepares the modem behind it, hands out lines and looks after the modem while
// it is idle.
type worker struct {
	pool *Pool
	// path is the port as configured or matched. For a USB device that was
	// found, device is its place and pattern what its ports must fit ("": any);
	// path is then one of its ports.
	path, device, pattern string
	key                   string // in Pool.workers, where it was found
	wanted                string // the name that its modem gets unless it has one
	explicit              bool   // configured by path
	log                   *slog.Logger
	incoming              *incoming

	// Owned by run.
	metAt    time.Time // when a modem was last ready here; zero: never
	good     candidate // where that was
	seen     map[string]string
	profile  Profile            // of that modem
	tries    map[string]attempt // by path
	stuck    map[string]*stuck  // ports that can be neither opened nor closed, by path
	ladder   ladder
	owed     time.Time // until when the answer of a message may come late
	seenLate int64     // late answers that this session had when it timed out
	proven   bool      // the modem was ready since the last failure
	told     string    // what was logged of the failure that lasts, "" if none does
	othersAt time.Time // when it was last looked who else has the port open
	// What the operator should know of the SIM, of the port, of restarts and of
	// the memories.
	simNotice, portNotice, restartNotice, storeNotice string
	restarts                                          []time.Time // the newest
	// remembered is the modem and SIM that SIMMemory was told of.
	remembered string
	// What the modem behind the device has shown of itself.
	shown   habits
	shownBy string

	// Guarded by mu.
	mu     sync.Mutex
	status Status
	rest   restOrder // until when the modem is parked
	line   *Line     // the newest one
	orders orders
}

// errTaken: another worker was faster.
var errTaken = errors.New("modem: another worker has the port")

const (
	// twinRetry is how long a modem's second port is left alone.
	twinRetry = 10 * time.Minute
	// othersEvery bounds how often all processes are looked through.
	othersEvery = time.Minute
)

func newWorker(p *Pool, path, name string) *worker {
	if name == "" {
		name = filepath.Base(path)
	}
	w := &worker{
		pool:     p,
		path:     path,
		wanted:   name,
		log:      p.cfg.Logger.With("modem", name),
		incoming: newIncoming(p.cfg.OnReport, p.cfg.OnInbound),
		tries:    make(map[string]attempt),
		stuck:    make(map[string]*stuck),
		status:   Status{Name: name, State: Starting, Port: path, Since: time.Now()},
	}
	w.incoming.tells(p.cfg.Logger, w.name, func(kind EventKind, detail string) { p.happened(w.name(), kind, detail) })
	return w
}

// run supervises the place until ctx ends; a worker for what was found also
// ends when that is gone and its modem is served elsewhere.
func (w *worker) run(ctx context.Context) {
	var delivering sync.WaitGroup
	delivering.Go(w.incoming.run)
	for {
		c, ok := w.next(ctx)
		if !ok {
			break
		}
		impression, err := w.serve(ctx, c)
		if ctx.Err() != nil {
			break
		}
		w.note(c, err, impression)
		w.down(err, c)
	}
	for _, port := range w.stuck {
		if port.reads && !port.free(hungAtEnd) {
			return // it may still hand on what it reads
		}
	}
	w.incoming.close()
	delivering.Wait()
}

// serve opens the port and works with the modem until the port is gone or
// the modem beyond help for now. The error says why, and is never nil; the
// impression is what the port seems to be, where it answers no AT command.
func (w *worker) serve(ctx context.Context, c candidate) (impression string, err error) {
	if !w.pool.occupy(w, c) {
		return "", errTaken
	}
	defer w.pool.vacate(w)
	w.set(func(s *Status) { s.Port = c.path })
	port, err := w.open(ctx, c.path)
	if err != nil {
		return "", err
	}
	if w.ladder.mutes == 0 { // else it is down until it answers
		w.setState(Starting, "")
	}
	ear := newEar(w.traced(port, c.path))
	s := newSession(ear, w.patient(), w.log, w.incoming)
	if w.shownBy == c.id {
		s.adopt(w.shown)
	}
	defer func() { w.shown, w.shownBy = s.habits, c.id }()
	defer w.close(c.path, s)
	defer w.pool.registry.release(w)
	stop := context.AfterFunc(ctx, s.close)
	defer stop()

	defer w.disengage()
	w.seenLate = 0
	if c.first {
		err = s.glance(ctx)
	}
	for err == nil || again(err) {
		prepared := false
		work, over := w.engage(ctx)
		if err = w.prepare(work, s, c); err == nil {
			prepared = true
			w.ready(s, c)
			err = w.operate(work, s)
		}
		interrupted := work.Err() != nil && ctx.Err() == nil
		over()
		w.countRestarts(s)
		switch {
		case interrupted && w.obey(ctx, s):
			return "", errReset
		case interrupted && errors.Is(err, context.Canceled):
			err = errSuspect // all is prepared anew
		case errors.Is(err, errSuspect):
			w.happened(EventResync, "")
			w.lookForOthers(c.path)
		case errors.Is(err, errMute), errors.Is(err, errSick), errors.Is(err, errStuck):
			if w.climb(ctx, s, c, err, prepared) {
				err = errSuspect
			}
		}
	}
	if errors.Is(err, errMute) {
		impression = ear.impression()
	}
	return impression, err
}

// again tells an error after which the modem is prepared once more.
func again(err error) bool { return errors.Is(err, errSuspect) || errors.Is(err, errParked) }

// ready notes that the modem can send.
func (w *worker) ready(s *session, c candidate) {
	w.metAt, w.good, w.proven = time.Now(), c, true
	w.ladder.ready()
	w.profile = s.profile()
	delete(w.tries, c.path)
	w.seen = w.beside(w.pool.usbPorts())
}

// patient are the time-outs for the next session: longer where the sessions
// before found no answer, for modems that are slow.
func (w *worker) patient() Timeouts {
	times := w.pool.cfg.Timeouts
	times.Wake <<= min(w.ladder.mutes, 2)
	return times
}

// prepare brings the modem to where it can send.
func (w *worker) prepare(ctx context.Context, s *session, c candidate) error {
	leave, err := s.take(ctx)
	if err != nil {
		return err
	}
	defer leave()
	claims := 0
	p := &preparation{
		session:  s,
		port:     c.path,
		usb:      c.usb.modemID(),
		cards:    w.pool.cards,
		profiles: w.pool.profiles,
		waiting: func(state State, reason string) {
			w.set(func(st *Status) { st.State, st.Reason, st.Registered = state, reason, false })
		},
		claim: func(id identity) error {
			claims++ // by the second one the SIM is known, if ever
			return w.claim(id, c, claims > 1)
		},
	}
	if err := w.stayParked(ctx, s); err != nil {
		return err
	}
	if err := p.run(ctx); err != nil {
		return err
	}
	if time.Now().Before(w.owed) {
		if err := p.awaitLate(ctx, w.seenLate, w.owed); err != nil {
			return err
		}
		w.owed = time.Time{}
		return p.settled(ctx)
	}
	return nil
}

// claim binds the modem to its name, and refuses one that was not looked for.
// Once complete, the SIM is known as far as it will be.
func (w *worker) claim(id identity, c candidate, complete bool) error {
	found, err := w.pool.registry.claim(w, sighting{
		imei: id.imei, imsi: id.imsi, usb: c.device(), serial: c.usb.Serial, path: c.path,
		wanted: w.wanted, complete: complete || id.imsi != "", away: c.away,
	})
	if err != nil {
		return err
	}
	card, _ := w.pool.cards.find(id)
	w.set(func(s *Status) {
		s.Card = card.Name
		s.Manufacturer, s.Model, s.Firmware = id.manufacturer, id.model, id.firmware
		s.IMEI, s.IMSI, s.USB, s.Serial = id.imei, id.imsi, c.usb.Device, c.usb.Serial
		if found.name != "" {
			s.Name = found.name
		}
	})
	if found.name == "" {
		return nil
	}
	w.log = w.pool.cfg.Logger.With("modem", found.name)
	w.remember(id, &found)
	w.tell(found, c)
	return nil
}

// tell tells the operator what is new of the modem and its SIM.
func (w *worker) tell(found recognition, c candidate) {
	if found.movedFrom != "" {
		w.log.Info("modem is at another port", "before", found.movedFrom, "now", c.path)
		w.happened(EventMoved, "from "+found.movedFrom+" to "+c.path)
	}
	if found.simFrom != "" {
		w.log.Warn("the SIM was in another modem before", "before", found.simFrom)
		w.happened(EventSIMMoved, "from "+found.simFrom)
	}
	if found.simTwice != "" {
		w.log.Warn("two modems show the same SIM", "other", found.simTwice)
	}
	if !found.simChanged {
		return
	}
	w.simNotice = "another SIM is in this modem since " + time.Now().Format(time.DateTime)
	if found.simFrom != "" {
		w.simNotice += ", which was in " + found.simFrom + " before"
	} else {
		w.log.Error("another SIM is in the modem than before: if nobody has exchanged it on purpose, it may be stolen")
	}
	w.notice()
	w.happened(EventSIMChanged, w.simNotice)
}

// notice tells what the operator should know of a modem that works.
func (w *worker) notice() {
	var all []string
	for _, n := range [...]string{w.simNotice, w.portNotice, w.restartNotice, w.storeNotice} {
		if n != "" {
			all = append(all, n)
		}
	}
	w.set(func(s *Status) { s.Notice = strings.Join(all, "; ") })
}

// lookForOthers looks whether another process has the port of a modem open
// whose answers don't fit: it may write to the modem, and take its answers.
func (w *worker) lookForOthers(path string) {
	if time.Since(w.othersAt) < othersEvery {
		return
	}
	w.othersAt = time.Now()
	w.portNotice = ""
	if held := others(path); len(held) > 0 {
		w.portNotice = path + " is also open in " + describe(path, held)
		w.log.Warn("another process has the modem's port open, and may take its answers", "process", held[0].String())
	}
	w.notice()
}

// age takes back what the operator was told of and is over.
func (w *worker) age(s *session) {
	w.countRestarts(s)
	if w.portNotice != "" {
		w.lookForOthers(w.snapshot().Port)
	}
}

// down tells the operator why there is no modem to work with.
func (w *worker) down(err error, c candidate) {
	state, reason := Down, err.Error()
	switch {
	case errors.Is(err, errMute) && w.met() && !c.away:
		state, reason = Parked, w.trouble()
		if w.ladder.rung == rungRest {
			reason += "; it is tried again at " + w.ladder.until.Format(time.TimeOnly)
		}
		if held := others(c.path); len(held) > 0 {
			reason = fmt.Sprintf("%s is also open in %s; it takes the modem's answers", c.path, describe(c.path, held))
		}
	case errors.Is(err, errSick), errors.Is(err, errStuck):
		state, reason = Parked, w.trouble()
	case errors.Is(err, errMute):
		reason = w.silence(c)
	case errors.Is(err, errGone):
		reason = "the modem has gone from its port"
		if IsRemote(c.path) {
			reason = "the connection to " + c.path + " is lost"
		}
	case errors.Is(err, errStranger):
		reason = "the modem has gone from its port; the port beside it belongs to another modem"
	case errors.Is(err, errTaken):
		return
	case errors.Is(err, errReset), errors.Is(err, errMute) && w.ladder.startsByHand():
		w.away(Starting, strings.TrimPrefix(errReset.Error(), "modem: "))
		return
	default:
		reason = strings.TrimPrefix(reason, "modem: ")
	}
	kind := reason
	if errors.Is(err, errMute) && !w.met() {
		kind = "mute" // what it seems to be may change with what is heard
	}
	if kind != w.told {
		w.told = kind
		w.log.Warn("modem is down", "reason", reason)
		w.happened(EventDown, reason)
	}
	w.away(state, reason)
}

// away notes that there is no modem to work with: what its network was says
// nothing of what it is.
func (w *worker) away(state State, reason string) {
	w.set(func(s *Status) {
		s.State, s.Reason = state, reason
		s.Registered, s.Operator, s.SignalDBm = false, "", 0
	})
}

// silence says of a port behind which nothing answers, and of those of the same
// device that were tried, what they seem to be.
func (w *worker) silence(c candidate) string {
	if held := others(c.path); len(held) > 0 {
		return fmt.Sprintf("nothing on %s answers AT commands; it is also open in %s", c.path, describe(c.path, held))
	}
	var tried []string
	for _, path := range slices.Sorted(maps.Keys(w.tries)) {
		if t := w.tries[path]; t.impression != "" {
			tried = append(tried, path+" "+t.impression)
		}
	}
	if len(tried) < 2 {
		return "nothing on this port answers AT commands (it " + w.tries[c.path].impression + "): it is another port of the modem, or no modem; smsotpd doctor tells which port is the modem's"
	}
	return "no port of this device answers AT commands: " + strings.Join(tried, "; ")
}

// observe puts what the session has learnt into the status.
func (w *worker) observe(s *session) {
	s.mu.Lock()
	operator, signal := s.operator, s.signalDBm
	s.mu.Unlock()
	registered := !s.netless
	w.set(func(st *Status) { st.Operator, st.SignalDBm, st.Registered = operator, signal, registered })
	w.storeNotice = s.storeNotice()
	w.notice()
}

func (w *worker) name() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status.Name
}

func (w *worker) setState(state State, reason string) {
	w.set(func(s *Status) { s.State, s.Reason = state, reason })
}

func (w *worker) set(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.status.State
	change(&w.status)
	if w.status.State != before {
		w.status.Since = time.Now()
	}
}

// snapshot is the status as of now.
func (w *worker) snapshot() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}
