package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"smsotpd/gateway/dispatch"
)

// reloading is a configuration file that changes while the daemon runs.
type reloading struct {
	t       *testing.T
	path    string
	flags   *pflag.FlagSet
	level   slog.LevelVar
	said    bytes.Buffer
	inForce Config
	// applied is the policy that was applied last, times how often one was.
	applied dispatch.Policy
	times   int
	// changed are the keys that the last one changed.
	changed []string
}

func newReloading(t *testing.T, text string) *reloading {
	t.Helper()
	r := &reloading{t: t, path: filepath.Join(t.TempDir(), "config.toml"), flags: pflag.NewFlagSet("serve", pflag.ContinueOnError)}
	addOptions(r.flags)
	r.write(text)
	if err := r.flags.Parse([]string{"--config", r.path}); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.inForce, _, err = loadConfig(r.flags); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reloading) write(text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload reloads the text and returns what was logged.
func (r *reloading) reload(text string) string {
	r.t.Helper()
	r.write(text)
	r.said.Reset()
	log := slog.New(slog.NewTextHandler(&r.said, nil))
	r.inForce = reload(r.inForce, r.flags, &r.level, log, func(p dispatch.Policy, changed []string) error {
		r.applied, r.changed = p, changed
		r.times++
		return nil
	})
	return r.said.String()
}

// refused reloads a text that must change nothing, and say why.
func (r *reloading) refused(text, why string) {
	r.t.Helper()
	times, level := r.times, r.level.Level()
	if said := r.reload(text); !strings.Contains(said, wasRefused) || !strings.Contains(said, why) {
		r.t.Errorf("it said %q, not %q", said, why)
	}
	if r.times != times || r.level.Level() != level {
		r.t.Error("what was refused changed something")
	}
}

func TestReload(t *testing.T) {
	r := newReloading(t, `log_level = "info"`)
	said := r.reload("log_level = \"debug\"\nlisten = \"127.0.0.1:9\"\n[budget]\nper_day = 9\nzone = \"Europe/Paris\"")
	if !strings.Contains(said, wasReloaded) || !strings.Contains(said, `needs_restart="[budget.zone listen]"`) {
		t.Errorf("it said %q", said)
	}
	if r.applied.Limits.PerDay != 9 {
		t.Errorf("the limits were not applied: %+v", r.applied.Limits)
	}
	if !slices.Equal(r.changed, []string{"budget.per_day", "log_level"}) {
		t.Errorf("changed: %v", r.changed)
	}
	if r.level.Level() != slog.LevelDebug {
		t.Error("the log level was not applied")
	}
	if r.inForce.Listen != "127.0.0.1:8080" {
		t.Error("the address in force can't have changed")
	}
	r.refused(`log_level = "loud"`, "log_level must be")
}

// What would be right after a restart only is refused: its routes would carry
// nothing until then.
func TestReloadNeedsRestart(t *testing.T) {
	const left, right = "[sim.left]\nimsi = \"208010000000001\"\n", "[sim.right]\nimsi = \"208010000000002\"\n"
	r := newReloading(t, left)
	const byRight = "log_level = \"debug\"\n[[route]]\nname = \"new\"\nsims = [\"right\"]\n"
	r.refused(byRight+left+right, `it needs a restart, which applies [sim.right] too: route[0] (new): there is no SIM`)
	if said := r.reload(left + right); !strings.Contains(said, "needs_restart=[sim.right]") {
		t.Errorf("it said %q", said)
	}
}

// A name that is given to another SIM keeps what it has until a restart.
func TestReloadOtherSIM(t *testing.T) {
	r := newReloading(t, "[sim.left]\nimsi = \"208010000000001\"\nlabels = [\"cheap\"]\n")
	said := r.reload("[sim.left]\nimsi = \"208010000000002\"\nlabels = [\"dear\"]\nnumber = \"+33612345678\"\n")
	if !strings.Contains(said, `needs_restart="[sim.left.imsi sim.left.labels sim.left.number]"`) {
		t.Errorf("it said %q", said)
	}
	if labels := r.applied.Cards["left"].Labels; !slices.Equal(labels, []string{"cheap"}) {
		t.Errorf("the SIM that is there has the labels %q", labels)
	}
}
