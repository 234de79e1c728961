package main

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"smsotpd/gateway/api"
)

// e2eReports has the delivery reports of 200 messages come doubled and
// shuffled by the two dozen, with different fates, two messages to each number.
func e2eReports(t *testing.T) {
	const count = 200
	// With the doubles there are 408 reports, so that none is left over.
	const batch = 24
	// What the service centre says in the end of every tenth number.
	fates := map[int]string{0: "undelivered", 10: "undelivered", 20: "delivered", 30: "accepted"}
	n := install(t, plan{modems: 1, air: "0s", script: `
[[fault]]
on = "report"
do = "shuffle-reports"
size = ` + strconv.Itoa(batch) + `
[[fault]]
on = "report"
do = "double-report"
[[fault]]
on = "report"
to = "` + mobile(0) + `"
do = "report-status"
codes = [70]
[[fault]]
on = "report"
to = "` + mobile(10) + `"
do = "report-status"
codes = [48, 67]
[[fault]]
on = "report"
to = "` + mobile(20) + `"
do = "report-status"
codes = [48, 0]
[[fault]]
on = "report"
to = "` + mobile(30) + `"
do = "report-status"
codes = [48]
`})
	n.serve()
	vs := make([]api.Verification, count)
	for i := range vs {
		vs[i] = n.begin(mobile(i / 2))
	}
	for i, v := range vs {
		want := fates[i/2]
		if want == "" {
			want = "delivered"
		}
		await(t, "the fate of a message", func() error {
			m := n.message(v.Message.ID)
			if m.Status != want || want == "accepted" && m.LastMile != "unreachable" {
				return fmt.Errorf("number %d: %s, not %s: %+v", i/2, m.Status, want, m)
			}
			if len(m.Attempts) != 1 {
				t.Errorf("a report made it go out again: %+v", m)
			}
			return nil
		})
	}
}

// e2eReportsAfterRestart has the reports come when the gateway that sent
// the messages is dead and another one runs.
func e2eReportsAfterRestart(t *testing.T) {
	n := install(t, plan{modems: 1, air: "0s", script: "[[fault]]\non = \"report\"\ndo = \"delay-report\"\nafter = \"12s\"\n"})
	n.serve()
	var ids []string
	for i := range 20 {
		ids = append(ids, n.begin(mobile(i)).Message.ID)
	}
	for _, id := range ids {
		n.settled(id, "accepted")
	}
	n.crash()
	n.serve()
	n.ready()
	for _, id := range ids {
		if m := n.settled(id, "accepted", "delivered"); m.LastMile == "in_doubt" {
			t.Errorf("answered, and yet in doubt: %+v", m)
		}
	}
	for _, id := range ids {
		n.settled(id, "delivered")
	}
}

// committed waits until a message is in the air for sure, long after its
// payload was handed to the modem and before the network has it, and returns
// when its attempt began.
func (n *installation) committed(v api.Verification) time.Time {
	n.t.Helper()
	began := n.settled(v.Message.ID, "sending").Attempts[0].StartedAt
	await(n.t, "the payload to be in the air", func() error {
		if time.Since(began) < 700*time.Millisecond {
			return errors.New("it may not be")
		}
		return nil
	})
	return began
}

// e2eDoubtEndsByReport kills the gateway with a message in the air whose
// report comes after the restart: it is delivered, and not sent again.
func e2eDoubtEndsByReport(t *testing.T) {
	n := install(t, plan{modems: 1, air: "8s", script: "[[fault]]\non = \"report\"\ndo = \"delay-report\"\nafter = \"8s\"\n"})
	n.serve()
	n.ready()
	v := n.begin(mobile(1))
	n.committed(v)
	n.crash()
	n.serve()
	if m := n.settled(v.Message.ID, "ambiguous"); m.LastMile != "in_doubt" {
		t.Errorf("in doubt: %+v", m)
	}
	m := n.settled(v.Message.ID, "delivered")
	if len(m.Attempts) != 1 || m.PossibleDuplicate || m.Attempts[0].MR == nil {
		t.Errorf("after the report: %+v", m)
	}
	if verdict := n.check(v.ID, n.received(mobile(1), 1)); !verdict.Valid {
		t.Errorf("the code: %+v", verdict)
	}
}

// e2eDoubtEndsByCode kills the gateway with a message in the air that is
// never reported on: the right code proves that it arrived, and none goes out
// again.
func e2eDoubtEndsByCode(t *testing.T) {
	n := install(t, plan{modems: 1, air: "8s", script: "[[fault]]\non = \"report\"\ndo = \"drop-report\"\n"})
	n.serve()
	n.ready()
	v := n.begin(mobile(1))
	began := n.committed(v)
	n.crash()
	n.serve()
	n.settled(v.Message.ID, "ambiguous")
	if verdict := n.check(v.ID, n.received(mobile(1), 1)); !verdict.Valid {
		t.Errorf("the code: %+v", verdict)
	}
	if m := n.message(v.Message.ID); m.Status != "delivered" || m.LastMile != "delivered" {
		t.Errorf("after the code: %+v", m)
	}
	await(t, "the end of what would have been the hold", func() error {
		if time.Since(began) < hold+5*time.Second {
			return errors.New("not over")
		}
		return nil
	})
	if got := n.sentTo()[mobile(1)]; len(got) != 1 {
		t.Errorf("sent %d times", len(got))
	}
}
