package modem

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

func TestStoredIndex(t *testing.T) {
	for _, c := range []struct {
		line, mem string
		index     int
		ok        bool
	}{
		{`+CMTI: "SM",3`, "SM", 3, true},
		{`+CDSI:"SR",8`, "SR", 8, true},
		{`+CMTI: ,4`, "", 4, true},
		{`+CMTI: ,-1`, "", 0, false},
		{`+CMTI: "SM"`, "", 0, false},
		{`+CMTI: "S;+CFUN=0",1`, "", 1, false},
		{`+CMTI:`, "", 0, false},
		{`+CDSI: "SM_P",0`, "SM_P", 0, true},
		{`+CMTI: 5`, "", 5, true},
		{`+CMTI: "SM",5,"more"`, "SM", 5, true},
		{`+CMTI: "SM",99999999999`, "", 0, false},
	} {
		mem, index, ok := storedIndex(c.line)
		if ok != c.ok || ok && (mem != c.mem || index != c.index) {
			t.Errorf("%s: got %q, %d, %v", c.line, mem, index, ok)
		}
	}
}

func TestMemoryAnswers(t *testing.T) {
	for s, want := range map[string]string{
		`("SM","ME"),("SM"),("SM","SR")`:   "[[SM ME] [SM] [SM SR]]",
		`("SM","ME","SM_P"), ( "SM" ), ()`: "[[SM ME SM_P] [SM] []]",
		`(),(),()`:                         "[[] [] []]",
		`"SM","ME"`:                        "[[SM] [ME]]",
		`("S;D",1)`:                        "[[]]",
		``:                                 "[[]]",
	} {
		if got := fmt.Sprint(memoryLists(s)); got != want {
			t.Errorf("%s: %s", s, got)
		}
	}
	for s, want := range map[string]string{
		`"SM",3,20,"SM",3,20,"SR",0,10`: "[{SM {3 20}} {SM {3 20}} {SR {0 10}}]",
		`"ME",3`:                        "[{ME {3 0}}]",
		`,,,,,,,,`:                      "[]",
		`3,20,3,20`:                     "[]",
		`"SM",-1,x`:                     "[{SM {0 0}}]",
	} {
		if got := fmt.Sprint(memoryUsage(s)); got != want {
			t.Errorf("%s: %s", s, got)
		}
	}
	for s, want := range map[string]usage{
		"3,20,3,20,0,50": {3, 20}, `"SM",4,30,"ME",1,2`: {4, 30}, "3": {}, "": {}, "20/30": {},
	} {
		if got := firstUsage(s); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
	for _, c := range []struct{ receiving, names, want string }{
		{"SM", "SM ME SR MT", "SR SM ME"},
		{"MT", "SM ME MT SR", "SR MT"},
		{"ME", "ME ME_P SM SM_P", "ME SM"},
		{"", "", ""},
	} {
		if got := strings.Join(distinctMemories(strings.Fields(c.names), c.receiving), " "); got != c.want {
			t.Errorf("%s of %s: %s", c.receiving, c.names, got)
		}
	}
}

func TestParseStored(t *testing.T) {
	const pdu = "0006D60B911326880736F4111011719551401110117195714000"
	for _, c := range []struct {
		info []string
		want storedMessage
	}{
		{[]string{"+CMGR: 1,,25", pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{"+CMGR:0,25", pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{`+CMGR: 3,"me",25`, pdu}, storedMessage{body: pdu, octets: 25, sent: true}},
		{[]string{"+CMGR: 2,,25", pdu}, storedMessage{body: pdu, octets: 25, unsent: true}},
		{[]string{pdu}, storedMessage{body: pdu, untold: true}},
		{[]string{"+CMGR: 0,,25", `"` + pdu + `"`}, storedMessage{body: pdu, octets: 25}},
		{[]string{"+CMGR: 0,,25", pdu[:19], pdu[19:]}, storedMessage{body: pdu, octets: 25}},
		{[]string{"+CMGR: 0,,25", `"` + pdu[:30], pdu[30:] + `"`}, storedMessage{body: pdu, octets: 25}},
		{[]string{pdu[:10], pdu[10:]}, storedMessage{body: pdu, untold: true}},
		{[]string{"+CMGR: 0,,25," + pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{`+CMGR: 3,"",25,"` + pdu + `"`}, storedMessage{body: pdu, octets: 25, sent: true}},
		{[]string{"+CMGR: " + pdu}, storedMessage{body: pdu, untold: true}},
		{[]string{"+CMGL: 0,,25", pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{"+CMGL: 7,2,,25", pdu}, storedMessage{body: pdu, octets: 25, unsent: true}},
		{[]string{"+CMGL: 7,1,25", pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{"+CMGR: 0,,0"}, storedMessage{}},
		{[]string{`+CMGR: "REC READ","+336",,"26/11/09,15:21:27+04"`, "text"}, storedMessage{body: "text", textual: true}},
		{[]string{`+CMGR: "REC UNREAD",,25`, pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{`+CMGR: "STO UNSENT",,25`, pdu}, storedMessage{body: pdu, octets: 25, unsent: true}},
		{[]string{`+CMGR: "STO SENT",,25`, pdu}, storedMessage{body: pdu, octets: 25, sent: true}},
		{[]string{"+CMGR:"}, storedMessage{untold: true}},
		{nil, storedMessage{}},
	} {
		if got := parseStored(c.info); got != c.want {
			t.Errorf("%q: %+v", c.info, got)
		}
	}
}

func TestParseList(t *testing.T) {
	const pdu = "0006D60B911326880736F4111011719551401110117195714000"
	got := parseList([]string{"+CMGL: 3,1,,25", pdu, "+CMGL: 301,0,,25", pdu[:30], pdu[30:], "+CMGL: 4,0,25," + pdu, "+CMGL: x,0,,25", pdu})
	want := []listed{
		{3, storedMessage{body: pdu, octets: 25}}, {301, storedMessage{body: pdu, octets: 25}}, {4, storedMessage{body: pdu, octets: 25}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	if got := parseList([]string{pdu, "+CMGL:", "+CMGL: 1"}); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// TestOneMemoryOfTwoNames: where a message was deleted that also showed in
// another memory, nothing is deleted there before it is read again.
func TestOneMemoryOfTwoNames(t *testing.T) {
	s := newChores().store
	other := place{"SM", 2}
	for p, print := range map[place]uint64{{"ME", 1}: 7, {"SM", 1}: 7, other: 8} {
		s.enter(p, print).standing = kept
	}
	s.removed(place{"ME", 1}, 7)
	if e := s.entries[place{"SM", 1}]; e == nil || e.sure {
		t.Error("what may be another message by now is deleted unread")
	}
	if _, still := s.entries[place{"ME", 1}]; still || !s.entries[other].sure {
		t.Error("what was deleted is still there, or another one in doubt")
	}
}

// TestWhereALookEnded: the next one goes on there; that it has seen all, it may
// say only if the first one was not ended by something else.
func TestWhereALookEnded(t *testing.T) {
	s := newChores().store
	s.look = &look{within: true, memory: "SM", index: 5, whole: true}
	s.endLook()
	l := &look{within: true, memory: "ME", index: 9, whole: true, faults: maxFaults - 1}
	s.took(l, fault, time.Now())
	if l.within || s.stops["SM"] != (stop{5, false}) || s.stops["ME"] != (stop{9, true}) {
		t.Errorf("%v", s.stops)
	}
}

// TestStoreIsBounded: announcements and places take no more than so much
// memory, whatever the modem says.
func TestStoreIsBounded(t *testing.T) {
	c := newChores()
	for i := range 10_000 {
		c.announce(fmt.Sprintf(`+CMTI: "SM",%d`, i), i%2 == 0)
		c.settled(time.Now(), nil)
		c.store.enter(place{"SM", i}, uint64(i))
	}
	if len(c.store.announced) > maxAnnounced || len(c.acks) > maxAnnounced || len(c.store.entries) > maxPlaces {
		t.Errorf("%d, %d, %d", len(c.store.announced), len(c.acks), len(c.store.entries))
	}
}

// TestNotOurs: drafts and copies of what somebody sent stay, the copies only
// while there is room; a report is one whatever the modem says of it.
func TestNotOurs(t *testing.T) {
	const (
		submit = "0001000B913316325476F80000014100"
		report = "0006D60B911326880736F4111011719551401110117195714000"
	)
	s := &session{chores: newChores(), incoming: newIncoming(nil, nil)}
	draft, sent := place{"SM", 1}, place{"SM", 2}
	if found := s.accept(draft, storedMessage{body: submit, unsent: true}); found != notOurs {
		t.Errorf("a draft: %v", found)
	}
	if found := s.accept(sent, storedMessage{body: submit, sent: true}); found != notOurs {
		t.Errorf("a copy: %v", found)
	}
	if found := s.accept(place{"SM", 3}, storedMessage{body: report, octets: 25, sent: true}); found != aReport {
		t.Errorf("a report: %v", found)
	}
	c := s.chores
	if _, ok := c.store.pick(time.Now(), "SM", kept); ok {
		t.Error("one is to be deleted")
	}
	c.store.full = true
	c.store.makeRoom(time.Now())
	if p, ok := c.store.pick(time.Now(), "SM", kept); !ok || p != sent || c.store.entries[p].tries != 0 {
		t.Errorf("%v is to be deleted", p)
	}
	c.handled(place{"SM", 3}, fingerprint(report), nil)
	if e := c.store.entries[place{"SM", 3}]; e.standing != kept {
		t.Errorf("a report that was kept: %v", e.standing)
	}
	// A place that holds something else now is not deleted for what was there.
	s.accept(place{"SM", 3}, storedMessage{body: submit, unsent: true})
	if e := c.store.entries[place{"SM", 3}]; e.standing != foreign {
		t.Errorf("a draft in its place: %v", e.standing)
	}
}

// TestGarbled: what can't be right is read again until it was the same several
// times, over a minute; readings that differ prove nothing.
func TestGarbled(t *testing.T) {
	const whole = "0006D60B911326880736F4111011719551401110117195714000"
	for _, c := range []struct {
		name  string
		read  []string
		full  bool
		proof int // the reading that is believed; 0: none
	}{
		{"the same", []string{"0006D60B91"}, false, 4},
		{"each another", []string{"0006D60B91", "0006D60B", "0006D6", "0006D60B9113", "0006D60B9114", "0006D60B9115"}, false, 0},
		{"right in the end", []string{"0006D60B91", "0006D60B", whole}, false, 3},
		{"no room", []string{"0006D60B91", "0006D60B", "0006D6"}, true, 3},
		{"can't be decoded", []string{"000401"}, false, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := newIncoming(nil, nil)
				s := &session{chores: newChores(), incoming: in}
				s.chores.store.full = c.full
				p, believed := place{"SM", 1}, 0
				for i := range 2 * len(c.read) * 4 {
					body := c.read[i%len(c.read)]
					s.accept(p, storedMessage{body: body, octets: 25})
					if e := s.chores.store.entries[p]; e.standing == waiting {
						believed = i + 1
						break
					} else if e.standing == reading {
						<-time.After(time.Until(e.due))
					}
				}
				if believed != c.proof || len(in.mail) != min(c.proof, 1) {
					t.Errorf("believed at reading %d, %d letters", believed, len(in.mail))
				}
			})
		})
	}
}

// TestOctetsOf: of what is no PDU nothing is cut off.
func TestOctetsOf(t *testing.T) {
	for body, want := range map[string]string{
		"0006D6": "\x00\x06\xd6", `"0006D6"`: "\x00\x06\xd6", "0006D": "0006D", "0006x6": "0006x6", "0": "0",
		strings.Repeat("41", 400): strings.Repeat("A", 400), strings.Repeat("41", 5000): strings.Repeat("A", maxOdd),
	} {
		if got := string(octetsOf(body)); got != want {
			t.Errorf("%.20q: %.20q, %d octets", body, got, len(got))
		}
	}
}

// FuzzStored: whatever a modem answers of its memories is read within bounds.
func FuzzStored(f *testing.F) {
	f.Add(`"SM",3,20,"SM",3,20,"SR",0,10`, "+CMGR: 1,,25\n0006D60B911326880736F4111011719551401110117195714000")
	f.Add(`("SM","ME"),("SM"),("SM","SR")`, `+CMGR: "REC READ","+336",,"26/11/09,15:21:27+04"`+"\ntext")
	f.Add(`+CDSI: "SM",0`, `+CMT: "+33612345678",,"26/11/09,15:21:27+04"`+"\nOK")
	f.Add(`+CDS: 6,7,"+33612345678",145,"26/11/09,15:21:27+04","26/11/09,15:21:29+04",0`, "")
	f.Add(`"ME",1,10`, "+CMGL: 300,0,,25\n0006D60B9113\n26880736F4111011719551401110117195714000")
	f.Add("(0-3),(0-3),(0,2),(0,1),(0,1)", "+CMGR: 3,,0")
	f.Fuzz(func(t *testing.T, answer, lines string) {
		for _, u := range memoryUsage(answer) {
			if !isMemory(u.name) || u.used < 0 || u.total < 0 {
				t.Errorf("%q, %v", u.name, u.usage)
			}
		}
		for _, names := range memoryLists(answer) {
			if distinct := distinctMemories(names, ""); len(distinct) > maxMemories || slices.Contains(distinct, "") {
				t.Errorf("%q", distinct)
			}
		}
		firstUsage(answer)
		if _, index, ok := storedIndex(answer); ok && (index < 0 || index > maxTotal) {
			t.Errorf("index %d", index)
		}
		if got := indications(answer, true); len(got) == 0 || len(got) > maxIndications {
			t.Errorf("%d settings", len(got))
		}
		textReport(answer)
		head, body, _ := strings.Cut(lines, "\n")
		if in, ok := textMessage(head, body); ok && len(in.PDU) > maxPDU {
			t.Errorf("a TPDU of %d octets", len(in.PDU))
		}
		parseList(strings.Split(lines, "\n"))
		m := parseStored(strings.Split(lines, "\n"))
		if raw, err := decodeTPDU(m.body, m.octets); err == nil && len(raw) > maxPDU {
			t.Errorf("%d octets", len(raw))
		}
		if len(octetsOf(m.body)) > maxOdd {
			t.Error("too long")
		}
	})
}

// TestHungOverLists: only silence at a port that is there says at once that a
// modem hangs over lists, for some hours, and says it of that modem alone.
func TestHungOverLists(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name  string
		err   error
		spoke bool
		after int // lists; 0: never
	}{
		{"silent", errSilent, false, 1},
		{"mute", errMute, false, 1},
		{"no end", errMute, true, maxListLosses},
		{"gone", errGone, false, maxListLosses},
		{"started anew", errSuspect, false, maxListLosses},
		{"refused", at.ErrError, false, 0},
		{"answered", nil, true, 0},
		{"ended by us", context.Canceled, false, 0},
	} {
		l, after := listing{imei: "1"}, 0
		for i := 1; i < 10 && after == 0; i++ {
			if l.hung(c.err, c.spoke, now) {
				after = i
			}
		}
		if after != c.after || (after > 0) != now.Before(l.until) || now.Add(24*time.Hour).Before(l.until) {
			t.Errorf("%s: after %d lists, until %v", c.name, after, l.until)
		}
	}
	in := newIncoming(nil, nil)
	in.listed.Store(&listing{imei: "1", until: now})
	if in.listingOf("1").until != now || !in.listingOf("2").until.IsZero() {
		t.Error("one modem's lists are taken for another's")
	}
}

// TestLastOfAMemoryGoesFirst: what is deleted moves nothing that is to be
// deleted yet, and nothing that has not been read.
func TestLastOfAMemoryGoesFirst(t *testing.T) {
	s := &newChores().store
	for i := range 9 {
		s.enter(place{"SM", i}, uint64(i)).standing = kept
		s.enter(place{"ME", i}, uint64(10+i)).standing = kept
	}
	if p, _ := s.pick(time.Now(), "SM", kept); p != (place{"SM", 8}) {
		t.Errorf("%v goes first", p)
	}
	s.look = &look{within: true, memory: "SM", index: 9}
	if p, _ := s.pick(time.Now(), "SM", kept); p != (place{"ME", 8}) {
		t.Errorf("%v goes while SM is looked through", p)
	}
	s.full = true
	if p, ok := s.pick(time.Now(), "SM", kept); !ok || p != (place{"SM", 8}) {
		t.Errorf("%v goes where there is no room", p)
	}
	s.removed(place{"SM", 8}, 8)
	if s.look.index != 8 {
		t.Errorf("the look goes on at %d", s.look.index)
	}
	s.full, s.look = false, nil
	s.moves["SM"] = true
	s.announced = []announcement{{place: place{"SM", 12}}}
	if !s.held(place{"SM", 7}) {
		t.Error("what was announced may move before it is read")
	}
	s.moves["SM"] = false
	if s.held(place{"SM", 7}) {
		t.Error("it is held although nothing moves")
	}
}
