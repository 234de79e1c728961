package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

const alice, bob, carol = "+33612345678", "+33698765432", "+33655555555"

// SIMs of three operators.
const simA, simB, simC = "208010000000001", "208100000000002", "208200000000003"

// under sets the policy before the dispatcher runs.
func (h *hall) under(change func(*Policy)) {
	h.t.Helper()
	change(&h.policy)
	h.must(h.store.Close())
	h.open(nil)
}

// restart stops the dispatcher and opens the store anew.
func (h *hall) restart() {
	h.t.Helper()
	h.stop()
	h.must(h.store.Close())
	h.open(nil)
	h.run()
}

// sim plugs in a modem that is named after its SIM; each of its messages is in the
// air for a while.
func (h *hall) sim(imsi string, air time.Duration) *scripted {
	return h.answers(imsi, h.takes(air))
}

func (h *hall) answers(imsi string, answer func(modem.Submission) modem.Result) *scripted {
	l := &scripted{name: "m" + imsi[:6], imsi: imsi, closed: make(chan struct{})}
	l.answer = func(s modem.Submission) modem.Result {
		h.mu.Lock()
		h.begun = append(h.begun, sending{text: s.Text, imsi: imsi, at: time.Now()})
		n := len(h.begun) - 1
		h.mu.Unlock()
		r := answer(s)
		h.mu.Lock()
		h.begun[n].mr = r.MR
		h.mu.Unlock()
		return r
	}
	h.fresh <- l
	return l
}

// ask queues a message and says whether there was room for it.
func (h *hall) ask(a queue.Address, life time.Duration) (queue.ID, error) {
	h.t.Helper()
	d := h.queue.Draft(a)
	h.queue.Write(&d, []byte("owner"), d.ID.String())
	cancel, err := h.d.Admit(h.t.Context(), Admission{
		ID: d.ID, Region: a.Region, Number: a.To, Recipient: h.queue.Number(a.To), Lane: a.Lane, Life: life - h.queue.MinLife(),
	})
	if err != nil {
		return d.ID, err
	}
	err = h.store.Store.Update(h.t.Context(), func(tx storage.Tx) error {
		_, err := h.queue.Enqueue(tx, d, tx.Now().Add(life))
		return err
	})
	if err != nil {
		cancel()
	}
	return d.ID, err
}

// code queues a code to a number in France, notice a notice.
func (h *hall) code(to string) queue.ID {
	h.t.Helper()
	return h.queued(queue.Address{To: to, Region: "FR"})
}

func (h *hall) notice(to string) queue.ID {
	h.t.Helper()
	return h.queued(queue.Address{To: to, Region: "FR", Lane: queue.LaneNotice})
}

func (h *hall) queued(a queue.Address) queue.ID {
	h.t.Helper()
	id, err := h.ask(a, 5*time.Minute)
	h.must(err)
	return id
}

// given are all messages that the SIMs were given so far, in order.
func (h *hall) given() []sending {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.begun)
}

// happened are all that the operator was told so far.
func (h *hall) happened() []modem.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.events)
}

// duplicates is how many messages are known to have come twice.
func (h *hall) duplicates() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.doubled
}

// by are the SIMs that were given the message, in order.
func (h *hall) by(id queue.ID) (sims []string) {
	for _, s := range h.given() {
		if s.text == id.String() {
			sims = append(sims, s.imsi)
		}
	}
	return sims
}

// wentBy fails unless the message was given to these SIMs, in this order.
func (h *hall) wentBy(id queue.ID, sims ...string) {
	h.t.Helper()
	if got := h.by(id); !slices.Equal(got, sims) {
		h.t.Fatalf("given to %v, want %v", got, sims)
	}
}

// why are the reasons for an attempt.
func (h *hall) why(id queue.ID, attempt int, word string) {
	h.t.Helper()
	m := h.message(id)
	if why := strings.Join(m.Attempts[attempt].Why, "; "); !strings.Contains(why, word) {
		h.t.Errorf("why: %q, want %q", why, word)
	}
}

func (h *hall) message(id queue.ID) (m queue.Message) {
	h.t.Helper()
	h.must(h.store.Store.View(h.t.Context(), func(tx storage.Tx) (err error) {
		m, err = h.queue.Get(tx, id)
		return err
	}))
	return m
}

// reports brings a report on an attempt: status 0 says delivered, 48 that the phone
// is off, 70 that it will never be, 99 that the centre gave up.
func (h *hall) reports(id queue.ID, attempt int, to string, status byte) {
	h.t.Helper()
	a := h.message(id).Attempts[attempt]
	mr := a.MR
	if mr < 0 { // it is in the air
		mr = 0
	}
	h.must(h.d.Report(h.t.Context(), modem.Report{IMSI: a.IMSI, MR: byte(mr), Recipient: to[1:], SCTS: a.Started.Time(), Status: status}))
	h.pass(0)
}

// usual lets the SIMs send some messages that are reported on at once, so that
// reports are expected.
func (h *hall) usual(sims ...string) {
	h.t.Helper()
	for _, imsi := range sims {
		for i := range 4 {
			to := fmt.Sprintf("+336%08d", i)
			id := h.queued(queue.Address{To: to, Region: "FR", By: imsi})
			h.pass(10 * time.Second)
			h.reports(id, 0, to, 0)
			h.want(id, queue.Delivered)
		}
	}
}

// lose lets canaries of the SIM fail until it is trusted no more.
func (h *hall) lose(imsi string) {
	for range 2 {
		h.d.health.Canary(time.Now(), imsi, false)
	}
	h.pass(0)
}

func (h *hall) told(kind modem.EventKind) (n int) {
	for _, e := range h.happened() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// table makes routes of rules.
func table(t *testing.T, rules ...route.Rule) *route.Table {
	t.Helper()
	made, err := route.New(rules)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
