package main

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/dispatch/health"
	"smsotpd/gateway/dispatch/route"
	"smsotpd/modem"
)

// configOf loads the text as serve does its file.
func configOf(t *testing.T, text string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addOptions(flags)
	if err := flags.Parse([]string{"--config", path}); err != nil {
		t.Fatal(err)
	}
	config, _, err := loadConfig(flags)
	return config, err
}

func validConfig(t *testing.T, text string) Config {
	t.Helper()
	config, err := configOf(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

const fleetText = `
allow_region = ["FR", "GB"]
[[route]]
name = "orange"
regions = ["FR"]
prefixes = ["+336"]
lanes = ["code"]
sims = ["left"]
labels = ["main"]
operators = ["20801"]
fallback = true
[[route]]
name = "rest"
labels = ["main"]
[sim.left]
imsi = "208011234567890"
number = "+33612345678"
labels = ["main"]
[sim.left.balance]
code = "#123#"
pattern = "([0-9.]+) EUR"
[sim.right]
iccid = "8933012345678901234"
[canary]
every = "1h"
pairs = [["right", "left"]]
`

func TestRoutesFromTheFile(t *testing.T) {
	config := validConfig(t, fleetText)
	want := []route.Rule{
		{
			Name: "orange", Regions: []string{"FR"}, Prefixes: []string{"+336"}, Lanes: []string{"code"},
			SIMs: []string{"left"}, Labels: []string{"main"}, Operators: []string{"20801"}, Fallback: true,
		},
		{Name: "rest", Labels: []string{"main"}},
	}
	if got := config.routes(); !reflect.DeepEqual(got, want) {
		t.Errorf("routes: %+v", got)
	}
	if _, err := route.New(config.routes()); err != nil {
		t.Error(err)
	}
	sims := []route.SIM{{Name: "left", IMSI: "208011234567890", Labels: []string{"main"}}, {Name: "right"}}
	if got := config.routeSIMs(); !reflect.DeepEqual(got, sims) {
		t.Errorf("SIMs: %+v", got)
	}
	canary := config.canary()
	if !reflect.DeepEqual(canary.Pairs, [][]string{{"right", "left"}}) || len(canary.SIMs) != 2 || canary.Validate() != nil {
		t.Errorf("canaries: %+v, %v", canary, canary.Validate())
	}
	if got := validConfig(t, "").routes(); len(got) != 0 {
		t.Errorf("routes from nowhere: %v", got)
	}
}

// What needs a restart is told for the tables too, by their keys in the file.
func TestFleetNeedsARestart(t *testing.T) {
	old := validConfig(t, fleetText)
	if keys := differences(old, validConfig(t, fleetText)); len(keys) != 0 {
		t.Errorf("the same file differs in %v", keys)
	}
	for _, tt := range []struct{ from, to, want string }{
		{`name = "rest"`, `name = "others"`, "route"},
		{`EUR"`, `euros"`, "sim.left.balance"},
		{`pattern =`, "low = 1.5\npattern =", "sim.left.balance"},
		{`[canary]`, "[sim.right.budget]\nper_day = 10\n[canary]", "sim.right.budget.per_day"},
		{`[canary]`, "[budget]\nper_day = 10\n[canary]", "budget.per_day"},
		{`[canary]`, "[fleet]\nfailover = false\n[canary]", "fleet.failover"},
		{`every = "1h"`, `every = "2h"`, "canary.every"},
	} {
		if keys := differences(old, validConfig(t, strings.Replace(fleetText, tt.from, tt.to, 1))); !slices.Equal(keys, []string{tt.want}) {
			t.Errorf("%s: needs a restart: %v", tt.to, keys)
		}
	}
}

func TestFleetDefaults(t *testing.T) {
	for text, want := range map[string]dispatch.Policy{
		"": {Stick: 5 * time.Second, Failover: true, Health: health.Policy{MinWait: 15 * time.Second, MaxWait: 90 * time.Second, DefaultWait: 45 * time.Second}},
		"[fleet]\nstick = \"0s\"\nfailover = false\nfailover_min = \"1m\"\nfailover_max = \"3m\"": {
			Health: health.Policy{MinWait: time.Minute, MaxWait: 3 * time.Minute, DefaultWait: time.Minute},
		},
	} {
		got, err := validConfig(t, text).policy()
		h := got.Health
		if err != nil || got.Stick != want.Stick || got.Failover != want.Failover ||
			(health.Policy{MinWait: h.MinWait, MaxWait: h.MaxWait, DefaultWait: h.DefaultWait}) != want.Health {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, wrong := range []string{`stick = "-1s"`, `stick = "61s"`, `failover_min = "999ms"`, `failover_max = "11m"`, `failover_max = "10s"`} {
		if _, err := configOf(t, "[fleet]\n"+wrong); err == nil || !strings.Contains(err.Error(), "fleet.") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestCanaryIsOff(t *testing.T) {
	for _, text := range []string{"", "[canary]", "[canary]\nevery = \"0s\""} {
		if config := validConfig(t, text); config.Canary.Every != 0 || len(config.canary().Pairs) != 0 {
			t.Errorf("%q: %+v", text, config.Canary)
		}
	}
	if config := validConfig(t, strings.Replace(fleetText, "pairs =", "#", 1)); config.Canary.Every != time.Hour || len(config.canary().Pairs) != 0 {
		t.Errorf("%+v", config.Canary)
	}
	if _, err := configOf(t, "[canary]\nevery = \"-1h\""); err == nil {
		t.Error("time ran back")
	}
}

func TestBalances(t *testing.T) {
	config := validConfig(t, fleetText)
	all, err := config.balances()
	if err != nil || len(all) != 1 || all[0].Name != "left" || all[0].IMSI != "208011234567890" || all[0].Code != "#123#" ||
		all[0].Every != 6*time.Hour || all[0].Low != nil {
		t.Fatalf("%+v, %v", all, err)
	}
	if got := all[0].Pattern.FindStringSubmatch("Solde: 12.50 EUR")[1]; got != "12.50" {
		t.Errorf("amount: %q", got)
	}
	low, every := 2.0, 5*time.Minute
	p, err := BalanceConfig{Code: "*100#", Every: &every, Low: &low, Pattern: `(EUR|USD) (?P<amount>\d+)`}.policy("a", SIMConfig{})
	if err != nil || *p.Low != 2 || p.Every != every {
		t.Errorf("%+v, %v", p, err)
	}
	for pattern, want := range map[string]string{
		"": "pattern must not be empty", "[0-9]+": "pattern has 0 groups", "(a)(b)": "pattern has 2 groups",
		"(a": "pattern is no regular expression", "(?P<sum>a)(b)": "pattern has 2 groups",
	} {
		if _, err := (BalanceConfig{Code: "*100#", Pattern: pattern}).policy("a", SIMConfig{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	if _, err := configOf(t, strings.Replace(fleetText, "pattern =", "low = inf\npattern =", 1)); err == nil || !strings.Contains(err.Error(), "sim.left.balance.low") {
		t.Errorf("low without end: %v", err)
	}
	if _, err := configOf(t, "[sim.a]\nimsi = \"208011234567890\"\n[sim.a.balance]\npattern = \"(a)\""); err == nil || !strings.Contains(err.Error(), "sim.a.balance.code") {
		t.Errorf("a table without a code: %v", err)
	}
}

func TestKeyPath(t *testing.T) {
	for path, want := range map[string]string{
		"listen": "listen", "service[acme].code_ttl": "service.acme.code_ttl", "service[7].checks": "service.7.checks",
		"sim[left].budget.per_day": "sim.left.budget.per_day", "sim[left].labels[0]": "sim.left.labels[0]",
		"route[0].name": "route[0].name", "canary.pairs[1][0]": "canary.pairs[1][0]",
		"profile[mine].cms[513-999]": "profile.mine.cms.513-999",
	} {
		if got := keyPath(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestPlainDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{5 * time.Minute: "5m", 90 * time.Second: "1m30s", time.Hour: "1h", 0: "0s", 10 * time.Second: "10s", 20 * time.Minute: "20m"} {
		if got := plainDuration(d); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// The configuration that is shipped is valid, and limits every SIM.
func TestShippedConfiguration(t *testing.T) {
	text, err := os.ReadFile("../../systemd/smsotpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	config := validConfig(t, string(text))
	policy, err := config.policy()
	if err != nil {
		t.Fatal(err)
	}
	if l := policy.Limits; l.PerMinute != 10 || l.PerDay != 200 || !slices.Equal(config.Modems, []string{modem.Auto}) {
		t.Errorf("limits %+v, modems %v", l, config.Modems)
	}
}
