package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// provenFleet is a daemon over pseudo-terminals with two SIMs: the first, which
// +336 goes by, was shown to carry replace types and exact validities; nothing is
// known of the second.
type provenFleet struct {
	*installation // only for what asks over HTTP
	network       *sim.Network
}

// provenLife is the life of its codes.
const provenLife = 2 * time.Minute

func newProvenFleet(t *testing.T) *provenFleet {
	f := &provenFleet{
		installation: &installation{t: t, dir: t.TempDir(), http: &http.Client{Timeout: patient}},
		network:      sim.NewNetwork(sim.NetworkConfig{Air: sim.Fixed(50 * time.Millisecond), Report: sim.Fixed(50 * time.Millisecond)}),
	}
	t.Cleanup(f.network.Close)
	t.Cleanup(f.http.CloseIdleConnections)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := demoConfig(f.dir, "127.0.0.1:0", "FR", f.port(0))
	must(err)
	config.Modems = nil
	config.SIMs = map[string]SIMConfig{}
	for i, name := range []string{"proven", "plain"} {
		m, err := f.network.NewModem(sim.ModemConfig{})
		must(err)
		must(m.Open(f.port(i)))
		config.Modems = append(config.Modems, name+"="+f.port(i))
		config.SIMs[name] = SIMConfig{IMSI: m.IMSI()}
	}
	config.Routes = []RouteConfig{
		{Name: "six", Prefixes: []string{"+336"}, SIMs: []string{"proven"}},
		{Name: "rest", SIMs: []string{"plain"}},
	}
	life := provenLife
	config.Services = map[string]ServiceConfig{"default": {CodeTTL: &life, Cooldowns: []time.Duration{time.Second}}}
	must(config.validate())
	// The state directory is there once something was put into it.
	prepared, err := startDaemon(t.Context(), config, modem.Ports{}, slog.New(slog.DiscardHandler))
	must(err)
	must(prepared.life.stop(config.StopTimeout))
	first := f.network.Modems()[0]
	must(modem.Remember(filepath.Join(config.StateDir, modem.CapabilitiesFile), modem.Loopback{
		IMEI: first.IMEI(), IMSI: first.IMSI(), Sent: modem.Proven, Enhanced: modem.Proven, Replace: modem.Proven,
	}))
	d, err := startDaemon(t.Context(), config, modem.Ports{}, slog.New(slog.DiscardHandler))
	must(err)
	t.Cleanup(func() { _ = d.life.stop(config.StopTimeout) })
	f.key, _, err = access.Add(t.Context(), d.store, d.keys, "test", []access.Scope{access.Verify, access.Check, access.Read, access.Messages})
	must(err)
	f.url = d.url
	f.awaitModem("proven", "ready")
	f.awaitModem("plain", "ready")
	return f
}

// delivered waits until the message is, and returns it as the network took it,
// and how long it was to live when it was begun, in whole seconds.
func (f *provenFleet) delivered(to string, v api.Verification) (sim.Message, time.Duration) {
	f.t.Helper()
	m := f.settled(v.Message.ID, "delivered")
	if len(m.Attempts) != 1 {
		f.t.Fatalf("%+v", m)
	}
	took := slices.DeleteFunc(f.network.Messages(), func(s sim.Message) bool { return s.To != to })
	return took[len(took)-1], m.ExpiresAt.Sub(m.Attempts[0].StartedAt).Truncate(time.Second)
}

// resend sends the code once more when that may be.
func (f *provenFleet) resend(id string) (v api.Verification) {
	f.t.Helper()
	await(f.t, "the end of the cooldown", func() error {
		_, err := f.call(http.MethodPost, "/v1/verifications/"+id+"/resend", nil, &v)
		return err
	})
	return v
}

// shows waits until the phone shows so many messages.
func (f *provenFleet) shows(to string, count int) {
	f.t.Helper()
	await(f.t, "the phone", func() error {
		if got := f.network.Handset(to).Messages(); len(got) != count {
			return fmt.Errorf("it shows %d, not %d", len(got), count)
		}
		return nil
	})
}

// TestReplaceTypes: where a SIM was shown to carry them, the messages of one
// verification replace one another on the phone, and none of another one; their
// validity is what their code has left to live, to the second. Elsewhere they
// are plain.
func TestReplaceTypes(t *testing.T) {
	if testing.Short() {
		t.Skip("whole installations are not started in short mode")
	}
	t.Parallel()
	f := newProvenFleet(t)
	for _, to := range []string{"+33612345678", "+33751234567"} {
		proven := to[3] == '6'
		v := f.begin(to)
		first, life := f.delivered(to, v)
		checked := []error{fits(first, life, proven)}
		f.shows(to, 1)
		again, life := f.delivered(to, f.resend(v.ID))
		checked = append(checked, fits(again, life, proven))
		other, life := f.delivered(to, f.begin(to))
		checked = append(checked, fits(other, life, proven))
		if err := errors.Join(checked...); err != nil {
			t.Errorf("%v: %v", proven, err)
		}
		if first.IMSI != again.IMSI || first.IMSI != other.IMSI || code(first) != code(again) {
			t.Errorf("by %s, %s and %s", first.IMSI, again.IMSI, other.IMSI)
		}
		if proven {
			if first.PID != again.PID || first.PID == other.PID {
				t.Errorf("the types are %#x and %#x, and %#x for another verification", first.PID, again.PID, other.PID)
			}
			f.shows(to, 2)
		} else {
			f.shows(to, 3)
		}
	}
}

// fits says what is wrong with a message that was to live that long.
func fits(m sim.Message, life time.Duration, proven bool) error {
	switch {
	case proven && (m.PID < 0x41 || m.PID > 0x47):
		return fmt.Errorf("TP-PID %#x is no replace type", m.PID)
	case proven && (m.VPFormat != sim.VPEnhanced || m.Validity != life || life > provenLife || life < provenLife-patient):
		return fmt.Errorf("%v left, and the validity is %v (%v)", life, m.Validity, m.VPFormat)
	case !proven && m.PID != 0:
		return fmt.Errorf("TP-PID %#x", m.PID)
	case !proven && (m.VPFormat != sim.VPRelative || m.Validity != 5*time.Minute): // the shortest that there is
		return fmt.Errorf("the validity is %v (%v)", m.Validity, m.VPFormat)
	}
	return nil
}

func code(m sim.Message) string { return sms{Text: m.Text}.code() }
