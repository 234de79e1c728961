package dispatch

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// worker sends with one modem session, one message after the other.
type worker struct {
	*Dispatcher
	modem Line
	line  *line
	log   *slog.Logger
	// replaces: messages of a replace type were seen to work with this SIM.
	replaces bool
}

// launch is an attempt that may go out.
type launch struct {
	queue.Begun
	way wayKey
	// replace is its TP-PID, 0 for the usual one.
	replace byte
}

// flight is an attempt that has ended in the modem and not yet in the store.
type flight struct {
	begun  launch
	result modem.Result
	// untried: another SIM is there that the message has not failed with.
	untried bool
	// rest is how long the modem must rest; 0: it need not.
	rest time.Duration
	// settled is closed when the settlement is written, or given up.
	settled chan struct{}
}

// work serves one modem session until it or ctx ends.
func (d *Dispatcher) work(ctx context.Context, l Line) {
	info := l.Info()
	can := d.o.Can(info.IMEI, info.IMSI)
	w := &worker{
		Dispatcher: d, modem: l, log: d.o.Logger.With("modem", info.Modem),
		replaces: can.ReplaceTypes == modem.Proven,
		line: &line{hand: make(chan *entry, 1), Carrier: queue.Carrier{
			Session: d.o.Store.Session(), Modem: info.Modem, IMSI: info.IMSI,
			Exact: info.EnhancedValidity || can.EnhancedValidity == modem.Proven,
		}},
	}
	d.health.Known(time.Now(), info.IMSI, operatorOf(info.IMSI))
	if err := d.standing(ctx, info.IMSI, info.Card); err != nil {
		w.log.Error("what a SIM has sent can't be read; it is not used", "error", err)
		return
	}
	d.index.add(w.line)
	defer d.index.gone(w.line)
	// What is in the air is brought home whatever ends the session or ctx.
	air := context.WithoutCancel(ctx)
	var landed *flight
	defer func() { d.index.flew(w.line, 0, false) }()
	for {
		e := w.next(ctx, landed)
		if e == nil && landed == nil {
			return
		}
		begun, err := w.gap(air, landed, e)
		if landed != nil {
			close(landed.settled)
		}
		if err != nil {
			w.log.Error("a transition was not written; what is in the air will be in doubt", "error", err)
			return
		}
		if w.rest(landed) {
			return
		}
		if landed = nil; begun != nil {
			landed = w.fly(ctx, begun)
		}
	}
}

// open says whether more could be sent.
func (w *worker) open(ctx context.Context) bool {
	select {
	case <-w.modem.Closed():
		return false
	default:
		return ctx.Err() == nil
	}
}

// next is what to send next: at once if something has landed and waits to be
// settled, or else when there is something. nil means nothing.
func (w *worker) next(ctx context.Context, landed *flight) *entry {
	if landed == nil {
		return w.index.take(ctx, w.line, w.modem.Closed())
	}
	if landed.rest > 0 || !w.open(ctx) {
		return nil
	}
	return w.index.tryTake(w.line)
}

// rest parks the modem if the failure that landed is its own.
func (w *worker) rest(landed *flight) bool {
	if landed == nil || landed.rest == 0 {
		return false
	}
	w.log.Warn("the modem can't send; it rests", "cause", landed.result.Cause, "for", landed.rest)
	why := "the network or the SIM refuses to send: "
	if landed.result.GivenBack() {
		why = "it gives back what it is to send: "
	}
	w.modem.Park(why+inWords(landed.result.Cause), landed.rest)
	return true
}

// inWords is a cause with what it means.
func inWords(cause string) string {
	if words := modem.Explain(cause); words != "" {
		return words + " (" + cause + ")"
	}
	return cause
}

// gap is the one commit between two messages: it settles what landed, begins
// e and leases what comes after it. begun is nil if e can't be sent now. An
// error means that the store can be used no more.
func (w *worker) gap(ctx context.Context, landed *flight, e *entry) (begun *launch, err error) {
	t := &transition{worker: w, landed: landed, take: e, limits: w.index.limitsOf(w.line.IMSI)}
	if e != nil {
		t.way, t.why = w.index.claimed(e)
		t.ahead = w.index.choose(w.line)
	} else if landed.result.Class == modem.Accepted { // nobody waits for this
		ctx = storage.WithPatience(ctx)
	}
	err = w.o.Store.Update(ctx, t.run)
	if err != nil && !storage.Ended(err) {
		err = w.settleAlone(ctx, t, err)
	}
	if err != nil {
		if t.take != nil {
			w.index.release(t.take)
		}
		return nil, err
	}
	if err := w.tell(ctx, t); err != nil {
		return nil, err
	}
	return t.begun, nil
}

// tell makes known what a transition has come to.
func (w *worker) tell(ctx context.Context, t *transition) error {
	if t.stands {
		var sent *entry
		if t.begun != nil {
			sent = t.take
		}
		w.tellAll(w.index.stand(w.line.IMSI, t.standing, t.at, sent))
		if w.index.limitsOf(w.line.IMSI) != t.limits { // they have changed meanwhile
			w.restandAnyway(ctx, w.line.IMSI)
		}
	}
	w.index.flew(w.line, lane(t.begun), t.begun != nil)
	if t.take != nil && t.begun == nil {
		w.index.refused(t.take, t.full)
		if err := w.refresh(ctx, []queue.ID{t.take.id}); err != nil {
			return err
		}
	}
	if t.settled != nil {
		if t.settled.Attempt >= 0 {
			w.judgeResult(t.settled.Message, t.settled.Attempt, t.landed.result)
			w.o.Observer.Sent(t.settled.Message, w.line.Modem, t.landed.result)
		}
		w.announce(*t.settled)
	}
	return nil
}

// lane is that of what was begun, if anything was.
func lane(b *launch) queue.Lane {
	if b == nil {
		return queue.LaneCode
	}
	return b.Message.Lane
}

// settleAlone does without what could not be begun, and insists on settling
// what has landed.
func (w *worker) settleAlone(ctx context.Context, t *transition, cause error) error {
	switch e := t.take; {
	case e == nil:
	case storage.Refused(cause), t.landed != nil && t.settled == nil:
		w.index.release(e)
	default:
		// It would fail again, and with most other modems, too.
		w.log.Error("a send can't be begun", "message", e.id, "error", cause)
		w.index.postpone(e.id)
		w.index.release(e)
	}
	t.take, t.ahead, t.begun, t.stands, t.full = nil, nil, nil, false, false
	if t.landed != nil {
		err := w.insist(ctx, func() error { return w.o.Store.Update(storage.WithReserve(ctx), t.run) })
		if storage.Ended(err) {
			return err
		}
		if err != nil {
			t.settled, t.stands = nil, false
			w.log.Error("an attempt could not be settled; it is in doubt after the next start", "message", t.landed.begun.ID, "error", err)
		}
	}
	pause(ctx, retryStore)
	return nil
}

// fly sends what was begun.
func (w *worker) fly(ctx context.Context, b *launch) *flight {
	f := &flight{begun: *b, settled: make(chan struct{})}
	to, text, err := w.o.Queue.Unseal(b.ID, b.Message)
	if err != nil {
		// A sealed value that doesn't open is a fault of ours; another try
		// would find the same.
		w.log.Error("a message can't be unsealed", "message", b.ID, "error", err)
		f.result = modem.Result{Class: modem.Ours, Cause: "sealed", CMS: -1, CME: -1}
		return f
	}
	f.result = w.modem.Submit(ctx, modem.Submission{
		To: strings.TrimPrefix(to, "+"), Text: text, Validity: b.Validity, Report: true,
		Enhanced: w.line.Exact, Life: b.Lasts, Replace: b.replace,
		Late: func(r modem.Result) { w.late(f, r) },
	})
	if w.doubtful(b, f.result) {
		f.result.Class, f.result.OtherSIM = modem.SIM, true
	}
	alone := f.result.Class != modem.Accepted && !w.index.another(b.way, b.Message.Lane, w.line.IMSI)
	f.rest = w.tally.judge(w.line.IMSI, b.Message, &f.result, alone)
	if f.result.GivenBack() && w.open(ctx) {
		f.rest = restItself // it would give back the next one, too
	}
	if f.result.Class != modem.Accepted {
		f.untried = w.index.another(b.way, b.Message.Lane, append(b.Message.Avoid(), w.line.IMSI)...)
	}
	log := w.log.With("message", b.ID, "attempt", b.Attempt+1, "result", f.result.Class, "cause", f.result.Cause)
	switch {
	case f.result.Class == modem.Accepted:
		log.Debug("the network took a message")
	case f.result.GivenBack():
		log.Debug("the modem gave a message back before it was sent")
	case f.result.Class == modem.Ours:
		log.Error("a message can't be sent by any modem: a fault of ours or of the configuration", "meaning", modem.Explain(f.result.Cause))
	default:
		log.Warn("a message was not accepted", "meaning", modem.Explain(f.result.Cause))
	}
	return f
}

// doubtful tells a message that the modem itself, and not the network, takes for
// malformed, which is as often what was lost on the way to it: another modem is
// to see it before it is given up.
func (w *worker) doubtful(b *launch, r modem.Result) bool {
	m := b.Message
	return r.Class == modem.Ours && r.CMS >= 300 && w.index.another(b.way, m.Lane, append(m.Avoid(), w.line.IMSI)...) &&
		!slices.ContainsFunc(m.Attempts, func(a queue.Attempt) bool { return a.Cause == r.Cause })
}
