package modem

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
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
		{[]string{pdu}, storedMessage{body: pdu}},
		{[]string{"+CMGR: 0,,0"}, storedMessage{}},
		{[]string{`+CMGR: "REC READ","+336",,"26/11/09,15:21:27+04"`, "text"}, storedMessage{body: "text", textual: true}},
		{[]string{`+CMGR: "REC UNREAD",,25`, pdu}, storedMessage{body: pdu, octets: 25}},
		{[]string{`+CMGR: "STO UNSENT",,25`, pdu}, storedMessage{body: pdu, octets: 25, unsent: true}},
		{[]string{`+CMGR: "STO SENT",,25`, pdu}, storedMessage{body: pdu, octets: 25, sent: true}},
		{[]string{"+CMGR:"}, storedMessage{}},
		{nil, storedMessage{}},
	} {
		if got := parseStored(c.info); got != c.want {
			t.Errorf("%q: %+v", c.info, got)
		}
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
	c.store.releaseSent()
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

// TestGarbledOnce: what can't be a PDU is read again before it is believed.
func TestGarbledOnce(t *testing.T) {
	in := newIncoming(nil, nil)
	s := &session{chores: newChores(), incoming: in}
	p := place{"SM", 1}
	for _, body := range []string{"0006D60B91", "0006D60B91"} {
		s.accept(p, storedMessage{body: body, octets: 25})
		if n, waits := len(in.mail), s.chores.store.entries[p].standing == waiting; (n == 1) != waits {
			t.Errorf("%d letters", n)
		}
	}
	if len(in.mail) != 1 {
		t.Errorf("%d letters", len(in.mail))
	}
}

// FuzzStored: whatever a modem answers of its memories is read within bounds.
func FuzzStored(f *testing.F) {
	f.Add(`"SM",3,20,"SM",3,20,"SR",0,10`, "+CMGR: 1,,25\n0006D60B911326880736F4111011719551401110117195714000")
	f.Add(`("SM","ME"),("SM"),("SM","SR")`, `+CMGR: "REC READ","+336",,"26/11/09,15:21:27+04"`+"\ntext")
	f.Add(`+CDSI: "SM",0`, `+CMT: "+33612345678",,"26/11/09,15:21:27+04"`+"\nOK")
	f.Add(`+CDS: 6,7,"+33612345678",145,"26/11/09,15:21:27+04","26/11/09,15:21:29+04",0`, "")
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
		m := parseStored(strings.Split(lines, "\n"))
		if raw, err := decodeTPDU(m.body, m.octets); err == nil && len(raw) > maxPDU {
			t.Errorf("%d octets", len(raw))
		}
		if len(octetsOf(m.body)) > maxPDU {
			t.Error("too long")
		}
	})
}
