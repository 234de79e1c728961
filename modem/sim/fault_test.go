package sim

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestFaults holds each fault that shows between AT+CMGS and the prompt for
// the next command to what the client sees and whether the network has the
// message.
func TestFaults(t *testing.T) {
	const prompt = "\r\n> "
	const ok = "\r\n+CMGS: 0\r\n\r\nOK\r\n"
	for _, c := range []struct {
		fault Fault
		// before is what comes in reply to AT+CMGS, after in reply to the
		// message, within a minute each.
		before, after string
		sent          int
	}{
		{Fault{On: OnCMGS, Do: ReplyCMS, Code: 310}, "\r\n+CMS ERROR: 310\r\n", "", 0},
		{Fault{On: OnCommand, Match: regexp.MustCompile(`^AT\+CMGS=`), Do: ReplyError}, "\r\nERROR\r\n", "", 0},
		{Fault{On: OnPrompt, Do: ReplyCME, Code: 30}, "\r\n+CME ERROR: 30\r\n", "", 0},
		{Fault{On: OnPrompt, Do: Mute}, "", "", 0},
		{Fault{On: OnPrompt, Do: NoPrompt}, "", "", 0},
		{Fault{On: OnPrompt, Do: LatePrompt, After: 20 * time.Second}, prompt, ok, 1},
		{Fault{On: OnPrompt, Do: Slow, After: 20 * time.Second}, prompt, ok, 1},
		{Fault{On: OnPrompt, Do: PromptNoLF}, "\r> ", ok, 1},
		{Fault{On: OnPrompt, Do: PromptNoSpace}, "\r\n>", ok, 1},
		{Fault{On: OnPayload, Do: SecondPrompt}, prompt, prompt + ok, 1},
		{Fault{On: OnPayload, Do: ReplyCMS, Code: 38}, prompt, "\r\n+CMS ERROR: 38\r\n", 0},
		{Fault{On: OnAccepted, Do: ReplyCMS, Code: 500}, prompt, "\r\n+CMS ERROR: 500\r\n", 1},
		{Fault{On: OnAccepted, Do: ReplyText, Text: "COMMAND NOT SUPPORT"}, prompt, "\r\nCOMMAND NOT SUPPORT\r\n", 1},
		{Fault{On: OnAccepted, Do: BareOK}, prompt, "\r\nOK\r\n", 1},
		{Fault{On: OnPayload, Do: BareOK}, prompt, "\r\nOK\r\n", 0},
		{Fault{On: OnAccepted, Do: LateReference, After: time.Second}, prompt, "\r\nOK\r\n\r\n+CMGS: 0\r\n", 1},
		{Fault{On: OnAccepted, Do: LateReference, After: time.Second, Code: 500}, prompt, "\r\n+CMS ERROR: 500\r\n\r\n+CMGS: 0\r\n", 1},
		{Fault{On: OnAccepted, Do: Mute}, prompt, "", 1},
		{Fault{On: OnPayload, Do: Mute}, prompt, "", 0},
		{Fault{On: OnPayload, Do: Hang}, prompt, "", 0},
		{Fault{On: OnPayload, Do: Hang, For: 50 * time.Second}, prompt, ok, 1},
		{Fault{On: OnAccepted, Do: Hang}, prompt, "", 1},
		{Fault{On: OnAccepted, Do: Slow, After: 59 * time.Second}, prompt, ok, 1},
		{Fault{On: OnAccepted, Do: Slow, After: 61 * time.Second}, prompt, "", 1},
		{Fault{On: OnPayload, Do: Reboot}, prompt, "\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nSMS Ready\r\n", 0},
		{Fault{On: OnAccepted, Do: Reboot}, prompt, "\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nSMS Ready\r\n", 1},
		{Fault{On: OnPayload, Do: URC, Text: "^RSSI:22"}, prompt, "\r\n^RSSI:22\r\n" + ok, 1},
		{Fault{On: OnPrompt, Do: URC, Text: "+CDS: 25"}, "\r\n+CDS: 25\r\n" + prompt, ok, 1},
		{Fault{On: OnAccepted, Do: NULFlood, Size: 70000}, prompt, strings.Repeat("\x00", 70000) + ok, 1},
		{Fault{On: OnCMGS, Do: SplitBytes, Interval: time.Second}, prompt, ok, 1},
		{Fault{On: OnAccepted, Do: URC, Text: "x", Interval: time.Second, For: 2 * time.Second}, prompt, "\r\nx\r\n" + ok + "\r\nx\r\n\r\nx\r\n", 1},
		{Fault{On: OnPayload, Do: ReplyError, To: "+33699999999"}, prompt, ok, 1},
		{Fault{On: OnPayload, Do: ReplyError, To: helloTo}, prompt, "\r\nERROR\r\n", 0},
		{Fault{On: OnPayload, Do: ReplyError, Nth: 2}, prompt, ok, 1},
		{Fault{On: OnPayload, Do: ReplyError, Every: 2}, prompt, ok, 1},
		{Fault{On: OnPayload, Do: RemoveSIM, After: time.Second}, prompt, ok + "\r\n+CPIN: NOT INSERTED\r\n", 1},
	} {
		t.Run(fmt.Sprintf("%s %s %s%s", c.fault.On, c.fault.Do, c.fault.To, c.fault.After+c.fault.For), func(t *testing.T) {
			virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				cl.want("AT+CNMI=2,1,0,0,0", "OK")
				if err := m.AddFault(c.fault); err != nil {
					t.Fatal(err)
				}
				cl.write("AT+CMGS=19\r")
				if got := cl.rest(time.Minute); got != c.before {
					t.Fatalf("prompt: %q, want %q", got, c.before)
				}
				if strings.Contains(c.before, ">") {
					cl.write(hello + "\x1a")
				}
				if got := cl.rest(time.Minute); got != c.after {
					t.Errorf("answer: %.200q, want %.200q", got, c.after)
				}
				if got := m.network.Total(); got != c.sent {
					t.Errorf("the network took %d, want %d", got, c.sent)
				}
				wantViolations(t, m)
			})
		})
	}
}

// TestHangHolds: a modem that comes back takes what came meanwhile, and a late
// prompt comes to whoever is there.
func TestHangHolds(t *testing.T) {
	hang := Fault{On: OnCommand, Match: regexp.MustCompile(`CSQ`), Do: Hang, For: 30 * time.Second, Count: 1}
	late := Fault{On: OnPrompt, Do: LatePrompt, After: 12 * time.Second, Count: 1}
	virtual(t, at0(), ModemConfig{Faults: []Fault{hang, late}}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.write("AT+CSQ\r")
		c.write("AT+CMGF?\r")
		if got := c.rest(29 * time.Second); got != "" {
			t.Errorf("while it hangs: %q", got)
		}
		if got := c.rest(2 * time.Second); got != "\r\n+CSQ: 23,99\r\n\r\nOK\r\n\r\n+CMGF: 0\r\n\r\nOK\r\n" {
			t.Errorf("afterwards: %q", got)
		}
		c.write("AT+CMGS=19\r")
		c.rest(10 * time.Second)
		c.write("\x1b")
		c.until(time.Second, "OK\r\n")
		c.want("AT+CMGF?", "+CMGF: 0 / OK")
		if got := c.rest(time.Minute); got != "\r\n> " {
			t.Errorf("the late prompt: %q", got)
		}
		c.write(hello + "\x1a") // and nobody takes this for a message
		c.rest(time.Minute)
		wantViolations(t, m, ViolationNoPrompt)
		if m.network.Total() != 0 {
			t.Error("something was sent")
		}
	})
}

// TestEscapeEnds: what ESC has ended is not answered later, and not prompted
// for, however slow the modem is.
func TestEscapeEnds(t *testing.T) {
	for name, faults := range map[string][]Fault{
		"refused late":  {{On: OnCMGS, Do: Slow, After: 20 * time.Second}, {On: OnCMGS, Do: ReplyCMS, Code: 320}},
		"refused later": {{On: OnPrompt, Do: Slow, After: 20 * time.Second}, {On: OnPrompt, Do: ReplyError}},
		"slow":          {{On: OnPrompt, Do: Slow, After: 20 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, at0(), ModemConfig{Faults: faults}, func(_ *testing.T, _ *Modem, c *client) {
				c.prepare()
				c.write("AT+CMGS=19\r")
				c.rest(10 * time.Second)
				c.write("\x1b")
				c.until(time.Second, "OK\r\n")
				c.want("AT+CMGF?", "+CMGF: 0 / OK")
				if got := c.rest(time.Minute); got != "" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

func TestReportFaults(t *testing.T) {
	for _, c := range []struct {
		fault     Fault
		want      string // the statuses that come, one digit pair each
		delivered bool
		early     bool
	}{
		{Fault{Do: DropReport}, "", true, false},
		{Fault{Do: EarlyReport}, "00", true, true},
		{Fault{Do: DoubleReport}, "0000", true, false},
		{Fault{Do: DelayReport, After: 3 * time.Hour}, "00", true, false},
		{Fault{Do: ReportStatus, Codes: []byte{48, 0}}, "3000", true, false},
		{Fault{Do: ReportStatus, Codes: []byte{0, 48}}, "0030", true, false},
		{Fault{Do: ReportStatus, Codes: []byte{70}}, "46", false, false},
	} {
		c.fault.On = OnReport
		t.Run(string(c.fault.Do), func(t *testing.T) {
			virtual(t, NetworkConfig{Air: Fixed(time.Second), Report: Fixed(0)}, ModemConfig{Faults: []Fault{c.fault}}, func(t *testing.T, m *Modem, cl *client) {
				cl.prepare()
				answer := strings.Join(cl.submit(), " ")
				if early := strings.HasPrefix(answer, "+CDS: 25"); early != c.early {
					t.Errorf("answer: %q", answer)
				}
				if got := fmt.Sprintf("%x", statuses(t, answer+" "+cl.rest(4*time.Hour))); got != c.want {
					t.Errorf("reported %s, want %s", got, c.want)
				}
				if _, got := m.network.Handset(helloTo).Latest(); got != c.delivered {
					t.Errorf("delivered: %v", got)
				}
			})
		})
	}
}

// TestEarlyReportGoesOn: only the first of several reports is early.
func TestEarlyReportGoesOn(t *testing.T) {
	faults := []Fault{{On: OnReport, Do: EarlyReport}, {On: OnReport, Do: ReportStatus, Codes: []byte{48, 0}}}
	virtual(t, at0(), ModemConfig{Faults: faults}, func(t *testing.T, _ *Modem, c *client) {
		c.prepare()
		answer := c.submit()
		if early, late := statuses(t, strings.Join(answer, " ")), statuses(t, c.rest(time.Minute)); fmt.Sprint(early, late) != "[48] [0]" {
			t.Errorf("early %v, late %v", early, late)
		}
	})
}

func TestShuffleReports(t *testing.T) {
	f := Fault{On: OnReport, Do: ShuffleReports, Size: 20}
	virtual(t, at0(), ModemConfig{Faults: []Fault{f}}, func(t *testing.T, _ *Modem, c *client) {
		c.prepare()
		for i := range 20 {
			if i == 19 {
				if got := c.rest(time.Minute); got != "" {
					t.Fatalf("before all wait: %q", got)
				}
			}
			c.submit()
		}
		var order []int
		for _, word := range strings.Fields(c.rest(time.Minute)) {
			if len(word) > 40 {
				order = append(order, int(octets(t, word)[9])) // TP-MR behind the service centre
			}
		}
		sorted := slices.Clone(order)
		slices.Sort(sorted)
		if len(sorted) != 20 || sorted[0] != 0 || sorted[19] != 19 || slices.IsSorted(order) {
			t.Errorf("order %v", order)
		}
	})
}

// TestUnplug: the client's port ends, what was in the air is lost, and the
// modem comes back by itself where the fault says so.
func TestUnplug(t *testing.T) {
	f := Fault{On: OnPayload, Do: Unplug, After: time.Second, Back: 5 * time.Second, Count: 1}
	virtual(t, NetworkConfig{Air: Fixed(3 * time.Second), Report: Fixed(0)}, ModemConfig{Faults: []Fault{f}}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		c.write("AT+CMGS=19\r")
		c.until(time.Second, "> ")
		c.write(hello + "\x1a")
		c.line.SetReadDeadline(time.Time{})
		if n, err := c.line.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
		if _, err := c.line.Write([]byte("AT\r")); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write: %v", err)
		}
		if _, err := m.Dial(); !errors.Is(err, ErrUnplugged) {
			t.Errorf("dial: %v", err)
		}
		<-time.After(5*time.Second + 150*time.Millisecond) // back, and in its start
		c2 := dial(t, m)
		if got := c2.rest(time.Minute); !strings.HasPrefix(got, "\r\nRDY\r\n") {
			t.Errorf("%q", got)
		}
		if m.network.Total() != 0 {
			t.Error("accepted all the same")
		}
		if _, err := m.Dial(); !errors.Is(err, ErrInUse) {
			t.Errorf("a second client: %v", err)
		}
		c2.line.Close()
	})
}

// TestUnplugAgain: who unplugs a modem while it is away, or after it was plugged
// in by hand, has it away for good.
func TestUnplugAgain(t *testing.T) {
	for _, byHand := range []bool{false, true} {
		virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, _ *client) {
			if err := m.AddFault(Fault{On: OnTime, Do: Unplug, Back: 5 * time.Second, Count: 1}); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Second)
			if byHand {
				if err := m.Plug(""); err != nil {
					t.Fatal(err)
				}
			}
			m.Unplug()
			<-time.After(time.Minute)
			if _, err := m.Dial(); !errors.Is(err, ErrUnplugged) {
				t.Errorf("plugged in by hand meanwhile: %v; %v", byHand, err)
			}
		})
	}
}

func TestMore(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.prepare()
		fault := func(f Fault) {
			t.Helper()
			if f.On == "" {
				f.On = OnTime
			}
			if err := m.AddFault(f); err != nil {
				t.Fatal(err)
			}
		}
		c.want("AT+CREG=1", "OK")
		fault(Fault{Do: NotRegistered, For: 30 * time.Second})
		c.until(time.Second, "+CREG: 2\r\n")
		c.want("AT+CREG?;+CEREG?", "+CREG: 1,2 / +CEREG: 0,2 / OK")
		c.until(time.Minute, "+CREG: 1\r\n")
		fault(Fault{Do: TextModeOn})
		c.want("AT+CMGF?", "+CMGF: 1 / OK")
		fault(Fault{Do: EchoOn})
		c.want("AT", "AT / OK")
		fault(Fault{Do: Forget})
		c.want("ATE0+CMGF?;+CNMI?", "ATE0+CMGF?;+CNMI? / +CMGF: 0 / +CNMI: 0,0,0,0,0 / OK")
		fault(Fault{Do: NMEA})
		c.until(time.Second, "*76\r\n")
		fault(Fault{Do: Noise, Size: 500})
		if got := c.rest(time.Second); len(got) != 500 {
			t.Errorf("%d bytes of noise", len(got))
		}
		m.ClearFaults()
		c.want("AT", "OK")
	})
}

// TestBlockedWrites: a modem that takes nothing blocks the client's writes, and
// what was written before arrives when it does.
func TestBlockedWrites(t *testing.T) {
	virtual(t, at0(), ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
		c.do("ATE0")
		if err := m.AddFault(Fault{On: OnTime, Do: BlockWrites, For: 20 * time.Second}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.write("AT\r")
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("the write took %v", took)
		}
		c.until(time.Second, "OK\r\n")
	})
}

func TestValidate(t *testing.T) {
	for _, f := range []Fault{
		{},
		{On: OnPayload, Do: "explode"},
		{On: OnTime, Do: Hang},
		{On: OnReport, Do: Unplug},
		{On: OnPayload, Do: DropReport},
		{On: OnPayload, Do: Mute, Match: regexp.MustCompile("x")},
		{On: OnCommand, Do: Mute, To: helloTo},
		{On: OnPayload, Do: ReplyCMS},
		{On: OnPayload, Do: ReplyError, Code: 5},
		{On: OnReport, Do: ReportStatus},
		{On: OnTime, Do: URC},
		{On: OnTime, Do: Noise},
		{On: OnTime, Do: Noise, Size: 1 << 30},
		{On: OnPayload, Do: Slow},
		{On: OnPayload, Do: Hang, Back: time.Second},
		{On: OnPayload, Do: Unplug, As: "x"},
		{On: OnPayload, Do: Mute, Nth: -1},
		{On: OnBoot, Do: Reboot},
	} {
		if err := f.Validate(); err == nil {
			t.Errorf("%+v is taken", f)
		}
	}
}

// TestDelays: the drawn times have the median and percentile that they claim,
// and the same seed draws the same ones.
func TestDelays(t *testing.T) {
	draw := func(seed uint64) []time.Duration {
		n := NewNetwork(NetworkConfig{Seed: seed})
		times := make([]time.Duration, 20001)
		for i := range times {
			times[i] = n.airTime()
		}
		return times
	}
	times := draw(1)
	if !slices.Equal(times, draw(1)) || slices.Equal(times, draw(2)) {
		t.Error("the seed does not decide")
	}
	slices.Sort(times)
	if median := times[10000].Seconds(); median < 2.9 || median > 3.1 {
		t.Errorf("median %v s", median)
	}
	if p95 := times[19000].Seconds(); p95 < 7.5 || p95 > 8.5 {
		t.Errorf("95th percentile %v s", p95)
	}
	for text, want := range map[string]Delay{"3s": Fixed(3 * time.Second), "0": Fixed(0), "3s/8s": LogNormal(3*time.Second, 8*time.Second)} {
		if got, err := ParseDelay(text); err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "3", "-1s", "8s/3s", "3s/", "3s/8s/9s"} {
		if _, err := ParseDelay(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
