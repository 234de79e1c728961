package dispatch

import (
	"slices"
	"time"

	"pgregory.net/rapid"
)

// check collects what was handed over and looks whether all is as it should be.
func (r *trial) check(rt *rapid.T) {
	for _, l := range r.lines {
		if e := handed(l); e != nil {
			r.taken(rt, l, e)
		}
	}
	r.checkHeaps(rt)
	r.checkEntries(rt)
	r.checkLines(rt)
	o := oracle{r, time.Now()}
	if l, e := o.idleFor(); l != nil {
		rt.Fatalf("%s with %s is idle although it may have a %s %+v, due %v ago (listed: %v), or try by it: %v",
			l.Modem, l.IMSI, e.lane.Name(), e.want, e.due.until(r.x.moment(o.now)), e.in != nil, !o.may(l, e))
	}
}

func (r *trial) checkHeaps(rt *rapid.T) {
	for _, h := range r.x.heaps() {
		if fault := h.fault(); fault != "" {
			rt.Fatal(fault)
		}
		for _, e := range h.all() {
			if r.x.entries[e.id] != e || e.dropped {
				rt.Fatal("a heap holds what it should not")
			}
		}
	}
	for _, w := range r.x.ways {
		all := []*heapOf[*seat]{&w.probes}
		for lane := range w.idle {
			all = append(all, &w.idle[lane])
		}
		for _, h := range all {
			if fault := h.fault(); fault != "" {
				rt.Fatal("of idle lines: " + fault)
			}
			for _, s := range h.all() {
				if !s.line.waits {
					rt.Fatal("a line is among the idle that does not wait")
				}
			}
		}
	}
}

func (r *trial) checkEntries(rt *rapid.T) {
	present := r.x.moment(time.Now())
	pending := map[int]*[lanes]int{}
	served := 0
	for _, e := range r.x.entries {
		served += len(e.want.served)
		due := e.send && e.due <= present && !e.taken
		switch {
		case e.by != nil && (e.by.next != e || !r.x.lines[e.by] || e.taken):
			rt.Fatal("chosen by a line that does not know")
		case (e.in != nil) != due:
			rt.Fatalf("listed %v, due %v, taken %v", e.in != nil, due, e.taken)
		case e.in == nil && e.also != nil:
			rt.Fatal("known to a SIM and not listed")
		case !e.taken && !due && e.timed == 0 && (e.send || e.advance != 0):
			rt.Fatal("an entry has a time that nobody waits for")
		case (e.send || e.taken) != (e.queued != 0):
			rt.Fatal("an entry is not counted as it waits")
		}
		if e.queued != 0 {
			rule := e.want.way.rule
			if pending[rule] == nil {
				pending[rule] = new([lanes]int)
			}
			pending[rule][e.lane]++
		}
	}
	for rule, n := range r.x.pending {
		if want := pending[rule]; want == nil && *n != [lanes]int{} || want != nil && *want != *n {
			rt.Fatalf("rule %d: %v wait to be sent, counted %v", rule, want, n)
		}
	}
	for imsi, known := range r.x.served {
		for e := range known {
			if e.dropped || !slices.Contains(e.want.served, imsi) {
				rt.Fatal("a message is noted as one for a recipient that a SIM knows, and is none")
			}
			served--
		}
	}
	if served != 0 {
		rt.Fatal("a message for a recipient that a SIM knows is not noted, or a SIM without any is")
	}
	if len(r.x.entries) != len(r.messages) {
		rt.Fatalf("%d entries of %d messages", len(r.x.entries), len(r.messages))
	}
}

func (r *trial) checkLines(rt *rapid.T) {
	for _, l := range r.lines {
		e := r.holds[l]
		if r.idle[l] != l.waits {
			rt.Fatal("an idle line is not known as one")
		}
		if e != nil && !e.taken {
			rt.Fatal("a line holds what is not marked as taken")
		}
		if busy := e != nil || r.flies[l]; busy != r.x.flies(l.Modem) {
			rt.Fatalf("has a message: %v, told %v", busy, !busy)
		}
		for other, theirs := range r.holds {
			if e != nil && other != l && theirs == e {
				rt.Fatal("two lines hold one entry")
			}
		}
	}
}

// heaps are all of the entries.
func (x *index) heaps() []*heapOf[*entry] {
	all := []*heapOf[*entry]{&x.timed, &x.waiting[0], &x.waiting[1]}
	for _, c := range x.cards {
		all = append(all, &c.own, &c.chosen)
	}
	for _, w := range x.ways {
		for _, b := range w.bins {
			all = append(all, &b.ready, &b.chosen)
		}
		for _, h := range w.familiar {
			all = append(all, h)
		}
	}
	return all
}
