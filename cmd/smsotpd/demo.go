package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/keyring"
	"smsotpd/gateway/number"
	"smsotpd/modem"
	"smsotpd/modem/sim"
)

// The demonstration's network is quicker than any real one, and always takes
// the same time, so that the whole is over in seconds.
const (
	demoAir    = 800 * time.Millisecond
	demoReport = 400 * time.Millisecond
)

// demoOptions are demo's flags.
type demoOptions struct {
	once                     bool
	stateDir, listen, number string
}

func (p *program) demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it all at work, without a modem",
		Long: `See it all at work, without a modem: the real daemon with its database and HTTP
API, and a simulated modem, network and phone. One verification runs through by
itself, told step by step; then the daemon stays up for you to try.

Nothing is needed and nothing is left behind, unless --state-dir says where.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := stopSignals(cmd.Context())
			defer stop()
			return p.demo(ctx, o)
		},
	}
	cmd.Flags().BoolVar(&o.once, "once", false, "end after the one verification, with exit code 0 only if it was approved")
	cmd.Flags().StringVar(&o.stateDir, "state-dir", "", "directory to keep everything in; a temporary one if left out")
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:0", "address of the HTTP API; port 0 picks a free one")
	cmd.Flags().StringVar(&o.number, "number", "+33612345678", "number of the simulated phone")
	return cmd
}

func (p *program) demo(ctx context.Context, o demoOptions) (err error) {
	to, err := number.Parse(o.number)
	if err != nil {
		return usagef("--number: %w", err)
	}
	dir := o.stateDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "smsotpd-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	phone := newDemoPhone()
	defer phone.network.Close()
	port, opener, err := phone.plug(dir)
	if err != nil {
		return err
	}
	config, err := demoConfig(dir, o.listen, to.Region(), port)
	if err != nil {
		return err
	}
	log := newLogger(p.stderr, slog.LevelWarn, "text")
	d, err := startDaemon(ctx, config, opener, log)
	if err != nil {
		return err
	}
	tour := &demoTour{out: p.stdout, number: to.E164(), url: d.url, port: port, phone: phone}
	if tour.key, err = demoKey(ctx, d.state); err == nil {
		err = tour.run(ctx)
	}
	if err == nil && !o.once {
		tour.stay(ctx)
	}
	ended, end := context.WithCancel(ctx)
	end()
	return errors.Join(err, d.life.wait(ended, config.StopTimeout))
}

// demoConfig is the configuration of a daemon in dir, with a master key that
// is made if there is none.
func demoConfig(dir, listen, region, port string) (Config, error) {
	config := Config{
		StateDir: filepath.Join(dir, "state"), KeyFile: filepath.Join(dir, "master.key"),
		Listen: listen, Modems: []string{"demo=" + port}, AllowRegions: []string{region},
		InboundRetention: gateway.DefaultInboundRetention, StopTimeout: 5 * time.Second, LogLevel: "warn", LogFormat: "text",
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return config, err
	}
	if err := keyring.Init(config.KeyFile); err != nil && !errors.Is(err, keyring.ErrMasterExists) {
		return config, err
	}
	return config, config.validate()
}

// demoKey adds an API key that may do what the demonstration shows.
func demoKey(ctx context.Context, s *state) (string, error) {
	scopes := []access.Scope{access.Verify, access.Check, access.Read}
	secret, _, err := access.Add(ctx, s.store, s.keys, "demo", scopes)
	return secret, err
}

// demoPhone is the simulated network with one modem, and the phones on it.
type demoPhone struct {
	network *sim.Network
	// delivered gets what the phones receive.
	delivered chan sim.Message
}

func newDemoPhone() *demoPhone {
	phone := &demoPhone{delivered: make(chan sim.Message, 64)}
	phone.network = sim.NewNetwork(sim.NetworkConfig{
		Air: sim.Fixed(demoAir), Report: sim.Fixed(demoReport),
		OnDeliver: func(m sim.Message) {
			select {
			case phone.delivered <- m:
			default: // nobody looks at the phone
			}
		},
	})
	return phone
}

// plug plugs in a modem: at a pseudo-terminal in dir, or in memory where the
// system has none to give. It returns the port and what opens it.
func (phone *demoPhone) plug(dir string) (string, modem.Opener, error) {
	m, err := phone.network.NewModem(sim.ModemConfig{})
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, err
	}
	port := filepath.Join(dir, "modem")
	if err := m.Open(port); err == nil {
		return port, modem.Devices{}, nil
	}
	return "memory", memoryPort{m}, m.Open("")
}
