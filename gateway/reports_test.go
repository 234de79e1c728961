package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"smsotpd/gateway/queue"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
)

// The numbers are those of the collected facts about modems.

// TestCase49Order: what the service centre still tries becomes delivered, and
// what was delivered stays so.
func TestCase49Order(t *testing.T) {
	for _, statuses := range [][]byte{{48, 0}, {0, 48}} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.radio.plug("a", takes(0))
			v := w.start(alice, "")
			w.pass(time.Second)
			for _, status := range statuses {
				w.report("a", 1, alice, status)
			}
			w.message(v.MessageID, queue.Delivered)
		})
	}
}

// TestCase50LateReport: a report that comes three hours later still counts, for
// the last attempt and for the one before a retry.
func TestCase50LateReport(t *testing.T) {
	for _, first := range []bool{true, false} {
		inWorld(t, nil, func(t *testing.T, w *world) {
			w.radio.plug("a", takes(0))
			v := w.start(alice, "")
			w.pass(time.Second)
			w.report("a", 1, alice, 99) // given up: sent once more
			w.pass(time.Second)
			m := w.message(v.MessageID, queue.Accepted)
			if len(m.Attempts) != 2 || m.Attempts[0].MR != 1 || m.Attempts[1].MR != 2 {
				t.Fatalf("%+v", m.Attempts)
			}
			w.pass(3 * time.Hour)
			w.message(v.MessageID, queue.Unconfirmed)
			mr := map[bool]byte{true: 1, false: 2}[first]
			w.must(w.gw.Report(t.Context(), modem.Report{
				IMSI: "imsi-a", MR: mr, Recipient: alice[1:], Status: 0, SCTS: time.Now().Add(-3 * time.Hour),
			}))
			w.message(v.MessageID, queue.Delivered)
		})
	}
}

// TestCase50ReportAfterARetryElsewhere: the attempt in doubt turns out to be
// delivered after another modem has sent the same code; then the other is too.
func TestCase50ReportAfterARetryElsewhere(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", fails(1, modem.Ambiguous, "timeout", takes(0)))
		v := w.start(alice, "")
		w.pass(time.Second)
		w.radio.plug("b", takes(0))
		w.pass(30 * time.Second)
		m := w.message(v.MessageID, queue.Accepted)
		if len(m.Attempts) != 2 || m.Attempts[1].Modem != "b" || !m.PossibleDuplicate {
			t.Fatalf("%+v", m)
		}
		w.must(w.gw.Report(t.Context(), modem.Report{
			IMSI: "imsi-a", MR: 200, Recipient: alice[1:], SCTS: time.Now().Add(-31 * time.Second),
		}))
		if m := w.message(v.MessageID, queue.Delivered); m.Attempts[0].MR != 200 || m.Attempts[0].Report != 0 {
			t.Errorf("%+v", m.Attempts)
		}
		if n := w.counts("smsotpd_messages_doubled_total")[""]; n != 0 {
			t.Errorf("%v doubled after one report", n)
		}
		for range 2 {
			w.report("b", 1, alice[1:], 0)
		}
		if n := w.counts("smsotpd_messages_doubled_total")[""]; n != 1 {
			t.Errorf("%v doubled, want 1", n)
		}
	})
}

// TestCase51NeverReported: without a report a message is unconfirmed in the end,
// and sent once.
func TestCase51NeverReported(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", takes(0))
		v := w.start(alice, "")
		w.pass(5*time.Minute + 59*time.Second)
		w.message(v.MessageID, queue.Accepted)
		w.pass(2 * time.Second)
		w.message(v.MessageID, queue.Unconfirmed)
		w.pass(time.Hour)
		w.sent(1)
		w.status(v.ID, verification.Expired)
	})
}

// TestReportsShuffled: 200 messages to 40 numbers, references of 8 bits that
// begin anew in between, and reports in any order, some without a country code
// and some twice, temporary ones among them: each message gets its own.
func TestReportsShuffled(t *testing.T) {
	const numbers, rounds = 40, 5
	seed := uint64(time.Now().UnixNano())
	inWorld(t, nil, func(t *testing.T, w *world) {
		t.Logf("seed %d", seed)
		rng := rand.New(rand.NewPCG(seed, 0))
		mr := byte(rng.IntN(256))
		references := map[string]byte{}
		w.radio.plug("a", func(_ context.Context, s sms) modem.Result {
			mr++
			references[s.to] = mr
			return modem.Result{Class: modem.Accepted, MR: mr, Committed: true, CommittedAt: time.Now(), CMS: -1, CME: -1}
		})
		type sent struct {
			message, to string
			mr          byte
			at          time.Time
		}
		var all []sent
		for range rounds {
			var ids []string
			for i := range numbers {
				ids = append(ids, w.start(fmt.Sprintf("+336123%05d", i), "").MessageID)
			}
			w.pass(time.Second)
			for i, id := range ids {
				to := fmt.Sprintf("+336123%05d", i)
				all = append(all, sent{id, to, references[to], time.Now()})
			}
			w.pass(2 * time.Minute)
		}
		type report struct {
			sent
			status byte
		}
		var reports []report
		for _, s := range all {
			for range 1 + rng.IntN(2) {
				reports = append(reports, report{s, 0}, report{s, 48})
			}
		}
		rng.Shuffle(len(reports), func(i, j int) { reports[i], reports[j] = reports[j], reports[i] })
		for _, r := range reports {
			recipient := r.to[1:]
			if rng.IntN(2) == 0 {
				recipient = "0" + r.to[3:]
			}
			w.must(w.gw.Report(t.Context(), modem.Report{
				IMSI: "imsi-a", MR: r.mr, Recipient: recipient, Status: r.status,
				SCTS: r.at.Add(time.Duration(rng.IntN(5)) * time.Second),
			}))
		}
		for _, s := range all {
			if m := w.message(s.message, queue.Delivered); m.Attempts[0].MR != int(s.mr) || m.Attempts[0].Report != 0 {
				t.Errorf("%+v", m.Attempts)
			}
		}
		if n := w.counts("smsotpd_messages_doubled_total")[""]; n != 0 {
			t.Errorf("%v doubled", n)
		}
		w.pass(5 * time.Minute)
		if n := w.counts("smsotpd_reports_unmatched_total")[""]; n != 0 {
			t.Errorf("%v unmatched", n)
		}
	})
}

// TestUnmatchedReportsAreHeldThenCounted: a report may overtake the answer that
// it belongs to, and one that belongs to none is counted.
func TestUnmatchedReportsAreHeldThenCounted(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.report("a", 7, alice, 0)
		w.pass(4 * time.Minute)
		if n := w.counts("smsotpd_reports_unmatched_total")[""]; n != 0 {
			t.Errorf("counted %v within the hold", n)
		}
		w.pass(90 * time.Second)
		if n := w.counts("smsotpd_reports_unmatched_total")[""]; n != 1 {
			t.Errorf("counted %v", n)
		}
	})
}

// TestReportLongBeforeTheAnswer: a modem may take minutes to answer what the
// recipient has long had.
func TestReportLongBeforeTheAnswer(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", func(context.Context, sms) modem.Result {
			<-time.After(175 * time.Second)
			return modem.Result{Class: modem.Accepted, MR: 7, CMS: -1, CME: -1, Committed: true, CommittedAt: time.Now()}
		})
		v := w.start(alice, "")
		w.pass(time.Second)
		w.report("a", 7, alice[1:], 0)
		w.pass(3 * time.Minute)
		w.message(v.MessageID, queue.Delivered)
	})
}

// TestCase24ManyNumbers: one number that is not reached leaves the modem to the
// others; three in a row make it the SIM's fault, and what they were for goes
// out by another.
func TestCase24ManyNumbers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("sick", func(context.Context, sms) modem.Result {
			return modem.Result{Class: modem.Temporary, Cause: "cms-38", CMS: 38, CME: -1, OtherSIM: true, Committed: true, CommittedAt: time.Now()}
		})
		var ids []string
		for i := range 3 {
			ids = append(ids, w.start(fmt.Sprintf("+3361234567%d", i), "").MessageID)
		}
		w.pass(time.Second)
		if n := len(w.radio.Statuses()); n != 0 {
			t.Error("the modem is not parked")
		}
		w.radio.plug("good", takes(0))
		w.pass(5 * time.Second)
		for _, id := range ids {
			if m := w.message(id, queue.Accepted); m.Attempts[len(m.Attempts)-1].Modem != "good" {
				t.Errorf("%+v", m.Attempts)
			}
		}
	})
}

// TestCase26ThreeUnknownNumbers: the first two are condemned, the third is not:
// by then the SIM is blamed.
func TestCase26ThreeUnknownNumbers(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", func(context.Context, sms) modem.Result {
			return modem.Result{Class: modem.Destination, Cause: "cms-30", CMS: 30, CME: -1, Committed: true, CommittedAt: time.Now()}
		})
		var ids []string
		for i := range 3 {
			ids = append(ids, w.start(fmt.Sprintf("+3361234567%d", i), "").MessageID)
			w.pass(time.Second)
		}
		w.message(ids[0], queue.Failed)
		w.message(ids[1], queue.Failed)
		w.message(ids[2], queue.Queued)
		w.radio.plug("b", takes(0))
		w.pass(5 * time.Second) // it waits for 4 s after a second refusal
		w.message(ids[2], queue.Accepted)
	})
}

// TestUnknownReferenceIsNull: CMS 197 has no reference, and a report finds its
// message all the same.
func TestUnknownReferenceIsNull(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		w.radio.plug("a", func(context.Context, sms) modem.Result {
			return modem.Result{Class: modem.Accepted, NoMR: true, Cause: "cms-197", CMS: 197, CME: -1, Committed: true, CommittedAt: time.Now()}
		})
		v := w.start(alice, "")
		w.pass(time.Second)
		if m := w.message(v.MessageID, queue.Accepted); m.Attempts[0].MR != -1 {
			t.Errorf("reference %d", m.Attempts[0].MR)
		}
		w.report("a", 77, alice[1:], 0)
		if m := w.message(v.MessageID, queue.Delivered); m.Attempts[0].MR != 77 {
			t.Errorf("reference %d", m.Attempts[0].MR)
		}
	})
}
