package dispatch

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
)

// rush is a dispatcher under random limits and rules that codes come to in bursts.
type rush struct {
	*hall
	r     *rand.Rand
	letIn map[queue.ID]string
}

const codeLife = 10 * time.Minute

// TestWhatIsLetInGoesOut: whatever the SIMs may send, and to whomever, what is given
// room goes out within its life, and who is refused has room when told to come back.
// Where new recipients are limited each message has one SIM only: of several that
// know a recipient, any may take the last place of another's.
func TestWhatIsLetInGoesOut(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			inHall(t, func(_ *testing.T, h *hall) {
				u := &rush{hall: h, r: rand.New(rand.NewPCG(seed, 1)), letIn: map[queue.ID]string{}}
				u.run()
			})
		})
	}
}

func (u *rush) run() {
	sims := []string{simA, simB, simC, "208010000000004"}[:1+u.r.IntN(4)]
	scarce := u.r.IntN(2) == 0
	if scarce {
		sims = sims[:min(len(sims), 2)]
	}
	u.under(func(p *Policy) {
		p.Limits = budget.Limits{
			PerMinute: u.oneOf(0, 0, 1, 3), PerHour: u.oneOf(0, 0, 0, 4), PerDay: u.oneOf(0, 3, 6),
		}
		if scarce {
			p.Limits.RecipientsPerMonth = u.oneOf(2, 3)
		}
		if len(sims) > 1 && (scarce || u.r.IntN(2) == 0) {
			p.Routes = table(
				u.t, route.Rule{Name: "fr", Regions: []string{"FR"}, Operators: []string{"20801"}},
				route.Rule{Name: "gb", Regions: []string{"GB"}, Operators: []string{"20810", "20820"}},
			)
		}
	})
	u.hall.run()
	defer u.stop()
	for _, imsi := range sims {
		u.sim(imsi, time.Duration(1+u.r.IntN(3))*time.Second)
	}
	u.pass(0)
	people := u.oneOf(2, 5, 40)
	for range 1 + u.r.IntN(3) {
		for range 1 + u.r.IntN(30) {
			u.start(u.person(people))
		}
		u.pass(time.Duration(u.r.IntN(90)) * time.Second)
	}
	u.pass(codeLife)
	for id, who := range u.letIn {
		if m := u.message(id); m.State != queue.Accepted && m.State != queue.Unconfirmed { // no reports come
			u.t.Errorf("%s was let in, and is %s (%+v, %d SIMs)", who, m.State, u.policy.Limits, len(sims))
		}
	}
	u.returns(u.person(people))
}

// start asks for a code.
func (u *rush) start(to queue.Address) (wait time.Duration) {
	id, err := u.ask(to, codeLife)
	if full, ok := errors.AsType[*NoCapacityError](err); ok {
		return full.After
	}
	u.must(err)
	u.letIn[id] = to.To
	return 0
}

// returns is somebody who comes back when told to.
func (u *rush) returns(to queue.Address) {
	wait := u.start(to)
	if wait > 25*time.Hour { // months are budget's to test
		return
	}
	u.pass(wait)
	if again := u.start(to); wait > 0 && again > 0 {
		u.t.Errorf("was told to come back in %v, and is then told %v (%+v)", wait, again, u.policy.Limits)
	}
}

func (u *rush) person(people int) queue.Address {
	n := u.r.IntN(people)
	if n%2 == 0 {
		return queue.Address{To: fmt.Sprintf("+3361200%04d", n), Region: "FR"}
	}
	return queue.Address{To: fmt.Sprintf("+4477009%05d", n), Region: "GB"}
}

func (u *rush) oneOf(n ...int) int { return n[u.r.IntN(len(n))] }
