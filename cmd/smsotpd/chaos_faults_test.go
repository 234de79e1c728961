package main

import (
	"context"
	"time"

	"smsotpd/modem/sim"
)

// strike lets something go wrong, again and again, until the time is over: what
// the simulator draws, what it doesn't, and what people and power do.
func (c *chaos) strike() {
	unsound := chaosModems - c.plan.sound
	count := int(c.plan.time * c.plan.quick / (3 * time.Second))
	mishaps := sim.RandomMishaps(c.dice, unsound, c.plan.time, count)
	for i := range mishaps {
		// A prompt later than the driver waits could fall into the next
		// message, where nobody can tell it by its octets.
		if f := &mishaps[i].Fault; f.Do == sim.LatePrompt {
			f.After = min(f.After, 9*time.Second)
		}
		c.quicken(&mishaps[i].Fault)
		c.note("mishap %s", mishaps[i])
	}
	c.others.Go(func() {
		if err := c.network.Let(context.Background(), mishaps); err != nil {
			c.t.Error(err)
		}
	})
	kills := c.plan.kills
	end := time.Now().Add(c.plan.time)
	for time.Now().Before(end) {
		pause(c.span(5 * time.Second))
		if left := time.Until(end); kills > 0 && left < c.plan.time*time.Duration(kills)/time.Duration(c.plan.kills+1) {
			kills--
			c.kill()
		}
		m := c.network.Modems()[c.dice.IntN(unsound)]
		if c.dice.IntN(3) == 0 {
			c.happen(m)
			continue
		}
		f := c.fault()
		f.Count = 1 + c.dice.IntN(2)
		c.note("fault of modem %d: %s", m.Index(), f.Inline())
		if err := m.AddFault(f); err != nil {
			c.t.Errorf("%+v: %v", f, err)
		}
	}
}

// span draws a time.
func (c *chaos) span(most time.Duration) time.Duration {
	return time.Duration(1 + c.dice.Int64N(int64(most/c.plan.quick)))
}

// quicken shortens what a fault takes.
func (c *chaos) quicken(f *sim.Fault) {
	for _, d := range []*time.Duration{&f.After, &f.For, &f.Back} {
		*d /= c.plan.quick
	}
}

// happen does to a modem what people and power do.
func (c *chaos) happen(m *sim.Modem) {
	away := c.span(20 * time.Second)
	switch c.dice.IntN(5) {
	case 0: // out, and in elsewhere
		c.note("modem %d is unplugged", m.Index())
		c.ports.unplug(m)
		time.AfterFunc(away, func() { c.ports.replug(m) })
	case 1:
		c.note("modem %d starts anew", m.Index())
		_ = m.Reboot() // one that is unplugged can't
	case 2:
		c.note("modem %d is without network", m.Index())
		m.SetRegistration(2)
		time.AfterFunc(away, func() { m.SetRegistration(1) })
	case 3:
		c.note("modem %d is without SIM", m.Index())
		m.SetSIMPresent(false)
		time.AfterFunc(away, func() { m.SetSIMPresent(true) })
	case 4: // two change places
		other := c.network.Modems()[c.dice.IntN(chaosModems-c.plan.sound)]
		c.note("modems %d and %d change places", m.Index(), other.Index())
		c.ports.swap(m, other)
	}
}

// fault draws one. What the network has, the modem may deny only by errors
// that prove nothing: no real one refuses for the network what the network took.
func (c *chaos) fault() sim.Fault {
	proofless := []int{300, 332, 350, 500}
	refusals := []int{27, 38, 41, 42, 47, 17, 22, 111, 192, 194, 314, 331, 8, 21, 50, 310, 313}
	pick := func(of []int) int { return of[c.dice.IntN(len(of))] }
	faults := []sim.Fault{
		{On: sim.OnPayload, Do: sim.ReplyCMS, Code: pick(refusals)},
		{On: sim.OnPayload, Do: sim.ReplyCMS, Code: pick(proofless)},
		{On: sim.OnAccepted, Do: sim.ReplyCMS, Code: pick(proofless)},
		{On: sim.OnPayload, Do: sim.ReplyError},
		{On: sim.OnCMGS, Do: sim.ReplyError},
		{On: sim.OnCMGS, Do: sim.ReplyCME, Code: 14},
		{On: sim.OnAccepted, Do: sim.BareOK},
		{On: sim.OnAccepted, Do: sim.Mute},
		{On: sim.OnPayload, Do: sim.Mute},
		{On: sim.OnCommand, Do: sim.Mute},
		{On: sim.OnPayload, Do: sim.Slow, After: c.span(170 * time.Second)},
		{On: sim.OnAccepted, Do: sim.Slow, After: c.span(230 * time.Second)},
		{On: sim.OnPayload, Do: sim.Hang, For: c.span(250 * time.Second)},
		{On: sim.OnAccepted, Do: sim.Hang, For: c.span(250 * time.Second)},
		{On: sim.OnPrompt, Do: sim.NoPrompt},
		{On: sim.OnPrompt, Do: sim.LatePrompt, After: c.span(9 * time.Second)},
		{On: sim.OnReport, Do: sim.DropReport},
		{On: sim.OnReport, Do: sim.EarlyReport},
		{On: sim.OnReport, Do: sim.DelayReport, After: c.span(3 * time.Minute)},
		{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{70}},
		{On: sim.OnReport, Do: sim.ReportStatus, Codes: []byte{99}},
		{On: sim.OnCommand, Do: sim.NULFlood, Size: 70_000},
		{On: sim.OnCommand, Do: sim.SplitBytes, For: c.span(time.Minute), Interval: time.Millisecond},
		{On: sim.OnBoot, Do: sim.TextModeOn},
	}
	for _, on := range []sim.Point{sim.OnCommand, sim.OnCMGS, sim.OnPrompt, sim.OnPayload, sim.OnAccepted} {
		faults = append(faults,
			sim.Fault{On: on, Do: sim.Reboot},
			sim.Fault{On: on, Do: sim.Forget},
			sim.Fault{On: on, Do: sim.NotRegistered, For: c.span(time.Minute)},
			sim.Fault{On: on, Do: sim.RemoveSIM, For: c.span(time.Minute)},
			sim.Fault{On: on, Do: sim.BlockWrites, For: c.span(20 * time.Second)},
			sim.Fault{On: on, Do: sim.Unplug, Back: c.span(20 * time.Second)},
		)
	}
	return faults[c.dice.IntN(len(faults))]
}

// calm ends all that goes wrong.
func (c *chaos) calm() {
	pause(30 * time.Second / c.plan.quick) // what comes back by itself is back
	for _, m := range c.network.Modems() {
		m.ClearFaults()
		m.SetRegistration(1)
		m.SetSIMPresent(true)
		c.ports.replug(m)
	}
}
