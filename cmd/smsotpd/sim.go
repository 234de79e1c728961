package main

import (
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"smsotpd/modem/sim"
)

func (p *program) simCommand() *cobra.Command {
	config := sim.Config{Stdin: p.stdin, Stdout: p.stdout}
	var air, report string
	cmd := &cobra.Command{
		Use:   "sim --modems N --prefix PATH",
		Short: "Simulate modems, their network and the phones on it",
		Long: `Simulate modems on pseudo-terminals at PATH0, PATH1, …, with their SIMs, a
network, and the phones on it, which show on stdout what they receive. A daemon
or any other program uses them like real ones.

Commands on stdin plug modems in and out, make messages arrive and more; type
help. A --script makes faults happen, says what the network answers to USSD
codes and how badly it treats delivery reports; its form is in
modem/sim/example.toml. stderr tells when a fault strikes and when a client acts
against the protocol; the last line on stdout tells how many messages the network
took, and counts these acts.
--log appends a JSON line for each message. It holds numbers and texts, as
stdout does: use made-up ones.

--profile names the kind of each modem in turn. There are kinds that answer as
published, and kinds with one odd behaviour each:

` + columns(sim.ProfileNames(), 76),
		Example: `  smsotpd sim --modems 2 --prefix /tmp/modem
  smsotpd sim --modems 2 --prefix /tmp/modem --profile ec25,e3531 --ports profile
  smsotpd sim --modems 1 --prefix /tmp/modem --script faults.toml --log messages.json
  smsotpd serve --modem '/tmp/modem?' --state-dir state --key-file master.key --allow-region FR`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config.Prefix == "" {
				return usagef("--prefix is needed: where the ports begin, such as /tmp/modem")
			}
			var err error
			if config.Air, err = delay("air", air); err != nil {
				return err
			}
			if config.Report, err = delay("report", report); err != nil {
				return err
			}
			config.Logger = newLogger(p.stderr, slog.LevelInfo, "text")
			ctx, stop := stopSignals(cmd.Context())
			defer stop()
			return sim.Run(ctx, config)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&config.Modems, "modems", 1, "how many")
	flags.StringVar(&config.Prefix, "prefix", "", "beginning of their ports' paths")
	flags.StringSliceVar(&config.Profiles, "profile", nil, "kinds of modems, in turn; generic if left out")
	flags.StringSliceVar(&config.Operators, "operator", nil, "operators of the SIMs, in turn, by MCC and MNC, such as 20801; the test network 00101 if left out")
	flags.StringSliceVar(&config.Ports, "ports", nil, "ports of each modem, as diag,nmea,at,at2 or mute, at PATH0.if00 and so on, or \"profile\" for those of its kind; a single one if left out")
	flags.StringVar(&config.PIN, "pin", "", "PIN that locks the SIMs; none if left out")
	flags.StringVar(&config.LogPath, "log", "", "file to append a JSON line to for each message")
	flags.StringVar(&config.ScriptPath, "script", "", "TOML file of faults, USSD answers and how reports are treated")
	flags.StringVar(&air, "air", "", "time that a message is in the air: 3s, or the median and 95th percentile of what is drawn: 3s/8s (the default)")
	flags.StringVar(&report, "report", "", "time until the delivery report, likewise")
	flags.BoolVar(&config.NoEnhancedValidity, "no-enhanced-validity", false, "the network refuses the enhanced validity format")
	flags.BoolVar(&config.NoReplace, "no-replace", false, "the network refuses replace-type messages")
	flags.Uint64Var(&config.Seed, "seed", 0, "makes what is drawn repeatable")
	return cmd
}

// columns lays words out in lines of at most so many characters.
func columns(words []string, width int) string {
	var s strings.Builder
	used := width
	for _, word := range words {
		if used+1+len(word) > width {
			s.WriteString("\n  ")
			used = 1
		} else {
			s.WriteString(" ")
		}
		s.WriteString(word)
		used += 1 + len(word)
	}
	return strings.TrimPrefix(s.String(), "\n")
}

// delay reads the delay that a flag names, the default if it is empty.
func delay(flag, text string) (sim.Delay, error) {
	if text == "" {
		return sim.Delay{}, nil
	}
	d, err := sim.ParseDelay(text)
	if err != nil {
		return d, usagef("--%s: %w", flag, err)
	}
	return d, nil
}
