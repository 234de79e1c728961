package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is what a program printed so far.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// TestRun plays an operator who tries things.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	prefix, log, script := filepath.Join(dir, "m"), filepath.Join(dir, "log"), filepath.Join(dir, "faults.toml")
	if err := os.WriteFile(script, []byte("[[fault]]\nmodem = 1\non = \"payload\"\ndo = \"cms-error\"\ncode = 500\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdin, keyboard := io.Pipe()
	defer keyboard.Close()
	var out screen
	ended := make(chan error, 1)
	go func() {
		ended <- Run(t.Context(), Config{
			Modems: 2, Prefix: prefix, Profiles: []string{"generic", "sim800"}, LogPath: log, ScriptPath: script, Air: Fixed(0), Report: Fixed(0), Stdin: stdin, Stdout: &out,
		})
	}()
	until(t, "both modems", func() bool {
		return out.has("modem 0 at "+prefix+"0: generic, IMEI 001017000000011") && out.has("modem 1 at "+prefix+"1: sim800")
	})
	say := func(line, reply string) {
		t.Helper()
		if _, err := io.WriteString(keyboard, line+"\n"); err != nil {
			t.Fatal(err)
		}
		until(t, line+" says "+reply, func() bool { return out.has(reply) })
	}

	c := open(t, prefix+"0")
	c.prepare()
	c.submit()
	until(t, "the phone's bubble", func() bool { return out.has(helloTo) && out.has("│ hello   ") })
	c.write("AT+CMGS=18\r")
	c.until(5*time.Second, "> ")
	c.write(hello + "\x1a")
	c.lines()
	c1 := open(t, prefix+"1")
	c1.prepare()
	if got := c1.submit(); got[0] != "+CMS ERROR: 500" {
		t.Errorf("the script's fault: %q", got)
	}

	say("help", "quit                      stop")
	say("violations", "modem 0: wrong length in AT+CMGS\n")
	say("jump", `"jump" needs the number`)
	say("jump 0", `no command "jump"`)
	say("unplug 7", `"unplug" needs the number`)
	say("in 0 +33699999999 hi there", "")
	c.until(5*time.Second, "+CMT: ,")
	say("clear 1", "")
	say("network 0 off", "")
	say("network 0 on", "")
	say("network 0 up", "network N on|off|STAT")
	say("sim 0 out", "")
	say("sim 0 in", "")
	say("sim 0 sideways", "sim N in|out")
	say("in 0", "in N NUMBER TEXT")
	say("ban 0 256", "a cause is 1 to 255")
	say("ban 0 dear", "ban N CAUSE|off")
	say("swallow 0 whole", "swallow N on|off")
	say("outage 00101", "outage OPERATOR on|off")
	say("reports drop = 2", "drop, double and late are shares")
	say(`reports after = "10m"`, "")
	say("reports", "")
	say("outage 00101 on", "")
	say("outage 00101 off", "")
	say("phone "+helloTo+" off", "")
	say("phone "+helloTo+" on", "")
	say("swallow 0 on", "")
	say("swallow 0 off", "")
	say("ban 0 21", "")
	say("ban 0 off", "")
	say(`fault on = "payload", do = "cms-error"`, "code is for do")
	say(`fault modem = 0, on = "payload", do = "cms-error", code = 42`, "")
	say("list", "modem 1 at ")
	if got := c.submit(); got[len(got)-1] != "+CMS ERROR: 42" {
		t.Errorf("the fault by hand: %q", got)
	}
	say("unplug 0", "")
	say("list", "unplugged\n")
	say("reboot 0", "unplugged: ")
	say("plug 0 "+prefix+"-new", "")
	until(t, "the new port", func() bool { _, err := os.Stat(prefix + "-new"); return err == nil })
	say("quit", "")
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if !out.has("\n1 messages, 1 violations: 1 wrong length in AT+CMGS\n") {
		t.Error("no summary")
	}
	if left, err := filepath.Glob(prefix + "*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	wantJournal(t, log)
}

// wantJournal holds the shape of the journal that TestRun wrote.
func wantJournal(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]int{}
	for line := range bytes.Lines(text) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[record["event"]]++
		if record["event"] != nil {
			continue
		}
		for key, want := range map[string]any{
			"modem": 0.0, "imsi": "001010000000001", "from": "+447700900000", "to": helloTo, "text": "hello", "mr": 0.0, "pid": 0.0,
			"dcs": 0.0, "vp_format": "relative", "vp": "00", "vp_seconds": 300.0, "srr": true,
		} {
			if record[key] != want {
				t.Errorf("%s is %v, want %v", key, record[key], want)
			}
		}
		if reports, ok := record["reports"].([]any); !ok || len(reports) != 1 || reports[0] != 0.0 {
			t.Errorf("reports: %v", record["reports"])
		}
		for _, key := range []string{"time", "submitted_at", "accepted_at"} {
			if _, err := time.Parse(time.RFC3339Nano, record[key].(string)); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
	if seen[nil] != 1 || seen["report"] != 1 || seen["violation"] != 1 {
		t.Errorf("journal has %v", seen)
	}
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]Config{
		"no modems":     {Prefix: dir + "/m"},
		"no prefix":     {Modems: 1},
		"profile":       {Modems: 2, Prefix: dir + "/m", Profiles: []string{"generic", "nokia"}},
		"script":        {Modems: 1, Prefix: dir + "/m", ScriptPath: dir + "/none"},
		"log":           {Modems: 1, Prefix: dir + "/m", LogPath: dir + "/none/log"},
		"ports":         {Modems: 1, Prefix: dir + "/none/m"},
		"fault's modem": {Modems: 1, Prefix: dir + "/m", ScriptPath: "example.toml"},
	} {
		if err := Run(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Config{Modems: 1, Prefix: dir + "/m"}); err != nil {
		t.Errorf("an end from outside: %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no room") }

// TestJournalFails: a journal that can't be written stops the simulator.
func TestJournalFails(t *testing.T) {
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	c := NetworkConfig{Air: Fixed(0), Report: Fixed(0)}
	c.journalTo(NewJournal(fullDisk{}), stop)
	_, cl := bench(t, c, ModemConfig{})
	cl.prepare()
	cl.submit()
	if err := context.Cause(ctx); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("%v", err)
	}
}

func TestBubble(t *testing.T) {
	got := Bubble(Message{To: "+33612345678", Text: "123456 is your verification code.\n\x1b[2JNever share it. " + strings.Repeat("x", 50)})
	var widths []int
	for _, line := range strings.Split(got, "\n")[1:] {
		widths = append(widths, len([]rune(line)))
	}
	for _, w := range widths[:len(widths)-2] {
		if w != 45 {
			t.Errorf("widths %v:\n%s", widths, got)
			break
		}
	}
	if strings.Contains(got, "\x1b") {
		t.Error("a control character reached the terminal")
	}
}

// TestRunPorts: the ports of composite devices by profile or by hand.
func TestRunPorts(t *testing.T) {
	for _, c := range []struct{ ports, want string }{
		{"profile", "modem 0 at P0.if00 (diag), P0.if01 (nmea), P0.if02 (at), P0.if03 (at2): ec25"},
		{"at mute", "modem 0 at P0.if00 (at), P0.if01 (mute): ec25"},
	} {
		prefix := filepath.Join(t.TempDir(), "m")
		var out screen
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Run(ctx, Config{Modems: 1, Prefix: prefix, Profiles: []string{"ec25"}, Ports: strings.Fields(c.ports), Stdout: &out})
		}()
		until(t, c.want, func() bool { return out.has(strings.ReplaceAll(c.want, "P0", prefix+"0")) })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if err := Run(t.Context(), Config{Modems: 1, Prefix: "x", Ports: []string{"usb"}}); err == nil {
		t.Error("a port of no kind")
	}
}
