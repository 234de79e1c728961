package gateway

import (
	"context"
	"errors"
	"math"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/storage"
)

func TestAmounts(t *testing.T) {
	for text, want := range map[string]float64{
		"12": 12, "12,34": 12.34, "12.3": 12.3, "1.234,56": 1234.56, "1,234.56": 1234.56, "12 EUR": 12,
		"EUR 12.50": 12.5, "1.234": 1234, "1,234,567": 1234567, "1 234,56": 1234.56, "1\u00a0234": 1234,
		"1'234.50 CHF": 1234.5, "1,23,456.78": 123456.78, "-3,20": -3.2, "- 3": -3, "0,00": 0, "0.250": 0.25,
		"12.": 12, "12.50.": 12.5, "5 20": 5, "007": 7, "€7,5 left": 7.5,
	} {
		if got, ok := parseAmount(text); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "none", "12.05.2026", "12.05.26", "1234.567", "1,2345", "1234567890123456"} {
		if got, ok := parseAmount(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func FuzzAmounts(f *testing.F) {
	f.Add("1.234,56 EUR")
	f.Fuzz(func(t *testing.T, text string) {
		if amount, ok := parseAmount(text); ok && !(amount > -1e15 && amount < 1e15) {
			t.Errorf("%q: %v", text, amount)
		}
	})
}

func TestBalancePolicy(t *testing.T) {
	valid := BalancePolicy{Name: "a", Code: "*100#", Every: time.Hour, Pattern: regexp.MustCompile(`(\d+)`)}
	if err := valid.Validate(); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*BalancePolicy){
		"which SIM":           func(p *BalancePolicy) { p.Name = "" },
		"code":                func(p *BalancePolicy) { p.Code = "100" },
		"USSD code that asks": func(p *BalancePolicy) { p.Code = "**04*1234*4321*4321#" },
		"every must be":       func(p *BalancePolicy) { p.Every = time.Second },
		"between 5m and 720h": func(p *BalancePolicy) { p.Every = math.MaxInt64 },
		"must not be empty":   func(p *BalancePolicy) { p.Pattern = nil },
		"has 0 groups":        func(p *BalancePolicy) { p.Pattern = regexp.MustCompile(`\d+`) },
		"has 2 groups":        func(p *BalancePolicy) { p.Pattern = regexp.MustCompile(`(\d+)(,)`) },
		"low must be":         func(p *BalancePolicy) { p.Low = new(math.NaN()) },
	} {
		p := valid
		spoil(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	valid.Pattern = regexp.MustCompile(`(main|bonus): (?P<amount>[\d.]+)`)
	if got, ok := valid.read("bonus: 2.50"); !ok || got != 2.5 {
		t.Errorf("group amount: %v, %v", got, ok)
	}
}

// exchange answers USSD codes.
type exchange struct {
	mu     sync.Mutex
	text   string
	err    error
	asked  []time.Time
	modems []string
}

func (e *exchange) ask(_ context.Context, name, code string) (modem.USSDReply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if code != "*100#" {
		return modem.USSDReply{}, errors.New("another code")
	}
	e.asked, e.modems = append(e.asked, time.Now()), append(e.modems, name)
	return modem.USSDReply{Text: e.text}, e.err
}

func (e *exchange) says(text string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text, e.err = text, err
}

// times are when it was asked.
func (e *exchange) times() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]time.Time(nil), e.asked...)
}

// asking is a world in which the balance of SIM a is asked for every 6 hours.
func asking(t *testing.T, test func(t *testing.T, w *world, e *exchange)) {
	t.Helper()
	e := &exchange{text: "0611111101: 7,50 EUR left"}
	inWorld(t, func(o *Options) {
		o.USSD = e.ask
		o.Balances = []BalancePolicy{{
			Name: "a", IMSI: "imsi-a", Code: "*100#", Every: 6 * time.Hour, Low: new(5.0),
			Pattern: regexp.MustCompile(`: (?P<amount>[-0-9.,]+)`),
		}}
	}, func(t *testing.T, w *world) { test(t, w, e) })
}

func (w *world) balance(sim string) (amount float64) {
	w.t.Helper()
	w.must(w.store.View(w.t.Context(), func(tx storage.Tx) error {
		s, err := w.gw.budgets.Standing(tx, sim, w.gw.dispatch.LimitsOf(sim))
		if err == nil && s.Balance != nil {
			amount = s.Balance.Amount
		}
		return err
	}))
	return amount
}

func TestBalanceIsAskedFor(t *testing.T) {
	asking(t, func(t *testing.T, w *world, e *exchange) {
		w.pass(time.Hour)
		if n := len(e.times()); n != 0 {
			t.Fatalf("asked %d times while it isn't there", n)
		}
		w.radio.plug("a", takes(0))
		w.radio.plug("b", takes(0))
		w.pass(balanceJitter + 2*balanceLook)
		if len(e.times()) != 1 || e.modems[0] != "a" {
			t.Fatalf("asked %v", e.modems)
		}
		if got := w.balance("imsi-a"); got != 7.5 {
			t.Errorf("the balance is %v", got)
		}
		w.counted("smsotpd_sim_balance", map[string]float64{"a ": 7.5})
		if at := w.counts("smsotpd_sim_balance_timestamp_seconds")["a "]; math.Abs(at-float64(e.times()[0].Unix())) > 1 {
			t.Errorf("told at %v", at)
		}
		w.pass(5 * time.Hour)
		if n := len(e.times()); n != 1 {
			t.Errorf("asked %d times in 5 hours", n)
		}
		e.says("X: 1.004,20", nil)
		w.pass(time.Hour + time.Minute)
		w.counted("smsotpd_sim_balance", map[string]float64{"a ": 1004.2})
		w.counted("smsotpd_modem_events_total", map[string]float64{})
	})
}

// The operator is told when it falls, and again only after it has risen.
func TestBalanceLow(t *testing.T) {
	asking(t, func(t *testing.T, w *world, e *exchange) {
		line := w.radio.plug("a", takes(0))
		for i, c := range []struct {
			text string
			told float64
		}{
			{": 5", 0}, {": 4.99", 1}, {": 3", 1}, {": 20", 1}, {": -1,50", 2},
		} {
			e.says(c.text, nil)
			if w.pass(5 * time.Minute); i > 0 {
				w.pass(6*time.Hour - 5*time.Minute)
			}
			if n := len(e.times()); n != i+1 {
				t.Fatalf("asked %d times", n)
			}
			if got := w.counts("smsotpd_modem_events_total")["balance_low a "]; got != c.told {
				t.Errorf("%s: told %v times, want %v", c.text, got, c.told)
			}
		}
		// Nor after a restart, nor is it asked sooner.
		line.unplug()
		w.down()
		w.up()
		w.radio.plug("a", takes(0))
		asked := e.times()
		w.pass(12 * time.Hour)
		again := e.times()
		if wait := again[len(asked)].Sub(asked[len(asked)-1]); wait < 6*time.Hour || wait > 6*time.Hour+time.Minute {
			t.Errorf("asked again after %v", wait)
		}
		w.counted("smsotpd_modem_events_total", map[string]float64{})
	})
}

func TestBalanceThatCantBeAskedFor(t *testing.T) {
	asking(t, func(t *testing.T, w *world, e *exchange) {
		e.says("", modem.ErrUSSDSilent)
		w.radio.plug("a", takes(0))
		w.pass(5 * time.Hour)
		asked := e.times()
		want := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour}
		for i, wait := range want {
			if got := asked[i+1].Sub(asked[i]); got < wait || got > wait+balanceLook {
				t.Errorf("try %d came after %v, want %v", i+2, got, wait)
			}
		}
		e.says("try again later", nil)
		w.pass(3 * time.Hour)
		w.counted("smsotpd_modem_events_total", map[string]float64{"balance_unreadable a ": 1})
		w.counted("smsotpd_sim_balance", map[string]float64{})
		e.says(": 9", nil)
		w.pass(time.Hour + time.Minute)
		w.counted("smsotpd_sim_balance", map[string]float64{"a ": 9})
		e.says("?", nil)
		w.pass(7 * time.Hour)
		w.counted("smsotpd_modem_events_total", map[string]float64{"balance_unreadable a ": 2})
	})
}

// An answer that comes when another SIM is in the modem is nobody's.
func TestBalanceOfASIMThatIsGone(t *testing.T) {
	asking(t, func(t *testing.T, w *world, e *exchange) {
		w.radio.cards = map[string]string{"a": "a"}
		w.down()
		hold := make(chan struct{})
		w.opts.USSD = func(ctx context.Context, name, code string) (modem.USSDReply, error) {
			reply, err := e.ask(ctx, name, code)
			if len(e.times()) == 1 {
				<-hold
			}
			return reply, err
		}
		w.opts.Balances[0].IMSI = ""
		w.up()
		line := w.radio.plug("a", takes(0))
		w.pass(balanceJitter + time.Minute)
		line.unplug()
		w.radio.cards["b"] = "a"
		w.radio.plug("b", takes(0))
		w.pass(time.Minute)
		close(hold)
		w.pass(time.Second)
		if got := w.balance("imsi-b"); got != 0 {
			t.Errorf("b has the answer for a: %v", got)
		}
		w.pass(time.Hour)
		if got := w.balance("imsi-b"); got != 7.5 || w.balance("imsi-a") != 0 {
			t.Errorf("b's balance is %v, a's %v", got, w.balance("imsi-a"))
		}
	})
}

func TestBalanceCodes(t *testing.T) {
	for _, code := range []string{"*100#", "#123#", "*#100#", "*101*1#", "*100*1*2#", "##002#"} {
		if !isBalanceCode(code) {
			t.Errorf("%s is refused", code)
		}
	}
	for _, code := range []string{
		"", "#", "*#", "*#*#", "100", "100#", "*100", "*100#\r", "*1a0#", "* 100#", "BAL",
		"**04*1234*5678*5678#", "**042*1#", "**05*12345678*1234*1234#", "*" + strings.Repeat("1", longestUSSDCode) + "#",
	} {
		if isBalanceCode(code) {
			t.Errorf("%q is taken", code)
		}
	}
}
