package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"smsotpd/gateway/keyring"
	"smsotpd/modem"
	"smsotpd/modem/sim"
	"smsotpd/modem/wire"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

// The benchmarks of the road: the real daemon in this process, over real HTTP
// and a pseudo-terminal, with a simulated modem. Each measures what it is
// compared with in the same run; docs/PERFORMANCE.md has the figures and the
// command.

// benchDaemon is a running daemon and its simulated modem.
type benchDaemon struct {
	*daemon
	modem *sim.Modem
	link  string
	key   string
	// reported counts the delivery reports that the network made.
	reported atomic.Int64
	// submits gets the time of each AT+CMGS on its way to the port.
	submits chan time.Time
}

func newBenchDaemon(b *testing.B, air sim.Delay) *benchDaemon {
	b.Helper()
	dir := b.TempDir()
	d := &benchDaemon{link: filepath.Join(dir, "modem"), submits: make(chan time.Time, 1<<20)}
	network := sim.NewNetwork(sim.NetworkConfig{
		Air: air, Report: sim.Fixed(time.Millisecond), Keep: 1,
		OnReport: func(sim.Receipt) { d.reported.Add(1) },
	})
	b.Cleanup(network.Close)
	m, err := network.NewModem(sim.ModemConfig{})
	if err != nil {
		b.Fatal(err)
	}
	d.modem = m
	config, err := demoConfig(dir, "127.0.0.1:0", "FR", d.link)
	if err != nil {
		b.Fatal(err)
	}
	d.daemon, err = startDaemon(context.Background(), config, watchedPorts{d.submits}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.life.stop(10 * time.Second) })
	if d.key, err = demoKey(b.Context(), d.state); err != nil {
		b.Fatal(err)
	}
	return d
}

// watchedPorts notes when an AT+CMGS is written.
type watchedPorts struct{ submits chan time.Time }

func (watchedPorts) Lookup(path string) string    { return modem.Devices{}.Lookup(path) }
func (watchedPorts) Glob(pattern string) []string { return modem.Devices{}.Glob(pattern) }

func (w watchedPorts) Open(path string) (wire.Port, error) {
	port, err := modem.Devices{}.Open(path)
	return watchedPort{port, w.submits}, err
}

type watchedPort struct {
	wire.Port
	submits chan time.Time
}

func (p watchedPort) Write(data []byte) (int, error) {
	if bytes.HasPrefix(data, []byte("AT+CMGS")) {
		p.submits <- time.Now()
	}
	return p.Port.Write(data)
}

func (d *benchDaemon) connect(b *testing.B) *starter {
	b.Helper()
	c, err := dialStarter(b.Context(), d.url, d.key)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.conn.Close() })
	return c
}

// startAll starts n verifications over the connections and returns how long it
// took.
func startAll(b *testing.B, clients []*starter, from, n int) time.Duration {
	b.Helper()
	began := time.Now()
	if err := startSome(b.Context(), clients, from, n); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// What a start writes: a verification under a random key, a message and its
// open mark under keys in order of time, a deadline likewise; and it reads the
// failures of its number.
const (
	verificationSize = 420
	messageSize      = 420
)

// bareStart commits as many keys of the same shapes and sizes as a start.
func bareStart(ctx context.Context, s *bolt.Store, value []byte) error {
	var id [16]byte
	_, _ = rand.Read(id[:])
	now := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	key := func(table string, parts ...[]byte) []byte {
		return append([]byte(table+"/"), bytes.Join(parts, nil)...)
	}
	return s.Update(ctx, func(tx storage.Tx) error {
		if _, err := tx.Get(key("failures", id[:])); err != storage.ErrNotFound { //nolint:errorlint // the bare engine's own
			return fmt.Errorf("unexpected: %w", err)
		}
		for _, e := range []storage.Entry{
			{Key: key("verification", id[:]), Value: value[:verificationSize]},
			{Key: key("deadline", now, id[:]), Value: value[:2]},
			{Key: key("message", now, id[:8]), Value: value[:messageSize]},
			{Key: key("open", now, id[:8]), Value: value[:2]},
		} {
			if err := tx.Put(e.Key, e.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

func bareStore(b *testing.B) *bolt.Store {
	b.Helper()
	s, err := bolt.Open(bolt.Options{Path: filepath.Join(b.TempDir(), "bare.db"), Daemon: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkAccept: accepted verifications, each durable, over 64 connections,
// against the bare group commit of as many keys by 64 goroutines, in turn.
// ratio is the share of the bare rate.
func BenchmarkAccept(b *testing.B) {
	const connections, rounds = 64, 5
	d, bare := newBenchDaemon(b, sim.Fixed(time.Second)), bareStore(b)
	clients := make([]*starter, connections)
	for i := range clients {
		clients[i] = d.connect(b)
	}
	value := make([]byte, 1024)
	_, _ = rand.Read(value)
	startAll(b, clients, 0, 2000) // warm
	n := max(b.N/rounds, connections)
	var ours, theirs time.Duration
	var ratios []float64
	for round := range rounds {
		took := startAll(b, clients, (round+1)*n+2000, n)
		var next atomic.Int64
		var wg sync.WaitGroup
		began := time.Now()
		for range connections {
			wg.Go(func() {
				for next.Add(1) <= int64(n) {
					if err := bareStart(b.Context(), bare, value); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		bareTook := time.Since(began)
		ours, theirs = ours+took, theirs+bareTook
		ratios = append(ratios, bareTook.Seconds()/took.Seconds())
	}
	slices.Sort(ratios)
	total := float64(n * rounds)
	b.ReportMetric(total/ours.Seconds(), "starts/s")
	b.ReportMetric(total/theirs.Seconds(), "bare/s")
	b.ReportMetric(ratios[len(ratios)/2], "ratio")
}

// BenchmarkIdle: from the HTTP request to AT+CMGS on the wire, with nothing
// else to do.
func BenchmarkIdle(b *testing.B) {
	d := newBenchDaemon(b, sim.Fixed(0))
	d.plug(b)
	c := d.connect(b)
	took := make([]time.Duration, 0, b.N)
	for i := range b.N {
		began := time.Now()
		if err := c.start(b.Context(), i); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-d.submits).Sub(began))
		d.idle(b, i+1)
	}
	reportQuantiles(b, took)
}

// plug plugs the modem in and waits until it is ready.
func (d *benchDaemon) plug(b *testing.B) {
	b.Helper()
	if err := d.modem.Open(d.link); err != nil {
		b.Fatal(err)
	}
	waitFor(b, "the modem to be ready", func() bool {
		resp, err := http.Get(d.url + "/readyz")
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode == http.StatusOK
	})
}

// idle waits until the n-th message is reported on and what follows is over.
func (d *benchDaemon) idle(b *testing.B, n int) {
	b.Helper()
	waitFor(b, "the report", func() bool { return d.reported.Load() >= int64(n) })
	time.Sleep(20 * time.Millisecond) // not measured
}

func waitFor(b *testing.B, what string, done func() bool) {
	b.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(2 * time.Millisecond) // not measured
	}
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(q float64) float64 {
		return took[min(int(q*float64(len(took))), len(took)-1)].Seconds() * 1000
	}
	b.ReportMetric(at(.5), "ms-median")
	b.ReportMetric(at(.99), "ms-p99")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkFootprint: the real program with one modem: its memory and the
// share of a core that it takes while idle, and the CPU time of a message from
// the HTTP request to the delivery report: asked for one after the other, so
// that each has its commits to itself, and over 16 connections.
func BenchmarkFootprint(b *testing.B) {
	const rest = 20 * time.Second
	n := max(b.N, 100)
	dir := b.TempDir()
	program := filepath.Join(dir, "smsotpd")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	d := &benchDaemon{link: filepath.Join(dir, "modem")}
	network := sim.NewNetwork(sim.NetworkConfig{
		Air: sim.Fixed(0), Report: sim.Fixed(time.Millisecond), Keep: 1,
		OnReport: func(sim.Receipt) { d.reported.Add(1) },
	})
	b.Cleanup(network.Close)
	m, err := network.NewModem(sim.ModemConfig{})
	if err != nil {
		b.Fatal(err)
	}
	d.modem = m
	keyFile, stateDir := filepath.Join(dir, "master.key"), filepath.Join(dir, "state")
	if err := keyring.Init(keyFile); err != nil {
		b.Fatal(err)
	}
	serve := exec.Command(program, "serve", "--state-dir", stateDir, "--key-file", keyFile,
		"--listen", "127.0.0.1:0", "--modem", d.link, "--allow-region", "FR")
	said, err := serve.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	line, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	address := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	key, err := exec.Command(program, "keys", "add", "--state-dir", stateDir, "--name", "bench", "--scopes", "verify").Output()
	if err != nil {
		b.Fatal(err)
	}
	d.daemon, d.key = &daemon{url: address}, strings.TrimSpace(string(key))
	d.plug(b)
	time.Sleep(2 * time.Second) // what follows the start is over
	before := cpuTime(b, serve.Process.Pid)
	time.Sleep(rest)
	idle := cpuTime(b, serve.Process.Pid) - before
	memory := residentMiB(b, serve.Process.Pid)

	for round, connections := range []int{1, 16} {
		clients := make([]*starter, connections)
		for i := range clients {
			clients[i] = d.connect(b)
		}
		before = cpuTime(b, serve.Process.Pid)
		startAll(b, clients, round*n, n)
		waitFor(b, "the reports", func() bool { return d.reported.Load() >= int64((round+1)*n) })
		time.Sleep(100 * time.Millisecond) // the last report's commit
		busy := cpuTime(b, serve.Process.Pid) - before
		b.ReportMetric(busy.Seconds()*1000/float64(n), fmt.Sprintf("ms-CPU/message-%dconn", connections))
	}
	b.ReportMetric(memory, "MiB-RSS-idle")
	b.ReportMetric(100*idle.Seconds()/rest.Seconds(), "%-core-idle")
	b.ReportMetric(0, "ns/op")
}

func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	spent, err := processTime(pid)
	if err != nil {
		b.Skip("no proc(5): ", err)
	}
	return spent
}

func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	all, _, err := residentMemory(pid)
	if err != nil {
		b.Skip("no proc(5): ", err)
	}
	return all
}
