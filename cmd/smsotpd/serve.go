package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch"
	"smsotpd/modem"
)

// resetClockFlag gives up the database's time for the machine's.
const resetClockFlag = "reset-clock"

func (p *program) serveCommand() *cobra.Command {
	var check, show, resetClock bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway: the HTTP API for applications, and the modems.

When it accepts requests it prints one line with its address on stdout; the log
goes to stderr. SIGTERM and SIGINT stop it gracefully, a second one at once;
nothing that was accepted is lost either way. SIGHUP reads the configuration
again and applies the log level, routes, budgets, labels and [fleet]; the log tells
which other changes wait for a restart, and a configuration that is wrong changes
nothing.

Without --allow-region nothing is sent. Without --modem what is accepted waits
and expires.

The file that --config names is TOML. Its keys are the flags with underscores
(state_dir, allow_region = ["FR"]); an unknown one is an error. Applications
that share the gateway get tables of their own, [service.NAME], with these keys:
brand, purposes, code_length, code_ttl, checks, cooldowns, resend ("same-code" or
"new-code"), allow_weak_codes and alternative (another way than SMS is offered).

Single SIMs get tables [sim.NAME]: iccid or imsi say which one is meant, pin_file,
smsc and number what holds for it, labels are words to select it by. Its balance is
asked for by [sim.NAME.balance]: code ("*100#"), every, pattern (a regular expression
whose group is the amount in the answer) and low, below which you are told.

Modems that need it get [profile.NAME], whose keys are those of the driver's own
(modem/profiles.toml): manufacturer, model and firmware say which modems are meant.

[[route]] tables say which SIMs may carry what; the first that fits a message holds:
name; regions, prefixes ("+3366") and lanes ("code", "notice") are its conditions; sims,
labels and operators (home network: "208", "20801") select the SIMs, and with fallback =
true any other one may carry it where none of them can. One that selects by nothing is
an exception to those behind it. What no route fits may go by any SIM.

[budget] says how much each SIM may send: per_minute, per_hour, per_day, per_month,
recipients_per_month, segments_per_day, segments_per_month, notices_per_minute,
notices_per_day; reserve (percent that only codes may use); warm_up_days and
warm_up_start (messages a day of a new SIM, which grow to per_day); zone
("Europe/Paris") for days and months, and low (percent left at which you are told).
[sim.NAME.budget] sets the same keys but zone and low for one SIM; 0 lifts a limit.
Without these tables nothing is limited.

[fleet] is how the SIMs work together: a message waits up to stick for the SIM that its
recipient knows; failover sends a code of which no report comes once more by another
SIM, after failover_min to failover_max. [canary] sends messages from SIM to SIM to see
that they arrive: every, and pairs ([["left", "right"]]: who sends, who receives); by
default each SIM whose number is configured receives in turn.

Ports of other hosts are tcp://HOST:PORT as ser2net serves them, raw or telnet;
rfc2217://HOST:PORT is refused where the server does not speak RFC 2217.`,
		Example: `  smsotpd keys init --key-file /etc/smsotpd/master.key
  smsotpd serve --state-dir /var/lib/smsotpd --key-file /etc/smsotpd/master.key \
      --modem /dev/ttyUSB2 --allow-region FR,GB`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, text, err := loadConfig(cmd.Flags())
			switch {
			case err != nil:
				return err
			case show:
				_, err := p.stdout.Write(text)
				return err
			}
			if err := config.checkHost(); err != nil {
				return err
			}
			if check {
				_, err := fmt.Fprintln(p.stdout, "the configuration is valid")
				return err
			}
			config.ResetClock = resetClock
			return p.serve(cmd.Context(), config, cmd.Flags())
		},
	}
	addOptions(cmd.Flags())
	cmd.Flags().BoolVar(&check, "check-config", false, "check the configuration and end")
	cmd.Flags().BoolVar(&show, "print-config", false, "print the configuration in force as TOML and end; it holds paths, never secrets")
	cmd.Flags().BoolVar(&resetClock, resetClockFlag, false, "go on from the machine's clock where the database's time is the wrong one; for one start, after a clock was set far ahead")
	return cmd
}

// serve runs the daemon until a signal or ctx ends it.
func (p *program) serve(ctx context.Context, config Config, flags *pflag.FlagSet) error {
	ownGC := p.env["GOGC"] == ""
	if ownGC {
		debug.SetGCPercent(mostGC)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	ctx, stop := stopSignals(ctx)
	defer stop()

	level := new(slog.LevelVar)
	initial, err := config.level()
	if err != nil {
		return err
	}
	level.Set(initial)
	lines := newLogQueue(p.stderr)
	defer lines.Close()
	log := newLogger(lines, level, config.LogFormat)
	for _, name := range strangers(p.env, flags) {
		log.Warn("the environment names no flag of serve", "variable", name)
	}

	d, err := startDaemon(ctx, config, modem.Ports{}, log)
	switch {
	case errors.Is(err, context.Canceled):
		return nil // told to stop before it had started
	case err != nil:
		return err
	}
	d.life.start("reload", func(ctx context.Context) error {
		inForce := config
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hangups:
				inForce = reload(inForce, flags, level, log, func(p dispatch.Policy, changed []string) error {
					d.capabilities.reload()
					return d.gateway.Reload(ctx, gateway.Call{Name: "SIGHUP"}, p, changed)
				})
			}
		}
	})
	if ownGC {
		d.life.start("heap", tendHeap)
	}
	log.Info("started", "version", buildVersion(), "address", d.url, "modems", len(config.Modems), "regions", config.AllowRegions)
	if _, err := fmt.Fprintf(p.stdout, "listening on %s\n", d.url); err != nil {
		log.Warn("the address could not be printed", "error", err)
	}
	return d.life.wait(ctx, config.StopTimeout)
}

// strangers are the variables that look like a flag's and are none, as a
// misspelt one.
func strangers(env map[string]string, flags *pflag.FlagSet) []string {
	known := map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) { known[envName(f.Name)] = true })
	var names []string
	for name := range env {
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// stopSignals ends the returned context at the first SIGINT or SIGTERM; from
// then on another one ends the process.
func stopSignals(ctx context.Context) (context.Context, context.CancelFunc) {
	signaled, reset := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(signaled, func() {
		reset()
		cancel()
	})
	return ctx, reset
}
