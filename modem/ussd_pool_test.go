package modem_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// Every form in which modems take codes and give answers.
func TestUSSD(t *testing.T) {
	const balance = "Your balance is 12.34 EUR.\n1 Top up\n2 OK"
	answers := []sim.USSD{
		{Code: "*100#", Text: balance},
		{Code: "*101#", Text: balance, Early: true},
		{Code: "*102#", Text: "Баланс 12", DCS: 72},
		{Code: "*103#", Text: "Language?", Menu: []sim.USSD{{Code: "1", Text: "English"}}},
		{Code: "*104#", M: 4},
		{Code: "*105#", M: 2},
		{Code: "*106#", M: 2, Text: "Bye"},
	}
	huawei := sim.Generic()
	huawei.Name, huawei.Manufacturer, huawei.USSDPacked = "huawei", "huawei", true
	secret := sim.Generic()
	secret.Name, secret.USSDPacked = "packed, and nothing tells", true
	for _, p := range []sim.Profile{sim.Generic(), huawei, secret} {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			b := start(t, at0(), []sim.ModemConfig{{Profile: p, USSD: answers}}, modem.PoolConfig{})
			b.line("modem0")
			for _, tt := range []struct {
				code, text string
				more       bool
				err        error
			}{
				{"*100#", balance, false, nil},
				{"*101#", balance, false, nil},
				{"*102#", "Баланс 12", false, nil},
				{"*103#", "Language?", true, nil},
				{"1", "English", false, nil},
				{"*103#", "Language?", true, nil},
				{"*100#", balance, false, nil}, // which ends the dialogue
				{"*104#", "", false, modem.ErrUSSDRefused},
				{"*105#", "", false, modem.ErrUSSDRefused},
				{"*106#", "Bye", false, nil},
				{"*999#", "", false, modem.ErrUSSDRefused},
				{"AT+CFUN=0", "", false, modem.ErrUSSDCode},
			} {
				r, err := b.pool.USSD(context.Background(), "modem0", tt.code)
				if r.Text != tt.text || r.More != tt.more || !errors.Is(err, tt.err) {
					t.Errorf("%s: %q %t %v", tt.code, r.Text, r.More, err)
				}
				if strings.Contains(fmt.Sprintf("%v %+v %#v", r, r, r), "12") {
					t.Error("the text is printed")
				}
			}
			if _, err := b.pool.USSD(context.Background(), "another", "*100#"); !errors.Is(err, modem.ErrNoSuchModem) {
				t.Errorf("another: %v", err)
			}
			b.unviolated()
		})
	}
}

// The answer is waited for for 60 s, a message goes out meanwhile, and what
// comes later is not taken for the answer to the next code.
func TestUSSDSlowly(t *testing.T) {
	c := sim.ModemConfig{USSD: []sim.USSD{
		{Code: "*1#", Text: "slow", After: 50 * time.Second},
		{Code: "*2#", Silent: true},
		{Code: "*3#", Text: "late", After: 70 * time.Second},
		{Code: "*4#", Text: "next", After: 30 * time.Second},
	}}
	inVirtualTime(t, []sim.ModemConfig{c}, func(t *testing.T, b *bench, _ *memory) {
		ask := func(code string) (string, error) {
			r, err := b.pool.USSD(context.Background(), "modem0", code)
			return r.Text, err
		}
		line := b.line("modem0")
		type answer struct {
			text string
			err  error
		}
		asked := make(chan answer, 1)
		go func() {
			text, err := ask("*1#")
			asked <- answer{text, err}
		}()
		<-time.After(time.Second) // the code is under way
		if _, err := ask("*1#"); !errors.Is(err, modem.ErrUSSDBusy) {
			t.Errorf("at the same time: %v", err)
		}
		began := time.Now()
		if r := send(line); r.Class != modem.Accepted || time.Since(began) > time.Second {
			t.Errorf("a message meanwhile: %v after %v", r.Class, time.Since(began))
		}
		if a := <-asked; a.text != "slow" || a.err != nil {
			t.Errorf("slow: %+v", a)
		}
		began = time.Now()
		if _, err := ask("*2#"); !errors.Is(err, modem.ErrUSSDSilent) || time.Since(began) > 61*time.Second {
			t.Errorf("silent: %v after %v", err, time.Since(began))
		}
		if _, err := ask("*3#"); !errors.Is(err, modem.ErrUSSDSilent) {
			t.Errorf("late: %v", err)
		}
		if text, err := ask("*4#"); text != "next" || err != nil {
			t.Errorf("next: %q %v", text, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := b.pool.USSD(ctx, "modem0", "*2#"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
		b.unviolated()
	})
}

// A modem whose message is in the air for longer than a code is waited for has
// no time for the code.
func TestUSSDBehindAMessage(t *testing.T) {
	slow := sim.Fault{On: sim.OnPayload, Do: sim.Slow, After: 2 * time.Minute}
	inVirtualTime(t, []sim.ModemConfig{{Faults: []sim.Fault{slow}}}, func(t *testing.T, b *bench, _ *memory) {
		line := b.line("modem0")
		sent := make(chan modem.Result, 1)
		go func() { sent <- send(line) }()
		<-time.After(time.Second) // the message is on its way
		if _, err := b.pool.USSD(context.Background(), "modem0", "*100#"); !errors.Is(err, modem.ErrNotReady) {
			t.Errorf("%v", err)
		}
		if r := <-sent; r.Class != modem.Accepted {
			t.Errorf("the message: %v", r.Class)
		}
		b.unviolated()
	})
}

// A modem that is not ready says so at once.
func TestUSSDNotReady(t *testing.T) {
	b := start(t, at0(), []sim.ModemConfig{{PIN: "1234"}}, modem.PoolConfig{})
	b.until("status", func() bool { return b.status("modem0").State == modem.Parked })
	if _, err := b.pool.USSD(context.Background(), "modem0", "*100#"); !errors.Is(err, modem.ErrNotReady) {
		t.Errorf("%v", err)
	}
}
