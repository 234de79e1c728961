package modem_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// starts runs a pool in virtual time over modems in memory that have just been
// given power, and hands over what the simulator logs.
func starts(t *testing.T, pc modem.PoolConfig, configs []sim.ModemConfig, test func(*testing.T, *bench, *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		cfg := at0()
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		b := newBench(t, cfg)
		b.inMemory(configs, &pc)
		b.patience = 3 * time.Hour
		b.run(pc)
		defer b.stop()
		test(t, b, log)
	})
}

// tells waits for a state whose reason has the words.
func (b *bench) tells(name string, state modem.State, words string) {
	b.t.Helper()
	b.until(string(state)+": "+words, func() bool {
		st := b.status(name)
		return st.State == state && strings.Contains(st.Reason, words)
	})
}

// sends checks that the modem becomes ready and takes a message.
func (b *bench) sends(name string) {
	b.t.Helper()
	if r := send(b.line(name)); r.Class != modem.Accepted {
		b.t.Errorf("%s: %+v", name, r)
	}
}

// TestSlowStarts: 52 and 55 of the published cases, and their kin.
func TestSlowStarts(t *testing.T) {
	profile := func(change func(*sim.Profile)) sim.ModemConfig {
		p := sim.Generic()
		change(&p)
		return sim.ModemConfig{Profile: p}
	}
	for name, mc := range map[string]sim.ModemConfig{
		"CME 14 five times":       profile(func(p *sim.Profile) { p.SIMBusy = 5 }),
		"CME 515 after CFUN=1":    profile(func(p *sim.Profile) { p.FunctionBusy, p.BootCFUN = 2, 4 }),
		"CFUN 4":                  profile(func(p *sim.Profile) { p.BootCFUN = 4 }),
		"CFUN 0":                  profile(func(p *sim.Profile) { p.BootCFUN = -1 }),
		"CFUN 7 at first":         {Faults: []sim.Fault{on(`^AT\+CFUN\?`, sim.Fault{Do: sim.ReplyText, Text: "+CFUN: 7\r\n\r\nOK", Count: 2})}},
		"CFUN=1 refused at first": {Profile: profile(func(p *sim.Profile) { p.BootCFUN = 4 }).Profile, Faults: []sim.Fault{on(`^AT\+CFUN=1`, sim.Fault{Do: sim.ReplyCME, Code: 3, Count: 2})}},
		"CMGF until SMS Ready":    {Faults: []sim.Fault{on(`^AT\+CMGF=`, sim.Fault{Do: sim.ReplyError, Count: 10})}},
		"GCAP":                    {Faults: []sim.Fault{on(`^AT\+GCAP`, sim.Fault{Do: sim.ReplyError})}},
	} {
		t.Run(name, func(t *testing.T) {
			starts(t, modem.PoolConfig{}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
				begin := time.Now()
				b.sends("modem0")
				if d := time.Since(begin); d > 90*time.Second {
					t.Errorf("ready after %v", d)
				}
				b.unviolated()
			})
		})
	}
}

// TestRadioTakesThePIN: a SIM that loses its PIN when the radio is turned on
// gets it again, and one in a modem without power for it is not missing.
func TestRadioTakesThePIN(t *testing.T) {
	for _, function := range []int{4, -1} {
		mc := locked("4321")
		mc.Profile.BootCFUN = function
		starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321")}, []sim.ModemConfig{mc}, func(_ *testing.T, b *bench, _ *journal) {
			b.sends("modem0")
		})
	}
}

func TestRadioStaysOff(t *testing.T) {
	faults := []sim.Fault{on(`^AT\+CFUN\?`, sim.Fault{Do: sim.ReplyText, Text: "+CFUN: 7\r\n\r\nOK"})}
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: faults}}, func(_ *testing.T, b *bench, _ *journal) {
		b.tells("modem0", modem.Waiting, "AT+CFUN? says 7")
	})
}

func answersAll(stat string) []sim.Fault {
	var faults []sim.Fault
	for _, id := range []string{"CREG", "CGREG", "CEREG", "C5GREG"} {
		faults = append(faults, on(`^AT\+`+id+`\?`, sim.Fault{Do: sim.ReplyText, Text: "+" + id + ": 0," + stat + "\r\n\r\nOK"}))
	}
	return faults
}

// TestUnregistered: why there is no network is told in words that help, and
// nothing but time and the network ends it.
func TestUnregistered(t *testing.T) {
	for stat, words := range map[string][]string{
		"0": {"not searching"}, "2": {"searching", "antenna"}, "4": {"no network in reach"},
		"3": {"denies", "denied registration for"}, "8": {"emergency calls only"}, "11": {"restricted"},
	} {
		t.Run(stat, func(t *testing.T) {
			starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: answersAll(stat)}}, func(_ *testing.T, b *bench, _ *journal) {
				for _, w := range words {
					b.tells("modem0", modem.Waiting, w)
				}
			})
		})
	}
}

// TestNudge: a modem that does not look for a network is told to, after a while
// and once an hour, but not one that was set to an operator by hand.
func TestNudge(t *testing.T) {
	count := on(`^AT\+COPS=0`, sim.Fault{Do: sim.Slow, After: time.Second})
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: append(answersAll("0"), count)}}, func(t *testing.T, _ *bench, log *journal) {
		var waited time.Duration
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{2 * time.Minute, 0}, {10 * time.Minute, 1}, {50 * time.Minute, 1}, {150 * time.Minute, 3}} {
			time.Sleep(c.after - waited)
			waited = c.after
			if n := log.count("do=delay"); n != c.want {
				t.Errorf("told %d times in %v", n, c.after)
			}
		}
	})
	manual := on(`^AT\+COPS\?`, sim.Fault{Do: sim.ReplyText, Text: "+COPS: 1\r\n\r\nOK"})
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: append(answersAll("0"), count, manual)}}, func(t *testing.T, b *bench, log *journal) {
		b.tells("modem0", modem.Waiting, "by hand")
		if log.count("do=delay") != 0 {
			t.Error("the operator's choice was undone")
		}
	})
}

// TestServiceCentre: the operator's setting goes first, then what the SIM has,
// then what it had.
func TestServiceCentre(t *testing.T) {
	const imsi, centre = "001010000000042", "+447700900111"
	card := []modem.Card{{Name: "left", IMSI: imsi, SMSC: centre}}
	empty := sim.Generic()
	empty.NoSMSC = `+CSCA: "",129`
	for _, c := range []struct {
		name  string
		cards []modem.Card
		mc    sim.ModemConfig
		state modem.State
		words string
		sets  int
	}{
		{"the SIM's", nil, sim.ModemConfig{}, modem.Ready, "", 0},
		{"the operator's over the SIM's", card, sim.ModemConfig{IMSI: imsi}, modem.Ready, "", 1},
		{"the same", card, sim.ModemConfig{IMSI: imsi, SMSC: centre}, modem.Ready, "", 0},
		{"the operator's, no word of the SIM", card, sim.ModemConfig{IMSI: imsi, SMSC: "none"}, modem.Ready, "", 1},
		{"the operator's, none on the SIM", card, sim.ModemConfig{IMSI: imsi, SMSC: "none", Profile: empty}, modem.Ready, "", 1},
		{"none, and no word of it", nil, sim.ModemConfig{SMSC: "none"}, modem.Ready, "", 0},
		{"none at all", nil, sim.ModemConfig{SMSC: "none", Profile: empty}, modem.Waiting, "[sim.NAME]", 0},
		{"none set for this SIM", []modem.Card{{Name: "left", IMSI: imsi}}, sim.ModemConfig{IMSI: imsi, SMSC: "none", Profile: empty}, modem.Waiting, "[sim.left]", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.mc.Faults = []sim.Fault{on(`^AT\+CSCA=`, sim.Fault{Do: sim.Slow, After: time.Millisecond})}
			starts(t, modem.PoolConfig{Cards: c.cards}, []sim.ModemConfig{c.mc}, func(t *testing.T, b *bench, log *journal) {
				b.tells("modem0", c.state, c.words)
				if n := log.count("do=delay"); n != c.sets {
					t.Errorf("it was set %d times", n)
				}
			})
		})
	}
}

// TestServiceCentreThatIsLost: a SIM whose modem forgets the address gets it
// back when it is next prepared.
func TestServiceCentreThatIsLost(t *testing.T) {
	p := sim.Generic()
	p.CSMPWipesSMSC = true
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, log *journal) {
		line := b.line("modem0")
		m := b.net.Modems()[0]
		for _, f := range []sim.Fault{
			on(`^AT\+CSCA\?`, sim.Fault{Do: sim.BareOK, Count: 1}),
			on(`^AT\+CSCA=`, sim.Fault{Do: sim.Slow, After: time.Millisecond}),
		} {
			if err := m.AddFault(f); err != nil {
				t.Fatal(err)
			}
		}
		m.Reboot()
		<-line.Closed()
		b.sends("modem0")
		if n := log.count("do=delay"); n != 1 {
			t.Errorf("it was set %d times", n)
		}
	})
}

// TestProfileIsApplied: what the operator's profile says is done, and what it
// forbids is not.
func TestProfileIsApplied(t *testing.T) {
	own := modem.Profile{
		Name: "mine", Manufacturer: []string{"smsotpd"},
		Init: []string{"AT+CLAC"}, Avoid: []string{"AT+CSQ"},
	}
	faults := []sim.Fault{
		on(`^AT\+CLAC`, sim.Fault{Do: sim.Slow, After: time.Millisecond}),
		on(`^AT\+CSQ`, sim.Fault{Do: sim.BareOK}),
	}
	starts(t, modem.PoolConfig{Profiles: []modem.Profile{own}}, []sim.ModemConfig{{Faults: faults}}, func(t *testing.T, b *bench, log *journal) {
		b.sends("modem0")
		if log.count("do=delay") == 0 {
			t.Error("the profile's command was not given")
		}
		if log.count("do=bare-ok") != 0 {
			t.Error("a command to be avoided was given")
		}
	})
	if _, err := modem.NewPool(modem.PoolConfig{Profiles: []modem.Profile{{Name: "mine"}}}); err == nil || !strings.Contains(err.Error(), "profile.mine.") {
		t.Errorf("a profile for no modem: %v", err)
	}
}

// TestStuck: what should not last and does is not waited for for ever.
func TestStuck(t *testing.T) {
	faults := []sim.Fault{on(`^AT\+CPIN\?`, sim.Fault{Do: sim.ReplyCME, Code: 14})}
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{Faults: faults}}, func(t *testing.T, b *bench, _ *journal) {
		b.tells("modem0", modem.Waiting, "the SIM is busy")
		begin := time.Now()
		b.until("it is given up", func() bool { return strings.Contains(b.status("modem0").Reason, "does not get ready") })
		if d := time.Since(begin); d < 4*time.Minute || d > 6*time.Minute {
			t.Errorf("after %v", d)
		}
	})
}

// TestReasonsAreWords: no state on the way to ready is without a word.
func TestReasonsAreWords(t *testing.T) {
	starts(t, modem.PoolConfig{}, []sim.ModemConfig{{}}, func(t *testing.T, b *bench, _ *journal) {
		var told []string
		b.until("ready", func() bool {
			st := b.status("modem0")
			if st.State != modem.Ready && st.Manufacturer != "" && st.Reason == "" {
				t.Errorf("%+v", st)
			}
			if !slices.Contains(told, st.Reason) {
				told = append(told, st.Reason)
			}
			return st.State == modem.Ready
		})
	})
}

// TestSIMGoneWhileSearching: a SIM that is taken out, or locked again by a
// restart, while its network is looked for is what is told then.
func TestSIMGoneWhileSearching(t *testing.T) {
	search := sim.Fault{On: sim.OnTime, Do: sim.NotRegistered, For: 5 * time.Minute}
	mc := locked("4321")
	mc.Faults = []sim.Fault{search, {On: sim.OnTime, After: time.Minute, Do: sim.RemoveSIM, For: time.Minute}}
	starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321")}, []sim.ModemConfig{mc}, func(_ *testing.T, b *bench, _ *journal) {
		b.tells("modem0", modem.Waiting, "searching")
		b.tells("modem0", modem.Waiting, "no SIM")
		b.tells("modem0", modem.Waiting, "searching")
		b.sends("modem0")
	})
	mc.Faults = []sim.Fault{search, {On: sim.OnTime, After: time.Minute, Do: sim.Reboot}}
	starts(t, modem.PoolConfig{PINFile: pinFile(t, "4321")}, []sim.ModemConfig{mc}, func(t *testing.T, b *bench, _ *journal) {
		b.tells("modem0", modem.Waiting, "searching")
		begin := time.Now()
		b.sends("modem0")
		if d := time.Since(begin); d > 6*time.Minute {
			t.Errorf("ready after %v", d)
		}
	})
}
