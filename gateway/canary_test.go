package gateway

import (
	"context"
	"maps"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/inbound"
	"smsotpd/gateway/queue"
	"smsotpd/modem"
	"smsotpd/storage"
)

// numbers are those of the SIMs in the modems a and b, and how the network
// shows them to others.
func numbers() map[string][2]string {
	return map[string][2]string{"a": {"+33611111101", "0611111101"}, "b": {"+33622222202", "33622222202"}}
}

// trio are canaries between three SIMs every hour, of which c has no number.
func trio(o *Options) {
	o.Canary = CanaryPolicy{Every: time.Hour}
	for _, name := range []string{"a", "b", "c"} {
		o.Canary.SIMs = append(o.Canary.SIMs, CanarySIM{Name: name, IMSI: "imsi-" + name, Number: numbers()[name][0]})
	}
}

func duo(o *Options) {
	trio(o)
	o.Canary.SIMs = o.Canary.SIMs[:2]
	o.Canary.Pairs = [][]string{{"a", "b"}}
}

// carrier is a network that takes messages in 2 s and brings those to the SIMs
// after a while; lose says which it does not bring.
type carrier struct {
	w   *world
	way time.Duration

	mu   sync.Mutex
	lose bool
}

func (c *carrier) set(lose bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lose = lose
}

func (c *carrier) plug(names ...string) {
	for _, name := range names {
		accept := takes(2 * time.Second)
		c.w.radio.plug(name, func(ctx context.Context, s sms) modem.Result {
			c.mu.Lock()
			lose := c.lose
			c.mu.Unlock()
			if !lose {
				time.AfterFunc(c.way, func() { c.bring(s) })
			}
			return accept(ctx, s)
		})
	}
}

// bring hands a message to the SIM that it is for.
func (c *carrier) bring(s sms) {
	from := numbers()[s.line][1]
	if from == "" {
		from = "+33633333303"
	}
	for name, n := range numbers() {
		if n[0] == s.to {
			c.w.receive(name, from, s.text)
		}
	}
}

func (w *world) receive(name, from, text string) {
	w.must(w.gw.Received(w.t.Context(), modem.Inbound{
		Modem: name, IMSI: "imsi-" + name, From: from, Text: text, PDU: []byte(name + from + text),
	}))
}

// kept fails the test unless so many messages are in the inbound book.
func (w *world) kept(n int) {
	w.t.Helper()
	list, err := w.gw.Inbound(w.t.Context(), inbound.Range{Limit: 100})
	w.must(err)
	if len(list) != n {
		w.t.Fatalf("%d messages were kept, want %d", len(list), n)
	}
}

func (w *world) counted(name string, want map[string]float64) {
	w.t.Helper()
	if got := w.counts(name); !maps.Equal(got, want) {
		w.t.Errorf("%s: %v, want %v", name, got, want)
	}
}

func TestCanariesGoRound(t *testing.T) {
	inWorld(t, trio, func(t *testing.T, w *world) {
		c := &carrier{w: w, way: 4 * time.Second}
		c.plug("a", "b", "c")
		w.pass(59 * time.Minute)
		all := map[string]sms{}
		for _, s := range w.sent(2) { // at 20 and 40 minutes past
			all[s.line] = s
		}
		w.pass(time.Hour)
		for _, s := range w.sent(5)[2:] {
			all[s.line] = s
		}
		for line, to := range map[string]string{"a": "b", "b": "a", "c": "a"} {
			s := all[line]
			if s.to != numbers()[to][0] || !canaryForm().MatchString(s.text) || len(s.text) > 30 {
				t.Errorf("%s sent %q to %s", line, s.text, s.to)
			}
		}
		w.kept(0)
		w.counted("smsotpd_canaries_total", map[string]float64{"a arrived ": 1, "b arrived ": 2, "c arrived ": 2})
		w.counted("smsotpd_canary_seconds", map[string]float64{"a ": 1, "b ": 2, "c ": 2})
		w.counted("smsotpd_messages_received_total", map[string]float64{"": 0})
	})
}

// The latency is that from the first try, not from the queue.
func TestCanaryLatency(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w, way: 4 * time.Second}
		c.plug("a", "b")
		w.gw.dispatch.Hold("b", true) // it still receives
		w.pass(time.Hour - 3*time.Second)
		for range 3 { // these wait before it, and keep it from being sent for some seconds
			w.start(alice, "")
		}
		w.pass(3500 * time.Millisecond)
		w.start(alice, "")
		w.pass(20 * time.Second)
		heard := w.sent(5)
		if !strings.HasPrefix(heard[4].text, "smsotpd check") {
			t.Errorf("a test message did not wait for the codes: %+v", heard)
		}
		families, err := w.opts.Metrics.(*prometheus.Registry).Gather()
		w.must(err)
		for _, f := range families {
			if f.GetName() != "smsotpd_canary_seconds" {
				continue
			}
			if took := f.GetMetric()[0].GetHistogram().GetSampleSum(); took < 3.9 || took > 4.1 {
				t.Errorf("it took %v s", took)
			}
			return
		}
		t.Error("no latency was measured")
	})
}

// What the network refuses, or what was never sent, says nothing of the way.
func TestCanariesRefused(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w}
		w.radio.plug("a", fails(1000, modem.Destination, "cms-1", takes(0)))
		c.plug("b")
		w.pass(3*time.Hour - time.Minute)
		w.sent(2)
		w.counted("smsotpd_canaries_total", map[string]float64{"a refused ": 2})
		w.counted("smsotpd_modem_events_total", map[string]float64{})
	})
}

func TestCanariesThatAreNotSent(t *testing.T) {
	for name, spoil := range map[string]func(w *world, c *carrier){
		"the receiver is away": func(_ *world, c *carrier) { c.plug("a") },
		"the sender is away":   func(_ *world, c *carrier) { c.plug("b") },
		"the sender is held": func(w *world, c *carrier) {
			c.plug("a", "b")
			w.gw.dispatch.Hold("a", true)
		},
		"there is no room": func(w *world, c *carrier) {
			c.plug("a", "b")
			w.pass(0)
			w.gw.dispatch.Limit(w.t.Context(), "imsi-a", budget.Change{PerDay: new(1)})
			w.gw.dispatch.Hold("b", true)
			w.start(alice, "")
			w.pass(5 * time.Second)
			w.gw.dispatch.Hold("b", false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, duo, func(t *testing.T, w *world) {
				spoil(w, &carrier{w: w})
				before := len(w.radio.heard())
				w.pass(3 * time.Hour)
				w.sent(before)
				w.counted("smsotpd_canaries_total", map[string]float64{})
				if waiting, _ := w.gw.dispatch.Depth(); len(waiting) != 0 {
					t.Errorf("%v wait", waiting)
				}
			})
		})
	}
}

// A SIM of which only the operator's name is known is found by it.
func TestCanariesByName(t *testing.T) {
	inWorld(t, func(o *Options) {
		duo(o)
		for i := range o.Canary.SIMs {
			o.Canary.SIMs[i].IMSI = ""
		}
	}, func(t *testing.T, w *world) {
		w.radio.cards = map[string]string{"x": "a", "y": "b"}
		accept := takes(time.Second)
		w.radio.plug("x", accept)
		w.radio.plug("y", accept)
		w.pass(time.Hour + time.Minute)
		if s := w.sent(1)[0]; s.line != "x" || s.to != numbers()["b"][0] {
			t.Errorf("%+v", s)
		}
	})
}

// Test messages that come after a restart are dropped; what only looks like one
// is kept.
func TestCanariesAfterRestart(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		c := &carrier{w: w}
		c.set(true)
		c.plug("a", "b")
		w.pass(time.Hour + time.Minute)
		s := w.sent(1)[0]
		stranger := "+33644444404"
		w.receive("b", stranger, s.text) // the right token, and another's number
		w.kept(1)
		w.down()
		w.up()
		c.bring(s)
		w.kept(1)
		w.receive("b", numbers()["a"][0], s.text+" is what I got")
		w.receive("b", stranger, "smsotpd check 00000000")
		w.receive("b", numbers()["a"][0], "smsotpd check 0000000")
		w.kept(4)
		w.counted("smsotpd_canaries_total", map[string]float64{})
		w.pass(10 * time.Minute)
		w.counted("smsotpd_modem_events_total", map[string]float64{})
	})
}

// The queue keeps test messages for a day.
func TestCanariesAreForgotten(t *testing.T) {
	inWorld(t, duo, func(t *testing.T, w *world) {
		(&carrier{w: w, way: time.Second}).plug("a", "b")
		messages := func() (n int) {
			w.must(w.store.View(t.Context(), func(tx storage.Tx) error {
				table := storage.NewTable[queue.Message]("message", 1)
				rows, err := table.Scan(tx, nil, nil, 1000)
				n = len(rows)
				return err
			}))
			return n
		}
		w.pass(5*time.Hour + time.Minute)
		if n := messages(); n != 5 {
			t.Fatalf("%d messages are kept, want 5", n)
		}
		w.pass(22 * time.Hour)
		if n := messages(); n != 24 {
			t.Errorf("%d messages are kept, want those of a day", n)
		}
		if n := len(w.gw.canaries.sent); n > 25 {
			t.Errorf("%d are in memory", n)
		}
	})
}

func TestCanaryPolicy(t *testing.T) {
	valid := func() CanaryPolicy {
		var o Options
		trio(&o)
		return o.Canary
	}
	if err := valid().Validate(); err != nil {
		t.Error(err)
	}
	if err := (CanaryPolicy{SIMs: []CanarySIM{{}}}).Validate(); err != nil {
		t.Errorf("what is off needs nothing: %v", err)
	}
	for want, spoil := range map[string]func(*CanaryPolicy){
		"every must be":        func(p *CanaryPolicy) { p.Every = time.Second },
		"between 5m and 720h":  func(p *CanaryPolicy) { p.Every = math.MaxInt64 },
		"timeout":              func(p *CanaryPolicy) { p.Timeout = time.Second },
		"without a name":       func(p *CanaryPolicy) { p.SIMs[0].Name = "" },
		"sim.b is there twice": func(p *CanaryPolicy) { p.SIMs[0].Name = "b" },
		"sim.a.number:":        func(p *CanaryPolicy) { p.SIMs[0].Number = "+33000011101" },
		`no SIM "d"`:           func(p *CanaryPolicy) { p.Pairs = [][]string{{"a", "d"}} },
		"pairs[0] must be":     func(p *CanaryPolicy) { p.Pairs = [][]string{{"a", "a"}} },
		"pairs[1] must be":     func(p *CanaryPolicy) { p.Pairs = [][]string{{"a", "b"}, {"a"}} },
		"pairs[1] is there":    func(p *CanaryPolicy) { p.Pairs = [][]string{{"a", "b"}, {"a", "b"}} },
		"sim.c.number is":      func(p *CanaryPolicy) { p.Pairs = [][]string{{"a", "c"}} },
		"needs two SIMs":       func(p *CanaryPolicy) { p.SIMs = p.SIMs[:1] },
		"needs the number":     func(p *CanaryPolicy) { p.SIMs[0].Number, p.SIMs[1].Number = "", "" },
	} {
		p := valid()
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if err := p.Validate(); err != nil && strings.Contains(err.Error(), "11101") {
			t.Errorf("the number is told: %v", err)
		}
	}
}

func TestCanarySlots(t *testing.T) {
	p := CanaryPolicy{Every: 6 * time.Hour}
	begin := time.Date(2026, 3, 1, 5, 0, 0, 0, time.UTC)
	for place, want := range []string{"06:00", "08:00", "10:00"} {
		at := p.slot(begin, place, 3)
		if got := at.Format("15:04"); got != want {
			t.Errorf("place %d: %s, want %s", place, got, want)
		}
		if next := p.slot(at, place, 3); next.Sub(at) != p.Every {
			t.Errorf("place %d: the next one after %v", place, next.Sub(at))
		}
	}
}

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"+33611111101", "+33611111101", true},
		{"+33611111101", "0611111101", true},
		{"+33611111101", "611111101", true},
		{"+33611111101", "+33611111102", false},
		{"+33611111101", "11101", false},
		{"+33611111101", "smsotpd", false},
		{"+33611111101", "", false},
	} {
		if got := sameNumber(c.a, c.b); got != c.want {
			t.Errorf("%s, %s: %v", c.a, c.b, got)
		}
	}
}
