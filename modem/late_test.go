package modem_test

import (
	"context"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// TestLateAnswerIsTold: the answer of a message in doubt that comes while the
// session owes nobody else one is its true result.
func TestLateAnswerIsTold(t *testing.T) {
	mute := sim.Fault{On: sim.OnAccepted, Do: sim.Mute, Count: 1}
	says := func(text string, after time.Duration) sim.Fault {
		return sim.Fault{On: sim.OnAccepted, Do: sim.URC, Text: text, After: after, Count: 1}
	}
	for _, c := range []struct {
		name   string
		faults []sim.Fault
		cause  string // of what Submit returns
		told   modem.Class
		then   string // the cause that is told
	}{
		{"reference after a time-out", []sim.Fault{mute, says("+CMGS: 41\r\n\r\nOK", 190*time.Second)}, "timeout", modem.Accepted, ""},
		{"refusal after a time-out", []sim.Fault{mute, says("+CMS ERROR: 38", 190*time.Second)}, "timeout", modem.Temporary, "cms-38"},
		{"refused for good after a time-out", []sim.Fault{mute, says("+CMS ERROR: 1", 190*time.Second)}, "timeout", modem.Destination, "cms-1"},
		{"doubt after a time-out", []sim.Fault{mute, says("+CMS ERROR: 500", 190*time.Second)}, "timeout", "", ""},
		{"doubt, then reference after a time-out", []sim.Fault{
			mute, says("+CMS ERROR: 500", 185*time.Second), says("+CMGS: 41", 190*time.Second),
		}, "timeout", modem.Accepted, ""},
		{"too late", []sim.Fault{mute, says("+CMGS: 41", 250*time.Second)}, "timeout", "", ""},
		{"never", []sim.Fault{mute}, "timeout", "", ""},
		{"reference long after CMS 500", []sim.Fault{
			{On: sim.OnAccepted, Do: sim.LateReference, Code: 500, After: 30 * time.Second, Count: 1},
		}, "cms-500", modem.Accepted, ""},
		{"reference soon after CMS 500", []sim.Fault{
			{On: sim.OnAccepted, Do: sim.LateReference, Code: 500, After: 900 * time.Millisecond, Count: 1},
		}, "", "", ""},
		{"reference soon after OK", []sim.Fault{
			{On: sim.OnAccepted, Do: sim.LateReference, After: 300 * time.Millisecond, Count: 1},
		}, "", "", ""},
		{"reference right after OK", []sim.Fault{
			{On: sim.OnAccepted, Do: sim.LateReference, After: time.Nanosecond, Count: 1},
		}, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{FirstMR: 41, Faults: c.faults}}, func(t *testing.T, b *bench, _ *memory) {
				line := b.line("modem0")
				told := make(chan modem.Result, 3)
				r := line.Submit(context.Background(), modem.Submission{
					To: number, Text: text, Late: func(r modem.Result) { told <- r },
				})
				if want := modem.Ambiguous; r.Cause != c.cause || (c.cause != "") != (r.Class == want) || c.cause == "" && r.MR != 41 {
					t.Fatalf("Submit: %+v", r)
				}
				time.Sleep(3 * time.Minute) // virtual
				select {
				case late := <-told:
					if late.Class != c.told || late.Cause != c.then || late.Class == modem.Accepted && late.MR != 41 || !late.Committed {
						t.Errorf("told %+v", late)
					}
				default:
					if c.told != "" {
						t.Error("not told")
					}
				}
				if len(told) > 0 {
					t.Error("told twice")
				}
				if r := send(b.line("modem0")); r.Class != modem.Accepted || r.MR != 42 {
					t.Errorf("the next message: %+v", r)
				}
				if len(told) > 0 {
					t.Error("told of the next message's answer")
				}
			})
		})
	}
}

// TestMended: what a modem or service centre refuses a message for, and what can
// be mended at once, costs no attempt.
func TestMended(t *testing.T) {
	for _, c := range []struct {
		code  int
		class modem.Class // if it is refused once
		twice modem.Class // if it is refused again
		vp    bool
	}{
		{198, modem.Accepted, modem.Ours, false},
		{199, modem.Accepted, modem.Ours, false},
		{330, modem.Accepted, modem.SIM, true},
		{322, modem.SIM, modem.SIM, true}, // nothing is there to be deleted
	} {
		for times, want := range map[int]modem.Class{1: c.class, 2: c.twice} {
			inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{
				{On: sim.OnPayload, Do: sim.ReplyCMS, Code: c.code, Count: times},
			}}}, func(t *testing.T, b *bench, _ *memory) {
				r := b.line("modem0").Submit(context.Background(), modem.Submission{To: number, Text: text, Validity: 1})
				if r.Class != want {
					t.Errorf("CMS %d, %d times: %+v", c.code, times, r)
				}
				all := b.net.Messages()
				if sent := want == modem.Accepted; len(all) != map[bool]int{true: 1}[sent] {
					t.Fatalf("CMS %d: %d sent", c.code, len(all))
				} else if sent && (all[0].Validity != 0) != c.vp {
					t.Errorf("CMS %d: sent with a validity of %v", c.code, all[0].Validity)
				}
				b.unviolated()
			})
		}
	}
}

// TestLagIsLearnt: a modem that gave a reference some seconds behind an error is
// waited for that long the next time, before another message goes out.
func TestLagIsLearnt(t *testing.T) {
	behind := sim.Fault{On: sim.OnAccepted, Do: sim.LateReference, Code: 500, After: 6 * time.Second, Count: 2}
	inVirtualTime(t, []sim.ModemConfig{{FirstMR: 41, Faults: []sim.Fault{behind}}}, func(t *testing.T, b *bench, _ *memory) {
		if r := send(b.line("modem0")); r.Class != modem.Ambiguous {
			t.Errorf("the first: %+v", r)
		}
		time.Sleep(10 * time.Second)
		if r := send(b.line("modem0")); r.Class != modem.Accepted || r.MR != 42 {
			t.Errorf("the second: %+v", r)
		}
		if r := send(b.line("modem0")); r.Class != modem.Accepted || r.MR != 43 {
			t.Errorf("the third: %+v", r)
		}
	})
}
