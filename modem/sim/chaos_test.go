package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRandomMishaps(t *testing.T) {
	draw := func(seed uint64) []Mishap {
		return RandomMishaps(rand.New(rand.NewPCG(seed, 0)), 8, 10*time.Minute, 5000)
	}
	lines := func(mishaps []Mishap) string {
		var s strings.Builder
		for _, m := range mishaps {
			s.WriteString(m.String() + "\n")
		}
		return s.String()
	}
	all := draw(7)
	if lines(all) != lines(draw(7)) || lines(all) == lines(draw(8)) {
		t.Error("the seed does not decide")
	}
	struck := map[Action]map[Point]bool{}
	var last time.Duration
	for _, m := range all {
		f := m.Fault
		if err := f.Validate(); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if m.At < last || m.At > 10*time.Minute || *f.Modem < 0 || *f.Modem > 7 || f.Count == 0 {
			t.Errorf("%s", m)
		}
		last = m.At
		lasts := slices.Contains([]Action{Hang, NotRegistered, RemoveSIM, SplitBytes, BlockWrites}, f.Do)
		if lasts && f.For == 0 || f.Do == Unplug && f.Back == 0 || f.Interval > 0 && f.For == 0 {
			t.Errorf("for good: %s", m)
		}
		if f.On == OnAccepted && (f.Do == ReplyError || f.Do == ReplyCMS && f.Code < 300 || f.Do == ReplyCME || f.Do == ReplyText) ||
			f.On == OnCommand && f.Do == ReplyCMS && f.Match.MatchString("AT+CREG?") || f.On != OnBoot && f.Do == TextModeOn {
			t.Errorf("a lie: %s", m)
		}
		again, err := ParseFault(f.Inline())
		if err != nil || again.Inline() != f.Inline() {
			t.Fatalf("%s: %v", f.Inline(), err)
		}
		if struck[f.Do] == nil {
			struck[f.Do] = map[Point]bool{}
		}
		struck[f.Do][f.On] = true
	}
	for _, a := range actions() {
		for _, p := range a.points() {
			lie := p == OnAccepted && slices.Contains([]Action{ReplyError, ReplyCME, ReplyText}, a) || a == TextModeOn && p != OnBoot
			if a.ofService() {
				lie = true
				if struck[a][p] {
					t.Errorf("%s is no mishap", a)
				}
			}
			if !struck[a][p] && !lie {
				t.Errorf("never %s on %s", a, p)
			}
		}
	}
}

// TestLet: the faults come at their moments, and none of any kind stops the
// modem for good.
func TestLet(t *testing.T) {
	for seed := range uint64(8) {
		virtual(t, NetworkConfig{Air: Fixed(time.Second), Seed: seed}, ModemConfig{}, func(t *testing.T, m *Modem, c *client) {
			c.line.Close()
			mishaps := RandomMishaps(rand.New(rand.NewPCG(seed, 1)), 1, time.Minute, 100)
			driven := make(chan struct{})
			go func() { // a client without nerves
				defer close(driven)
				for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
					if conn, err := m.Dial(); err == nil {
						conn.SetDeadline(time.Now().Add(2 * time.Second))
						conn.Write([]byte("AT+CMGF=0;+CNMI=2,1,0,1,0\rAT+CMGS=19\r"))
						for range 20 {
							conn.Read(make([]byte, 4096))
						}
						conn.Write([]byte(hello + "\x1a"))
						conn.Close()
					}
					<-time.After(time.Second)
				}
			}()
			if err := m.network.Let(t.Context(), mishaps); err != nil {
				t.Fatal(err)
			}
			<-driven
			<-time.After(5 * time.Minute)
			m.ClearFaults()
			if err := m.Reboot(); err != nil {
				t.Fatal(err)
			}
			end := dial(t, m)
			end.rest(2 * time.Second)
			end.prepare()
			if got := end.submit(); !strings.HasPrefix(got[len(got)-2], "+CMGS: ") {
				t.Errorf("seed %d: %q", seed, got)
			}
			end.line.Close()
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := NewNetwork(at0())
	defer n.Close()
	for range 3 {
		if _, err := n.NewModem(ModemConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	second := 1
	if err := n.Let(t.Context(), slices.Repeat([]Mishap{{Fault: Fault{Modem: &second, On: OnTime, Do: TextModeOn}}}, 100)); err != nil {
		t.Fatal(err)
	}
	for i, m := range n.Modems() {
		if m.textMode != (i == second) || len(m.faults) != 0 {
			t.Errorf("modem %d: text mode %v, %d faults kept", i, m.textMode, len(m.faults))
		}
	}
	if err := n.Let(ctx, []Mishap{{At: time.Hour}}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
