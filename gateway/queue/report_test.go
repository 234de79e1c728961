package queue

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"smsotpd/storage"
)

// taken is a message of ten minutes that modem a has sent with the reference.
func taken(t *testing.T, o *office, to string, mr byte) ID {
	t.Helper()
	id := o.enqueue(t, to, 10*time.Minute)
	o.send(t, id, "a", accepted(mr))
	return id
}

func TestReportsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		name, modem, to string
		mr              byte
		matched         bool
	}{
		{"its own", "a", alice, 7, true},
		{"without a country code", "a", "0612345678", 7, true},
		{"with an international prefix", "a", "0033612345678", 7, true},
		{"another SIM", "b", alice, 7, false},
		{"another recipient", "a", bob, 7, false},
		{"another reference", "a", alice, 8, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			id := taken(t, o, alice, 7)
			if _, matched := o.report(t, c.modem, c.mr, c.to, FateDelivered, o.now()); matched != c.matched {
				t.Errorf("matched: %v", matched)
			}
			if delivered := o.get(t, id).State == Delivered; delivered != c.matched {
				t.Errorf("delivered: %v", delivered)
			}
		})
	}
}

// Where national numbers are short, a writing without country code has few
// digits in common with the one that was sent to.
func TestReportWithoutCountryCode(t *testing.T) {
	for to, writings := range map[string][]string{
		"+3546111234":    {"3546111234", "003546111234", "6111234", "06111234"}, // Iceland
		"+3725123456":    {"5123456", "05123456"},                               // Estonia
		"+376312345":     {"312345"},                                            // Andorra
		"+298211234":     {"211234", "00298211234"},                             // Faroes
		"+50051234":      {"51234", "050051234"},                                // Falkland Islands
		"+5491123456789": {"1123456789", "0111523456789"},                       // Argentina
	} {
		for _, writing := range writings {
			o := newOffice(t)
			id := taken(t, o, to, 7)
			if _, matched := o.report(t, "a", 7, writing, FateDelivered, o.now()); !matched {
				t.Errorf("%s is not taken for %s", writing, to)
				continue
			}
			o.want(t, id, Delivered)
		}
	}
}

// TestReportOfAnUnknownSIM: a modem that has not said which SIM is in it hands
// over a report. Reference and recipient tell whose it is, if only one is.
func TestReportOfAnUnknownSIM(t *testing.T) {
	for _, c := range []struct {
		name string
		sent []string // by modem: what each sent
		to   string
		mr   byte
		want string
	}{
		{"one", []string{alice + " 7", bob + " 7"}, alice, 7, "imsi-0"},
		{"without a country code", []string{bob + " 7", alice + " 7"}, "0612345678", 7, "imsi-1"},
		{"another reference", []string{alice + " 7"}, alice, 8, ""},
		{"two", []string{alice + " 7", alice + " 7"}, alice, 7, ""},
		{"the other of two", []string{alice + " 7", alice + " 8"}, alice, 8, "imsi-1"},
	} {
		for _, later := range []time.Duration{0, 24 * time.Hour} {
			t.Run(fmt.Sprint(c.name, " ", later), func(t *testing.T) {
				o := newOffice(t)
				for i := range 70 { // more than one page
					id := o.enqueue(t, bob, 10*time.Minute)
					o.send(t, id, fmt.Sprint("other", i), accepted(9))
				}
				var sims []string
				for i := range 60 {
					sims = append(sims, fmt.Sprint("imsi-other", i), fmt.Sprint("imsi-", i))
				}
				for i, sent := range c.sent {
					var to string
					var mr byte
					if _, err := fmt.Sscan(sent, &to, &mr); err != nil {
						t.Fatal(err)
					}
					id := o.enqueue(t, to, 10*time.Minute)
					o.send(t, id, fmt.Sprint(i), accepted(mr))
				}
				o.pass(later)
				var got string
				must(t, o.store.View(t.Context(), func(tx storage.Tx) (err error) {
					got, err = o.Whose(tx, Report{MR: c.mr, Recipient: c.to}, sims)
					return err
				}))
				if got != c.want {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		}
	}
}

// A message that one SIM has twice in doubt has arrived whichever of them a
// report is about, also where the second was refused as a duplicate (CMS 197).
func TestReportOnAMessageTwiceInDoubt(t *testing.T) {
	for name, second := range map[string]Settlement{
		"in doubt again": doubt(), "the network had it": {Result: ResultAccepted, Cause: "cms-197", MR: -1},
	} {
		o := newOffice(t)
		id := inDoubt(t, o)
		held(t, o, id)
		o.send(t, id, "a", second)
		if out, matched := o.report(t, "a", 7, alice, FateDelivered, o.now()); !matched || out.Duplicate {
			t.Errorf("%s: matched %v, twice %v", name, matched, out.Duplicate)
		}
		if m := o.want(t, id, Delivered); m.Attempts[1].MR != 7 {
			t.Errorf("%s: %+v", name, m.Attempts)
		}
		if out, matched := o.report(t, "a", 8, alice, FateDelivered, o.now()); !matched || !out.Duplicate {
			t.Errorf("%s, the other report: matched %v, twice %v", name, matched, out.Duplicate)
		}
	}
}

// The first report on a doubt tells its reference; the next one finds it by
// that, although there is another doubt by then, and no other report does.
func TestReportTeachesTheReference(t *testing.T) {
	o := newOffice(t)
	id := inDoubt(t, o)
	o.report(t, "a", 7, alice, FateTrying, o.now())
	if m := o.want(t, id, Accepted); m.Attempts[0].MR != 7 {
		t.Fatalf("the reference is %d", m.Attempts[0].MR)
	}
	if _, matched := o.report(t, "a", 8, alice, FateDelivered, o.now()); matched {
		t.Error("a report with another reference was credited to it")
	}
	o.pass(time.Second)
	inDoubt(t, o)
	if out, matched := o.report(t, "a", 7, alice, FateDelivered, o.now()); !matched || out.ID != id {
		t.Errorf("the second report: matched %v", matched)
	}
	o.want(t, id, Delivered)
}

func TestEarlyReportTeachesTheReference(t *testing.T) {
	o := newOffice(t)
	id := o.enqueue(t, alice, 5*time.Minute)
	b := o.begin(t, id, o.carrier("a"))
	o.report(t, "a", 7, alice, FateTrying, o.now())
	o.settle(t, b, doubt())
	o.pass(time.Second)
	inDoubt(t, o)
	if out, matched := o.report(t, "a", 7, alice, FateDelivered, o.now()); !matched || out.ID != id {
		t.Errorf("the second report: matched %v", matched)
	}
}

// Several reports come on one attempt; only what is final and what delivers
// counts.
func TestReportsInAnyOrder(t *testing.T) {
	for _, c := range []struct {
		fates []Fate
		want  State
		fate  Fate
	}{
		{[]Fate{FateTrying}, Accepted, FateTrying},
		{[]Fate{FateTrying, FateTrying}, Accepted, FateTrying},
		{[]Fate{FateTrying, FateDelivered}, Delivered, FateDelivered},
		{[]Fate{FateTrying, FateUndeliverable}, Undelivered, FateUndeliverable},
		{[]Fate{FateTrying, FateGaveUp}, Queued, FateGaveUp},
		{[]Fate{FateGaveUp, FateTrying}, Queued, FateGaveUp},
		{[]Fate{FateGaveUp, FateDelivered}, Delivered, FateDelivered},
		{[]Fate{FateUndeliverable, FateTrying}, Undelivered, FateUndeliverable},
		{[]Fate{FateUndeliverable, FateDelivered}, Delivered, FateDelivered},
		{[]Fate{FateDelivered, FateTrying}, Delivered, FateDelivered},
		{[]Fate{FateDelivered, FateUndeliverable}, Delivered, FateDelivered},
		{[]Fate{FateDelivered, FateGaveUp}, Delivered, FateDelivered},
	} {
		t.Run(fmt.Sprint(c.fates), func(t *testing.T) {
			o := newOffice(t)
			id := taken(t, o, alice, 7)
			for _, fate := range c.fates {
				o.report(t, "a", 7, alice, fate, o.now())
			}
			if m := o.want(t, id, c.want); m.Attempts[0].Fate != c.fate {
				t.Errorf("fate %s, want %s", m.Attempts[0].Fate, c.fate)
			}
		})
	}
}

// holds is how many reports are held.
func (o *office) holds(t tb) (n int) {
	t.Helper()
	for _, e := range o.dump(t) {
		if bytes.HasPrefix(e.Key, []byte("held/")) {
			n++
		}
	}
	return n
}

func TestReportBeforeTheAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		result Settlement
		mr     byte
		fates  []Fate
		want   State
	}{
		{"delivered", accepted(7), 7, []Fate{FateDelivered}, Delivered},
		{"trying, then delivered", accepted(7), 7, []Fate{FateTrying, FateDelivered}, Delivered},
		{"failed", accepted(7), 7, []Fate{FateUndeliverable}, Undelivered},
		{"given up for now", accepted(7), 7, []Fate{FateGaveUp}, Queued},
		{"of another message", accepted(7), 8, []Fate{FateDelivered}, Accepted},
		{"no answer, delivered", doubt(), 7, []Fate{FateDelivered}, Delivered},
		{"no answer, trying and delivered", doubt(), 7, []Fate{FateTrying, FateDelivered}, Delivered},
		{"not sent", Settlement{Result: ResultTemporary}, 7, []Fate{FateDelivered}, Queued},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newOffice(t)
			// What else is held is of no account, however much it is.
			for i := range 2 * scanHeld {
				o.report(t, "a", byte(i), fmt.Sprintf("+336000000%02d", i), FateDelivered, o.now())
			}
			o.pass(time.Second)
			id := o.enqueue(t, alice, 5*time.Minute)
			b := o.begin(t, id, o.carrier("a"))
			for _, fate := range c.fates {
				o.pass(time.Second)
				if _, matched := o.report(t, "a", c.mr, alice, fate, o.now()); matched {
					t.Fatal("matched before the answer")
				}
			}
			before := o.holds(t)
			o.settle(t, b, c.result)
			o.want(t, id, c.want)
			applied := c.result.Result != ResultTemporary && c.mr == 7
			if left := before - o.holds(t); (left == len(c.fates)) != applied {
				t.Errorf("%d of the reports are no longer held", left)
			}
		})
	}
}

// What else is reported meanwhile, of whatever SIM, recipient and reference,
// hides no report from its attempt.
func TestEarlyReportAmongOthers(t *testing.T) {
	for name, result := range map[string]Settlement{"accepted": accepted(7), "in doubt": doubt()} {
		for _, c := range []struct {
			name  string
			other func(o *office, i int)
		}{
			{"of other SIMs", func(o *office, i int) {
				o.report(t, fmt.Sprint("other", i), 7, alice, FateDelivered, o.now())
			}},
			{"to other recipients", func(o *office, i int) {
				o.report(t, "a", 7, fmt.Sprintf("+336000000%02d", i), FateDelivered, o.now())
			}},
			{"with other references", func(o *office, i int) {
				if result.Result == ResultAccepted { // a doubt can't be told from them
					o.report(t, "a", byte(100+i), alice, FateDelivered, o.now())
				}
			}},
		} {
			t.Run(name+", "+c.name, func(t *testing.T) {
				o := newOffice(t)
				id := o.enqueue(t, alice, 5*time.Minute)
				b := o.begin(t, id, o.carrier("a"))
				for i := range 4 * scanHeld {
					o.pass(time.Millisecond)
					c.other(o, i)
				}
				o.pass(time.Second)
				o.report(t, "a", 7, alice, FateDelivered, o.now())
				o.pass(time.Second)
				o.settle(t, b, result)
				o.want(t, id, Delivered)
			})
		}
	}
}

// A report that came before the attempt began is of an earlier message, which
// has been forgotten.
func TestReportOfTheDeparted(t *testing.T) {
	o := newOffice(t)
	o.report(t, "a", 7, alice, FateDelivered, o.now())
	o.pass(time.Minute)
	o.want(t, taken(t, o, alice, 7), Accepted)
}

func TestOldSiblingsAreForgotten(t *testing.T) {
	o := newOffice(t)
	ids := make([]ID, keepSiblings+1)
	for i := range ids {
		ids[i] = taken(t, o, alice, byte(i))
		o.pass(time.Second)
	}
	if _, matched := o.report(t, "a", 0, alice, FateDelivered, o.now()); matched {
		t.Error("more siblings are kept than should be")
	}
	for i, id := range ids[1:] {
		if out, matched := o.report(t, "a", byte(i+1), alice, FateDelivered, o.now()); !matched || out.ID != id {
			t.Errorf("sibling %d: matched %v", i+1, matched)
		}
	}
}

// However many reports are held, they are dropped in transactions that fit.
func TestManyHeldReportsAreDropped(t *testing.T) {
	o := newOffice(t)
	for i := range 3 * dropHeld {
		o.report(t, "a", byte(i), alice, FateDelivered, o.now())
	}
	o.pass(DefaultPolicy().ReportHold + time.Second)
	for range 3 {
		o.do(t, func(tx storage.Tx) error { _, err := o.DropHeld(tx, storage.MaxKeys); return err })
	}
	if left := o.dump(t); len(left) != 0 {
		t.Errorf("%d records are left", len(left))
	}
}

func TestHeldReportsAreDropped(t *testing.T) {
	o := newOffice(t)
	hold := DefaultPolicy().ReportHold
	o.report(t, "a", 1, alice, FateDelivered, o.now())
	o.pass(hold / 2)
	o.report(t, "a", 2, alice, FateDelivered, o.now())
	if n := o.dropped(t); n != 0 {
		t.Fatalf("%d dropped within the hold", n)
	}
	o.pass(hold/2 + time.Second)
	if n := o.dropped(t); n != 1 {
		t.Fatalf("%d dropped after the hold, want 1", n)
	}
	o.pass(hold / 2)
	if n := o.dropped(t); n != 1 || len(o.dump(t)) != 0 {
		t.Fatalf("%d dropped at last; %d records left", n, len(o.dump(t)))
	}
}
