package sim

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestExample: the example shows every action and every point.
func TestExample(t *testing.T) {
	script, err := LoadScript("example.toml")
	if err != nil {
		t.Fatal(err)
	}
	faults := script.Faults
	if menu := script.USSD[2].Menu; len(script.USSD) != 3 || script.USSD[0].After != 2*time.Second || menu[1].Menu[0].Code != "1" {
		t.Errorf("%+v", script.USSD)
	}
	if want := (ReportChaos{Drop: 0.01, Double: 0.02, Late: 0.05, After: LogNormal(10*time.Minute, time.Hour), Shuffle: 3}); script.Reports != want {
		t.Errorf("%+v", script.Reports)
	}
	seen, points := map[Action]bool{}, map[Point]bool{}
	for _, f := range faults {
		seen[f.Do], points[f.On] = true, true
	}
	for _, a := range actions() {
		if !seen[a] {
			t.Errorf("no example of %s", a)
		}
	}
	text, err := os.ReadFile("example.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Point{OnCommand, OnCMGS, OnPrompt, OnPayload, OnAccepted, OnReport, OnTime, OnBoot} {
		if !points[p] && !strings.Contains(string(text), `"`+string(p)+`"`) {
			t.Errorf("no word on %s", p)
		}
	}
	hang := faults[9]
	if hang.Do != Hang || hang.For != 90*time.Second || hang.To != "+33600000005" || hang.Modem != nil {
		t.Errorf("%+v", hang)
	}
	if last := faults[len(faults)-1]; last.Modem == nil || *last.Modem != 1 || last.Size != 20 {
		t.Errorf("%+v", last)
	}
}

func TestScriptErrors(t *testing.T) {
	for _, c := range []struct{ script, want string }{
		{"[[fault]]\non = \"payload\"\ndoo = \"mute\"\n", `line 3: sim: script: unknown key "fault.doo"`},
		{"\n[[fault]]\non = \"payload\"\ndo = \"explode\"\n", `line 2: sim: fault: do = "explode" is not known`},
		{"[[fault]]\non = \"payload\"\ndo = \"mute\"\n[[ fault ]]\non = \"time\"\ndo = \"mute\"\n", "line 4: "},
		{"[[fault]]\non = \"payload\"\ndo = \"mute\"\nfor = \"soon\"\n", "line 4: "},
		{"[[fault]]\non = \"command\"\nmatch = \"(\"\ndo = \"mute\"\n", "line 3: "},
		{"[[fault]]\non = \"report\"\ndo = \"report-status\"\ncodes = [256]\n", "line 1: "},
		{"[[fault]\n", "line 1: "},
		{"\n[[ussd]]\ncode = \"1\"\ntext = \"Ж\"\n", "line 2: sim: ussd: the text"},
		{"[[ussd]]\nmenu = [{text = \"x\"}]\n", "line 1: sim: ussd: a choice"},
		{"[[ussd]]\ndcs = 255\nm = 6\n", "line 1: "},
		{"\n[reports]\ndrop = 1.5\n", "line 2: sim: reports: drop"},
		{"[reports]\nafter = \"soon\"\n", "line 1: sim: delay"},
		{"[reports]\nshuffle = -1\n", "line 1: sim: reports: shuffle"},
		{"[[fault]]\non = \"time\"\ndo = \"ban\"\ncode = 304\n", "line 1: sim: fault: do = \"ban\" needs a code of 1"},
		{"[[fault]]\non = \"time\"\ndo = \"ban\"\n", "line 1: sim: fault: code is for"},
	} {
		if _, err := ParseScript([]byte(c.script)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.script, err, c.want)
		}
	}
	if _, err := LoadScript(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing script is no error")
	}
	if f, err := ParseFault(`on = "payload", do = "hang", for = "90s", modem = 1`); err != nil || f.Do != Hang || *f.Modem != 1 {
		t.Errorf("%+v %v", f, err)
	}
	for _, inline := range []string{"", "on", `on = "payload"`, `on = "payload", do = "mute"}, {on = "payload", do = "mute"`} {
		if _, err := ParseFault(inline); err == nil {
			t.Errorf("%q is taken", inline)
		}
	}
}
