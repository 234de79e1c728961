package dispatch

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/gateway/queue"
	"smsotpd/storage"
)

// TestIndexStaysSound does everything at any time, and looks after each step at
// the index itself, and whether a line is idle that could send something.
func TestIndexStaysSound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// A bubble has a goroutine of its own, which must not end by a panic.
		var panicked any
		synctest.Test(t, func(*testing.T) {
			defer func() { panicked = recover() }()
			newTrial().run(rt)
		})
		switch fmt.Sprintf("%T", panicked) {
		case "<nil>":
		case "rapid.invalidData": // to rapid, what panics elsewhere is something else
			panic(panicked)
		default:
			panic(panicked)
		}
	})
}

// trial is an index with lines that the test drives.
type trial struct {
	x     *index
	lines []*line
	// idle are those that wait, holds is what each of the others has taken; flies
	// tells which have something in the air, and flown its lane.
	idle  map[*line]bool
	holds map[*line]*entry
	flies map[*line]bool
	flown map[*line]queue.Lane
	// messages are all that was put.
	messages map[queue.ID]news
	trusts   map[[2]string]trust
	// next is when the index is to be looked at again.
	next time.Time
	// names of modems are not used again.
	plugged int
}

func newTrial() *trial {
	r := &trial{
		x: newIndex(DefaultPolicy()), holds: map[*line]*entry{}, idle: map[*line]bool{}, flies: map[*line]bool{},
		flown: map[*line]queue.Lane{}, messages: map[queue.ID]news{}, trusts: map[[2]string]trust{}, next: time.Now(),
	}
	r.x.breaker, r.x.probe = r.distrusted, r.mayProbe
	r.x.reload(policies()[0])
	return r
}

// policies are those that the trial changes between: by operator with and without
// stand-ins, by label, and none at all.
func policies() []Policy {
	all := make([]Policy, 3)
	for i, rules := range [][]route.Rule{
		{
			{Name: "fr", Regions: []string{"FR"}, Operators: []string{"20801"}, Fallback: true},
			{Name: "de", Regions: []string{"DE"}, Operators: []string{"20810"}},
		},
		{{Name: "notices", Regions: []string{"FR"}, Lanes: []string{"notice"}, Operators: []string{"20810"}, Fallback: true}},
	} {
		table, err := route.New(rules)
		if err != nil {
			panic(err)
		}
		all[i] = DefaultPolicy()
		all[i].Routes = table
	}
	all[2] = DefaultPolicy()
	all[2].Stick = 0
	return all
}

// sims are of three operators; those of the first are two.
func sims() []string { return []string{"20801a", "20801b", "20810c", "20820d"} }

func (r *trial) line(rt *rapid.T, fits func(*line) bool) *line {
	fit := slices.DeleteFunc(slices.Clone(r.lines), func(l *line) bool { return !fits(l) })
	if len(fit) == 0 {
		return nil
	}
	return fit[rapid.IntRange(0, len(fit)-1).Draw(rt, "line")]
}

func (r *trial) isFree(l *line) bool { return r.holds[l] == nil && !r.idle[l] && !r.flies[l] }

func (r *trial) isHeld(l *line) bool { return r.holds[l] != nil }

func (r *trial) lands(l *line) bool { return r.flies[l] && r.holds[l] == nil }

func (r *trial) leaves(l *line) bool { return r.holds[l] == nil }

func sim(rt *rapid.T, n string) string { return rapid.SampledFrom(sims()).Draw(rt, n) }

func (r *trial) run(rt *rapid.T) {
	for range rapid.IntRange(0, 3).Draw(rt, "lines") {
		r.plug(rt)
	}
	rt.Repeat(map[string]func(*rapid.T){
		"":        r.check,
		"plug":    r.plug,
		"put":     r.put,
		"state":   r.become,
		"idle":    r.wait,
		"choose":  r.choose,
		"begun":   r.begun,
		"land":    r.land,
		"release": r.release,
		"gone":    r.gone,
		"budget":  r.stand,
		"hold":    r.hold,
		"breaker": r.distrust,
		"reload":  r.reload,
		"time":    r.time,
		"put 2":   r.put,
		"idle 2":  r.wait,
	})
}

func (r *trial) plug(rt *rapid.T) {
	if len(r.lines) == 5 {
		return
	}
	r.plugged++
	l := &line{
		Carrier: queue.Carrier{Modem: fmt.Sprint("m", r.plugged), IMSI: sim(rt, "SIM")},
		hand:    make(chan *entry, 1),
	}
	r.lines = append(r.lines, l)
	r.x.add(l)
}

// some is a part of the SIMs, in any order.
func some(rt *rapid.T, name string, odds int) []string {
	if rapid.IntRange(0, odds).Draw(rt, name) > 0 {
		return nil
	}
	all := rapid.Permutation(sims()).Draw(rt, name)
	return all[:rapid.IntRange(1, len(all)).Draw(rt, name)]
}

func (r *trial) put(rt *rapid.T) {
	now := time.Now()
	m := queue.Message{
		State: queue.Queued, Lane: queue.Lane(rapid.IntRange(0, 1).Draw(rt, "lane")), Created: storage.TimeOf(now),
		Region: rapid.SampledFrom([]string{"FR", "DE", "US"}).Draw(rt, "region"),
	}
	n := news{message: m, send: now.Add(time.Duration(rapid.IntRange(-12, 5).Draw(rt, "due")) * time.Second), now: now}
	n.advance = now.Add(time.Hour)
	n.want = want{avoid: some(rt, "avoid", 2), known: some(rt, "known", 2)}
	switch rapid.IntRange(0, 8).Draw(rt, "pinned or moved") {
	case 0:
		n.want.by = sim(rt, "by")
	case 1, 2:
		n.want.away = []string{operatorOf(sim(rt, "away"))}
	}
	n.want.served = n.want.known[:rapid.IntRange(0, len(n.want.known)).Draw(rt, "served")]
	id := nth(rapid.IntRange(0, 9).Draw(rt, "id"))
	if e := r.x.entries[id]; e != nil && e.taken {
		n.message.Lane = e.lane // it stays for the message's life
	}
	r.place(id, n)
}

// place puts a message by the rule that holds for it now.
func (r *trial) place(id queue.ID, n news) {
	n.want.way = wayKey{r.x.policy.rule(n.message.Region, "", n.message.Lane == queue.LaneNotice), n.message.Region}
	r.messages[id] = n
	r.x.put(id, n)
}

func (r *trial) become(rt *rapid.T) {
	id := nth(rapid.IntRange(0, 9).Draw(rt, "id"))
	n, known := r.messages[id]
	if !known {
		return
	}
	n.message.State = rapid.SampledFrom([]queue.State{queue.Sending, queue.Accepted, queue.Failed}).Draw(rt, "state")
	n.send, n.now = time.Time{}, time.Now()
	if r.place(id, n); !n.message.State.Open() {
		delete(r.messages, id)
	}
}

func (r *trial) wait(rt *rapid.T) {
	if l := r.line(rt, r.isFree); l != nil {
		r.idle[l] = true
		r.x.wait(l)
	}
}

func (r *trial) choose(rt *rapid.T) {
	if l := r.line(rt, r.isHeld); l != nil {
		r.x.choose(l)
	}
}

// begun sends what the line has taken.
func (r *trial) begun(rt *rapid.T) {
	l := r.line(rt, r.isHeld)
	if l == nil {
		return
	}
	e := r.holds[l]
	n := r.messages[e.id]
	n.message.State, n.send, n.now = queue.Sending, time.Time{}, time.Now()
	if r.x.entries[e.id] == e && rapid.Bool().Draw(rt, "seen before") {
		r.place(e.id, n)
	}
	r.holds[l], r.flies[l], r.flown[l] = nil, true, e.lane
	r.x.flew(l, e.lane, true)
	r.x.begun(e)
	if r.x.entries[e.id] == e {
		r.place(e.id, n)
	}
}

// land lets the line go on with the next message, if there is one.
func (r *trial) land(rt *rapid.T) {
	l := r.line(rt, r.lands)
	if l == nil {
		return
	}
	if e := r.x.tryTake(l); e != nil {
		r.taken(rt, l, e)
		return
	}
	r.flies[l] = false
	r.x.flew(l, 0, false)
}

func (r *trial) release(rt *rapid.T) {
	if l := r.line(rt, r.isHeld); l != nil {
		e := r.holds[l]
		r.holds[l], r.flies[l] = nil, false
		r.x.release(e)
		r.x.flew(l, 0, false)
	}
}

func (r *trial) gone(rt *rapid.T) {
	if l := r.line(rt, r.leaves); l != nil {
		r.x.gone(l)
		r.lines = slices.DeleteFunc(r.lines, func(other *line) bool { return other == l })
		delete(r.idle, l)
		delete(r.flies, l)
	}
}

func (r *trial) stand(rt *rapid.T) {
	now := time.Now()
	from := func(name string) time.Time {
		d := rapid.SampledFrom([]int{0, 0, 3, 14, 20, 90, -1}).Draw(rt, name)
		switch d {
		case 0:
			return time.Time{}
		case -1:
			return budget.Never()
		}
		return now.Add(time.Duration(d) * time.Second)
	}
	s := budget.Standing{
		Codes: from("codes"), Notices: from("notices"), Turn: now.Add(time.Hour), InAir: rapid.IntRange(0, 1).Draw(rt, "in the air"),
		RecipientsFull: rapid.IntRange(0, 2).Draw(rt, "full") == 0, Tightest: float64(rapid.IntRange(0, 3).Draw(rt, "used")),
	}
	r.x.stand(sim(rt, "SIM"), s, now, nil)
}

func (r *trial) hold(rt *rapid.T) {
	if l := r.line(rt, func(*line) bool { return true }); l != nil {
		r.x.hold(l.Modem, !l.held)
	}
}

func (r *trial) distrust(rt *rapid.T) {
	key := [2]string{sim(rt, "SIM"), rapid.SampledFrom([]string{"", "FR", "DE"}).Draw(rt, "region")}
	r.trusts[key] = trust{
		open: !r.trusts[key].open,
		at:   time.Now().Add(time.Duration(rapid.IntRange(0, 10).Draw(rt, "rest")) * time.Second),
	}
	r.x.rethink(key[0])
}

func (r *trial) reload(rt *rapid.T) {
	r.x.reload(policies()[rapid.IntRange(0, 2).Draw(rt, "policy")])
	load := r.x.loading()
	for id, n := range r.messages {
		r.place(id, n)
	}
	r.x.keep(load)
}

// time passes as the index asks to be looked at, and not otherwise.
func (r *trial) time(rt *rapid.T) {
	end := time.Now().Add(time.Duration(rapid.IntRange(1, 12).Draw(rt, "s")) * time.Second)
	for {
		select {
		case <-r.x.sooner:
			r.next = r.x.mature().next
			continue
		default:
		}
		if r.next.After(end) {
			break
		}
		time.Sleep(time.Until(r.next)) // virtual time
		r.next = r.x.mature().next
	}
	time.Sleep(time.Until(end)) // virtual time
}

// taken notes what a line was given, and looks whether it may have it.
func (r *trial) taken(rt *rapid.T, l *line, e *entry) {
	o := oracle{r, time.Now()}
	if l.held || !o.opens(l, e.lane, 0) || e.want.by != "" && e.want.by != l.IMSI ||
		slices.Contains(e.want.away, operatorOf(l.IMSI)) {
		rt.Fatal("a line was given what it may not have")
	}
	if full := l.card.standing.RecipientsFull; full && e.want.by == "" && !slices.Contains(e.want.served, l.IMSI) {
		rt.Fatal("a SIM was given a recipient that it doesn't know")
	}
	if len(e.why) == 0 {
		rt.Fatal("without a reason")
	}
	r.idle[l], r.holds[l] = false, e
}
