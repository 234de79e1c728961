package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
	"smsotpd/gateway/dispatch"
	"smsotpd/gateway/guard"
	"smsotpd/modem"
	"smsotpd/storage/bolt"
)

// daemon is the gateway with everything around it, started. Its lifecycle
// ends it.
type daemon struct {
	*state
	config Config
	log    *slog.Logger
	life   *lifecycle
	// url is where the HTTP API answers.
	url          string
	gateway      *gateway.Gateway
	capabilities *capabilities
}

// startDaemon opens the state directory and starts everything on it: when it
// returns, requests are accepted. opener opens the modems' ports. If it
// fails, nothing is left running.
func startDaemon(ctx context.Context, config Config, opener modem.Opener, log *slog.Logger) (_ *daemon, err error) {
	d := &daemon{config: config, log: log, life: newLifecycle(log)}
	defer func() {
		if err != nil {
			_ = d.life.stop(config.StopTimeout)
		}
	}()
	registry, storeMetrics := newRegistry()
	d.state, err = openState(ctx, config, bolt.Options{
		Logger: log, Daemon: true, OnCommit: storeMetrics.onCommit, OnFatal: d.life.fail,
	})
	if err != nil {
		return nil, err
	}
	d.life.onStop("store", func(context.Context) error { return d.store.Close() })
	warnExposed(config.StateDir, log)
	config.warnOpenPINs(log)

	listeners, err := d.listen(ctx)
	if err != nil {
		return nil, err
	}
	gw, err := d.startGateway(opener, registry)
	if err != nil {
		return nil, err
	}
	d.gateway = gw
	return d, d.startServers(ctx, gw, registry, listeners)
}

// startGateway starts the modems and the gateway that sends through them.
func (d *daemon) startGateway(opener modem.Opener, registry *prometheus.Registry) (*gateway.Gateway, error) {
	services, err := d.config.services()
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	policy, err := d.config.policy()
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	zone, err := d.config.Budget.zone()
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	balances, err := d.config.balances()
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	d.capabilities = newCapabilities(d.config.StateDir, d.log)
	fleet := new(fleet)
	gw, err := gateway.New(gateway.Options{
		Store: d.store, Keys: d.keys, Services: services,
		Guard: guard.Policy{AllowRegions: d.config.AllowRegions},
		Fleet: fleet, Dispatch: &policy, BudgetZone: zone, Can: d.capabilities.of,
		Canary: d.config.canary(), Balances: balances,
		USSD: func(ctx context.Context, name, code string) (modem.USSDReply, error) {
			return fleet.USSD(ctx, name, code) // there is a pool only below
		},
		Reset:  func(ctx context.Context, name string) error { return fleet.Reset(ctx, name) },
		Unpark: func(name string) error { return fleet.Unpark(name) },
		Logger: d.log, Metrics: registry,
		NeedModem: len(d.config.Modems) > 0, InboundRetention: d.config.InboundRetention,
	})
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	fleet.Pool, err = modem.NewPool(modem.PoolConfig{
		Ports: d.config.Modems, Opener: opener, Logger: d.log, Profiles: d.config.profiles(),
		PINFile: d.config.PINFile, PINs: newPINMemory(d.state), SIMs: newSIMMemory(d.state),
		Cards: d.config.cards(), Trace: d.trace(),
		OnReport: d.reported(gw), OnInbound: d.received(gw), OnEvent: gw.Happened,
	})
	if err != nil {
		return nil, &kindError{errConfig, err}
	}
	// The gateway is asked to stop before the modems are, so that the answers
	// to what is in the air are still heard; what stays open then is closed
	// with the modems and settled as in doubt, before the store closes.
	dispatching := d.life.run("gateway", gw.Run)
	d.life.onStop("last settlements", dispatching.stop)
	d.life.start("modems", fleet.Run)
	d.life.onStop("gateway", func(ctx context.Context) error {
		deadline, _ := ctx.Deadline()
		early, cancel := context.WithDeadline(ctx, deadline.Add(-settleTime))
		defer cancel()
		if dispatching.stop(early) != nil {
			d.log.Warn("a modem has not answered in time; its message is in doubt; the next start goes on with it")
		}
		return nil
	})
	return gw, nil
}

// reported hands delivery reports to the gateway, which keeps them.
func (d *daemon) reported(gw *gateway.Gateway) func(modem.Report) error {
	return func(r modem.Report) error {
		err := gw.Report(context.Background(), r)
		if err != nil {
			d.log.Error("a delivery report was not kept", "error", err)
		}
		return err
	}
}

// trace is where the modems' traffic goes, nil if nobody wants it.
func (d *daemon) trace() func(modem, line string) {
	if len(d.config.Trace) == 0 {
		return nil
	}
	files := newTraces(d.config.StateDir, d.config.traced(), d.log)
	d.life.onStop("traces", func(context.Context) error { return files.close() })
	return files.write
}

// received hands messages to the gateway, which keeps them.
func (d *daemon) received(gw *gateway.Gateway) func(modem.Inbound) error {
	return func(m modem.Inbound) error {
		err := gw.Received(context.Background(), m)
		if err != nil {
			d.log.Error("a received message was not kept; it stays where the modem has it", "error", err)
		}
		return err
	}
}

// settleTime is kept back of the stop's deadline for closing the modems and
// settling what they left.
const settleTime = 3 * time.Second

// fleet is the modems as the gateway's dispatcher uses them.
type fleet struct{ *modem.Pool }

var _ dispatch.Fleet = (*fleet)(nil)

// Next implements dispatch.Fleet.
func (f *fleet) Next(ctx context.Context) (dispatch.Line, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case line, open := <-f.Ready():
		if !open {
			return nil, errors.New("the modems are closed")
		}
		return line, nil
	}
}

// listeners are bound before anything starts, so that an address in use ends
// a start at once.
type listeners struct {
	api, local net.Listener
	metrics    net.Listener // nil without an address of its own
}

func (d *daemon) listen(ctx context.Context) (listeners, error) {
	var ls listeners
	var err error
	bind := func(address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err == nil {
			// Closing twice does no harm: a server that runs has closed it.
			d.life.onStop("listener "+address, func(context.Context) error { _ = l.Close(); return nil })
		}
		return l, err
	}
	if ls.api, err = bind(d.config.Listen); err != nil {
		return ls, err
	}
	if d.config.MetricsListen != "" {
		if ls.metrics, err = bind(d.config.MetricsListen); err != nil {
			return ls, err
		}
		d.log.Info("metrics", "address", "http://"+ls.metrics.Addr().String()+"/metrics")
	}
	if ls.local, err = listenSocket(ctx, d.config.StateDir); err != nil {
		return ls, err
	}
	d.life.onStop("local socket", func(context.Context) error { _ = ls.local.Close(); return nil })
	d.url = "http://" + ls.api.Addr().String()
	return ls, nil
}

// metricsConnections is more than any scraper opens.
const metricsConnections = 64

// startServers starts taking requests.
func (d *daemon) startServers(ctx context.Context, gw *gateway.Gateway, registry *prometheus.Registry, ls listeners) error {
	auth, err := access.NewAuthenticator(ctx, d.store, d.keys, d.log)
	if err != nil {
		return fmt.Errorf("API keys: %w", err)
	}
	d.life.start("API keys", auth.Run)
	options := api.Options{
		Gateway: gw, Auth: auth,
		MetricsPublic: d.config.MetricsPublic, Registerer: registry,
		Logger: d.log, Version: buildVersion(),
	}
	if ls.metrics == nil {
		options.Gatherer = registry
	}
	handler, err := api.New(options)
	if err != nil {
		return fmt.Errorf("HTTP API: %w", err)
	}
	serve := func(name string, server *http.Server, l net.Listener) {
		d.life.start(name, func(ctx context.Context) error { return serveHTTP(ctx, server, l) })
	}
	server := func(h http.Handler) *http.Server { return api.Server(h, api.ServerOptions{Logger: d.log}) }
	if ls.metrics != nil {
		serve("metrics server", server(api.Metrics(registry)), api.Limit(ls.metrics, metricsConnections))
	}
	local := api.Server(localHandler(storeKeys{d.state}, handler, d.log), api.ServerOptions{Logger: d.log, Peer: access.Peer})
	serve("local server", local, api.Limit(ls.local, api.DefaultConnections))
	serve("HTTP server", server(handler), api.Limit(ls.api, api.DefaultConnections))
	return nil
}
