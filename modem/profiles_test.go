package modem_test

import (
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// models are the kinds of modems whose answers were published.
func models() []string {
	return []string{
		"k3715", "n79", "m26", "ec25", "bg96", "trm240", "sim800", "sim7600", "sim7000", "e3531", "e3276",
		"e173", "e1750", "mu509", "mf180", "mf626", "mc35i", "qualcomm",
	}
}

// expected is how many reports and messages a modem of the kind hands over when
// one message was sent and one came.
func expected(p sim.Profile) (reports, inbound int) {
	reports, inbound = 1, 1
	if p.NoReports || p.CNMIIgnored {
		reports = 0
	}
	if len(p.Memories) == 0 {
		inbound = 0
	}
	return reports, inbound
}

func named(t *testing.T, name string) sim.Profile {
	t.Helper()
	p, err := sim.ProfileNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// received tells how many reports and messages have come.
func (b *bench) received() (reports, inbound int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.reports), len(b.inbound)
}

// TestModels: each published kind of modem boots, sends, receives and reports
// over a real pty.
func TestModels(t *testing.T) {
	t.Parallel()
	for _, name := range models() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := named(t, name)
			for i := range p.Boot {
				p.Boot[i].After /= 20
			}
			b := start(t, at0(), []sim.ModemConfig{{Profile: p}}, modem.PoolConfig{})
			b.patience = time.Minute
			line := b.line("modem0")
			b.net.Modems()[0].Unplug() // now it boots, with all that it says then
			<-line.Closed()
			if err := b.net.Modems()[0].Plug(b.path(0)); err != nil {
				t.Fatal(err)
			}
			b.until("message sent", func() bool { return b.submit("modem0", number, text).Class == modem.Accepted })
			wantReports, wantInbound := expected(p)
			b.until("report", func() bool { reports, _ := b.received(); return reports >= wantReports })
			b.net.Modems()[0].Receive("+33698765432", "hello")
			b.until("message", func() bool { _, inbound := b.received(); return inbound >= wantInbound })
			if got := b.net.Messages(); len(got) != 1 || got[0].Text != text || got[0].To != "+"+number {
				t.Errorf("the network has %d messages", len(got))
			}
			b.unviolated()
		})
	}
}

// TestEveryProfile: so does every other kind and every odd behaviour, with the
// times of real modems.
func TestEveryProfile(t *testing.T) {
	for _, name := range sim.ProfileNames() {
		p := named(t, name)
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, []sim.ModemConfig{{Profile: p}}, func(t *testing.T, b *bench, _ *memory) {
				if r := send(b.line("modem0")); r.Class != modem.Accepted {
					t.Errorf("%+v", r)
				}
				time.Sleep(12 * time.Minute) // virtual; all memories are looked through each ten
				b.net.Modems()[0].Receive("+33698765432", "hello")
				time.Sleep(12 * time.Minute)
				reports, inbound := b.received()
				wantReports, wantInbound := expected(p)
				if reports != wantReports || inbound != wantInbound {
					t.Errorf("%d reports and %d messages, not %d and %d: %+v", reports, inbound, wantReports, wantInbound, b.pool.Statuses())
				}
				b.unviolated()
			})
		})
	}
}
