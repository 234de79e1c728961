package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/verification"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// What people do during a chaos run.

// ask starts the verifications, spread over the time of the faults.
func (c *chaos) ask() {
	each := c.plan.time / time.Duration(c.plan.messages)
	for i := range c.plan.messages {
		to := mobile(i)
		v, err := c.up().gw.Start(context.Background(), gateway.Call{Caller: "chaos"}, gateway.StartRequest{To: to})
		if err != nil {
			c.t.Errorf("a start was refused: %v", err)
			continue
		}
		c.mu.Lock()
		c.started[to] = v
		c.mu.Unlock()
		pause(each)
	}
}

var chaosCode = regexp.MustCompile(`^\d+`)

// deliver is a phone that got a message. Every second person types the code.
func (c *chaos) deliver(m sim.Message) {
	code := chaosCode.FindString(m.Text)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrived[m.To] = append(c.arrived[m.To], code)
	if c.over || m.To[len(m.To)-1]%2 == 0 || len(c.arrived[m.To]) > 1 {
		return
	}
	c.typing.Go(func() {
		pause(time.Second) // typing; also the start has returned by then
		c.mu.Lock()
		v := c.started[m.To]
		c.mu.Unlock()
		verdict, err := c.up().gw.Check(context.Background(), gateway.Call{Caller: "chaos"}, v.ID, code)
		// A report may have called it undeliverable, before another one.
		if err != nil || !verdict.Valid && time.Now().Before(v.ExpiresAt) && verdict.Status != verification.Undeliverable {
			c.t.Errorf("the code that a phone got is not right: %+v, %v", verdict, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.approved[m.To] = verdict.Valid
	})
}

// report is a modem that is handed a delivery report.
func (c *chaos) report(r sim.Receipt) {
	c.note("modem %d is handed a report of %d to %s: status %d", r.Message.Modem, r.Message.MR, r.Message.To, r.Status)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reported[r.Message.To] = append(c.reported[r.Message.To], reported{r, time.Now()})
}

// write sends messages to the SIMs: one for each twenty that go out, in all
// encodings, many in several parts, which come in any order and some twice.
func (c *chaos) write() {
	dice := rand.New(rand.NewPCG(c.seed, 2))
	total := c.plan.messages / 20
	for i := range total {
		from := fmt.Sprintf("+3375%07d", i)
		in := sim.Inbound{From: from, Wide: dice.IntN(2) == 0, Ref: uint16(dice.IntN(256)), UCS2: dice.IntN(4) == 0}
		in.Text = fmt.Sprintf("Message %d: ", i) + strings.Repeat("what is this? ", dice.IntN(30))
		if dice.IntN(4) == 0 {
			in.Text += " Être où? 👋"
		}
		c.mu.Lock()
		c.written[from] = in.Text
		c.mu.Unlock()
		m := c.network.Modems()[dice.IntN(chaosModems)]
		c.note("somebody writes message %d to modem %d", i, m.Index())
		if err := m.ReceiveMessage(in); err != nil {
			c.t.Error(err)
		}
		if dice.IntN(4) == 0 { // the service centre is not sure
			in.Order = []int{1}
			if err := m.ReceiveMessage(in); err != nil {
				c.t.Error(err)
			}
		}
		pause(c.plan.time / time.Duration(total))
	}
}

// inquire asks for the balance of one SIM after the other.
func (c *chaos) inquire() {
	answers := 0
	for range 20 {
		pause(c.plan.time / 20)
		d := c.up()
		for i, s := range d.fleet.Statuses() {
			if i%4 != 0 {
				continue
			}
			reply, err := d.fleet.USSD(context.Background(), s.Name, "*100#")
			switch {
			case err == nil && reply.Text == "Your balance is 12.34 EUR.":
				answers++
			case err == nil:
				c.t.Errorf("the balance is %q", reply.Text)
			case errors.Is(err, modem.ErrNotReady), errors.Is(err, modem.ErrNoSuchModem), errors.Is(err, modem.ErrUSSDRefused), errors.Is(err, modem.ErrUSSDSilent):
			default:
				c.t.Errorf("no balance: %v", err)
			}
		}
	}
	c.t.Logf("%d balances were told", answers)
}
