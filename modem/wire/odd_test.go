package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

// TestQuotedText: a USSD answer of several lines is one unsolicited message,
// whatever its lines look like, and one without end holds nothing up.
func TestQuotedText(t *testing.T) {
	const ussd = `+CUSD=1,"*100#",15`
	long := strings.TrimSuffix(strings.Repeat("\r\nabc", maxQuotedLines+5), "\r\n")
	for _, c := range []dialogue{
		{"one line", ussd, "OK\r\n+CUSD: 0,\"5 EUR\",15\r\n", nil, nil, []string{`+CUSD: 0,"5 EUR",15`}, 0},
		{"before OK", ussd, "+CUSD: 0,\"5 EUR\",15\r\nOK\r\n", nil, nil, []string{`+CUSD: 0,"5 EUR",15`}, 0},
		{"no text", ussd, "+CUSD: 2\r\nOK\r\n", nil, nil, []string{"+CUSD: 2"}, 0},
		{"lines", ussd, "OK\r\n+CUSD: 1,\"Menu\r\n1 Balance\n> 2 More\r\nOK\r\n\r\nERROR\",15\r\n", nil, nil, []string{"+CUSD: 1,\"Menu\n1 Balance\n> 2 More\nOK\nERROR\",15"}, 0},
		{"lines before OK", "+CSQ", "+CUSD: 1,\"\r\nOK\r\n+CMS ERROR: 38\r\nRDY\"\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CUSD: 1,\"\nOK\n+CMS ERROR: 38\nRDY\""}, 0},
		{"quotes in it", ussd, "+CUSD: 0,\"Say \"hi\"\r\nand \"ho\" now\", 15\r\nOK\r\n", nil, nil, []string{"+CUSD: 0,\"Say \"hi\"\nand \"ho\" now\", 15"}, 0},
		{"accents", ussd, "+CUSD: 0,\"Cr\u00e9dit\r\n\u00e9puis\u00e9\",15\r\nOK\r\n", nil, nil, []string{"+CUSD: 0,\"Cr\u00e9dit\n\u00e9puis\u00e9\",15"}, 0},
		{"state", "+CUSD?", "+CUSD: 0\r\nOK\r\n", []string{"+CUSD: 0"}, nil, nil, 0},
		{"without end", "+CSQ", "+CUSD: 1,\"Menu\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CUSD: 1,\"Menu"}, quietFinal},
		{"endless", "+CSQ", "+CUSD: 1,\"Menu" + long + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, append([]string{"+CUSD: 1,\"Menu"}, slices.Repeat([]string{"abc"}, maxQuotedLines+5)...), 0},
		{"endless beginnings", "+CSQ", strings.Repeat("+CUSD: 1,\"a\r\n", maxQuotedLines+2) + "+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, slices.Repeat([]string{"+CUSD: 1,\"a"}, maxQuotedLines+2), 0},
	} {
		c.check(t)
	}
}

// TestPromptBehindQuoteWithoutEnd: the prompt is not lost in it.
func TestPromptBehindQuoteWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(1, turn{"AT+CMGS=18\r", "+CUSD: 1,\"Menu\r\n> "}, turn{"\x1a", "+CMGS: 7\r\nOK\r\n"})
		if info, err := r.engine.SMSCommand("+CMGS=18", pdu); err != nil || !slices.Equal(info, []string{"+CMGS: 7"}) {
			t.Errorf("got %q, %v", info, err)
		}
	})
}

// TestTextOfMessage: what a message says in text mode is no result, no prompt
// and no sign.
func TestTextOfMessage(t *testing.T) {
	const header = `+CMT: "+33612345678",,"25/11/23,16:00:00+00"`
	for _, text := range []string{"OK", "ERROR", "+CMS ERROR: 38", "> yes", ">", "RDY", "+CMGS: 9", "AT+CSQ", "+CSQ: 1,1", `+CUSD: 1,"x`, "+CDS: 4", "\u00e9t\u00e9"} {
		dialogue{text, "+CSQ", header + "\r\n" + text + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{header + "|" + text}, 0}.check(t)
	}
	synctest.Test(t, func(t *testing.T) { // neither before the prompt nor behind the payload
		r := newRig(t, Options{})
		r.play(1, turn{"AT+CMGS=18\r", header + "\r\n> no\r\n"}, turn{"\x1b", ""})
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); err == nil || r.wire.Flight().Cause != NoPrompt {
			t.Errorf("got %v, %+v", err, r.wire.Flight())
		}
		if !slices.Contains(r.signs, TextMode) || slices.Contains(r.signs, Restarted) {
			t.Errorf("signs %v", r.signs)
		}
	})
}

// TestMessagesInOneAnother: each second line finds its header.
func TestMessagesInOneAnother(t *testing.T) {
	const a, b = "0011223344", "001122334455"
	for _, c := range []dialogue{
		{"one in another", "+CSQ", "+CDS: 4\r\n+CMT: ,5\r\n" + b + "\r\n" + a + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CMT: ,5|" + b, "+CDS: 4|" + a}, 0},
		{"one behind another", "+CSQ", "+CDS: 4\r\n+CMT: ,5\r\n" + a + "\r\n" + b + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CDS: 4|" + a, "+CMT: ,5|" + b}, 0},
		{"as long as the answer's", "+CMGR=1", "+CMGR: 1,,4\r\n+CDS: 4\r\n" + a + "\r\n00AABBCCDD\r\nOK\r\n", []string{"+CMGR: 1,,4", "00AABBCCDD"}, nil, []string{"+CDS: 4|" + a}, 0},
		{"in one line", "+CSQ", "+CDS: 25,0006D60B911326880736F4111011719551401110117195714000\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CDS: 25|0006D60B911326880736F4111011719551401110117195714000"}, 0},
		{"comma in a name", "+CSQ", "+CMT: \"Doe, J\",4\r\n" + a + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{`+CMT: "Doe, J",4|` + a}, 0},
		{"never whole", "+CSQ", "+CDS: 4\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CDS: 4"}, 0},
		{"many never whole", "+CSQ", strings.Repeat("+CDS: 4\r\n", 6) + a + "\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CDS: 4", "+CDS: 4", "+CDS: 4|" + a, "+CDS: 4", "+CDS: 4", "+CDS: 4"}, 0},
		{"word before the PDU", "+CMGR=1", "+CMGR: 1,,4\r\nBattery low\r\n" + a + "\r\nOK\r\n", []string{"+CMGR: 1,,4", a}, nil, []string{"Battery low"}, 0},
		{"spoilt", "+CSQ", "+CDS: 25\r\n0006D60B9113268807?6F4111011719551401110117195714\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CDS: 25|0006D60B9113268807?6F4111011719551401110117195714"}, 0},
		{"spoilt in an answer", "+CMGR=1", "+CMGR: 1,,25\r\n0006D60B9113268807?6F41110117195514\r\nOK\r\n", []string{"+CMGR: 1,,25", "0006D60B9113268807?6F41110117195514"}, nil, nil, 0},
		{"text of an answer", "+CMGR=1", "+CMGR: \"REC READ\",\"+336\",,\"25/11/23,16:00:00+00\"\r\nHello there\r\nOK\r\n", []string{`+CMGR: "REC READ","+336",,"25/11/23,16:00:00+00"`, "Hello there"}, nil, nil, 0},
	} {
		c.check(t)
	}
}

// TestEchoInPieces: unsolicited lines inside an echo come out, and the echo
// does not.
func TestEchoInPieces(t *testing.T) {
	answer := []string{"+CSQ: 7,0"}
	for _, c := range []dialogue{
		{"own line", "+CSQ", "AT+C\r\n^RSSI:26\r\nSQ\r\r\n+CSQ: 7,0\r\nOK\r\n", answer, nil, []string{"^RSSI:26"}, 0},
		{"same line", "+CSQ", "AT+C^RSSI:26\r\nSQ\r\r\n+CSQ: 7,0\r\nOK\r\n", answer, nil, []string{"^RSSI:26"}, 0},
		{"first letter", "+CSQ", "A\r\n^RSSI:26\r\nT+CSQ\r\r\n+CSQ: 7,0\r\nOK\r\n", answer, nil, []string{"^RSSI:26"}, 0},
		{"same prefix", "+CSQ", "AT+CSQ: 3,99\r\n+CSQ\r\r\n+CSQ: 7,0\r\nOK\r\n", answer, nil, []string{"+CSQ: 3,99"}, 0},
		{"at a blank", `+CPINR="SIM PIN"`, "AT+CPINR=\"SIM^RSSI:26\r\n PIN\"\r\r\nOK\r\n", nil, nil, []string{"^RSSI:26"}, 0},
		{"of the command before", "+CSQ", "AT+CMGF?\r\r\n+CSQ: 7,0\r\nOK\r\n", answer, nil, nil, 0},
		{"while it names itself", "+CGMI", "AT+CG\r\n+CREG: 5\r\nMI\r\r\nhuawei\r\nOK\r\n", []string{"huawei"}, nil, []string{"+CREG: 5"}, 0},
	} {
		c.check(t)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(1, turn{"AT+CMGS=18\r", "AT+CM^RSSI:26\r\nGS=18> "},
			turn{"\x1a", pdu[:6] + "^RSSI:27\r\n" + pdu[6:9] + "\r\n+CREG: 5\r\n" + pdu[9:] + "\x1a\r\n+CMGS: 7\r\nOK\r\n"})
		info, err := r.engine.SMSCommand("+CMGS=18", pdu)
		synctest.Wait()
		if err != nil || !slices.Equal(info, []string{"+CMGS: 7"}) {
			t.Errorf("got %q, %v", info, err)
		}
		if got := r.heard(); !slices.Equal(got, []string{"^RSSI:26", "^RSSI:27", "+CREG: 5"}) {
			t.Errorf("unsolicited: %q", got)
		}
	})
}

// TestUnaskedWithTheAnswersPrefix: of lines that look alike one is the answer,
// and the others are unsolicited.
func TestUnaskedWithTheAnswersPrefix(t *testing.T) {
	for _, c := range []dialogue{
		{"signal", "+CSQ", "+CSQ: 3,99\r\n^RSSI:3\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CSQ: 3,99", "^RSSI:3"}, 0},
		{"registration behind", "+CREG?", "+CREG: 0,2\r\n+CREG: 5\r\nOK\r\n", []string{"+CREG: 0,2"}, nil, []string{"+CREG: 5"}, 0},
		{"registration alone", "+CREG?", "+CREG: 5\r\nOK\r\n", []string{"+CREG: 5"}, nil, []string{"+CREG: 5"}, 0},
		{"SIM", "+CPIN?", "+CPIN: NOT READY\r\n+CPIN: READY\r\nOK\r\n", []string{"+CPIN: READY"}, nil, []string{"+CPIN: NOT READY"}, 0},
		{"before an error", "+CREG?", "+CREG: 5\r\n+CME ERROR: 14\r\n", nil, at.CMEError("14"), []string{"+CREG: 5"}, 0},
		{"signal before an error", "+CSQ", "+CSQ: 3,99\r\nERROR\r\n", nil, at.ErrError, []string{"+CSQ: 3,99"}, 0},
		{"to a setting", "+CREG=2", "+CREG: 1,\"4048\",\"0B78\"\r\nOK\r\n", nil, nil, []string{`+CREG: 1,"4048","0B78"`}, 0},
		{"to a start", "+CFUN=1", "+CPIN: READY\r\nOK\r\n", nil, nil, []string{"+CPIN: READY"}, 0},
		{"without final", "+CREG?", "+CREG: 5\r\n+CREG: 0,1\r\n", []string{"+CREG: 0,1"}, nil, []string{"+CREG: 5"}, quietFinal},
		{"flood", "+CSQ", "+CSQ: 7,0\r\n" + strings.Repeat("^RSSI:3\r\n", 2*maxHeld) + "OK\r\n", []string{"+CSQ: 7,0"}, nil, slices.Repeat([]string{"^RSSI:3"}, 2*maxHeld), 0},
	} {
		c.check(t)
	}
}

// TestWordsAreNoAnswer: words without prefix are an answer only of commands
// that such words can answer.
func TestWordsAreNoAnswer(t *testing.T) {
	for _, c := range []dialogue{
		{"query", "+CREG?", "Battery low\r\n+CREG: 0,1\r\nOVER-VOLTAGE WARNNING\r\nOK\r\n", []string{"+CREG: 0,1"}, nil, []string{"Battery low", "OVER-VOLTAGE WARNNING"}, 0},
		{"setting", "+CMGF=0", "hello\r\nOK\r\n", nil, nil, []string{"hello"}, 0},
		{"attention", "", "hello\r\nDST: 1\r\nOK\r\n", nil, nil, []string{"hello", "DST: 1"}, 0},
		{"IMSI", "+CIMI", "Battery low\r\n208101234567890\r\nOK\r\n", []string{"208101234567890"}, nil, []string{"Battery low"}, 0},
		{"maker", "+CGMI", "DST: 1\r\nPB DONE\r\n+PACSP1\r\n^^SRVST:2\r\n_OSIGQ: 1,0\r\nhuawei\r\nOK\r\n", []string{"huawei"}, nil, []string{"DST: 1", "PB DONE", "+PACSP1", "^^SRVST:2", "_OSIGQ: 1,0"}, 0},
		{"no prefix", "+CSCA?", "\"+33609001390\",145\r\nOK\r\n", []string{`"+33609001390",145`}, nil, nil, 0},
		{"SIM's number under another name", "+CICCID", "+ICCID: 89330123456789012345\r\nOK\r\n", []string{"+ICCID: 89330123456789012345"}, nil, nil, 0},
		{"all about itself", "I", "Manufacturer: huawei\r\n+GCAP: +CGSM\r\nOK\r\n", []string{"Manufacturer: huawei", "+GCAP: +CGSM"}, nil, nil, 0},
		{"result to be", "+CGMR", "ERRORS: 0\r\nv1\r\nOK\r\n", []string{"v1"}, nil, nil, 0},
		{"IMEI without OK", "+CGSN", "490154203237518\r\n", []string{"490154203237518"}, nil, nil, 5 * time.Second},
		{"behind noise", "+CSQ", "\x7e\x10\xff\xfe\x80+CSQ: 7,0\r\nab\xffOK\r\n", []string{"+CSQ: 7,0"}, nil, nil, 0},
	} {
		c.check(t)
	}
}

// TestReferenceBehindOK: a modem may say OK before the reference.
func TestReferenceBehindOK(t *testing.T) {
	for _, c := range []struct {
		name, says string
		after      time.Duration
		info       []string
		err        error
		cause      Cause
		took       time.Duration
	}{
		{"reference", "+CMGS: 7\r\n", 400 * time.Millisecond, []string{"+CMGS: 7"}, nil, Answered, 400 * time.Millisecond},
		{"reference with its own OK", "+CMGS: 7\r\nOK\r\n", 400 * time.Millisecond, []string{"+CMGS: 7"}, nil, Answered, 400 * time.Millisecond},
		{"refusal", "+CMS ERROR: 38\r\n", 400 * time.Millisecond, nil, at.CMSError("38"), Answered, 400 * time.Millisecond},
		{"restart", "RDY\r\n", 400 * time.Millisecond, nil, at.ErrError, Restart, 400 * time.Millisecond},
		{"chatter", "SMS Ready\r\n", 400 * time.Millisecond, nil, nil, Answered, quietFinal},
		{"too late", "+CMGS: 7\r\n", 1500 * time.Millisecond, nil, nil, Answered, quietFinal},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", "OK\r\n"})
				time.AfterFunc(c.after, func() { r.say(c.says, 0) })
				begin := time.Now()
				info, err := r.engine.SMSCommand("+CMGS=18", pdu)
				took := time.Since(begin)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if !slices.Equal(info, c.info) || !errors.Is(err, c.err) || took != c.took || r.wire.Flight().Cause != c.cause {
					t.Errorf("got %q, %v after %v, %+v", info, err, took, r.wire.Flight())
				}
				if late := len(r.late) > 0; late != (c.name == "too late") {
					t.Errorf("late: %q", r.late)
				}
			})
		})
	}
}

// TestReferenceBehindError: some modems give up and are then told by the
// network that the message was taken.
func TestReferenceBehindError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", "+CMS ERROR: 500\r\n"})
		if _, err := r.engine.SMSCommand("+CMGS=18", pdu); !errors.Is(err, at.CMSError("500")) {
			t.Errorf("got %v", err)
		}
		r.wire.End()
		<-r.engine.Closed()
		time.AfterFunc(700*time.Millisecond, func() { r.say("\r\n+CMGS: 7\r\n\r\nOK\r\n", 0) })
		r.wire.Rearm(300*time.Millisecond, 3*time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		if !slices.Equal(r.late, []string{"+CMGS: 7"}) {
			t.Errorf("late: %q", r.late)
		}
		r.engine = at.New(r.wire, at.WithTimeout(-1))
	})
}

// TestReferenceOfAnother: a reference that comes in the air of the next payload
// is not that one's, as far as what is heard can tell.
func TestReferenceOfAnother(t *testing.T) {
	type says struct {
		text  string
		after time.Duration
	}
	for _, c := range []struct {
		name   string
		says   []says
		info   []string
		err    error
		cause  Cause
		adrift bool
		took   time.Duration
		late   []string
	}{
		{
			"before its own",
			[]says{{"+CMGS: 6\r\n", 100 * time.Millisecond}, {"+CMGS: 7\r\n\r\nOK\r\n", 3 * time.Second}},
			[]string{"+CMGS: 7"},
			nil, Answered, false, 3100 * time.Millisecond,
			[]string{"+CMGS: 6"},
		},
		{
			"none",
			[]says{{"+CMGS: 7\r\n\r\nOK\r\n", 300 * time.Millisecond}},
			[]string{"+CMGS: 7"},
			nil, Answered, false, 300 * time.Millisecond, nil,
		},
		{
			"before an early OK",
			[]says{{"+CMGS: 6\r\n", 100 * time.Millisecond}, {"OK\r\n", time.Second}, {"+CMGS: 7\r\n", 800 * time.Millisecond}},
			[]string{"+CMGS: 7"},
			nil, Answered, false, 2900 * time.Millisecond,
			[]string{"+CMGS: 6"},
		},
		{
			"behind an early OK",
			[]says{{"OK\r\n", 100 * time.Millisecond}, {"+CMGS: 6\r\n", 500 * time.Millisecond}, {"+CMGS: 7\r\n", 500 * time.Millisecond}},
			[]string{"+CMGS: 7"},
			nil, Answered, false, 2100 * time.Millisecond,
			[]string{"+CMGS: 6"},
		},
		{
			"before a refusal",
			[]says{{"+CMGS: 6\r\n", 100 * time.Millisecond}, {"+CMS ERROR: 38\r\n", 3 * time.Second}},
			nil, at.CMSError("38"), Answered, false, 3100 * time.Millisecond, nil,
		},
		{
			"and nothing",
			[]says{{"+CMGS: 6\r\n", 100 * time.Millisecond}},
			[]string{"+CMGS: 6"},
			nil, Unfinished, true, adriftFinal + 100*time.Millisecond, nil,
		},
		{
			"and a restart",
			[]says{{"+CMGS: 6\r\nRDY\r\n", 100 * time.Millisecond}},
			nil, at.ErrError, Restart, true, 100 * time.Millisecond, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.play(0, turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", "+CMS ERROR: 500\r\n"},
					turn{"AT+CMGS=18\r", "\r\n> "}, turn{"\x1a", ""})
				if _, err := r.engine.SMSCommand("+CMGS=18", pdu); !errors.Is(err, at.CMSError("500")) {
					t.Errorf("got %v", err)
				}
				wait := time.Duration(0)
				for _, s := range c.says {
					wait += s.after
					time.AfterFunc(wait, func() { r.say(s.text, 0) })
				}
				begin := time.Now()
				info, err := r.engine.SMSCommand("+CMGS=18", pdu)
				f := r.wire.Flight()
				if !errors.Is(err, c.err) || c.info != nil && !slices.Equal(info, c.info) || time.Since(begin) != c.took || f.Cause != c.cause || f.Adrift != c.adrift {
					t.Errorf("got %q, %v after %v, %+v", info, err, time.Since(begin), f)
				}
				synctest.Wait()
				if !slices.Equal(r.late, c.late) {
					t.Errorf("late: %q", r.late)
				}
			})
		})
	}
}

// TestLineOnItsWayOutlivesRearm: a message that is being said while the wire is
// made ready again is not lost.
func TestLineOnItsWayOutlivesRearm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.wire.End()
		<-r.engine.Closed()
		go func() {
			for piece := range slices.Chunk([]byte("+CDS: 4\r\n0011223344\r\n"), 1) {
				time.Sleep(50 * time.Millisecond)
				r.say(string(piece), 0)
			}
		}()
		if !r.wire.Rearm(300*time.Millisecond, 3*time.Second) {
			t.Fatal("the port is gone")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if got := r.heard(); !slices.Equal(got, []string{"+CDS: 4|0011223344"}) {
			t.Errorf("unsolicited: %q", got)
		}
		r.engine = at.New(r.wire, at.WithTimeout(-1))
	})
}

// TestRefusals: what modems say instead of ERROR, and what is none.
func TestRefusals(t *testing.T) {
	for line, want := range map[string]string{
		"OK": "OK", "ok": "OK", "ERROR": "ERROR", "ERROR: 4": "ERROR", "NA": "ERROR", "COMMAND NOT SUPPORT": "ERROR", "COMMAND NOT SUPPORTED": "ERROR",
		"TOO MANY PARAMETERS": "ERROR", "Invalid command": "ERROR", "Unknown command": "ERROR", "NOT SUPPORTED": "ERROR", "operation not allowed": "ERROR",
		"COMMAND ERROR": "ERROR", "SYNTAX ERROR": "ERROR", "MODEM ERROR: 4": "ERROR", "+EXT ERROR: 6": "ERROR",
		"error": "ERROR", "Error": "ERROR", "error: 4": "ERROR", "+cms error: 38": "+CMS ERROR: 38", "+CMS Error: 38": "+CMS ERROR: 38",
		"+cme error: SIM busy": "+CME ERROR: SIM busy", "FAIL": "ERROR", "FAILED": "ERROR", "+CMS ERROR: 38, Network out of order": "+CMS ERROR: 38, Network out of order",
		"+CMS ERROR": "+CMS ERROR: unknown", "+CMS ERROR:38": "+CMS ERROR: 38", "+CMS ERROR 500": "+CMS ERROR: 500", "CMS ERROR: 330": "+CMS ERROR: 330",
		"+CME ERROR:50": "+CME ERROR: 50", "+CME ERROR : 14": "+CME ERROR: 14", "+CME ERROR: SIM busy": "+CME ERROR: SIM busy",
		"+CSQ: 1,1": "", "OKAY": "", "huawei": "", "NO CARRIER": "", "TERROR": "", "ERRORS: 0": "", "Errors": "", "Error handler 2": "", "Unknown": "", "NOT A WORD ABOUT IT": "", `+COPS: 0,0,"ERROR"`: "", "": "",
	} {
		if got := string(finalResult([]byte(line))); got != want {
			t.Errorf("%q is %q, want %q", line, got, want)
		}
	}
}

// TestPowerIsNoRestart: +CFUN: 1 that AT+CFUN=1 itself brings about ends no
// command, unlike the same line at any other time.
func TestPowerIsNoRestart(t *testing.T) {
	for _, c := range []struct {
		cmd  string
		err  error
		sign Sign
	}{{"+CFUN=1", nil, Settled}, {"+CSQ", at.ErrError, Restarted}, {"+CFUN=0", at.ErrError, Restarted}} {
		dialogue{c.cmd, c.cmd, "+CFUN: 1\r\nOK\r\n", nil, c.err, []string{"+CFUN: 1"}, 0}.check(t)
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{})
			r.play(0, turn{"AT" + c.cmd + "\r", "+CFUN: 1\r\nOK\r\n"})
			_, _ = r.engine.Command(c.cmd)
			synctest.Wait()
			if len(r.signs) == 0 || r.signs[0] != c.sign {
				t.Errorf("%s: signs %v", c.cmd, r.signs)
			}
		})
	}
}
