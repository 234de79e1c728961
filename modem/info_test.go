package modem_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// knowing runs a pool over one modem whose profile says that the enhanced format
// works and that it keeps its link.
func knowing(t *testing.T, nc sim.NetworkConfig, mc sim.ModemConfig, test func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nc)
		mc.Profile = sim.Generic()
		pc := modem.PoolConfig{
			Profiles: []modem.Profile{{
				Name: "known", Manufacturer: []string{mc.Profile.Manufacturer}, CMMS: new(true),
				Validity: []modem.ValidityFormat{modem.ValidityRelative, modem.ValidityEnhanced},
			}},
			Cards: []modem.Card{{Name: "front", IMSI: "001010000000001", Number: "+447700900000"}},
		}
		b.inMemory([]sim.ModemConfig{mc}, &pc)
		b.patience = time.Hour
		b.run(pc)
		defer b.stop()
		test(t, b)
	})
}

func TestInfo(t *testing.T) {
	knowing(t, at0(), sim.ModemConfig{}, func(t *testing.T, b *bench) {
		m := b.net.Modems()[0]
		info := b.line("modem0").Info()
		if want := (modem.Info{
			Modem: "modem0", IMEI: m.IMEI(), IMSI: m.IMSI(), Card: "front", Number: "+447700900000",
			EnhancedValidity: true, KeepsLink: true,
		}); info != want {
			t.Errorf("%q %q %q, %v %v", info.Modem, info.Card, info.IMSI, info.EnhancedValidity, info.KeepsLink)
		}
		if card := b.status("modem0").Card; card != "front" {
			t.Errorf("status has card %q", card)
		}
		for _, s := range []string{fmt.Sprint(info), fmt.Sprintf("%+v", info), fmt.Sprintf("%#v", info), info.LogValue().String()} {
			if strings.Contains(s, info.IMSI) || strings.Contains(s, info.Number) || !strings.Contains(s, "modem0") {
				t.Error("a log may show", s)
			}
		}
	})
}

// TestInfoOfStrangers: what no profile and no card knows is not claimed.
func TestInfoOfStrangers(t *testing.T) {
	inVirtualTime(t, []sim.ModemConfig{{Profile: sim.Generic()}}, func(t *testing.T, b *bench, _ *memory) {
		info := b.line("modem0").Info()
		if info.Card != "" || info.Number != "" || info.EnhancedValidity || info.KeepsLink || info.IMSI == "" {
			t.Errorf("card %q, %v %v", info.Card, info.EnhancedValidity, info.KeepsLink)
		}
		if card := b.status("modem0").Card; card != "" {
			t.Errorf("status has card %q", card)
		}
	})
}

// TestKeepsLinkRefused: a modem that refuses AT+CMMS keeps no link.
func TestKeepsLinkRefused(t *testing.T) {
	refused := sim.ModemConfig{Faults: []sim.Fault{{On: sim.OnCommand, Match: regexp.MustCompile("CMMS"), Do: sim.ReplyError}}}
	knowing(t, at0(), refused, func(t *testing.T, b *bench) {
		if b.line("modem0").Info().KeepsLink {
			t.Error("the link is said to be kept")
		}
	})
}

// exact asks for an exact validity, with a relative one to fall back on.
func exact(line *modem.Line, life time.Duration) modem.Result {
	return line.Submit(context.Background(), modem.Submission{To: number, Text: text, Validity: 1, Enhanced: true, Life: life})
}

// TestExactValidity: the network sees the length that was asked for, in the
// shortest form of TS 23.040 9.2.3.12.3.
func TestExactValidity(t *testing.T) {
	knowing(t, at0(), sim.ModemConfig{}, func(t *testing.T, b *bench) {
		for i, c := range []struct {
			life, want time.Duration
			vp         string
		}{
			{0, time.Second, "02010000000000"},
			{90*time.Second + 900*time.Millisecond, 90 * time.Second, "025a0000000000"},
			{255 * time.Second, 255 * time.Second, "02ff0000000000"},
			{256 * time.Second, 256 * time.Second, "03004061000000"},
			{26*time.Hour + 3*time.Minute + 4*time.Second, 26*time.Hour + 3*time.Minute + 4*time.Second, "03623040000000"},
			{1000 * time.Hour, 100*time.Hour - time.Second, "03999595000000"},
		} {
			r := exact(b.line("modem0"), c.life)
			if r.Class != modem.Accepted || r.Validity != modem.ValidityEnhanced {
				t.Fatalf("%v: %+v", c.life, r)
			}
			m := b.net.Messages()[i]
			if m.VPFormat != sim.VPEnhanced || m.Validity != c.want || hex.EncodeToString(m.VP) != c.vp || m.Text != text {
				t.Errorf("%v came as %v, %x", c.life, m.Validity, m.VP)
			}
		}
		b.unviolated()
	})
}

// TestExactValidityRefused: a refusal is followed by the relative format, that
// by none, and the next message does not try what was refused.
func TestExactValidityRefused(t *testing.T) {
	payload := func(code, count int) sim.ModemConfig {
		return sim.ModemConfig{Faults: []sim.Fault{{On: sim.OnPayload, Do: sim.ReplyCMS, Code: code, Count: count}}}
	}
	strict := at0()
	strict.NoEnhancedValidity = true
	for _, c := range []struct {
		name   string
		nc     sim.NetworkConfig
		mc     sim.ModemConfig
		format modem.ValidityFormat // of the first message, "" if it is not taken
		later  modem.ValidityFormat
	}{
		{"by the service centre", strict, sim.ModemConfig{}, modem.ValidityRelative, modem.ValidityRelative},
		{"199", at0(), payload(199, 1), modem.ValidityRelative, modem.ValidityRelative},
		{"all formats", at0(), payload(198, 2), modem.ValidityNone, modem.ValidityRelative},
		{"whatever it is", at0(), payload(198, 3), "", modem.ValidityRelative},
		{"by the modem", at0(), payload(304, 1), modem.ValidityRelative, modem.ValidityRelative},
		{"operation not supported", at0(), payload(303, 1), modem.ValidityRelative, modem.ValidityRelative},
		{"for something else", at0(), payload(41, 1), "", modem.ValidityEnhanced},
		{"by a modem that can't be pleased", at0(), payload(304, 2), "", modem.ValidityEnhanced},
	} {
		t.Run(c.name, func(t *testing.T) {
			knowing(t, c.nc, c.mc, func(t *testing.T, b *bench) {
				r := exact(b.line("modem0"), time.Minute)
				if (r.Class == modem.Accepted) != (c.format != "") || c.format != "" && r.Validity != c.format {
					t.Errorf("%+v", r)
				}
				line := b.line("modem0")
				if r = exact(line, time.Minute); r.Class != modem.Accepted || r.Validity != c.later {
					t.Errorf("the next: %+v", r)
				}
				if got := line.Info().EnhancedValidity; got != (c.later == modem.ValidityEnhanced) {
					t.Errorf("the line says %v", got)
				}
				for _, m := range b.net.Messages() {
					if m.VPFormat == sim.VPRelative && m.Validity != 10*time.Minute {
						t.Errorf("fell back on %v", m.Validity)
					}
				}
				b.unviolated()
			})
		})
	}
}

// TestExactValidityForgotten: once the port was opened anew it is tried again.
func TestExactValidityForgotten(t *testing.T) {
	refused := sim.ModemConfig{Faults: []sim.Fault{{On: sim.OnPayload, Do: sim.ReplyCMS, Code: 198, Count: 1}}}
	knowing(t, at0(), refused, func(t *testing.T, b *bench) {
		line := b.line("modem0")
		exact(line, time.Minute)
		m := b.net.Modems()[0]
		m.Unplug()
		<-line.Closed()
		if err := m.Plug(""); err != nil {
			t.Fatal(err)
		}
		b.until("a line that tries again", func() bool {
			r := exact(b.line("modem0"), time.Minute)
			return r.Class == modem.Accepted && r.Validity == modem.ValidityEnhanced
		})
	})
}

// TestLoopbackWithoutEnhanced: a loopback sees the refusal, though the message went
// out all the same.
func TestLoopbackWithoutEnhanced(t *testing.T) {
	for name, c := range map[string]struct {
		refused bool
		want    modem.Proof
	}{"refused": {true, modem.Refuted}, "taken": {false, modem.Proven}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nc := at0()
				nc.NoEnhancedValidity = c.refused
				b := newBench(t, nc)
				defer b.net.Close()
				var pc modem.PoolConfig
				ports := b.inMemory([]sim.ModemConfig{{Profile: sim.Generic()}, {Profile: sim.Generic()}}, &pc)
				got, err := modem.RunLoopback(t.Context(), modem.LoopbackConfig{
					From: "modem0", To: "modem1", Number: b.net.Modems()[1].Number(), Opener: ports, Timeouts: pc.Timeouts,
				})
				if err != nil || !got.OK() || got.Enhanced != c.want || b.net.Total() != modem.LoopbackMessages {
					t.Errorf("%v: sent %s, enhanced %s, %d taken", err, got.Sent, got.Enhanced, b.net.Total())
				}
			})
		})
	}
}
