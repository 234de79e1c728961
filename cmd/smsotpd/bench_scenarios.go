package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// What is aimed at, by the number of modems.
func rateAim(modems int) float64 {
	switch {
	case modems <= 32:
		return 97
	default:
		return 95
	}
}

// rate: what so many modems send in a time, in turn with bare loops on them.
func (b *fleetBench) rate(ctx context.Context) error {
	air, err := time.ParseDuration(b.o.air)
	if err != nil {
		return err
	}
	for _, modems := range b.o.modems {
		ideal := float64(modems) / air.Seconds()
		// Enough for the time measured, and while the modems come one by one.
		r := benchRound{
			modems: modems, air: b.o.air, time: b.o.time,
			waiting: int(ideal*(b.o.time+20*time.Second).Seconds()) + 10*modems,
		}
		of := func(what string) string { return fmt.Sprintf("%d modems: %s", modems, what) }
		share := b.row(scenarioRate, of("share of what bare loops send"), "%").atLeast(rateAim(modems))
		plain := b.row(scenarioRate, of("share of modems / time in the air"), "%")
		bare := b.row(scenarioRate, of("the same of the bare loops"), "%")
		each := b.row(scenarioRate, of("messages"), "/s")
		idle := b.row(scenarioRate, of("idle between two messages, median"), "ms")
		cpu := b.row(scenarioRate, of("gateway's CPU a message"), "ms")
		for range b.o.rounds {
			loops, err := b.measureBare(ctx, r)
			if err != nil {
				return err
			}
			ours, err := b.measure(ctx, r)
			if err != nil {
				return err
			}
			b.Check.add(ours.benchCheck)
			share.add(100 * ours.rate / loops.rate)
			plain.add(100 * ours.rate / ideal)
			bare.add(100 * loops.rate / ideal)
			each.add(ours.rate)
			idle.add(1000 * ours.gap)
			cpu.add(1000 * ours.cpu)
			b.progress(share, plain, bare, each, idle, cpu)
		}
	}
	return nil
}

// waiting: what a message costs while many wait, in turn with few.
func (b *fleetBench) waiting(ctx context.Context) error {
	of := func(what string) string { return fmt.Sprintf("%d waiting: %s", b.o.waiting, what) }
	against := fmt.Sprintf(", against %d", b.o.few)
	costRatio := b.row(scenarioWaiting, of("gateway's CPU a message"+against), "×").atMost(1.2)
	gapRatio := b.row(scenarioWaiting, of("idle between two messages, median"+against), "×").atMost(1.2)
	cost := b.row(scenarioWaiting, of("gateway's CPU a message"), "ms").atMost(1)
	gap := b.row(scenarioWaiting, of("idle between two messages, median"), "ms")
	each := b.row(scenarioWaiting, of("messages"), "/s")
	memory := b.row(scenarioWaiting, of("gateway's memory (RSS)"), "MiB").atMost(150)
	anonymous := b.row(scenarioWaiting, of("the same without pages of files"), "MiB")
	for range b.o.rounds {
		var results [2]roundResult
		for i, waiting := range []int{b.o.few, b.o.waiting} {
			r, err := b.measure(ctx, benchRound{
				modems: b.o.waitModems, air: b.o.air, time: b.o.time, waiting: waiting, refill: true,
			})
			if err != nil {
				return err
			}
			b.Check.add(r.benchCheck)
			results[i] = r
		}
		few, many := results[0], results[1]
		costRatio.add(many.cpu / few.cpu)
		gapRatio.add(many.gap / few.gap)
		cost.add(1000 * many.cpu)
		gap.add(1000 * many.gap)
		each.add(many.rate)
		memory.add(many.memory)
		anonymous.add(many.anonymous)
		b.progress(costRatio, gapRatio, cost, gap, each, memory, anonymous)
	}
	return nil
}

// airtime: how long modems have nothing to do while work waits, with the air
// times of a real network.
func (b *fleetBench) airtime(ctx context.Context) error {
	of := func(what string) string {
		return fmt.Sprintf("%d modems, %s in the air: %s", b.o.airModems, b.o.airs, what)
	}
	idle := b.row(scenarioAir, of("idle"), "%").below(1)
	worst := b.row(scenarioAir, of("idle, the worst modem"), "%").below(1)
	gap := b.row(scenarioAir, of("idle between two messages, median"), "ms")
	messages := b.row(scenarioAir, of("messages measured"), "")
	for range b.o.rounds {
		r, err := b.measure(ctx, benchRound{
			modems: b.o.airModems, air: b.o.airs, time: b.o.airTime, waiting: 20 * b.o.airModems, refill: true,
		})
		if err != nil {
			return err
		}
		b.Check.add(r.benchCheck)
		idle.add(100 * r.idle)
		worst.add(100 * r.worst)
		gap.add(1000 * r.gap)
		messages.add(float64(r.messages))
		b.progress(idle, worst, gap, messages)
	}
	return nil
}

// progress tells on stderr what a round came to.
func (b *fleetBench) progress(rows ...*benchRow) {
	for _, r := range rows {
		fmt.Fprintf(b.stderr, "%s, %s: %s%s\n", r.Scenario, r.What, figure(r.Rounds[len(r.Rounds)-1]), r.Unit)
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		b.Loads = append(b.Loads, strings.Fields(string(load))[0])
		fmt.Fprintf(b.stderr, "load: %s\n", b.Loads[len(b.Loads)-1])
	}
}
