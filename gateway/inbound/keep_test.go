package inbound

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"smsotpd/storage"
	"smsotpd/storage/storagetest"
)

// The network sends a message again whose acknowledgement was lost, perhaps
// with other bits that say how it came.
func TestSentAgainByTheNetwork(t *testing.T) {
	const moreBits, loop, report, reply, header = 0x04, 0x08, 0x20, 0x80, 0x40
	d := newDesk(t)
	as := func(octet byte, p Part) Part { p.TPDU[0] = octet; return p }
	d.keep(whole("m"))
	d.keep(part(7, 1, 2, "x"))
	for _, octet := range []byte{0, moreBits, loop, report, reply, moreBits | loop | report | reply} {
		if d.keep(as(octet, whole("m"))) || d.keep(as(octet, part(7, 1, 2, "x"))) {
			t.Errorf("%02x is taken for another message", octet)
		}
	}
	if !d.keep(as(header, whole("m"))) {
		t.Error("a message with a header is taken for one without")
	}
	// What can't be read has no first octet.
	for _, octet := range []byte{moreBits, loop} {
		p := as(octet, whole("?"))
		p.Undecodable = true
		if !d.keep(p) {
			t.Errorf("%02x and more that can't be read is not kept", octet)
		}
	}
}

// at is a part of three that the service centre took then.
func (d *desk) at(sent time.Duration, n int, text string) Part {
	p := part(7, n, 3, text)
	p.Sent = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(sent)
	return p
}

// Several messages with one reference, of which parts come in any order.
func TestPartsOfSeveralMessages(t *testing.T) {
	type arrival struct {
		sent time.Duration
		n    int
		text string
	}
	const s, h = time.Second, time.Hour
	for _, c := range []struct {
		name string
		come []arrival
		want []string
	}{
		{"another text under a number takes nothing over", []arrival{{0, 1, "a1"}, {s, 2, "a2"}, {2 * s, 1, "b1"}, {3 * s, 3, "a3"}}, []string{"a1a2a3", "b1"}},
		{"both are completed", []arrival{{0, 1, "a1"}, {0, 1, "b1"}, {0, 2, "a2"}, {0, 2, "b2"}, {0, 3, "a3"}, {0, 3, "b3"}}, []string{"a1a2a3", "b1b2b3"}},
		{"the first stays without its last", []arrival{{0, 1, "a1"}, {s, 2, "a2"}, {h, 1, "b1"}, {h + s, 2, "b2"}, {h + 2*s, 3, "b3"}}, []string{"a1a2", "b1b2b3"}},
		{"the last of the first comes late", []arrival{{0, 1, "a1"}, {s, 2, "a2"}, {h, 1, "b1"}, {h + s, 2, "b2"}, {2 * s, 3, "a3"}, {h + 2*s, 3, "b3"}}, []string{"a1a2a3", "b1b2b3"}},
		{"sent far apart", []arrival{{0, 1, "a1"}, {20 * h, 2, "b2"}, {20 * h, 1, "b1"}, {20 * h, 3, "b3"}}, []string{"a1", "b1b2b3"}},
		{"sent far apart, the last first", []arrival{{20 * h, 2, "b2"}, {0, 1, "a1"}}, []string{"a1", "b2"}},
		{"sent with a pause", []arrival{{0, 1, "a1"}, {h, 2, "a2"}, {2 * h, 3, "a3"}}, []string{"a1a2a3"}},
		{"more than wait", []arrival{{0, 1, "a1"}, {0, 1, "b1"}, {0, 1, "c1"}, {0, 1, "d1"}, {0, 1, "e1"}, {0, 2, "b2"}}, []string{"a1", "b1b2", "c1", "d1", "e1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			for _, a := range c.come {
				d.pass(time.Second)
				d.keep(d.at(a.sent, a.n, a.text))
			}
			got := d.texts()
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			d.pass(48 * time.Hour)
			d.do(func(tx storage.Tx) error { _, err := d.Drop(tx, time.Hour, 64); return err })
			if left := d.dump(); slices.ContainsFunc(left, func(e storage.Entry) bool { return strings.HasPrefix(string(e.Key), "inbound") }) {
				t.Error("something is left of them")
			}
		})
	}
}

// Parts that come a day after they were sent, as from a SIM that was in a
// drawer, are joined all the same.
func TestPartsComeLate(t *testing.T) {
	d := newDesk(t)
	d.pass(40 * time.Hour)
	for n := 1; n <= 3; n++ {
		d.keep(d.at(0, n, fmt.Sprint(n)))
		d.pass(5 * time.Hour)
	}
	if got := d.texts(); !slices.Equal(got, []string{"123"}) {
		t.Errorf("%q", got)
	}
}

func TestReferencesOfTwoKinds(t *testing.T) {
	d := newDesk(t)
	d.keep(part(5, 1, 2, "a1"))
	wide := part(5, 2, 2, "b2")
	wide.Wide = true
	d.keep(wide)
	d.keep(part(5, 2, 2, "a2"))
	if got := d.texts(); len(got) != 2 || !slices.Contains(got, "a1a2") {
		t.Errorf("%q", got)
	}
}

// Who asks again and again for what has come since sees each message whole,
// also where others came between its parts.
func TestWhatCameSinceHasWhatGrew(t *testing.T) {
	d := newDesk(t)
	var last ID
	poll := func() (texts []string) {
		for _, m := range d.list(Range{After: last}) {
			texts = append(texts, m.Text)
		}
		if all := d.list(Range{}); len(all) > 0 {
			last = all[0].ID
		}
		return texts
	}
	for _, step := range []struct {
		comes Part
		want  string
	}{
		{whole("m0"), "[m0]"},
		{part(7, 1, 3, "a"), "[a]"},
		{whole("m1"), "[m1]"},
		{part(7, 3, 3, "c"), "[ac]"},
		{part(7, 2, 3, "b"), "[abc]"},
		{part(7, 2, 3, "b"), "[]"},
		{whole("m2"), "[m2]"},
	} {
		d.pass(time.Second)
		d.keep(step.comes)
		if got := fmt.Sprint(poll()); got != step.want {
			t.Errorf("%s, want %s", got, step.want)
		}
	}
	if got := d.texts(); !slices.Equal(got, []string{"m2", "abc", "m1", "m0"}) {
		t.Errorf("%q", got)
	}
}

// do runs one transaction.
func (d *desk) do(fn func(tx storage.Tx) error) {
	d.t.Helper()
	d.must(d.store.Update(d.t.Context(), fn))
}

func TestKeyBudget(t *testing.T) {
	d := newDesk(t)
	for i := range 2 * openMost {
		d.keep(part(7, 1, 3, fmt.Sprint("m", i)))
	}
	draft := d.Draft(part(7, 2, 3, "next"))
	d.do(func(tx storage.Tx) error {
		c := storagetest.Count(tx)
		_, err := d.Keep(c, draft)
		if c.Keys() > openMost+3 {
			t.Errorf("a part takes %d keys", c.Keys())
		}
		return err
	})
}

// deliverAt is a part of two as an SMS-DELIVER that the service centre stamped
// then.
func deliverAt(sent time.Duration, n int, text string) Part {
	p := part(7, n, 2, "")
	p.Sent = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(sent)
	p.TPDU = slices.Concat(
		[]byte{0x40, 11, 0x91, 0x33, 0x16, 0x32, 0x54, 0x76, 0xf8, 0, 0},
		[]byte{0x62, 0x30, 0x10, byte(p.Sent.Hour()), byte(p.Sent.Minute()), byte(p.Sent.Second()), 0},
		[]byte{byte(len(text))}, []byte(text))
	return p
}

// A handset sends a part again that it doesn't know to be taken: the service
// centre stamps it anew, and it is no message of its own.
func TestSentAgainByTheSender(t *testing.T) {
	const s = time.Second
	one, again, two, twice := deliverAt(0, 1, "one"), deliverAt(7*s, 1, "one"), deliverAt(s, 2, "two"), deliverAt(8*s, 2, "two")
	for _, c := range []struct {
		name string
		come []Part
		want int
	}{
		{"before the next part", []Part{one, again, two}, 1},
		{"behind the last part", []Part{one, two, again}, 1},
		{"the last part", []Part{one, two, twice}, 1},
		{"all parts", []Part{one, two, again, twice}, 1},
		{"all parts, mixed", []Part{two, one, twice, again, one, two}, 1},
		{"another part under its number", []Part{one, two, deliverAt(7*s, 1, "other")}, 2},
		{"another message of the same text", []Part{one, two, deliverAt(time.Hour, 1, "one"), deliverAt(time.Hour, 2, "two")}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			for _, p := range c.come {
				d.pass(time.Second)
				d.keep(p)
			}
			list := d.list(Range{})
			if len(list) != c.want || len(list[len(list)-1].Missing) > 0 {
				t.Errorf("%d messages, want %d", len(list), c.want)
			}
			// A next message with that reference loses nothing to it.
			for n, text := range []string{"next", "behind"} {
				d.pass(time.Second)
				d.keep(deliverAt(5*time.Hour, n+1, text))
			}
			if m := d.list(Range{})[0]; len(m.Missing) > 0 || !strings.Contains(m.Text, "behind") {
				t.Errorf("the next message lacks %v", m.Missing)
			}
		})
	}
}

// Messages that are whole push none out that waits for its parts.
func TestWholeMessagesKeepNoneFromWaiting(t *testing.T) {
	d := newDesk(t)
	d.keep(deliverAt(0, 1, "waits"))
	for i := range 2 * openMost {
		sent := 3*time.Hour + time.Duration(i)*10*time.Minute
		d.keep(deliverAt(sent, 1, fmt.Sprint("a", i)))
		d.keep(deliverAt(sent, 2, fmt.Sprint("b", i)))
	}
	d.pass(time.Second)
	d.keep(deliverAt(time.Second, 2, "came"))
	if m := d.list(Range{})[0]; len(m.Missing) > 0 || !strings.Contains(m.Text, "waits") {
		t.Errorf("missing: %v", m.Missing)
	}
}
