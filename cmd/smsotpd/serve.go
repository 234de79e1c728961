package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
again and applies the log level.

Without --allow-region nothing is sent. Without --modem what is accepted waits
and expires.

The file that --config names is TOML. Its keys are the flags with underscores
(state_dir, allow_region = ["FR"]); an unknown one is an error. Applications
that share the gateway get tables of their own, [service.NAME], with these keys:
brand, purposes, code_length, code_ttl, checks, cooldowns, resend ("same-code" or
"new-code"), allow_weak_codes and alternative (another way than SMS is offered).

Single SIMs get tables [sim.NAME]: iccid or imsi say which one is meant, pin_file,
smsc and number what holds for it. Modems that need it get [profile.NAME], whose
keys are those of the driver's own (modem/profiles.toml): manufacturer, model and
firmware say which modems are meant.

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

// gcPercent lets the heap grow to four times what is live before it is
// collected. Little is live (some 8 MiB without a queue), so that the default of
// twice would collect many times a second under load, for a tenth of the CPU.
const gcPercent = 300

// serve runs the daemon until a signal or ctx ends it.
func (p *program) serve(ctx context.Context, config Config, flags *pflag.FlagSet) error {
	if p.env["GOGC"] == "" {
		debug.SetGCPercent(gcPercent)
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
				inForce = reload(inForce, flags, level, log)
			}
		}
	})
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

// reload reads the configuration again, applies the log level, and says what
// else has changed, which a restart applies. A configuration that is wrong
// changes nothing. It returns the configuration now in force.
func reload(old Config, flags *pflag.FlagSet, level *slog.LevelVar, log *slog.Logger) Config {
	config, _, err := loadConfig(flags)
	if err != nil {
		log.Error("the configuration was not reloaded", "error", err)
		return old
	}
	if l, err := config.level(); err == nil {
		level.Set(l)
	}
	inForce := old
	inForce.LogLevel = config.LogLevel
	log.Info("the configuration was reloaded", "log_level", config.LogLevel, "needs_restart", differences(inForce, config))
	return inForce
}

// differences are the keys whose values differ.
func differences(a, b Config) []string {
	keys := []string{}
	for field := range reflect.TypeFor[Config]().Fields() {
		if field.Tag.Get("koanf") == "-" {
			continue
		}
		va, vb := reflect.ValueOf(a).FieldByIndex(field.Index), reflect.ValueOf(b).FieldByIndex(field.Index)
		if !reflect.DeepEqual(va.Interface(), vb.Interface()) {
			keys = append(keys, field.Tag.Get("koanf"))
		}
	}
	return keys
}
