package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/modem/sim"
)

func (p *program) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what this machine can do",
		Args:  cobra.NoArgs,
	}
	cmd.AddCommand(p.benchFleetCommand())
	return cmd
}

// benchOptions are the flags of bench fleet.
type benchOptions struct {
	scenarios             []string
	modems                []int // of rate
	waitModems, airModems int
	waiting, few          int
	rounds                int
	time, airTime         time.Duration
	air, airs             string
	stateDir              string
	json                  bool
}

// The scenarios of bench fleet.
const (
	scenarioRate    = "rate"
	scenarioWaiting = "waiting"
	scenarioAir     = "air"
)

func scenarioNames() []string { return []string{scenarioRate, scenarioWaiting, scenarioAir} }

func (p *program) benchFleetCommand() *cobra.Command {
	var o benchOptions
	cmd := &cobra.Command{
		Use:   "fleet",
		Short: "Measure that many modems add up",
		Long: `Measure that many modems add up: the real gateway, as a process of its own with
its database and HTTP API, sends through simulated modems on pseudo-terminals,
which are another process. What the simulator's log says was sent, and when, is
what is measured; each round has a fresh database, and its messages are counted
in the end: none may be lost or sent twice.

  rate     Each modem takes a message every --air, and more always wait. In
           turn with the gateway, a bare loop a modem does nothing but write
           AT+CMGS and the message and read the answers, on as many modems at
           the same time: what it sends is what machine and simulator let
           through.
  waiting  What a message costs while many wait, against few: the gateway's CPU
           time from the HTTP request to the delivery report, the time between
           a modem's answer and its next message, and the memory. One more is
           asked for whenever one was sent.
  air      Messages are in the air for --airs, as in a real network: the share
           of the time in which a modem has nothing to do while work waits.

Figures are medians of --rounds; compare the shares and ratios, which are of one
run each, rather than the times of one machine. With little else running, all
takes about 20 minutes.`,
		Example: `  smsotpd bench fleet
  smsotpd bench fleet --scenario rate --modems 8,64 --time 10s --rounds 1
  smsotpd bench fleet --state-dir /var/lib/smsotpd-bench --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			ctx, stop := stopSignals(cmd.Context())
			defer stop()
			return p.benchFleet(ctx, o)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.scenarios, "scenario", scenarioNames(), "what to measure")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each is measured")
	flags.DurationVar(&o.time, "time", 20*time.Second, "how long each round of rate and waiting is measured")
	flags.StringVar(&o.air, "air", "300ms", "time that a message of rate and waiting is in the air")
	flags.IntSliceVar(&o.modems, "modems", []int{8, 32, 256}, "numbers of modems of rate")
	flags.IntVar(&o.waiting, "waiting", 100_000, "messages that wait, of waiting")
	flags.IntVar(&o.few, "few", 100, "messages that wait in the rounds in turn with these")
	flags.IntVar(&o.waitModems, "waiting-modems", 64, "modems of waiting")
	flags.DurationVar(&o.airTime, "air-time", time.Minute, "how long each round of air is measured")
	flags.StringVar(&o.airs, "airs", "3s/8s", "median and 95th percentile of the times in the air of air")
	flags.IntVar(&o.airModems, "air-modems", 16, "modems of air")
	flags.StringVar(&o.stateDir, "state-dir", "", "directory to work in, on the disk that is to be measured; a temporary one if left out")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	return cmd
}

func (o benchOptions) validate() error {
	for _, s := range o.scenarios {
		if !slices.Contains(scenarioNames(), s) {
			return usagef("--scenario: there is no %q; there are %s", s, strings.Join(scenarioNames(), ", "))
		}
	}
	for flag, n := range map[string]int{"rounds": o.rounds, "waiting": o.waiting, "few": o.few, "waiting-modems": o.waitModems, "air-modems": o.airModems} {
		if n < 1 {
			return usagef("--%s must be at least 1", flag)
		}
	}
	const most = 1000
	if slices.ContainsFunc(append(slices.Clone(o.modems), o.waitModems, o.airModems), func(n int) bool { return n < 1 || n > most }) {
		return usagef("there can be 1 to %d modems", most)
	}
	if o.time <= 0 || o.airTime <= 0 {
		return usagef("--time and --air-time must be longer than 0")
	}
	for flag, text := range map[string]string{"air": o.air, "airs": o.airs} {
		if _, err := sim.ParseDelay(text); err != nil {
			return usagef("--%s: %w", flag, err)
		}
	}
	if d, err := time.ParseDuration(o.air); err != nil || d <= 0 {
		return usagef("--air must be one time longer than 0, such as 300ms")
	}
	return nil
}

// fleetBench is one run of bench fleet.
type fleetBench struct {
	*program
	o   benchOptions
	dir string
	report
}

func (p *program) benchFleet(ctx context.Context, o benchOptions) (err error) {
	b := &fleetBench{program: p, o: o}
	if o.stateDir != "" {
		if o.stateDir, err = filepath.Abs(o.stateDir); err != nil {
			return err
		}
		if err := os.MkdirAll(o.stateDir, 0o700); err != nil {
			return err
		}
	}
	if b.dir, err = os.MkdirTemp(o.stateDir, "smsotpd-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	b.report.Cores, b.report.Began = runtime.NumCPU(), time.Now().UTC()
	for _, s := range scenarioNames() {
		if !slices.Contains(o.scenarios, s) {
			continue
		}
		run := map[string]func(context.Context) error{
			scenarioRate: b.rate, scenarioWaiting: b.waiting, scenarioAir: b.airtime,
		}[s]
		if err := run(ctx); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	if err := b.report.print(p.stdout, o.json); err != nil {
		return err
	}
	if b.Check.Lost > 0 || b.Check.Doubled > 0 {
		return fmt.Errorf("%d messages were lost and %d were sent twice", b.Check.Lost, b.Check.Doubled)
	}
	return nil
}
