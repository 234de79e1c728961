package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"smsotpd/storage/bolt"
)

// pacing is a log of modems that each wait for gap before each message and have
// it in the air for air, from a time on.
func pacing(modems, messages int, from time.Time, gap, air time.Duration) *sentLog {
	l := &sentLog{latest: make([]time.Time, modems)}
	for n := range messages {
		for i := range modems {
			accepted := from.Add(time.Duration(n+1) * (gap + air))
			l.all = append(l.all, sentMessage{Modem: i, Submitted: accepted.Add(-air), Accepted: accepted})
		}
	}
	return l
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9*max(1, math.Abs(b)) }

// What is measured does not depend on where in a message the time begins or
// ends.
func TestPace(t *testing.T) {
	from := time.Now()
	l := pacing(4, 100, from, 3*time.Millisecond, 297*time.Millisecond)
	for _, shift := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, 299 * time.Millisecond} {
		p := l.pace(from.Add(time.Second+shift), from.Add(20*time.Second))
		if !near(p.rate, 4/.3) || !near(p.idle, .01) || !near(p.worst, .01) || !near(p.gap, .003) {
			t.Errorf("from %v on: %+v", shift, p)
		}
	}
}

// A modem that stops sending, or never begins, is idle.
func TestPaceOfAModemThatStops(t *testing.T) {
	from := time.Now()
	l := pacing(2, 100, from, 0, 300*time.Millisecond)
	kept := l.all[:0]
	for _, m := range l.all {
		if m.Modem == 0 || m.Accepted.Before(from.Add(10*time.Second)) {
			kept = append(kept, m)
		}
	}
	l.all = kept
	p := l.pace(from, from.Add(20*time.Second))
	if p.worst < .49 || p.worst > .53 || p.rate > 1.6/.3 {
		t.Errorf("%+v", p)
	}
	l.latest = make([]time.Time, 3)
	if p := l.pace(from, from.Add(20*time.Second)); p.worst != 1 {
		t.Errorf("of one that never sends: %+v", p)
	}
}

// A log is read while it is written, half lines and all.
func TestSentLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write := func(text string) {
		t.Helper()
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	l, err := followLog(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer l.file.Close()
	read := func(want int) {
		t.Helper()
		if fresh, err := l.read(); fresh != want || err != nil {
			t.Fatalf("%d new, %v; want %d", fresh, err, want)
		}
	}
	read(0)
	line, err := json.Marshal(sentMessage{Modem: 1, To: "+33612345678", Accepted: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	write(string(line[:10]))
	read(0)
	write(string(line[10:]) + "\n" + `{"event":"report","modem":1}` + "\n" + `{"event":"violation","modem":0}` + "\n")
	read(1)
	if l.violations != 1 || l.eachSent(1) || len(l.all) != 1 {
		t.Errorf("%d breaches, %d messages", l.violations, len(l.all))
	}
	write("what is this\n")
	if _, err := l.read(); err == nil {
		t.Error("a line that is none was read")
	}
}

// TestBenchCheck: what was lost or sent twice is found.
func TestBenchCheck(t *testing.T) {
	dir := t.TempDir()
	config, err := demoConfig(dir, "127.0.0.1:0", "FR", "none")
	if err != nil {
		t.Fatal(err)
	}
	s, err := openState(t.Context(), config, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	g := &rig{config: config, started: 5, log: &sentLog{violations: 2}}
	for _, n := range []int{1, 2, 3, 2} {
		g.log.all = append(g.log.all, sentMessage{To: benchNumber(n)})
	}
	g.log.all = append(g.log.all, sentMessage{To: benchNumber(77)}) // nobody asked for that
	got, err := g.check(t.Context())
	want := benchCheck{Started: 5, Sent: 3, Lost: 2, Doubled: 2, Violations: 2}
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
}

func TestFigure(t *testing.T) {
	for v, want := range map[float64]string{0: "0", .00123: "0.00123", 1.5: "1.5", 99.44: "99.4", 853.3: "853", 12345.6: "12346"} {
		if got := figure(v); got != want {
			t.Errorf("%s is written %s, want %s", fmt.Sprint(v), got, want)
		}
	}
}
