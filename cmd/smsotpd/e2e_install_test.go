package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// plan says what an installation consists of.
type plan struct {
	// modems that are simulated; without any there is no simulator.
	modems int
	// air is how long each message is in the air.
	air string
	// pin locks the SIMs; none if "".
	pin string
	// operators are those of the SIMs, in turn; regions are those that may be
	// sent to, FR alone if nil.
	operators, regions []string
	// script is the simulator's, config the gateway's beyond the basics.
	script, config string
	// ports are the values of --modem; all simulated ones if nil.
	ports []string
	// stateDir is the state directory; one of the test's own if "".
	stateDir string
}

// installation is a simulator, a gateway and an application's key for it.
type installation struct {
	t       *testing.T
	dir     string
	state   string
	sim     *process
	gateway *process
	key     string
	http    *http.Client
	// crashed: a gateway was killed. The next one can't know that the modem
	// is still at work on a command of its predecessor.
	crashed atomic.Bool

	mu  sync.RWMutex
	url string // guarded by mu; another one with every start
}

// install makes an installation whose gateway does not run yet.
func install(t *testing.T, p plan) *installation {
	t.Helper()
	if testing.Short() {
		t.Skip("whole installations are not started in short mode")
	}
	n := &installation{t: t, dir: t.TempDir(), state: p.stateDir}
	// Every client has a connection of its own: none shares the fate of
	// another's.
	n.http = &http.Client{Timeout: patient, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(n.http.CloseIdleConnections)
	t.Cleanup(n.inspectLogs)
	if n.state == "" {
		n.state = filepath.Join(n.dir, "state")
	}
	if p.modems > 0 {
		n.simulate(p)
	}
	ports := p.ports
	if ports == nil {
		for i := range p.modems {
			ports = append(ports, n.port(i))
		}
	}
	regions := `"FR"`
	if p.regions != nil {
		regions = `"` + strings.Join(p.regions, `", "`) + `"`
	}
	config := "state_dir = " + quoted(n.state) + "\nkey_file = \"master.key\"\nlisten = \"127.0.0.1:0\"\n" +
		"allow_region = [" + regions + "]\nlog_level = \"debug\"\nmetrics_public = true\nmodem = ["
	for _, port := range ports {
		config += quoted(port) + ", "
	}
	n.write("serve.toml", config+"]\n"+p.config)
	n.run("keys", "init", "--key-file", "master.key")
	n.key = strings.TrimSpace(n.run("keys", "add", "--config", "serve.toml", "--name", "e2e", "--scopes", "verify,check,messages,read"))
	return n
}

func quoted(s string) string { return "'" + s + "'" }

func (n *installation) simulate(p plan) {
	n.t.Helper()
	args := []string{"sim", "--modems", fmt.Sprint(p.modems), "--prefix", n.path("modem"), "--log", "sms.log", "--air", p.air}
	if p.pin != "" {
		args = append(args, "--pin", p.pin)
		n.write("pin", p.pin+"\n")
	}
	if p.operators != nil {
		args = append(args, "--operator", strings.Join(p.operators, ","))
	}
	if p.script != "" {
		n.write("script.toml", p.script)
		args = append(args, "--script", "script.toml")
	}
	n.sim = launch(n.t, n.dir, "sim", args...)
	for i := range p.modems {
		await(n.t, "a simulated modem", func() error {
			if !n.sim.running() {
				n.t.Fatalf("the simulator has ended:\n%s", tail(n.sim.err))
			}
			_, err := os.Lstat(n.port(i))
			return err
		})
	}
}

// inspectLogs fails the test if a program complained about itself.
func (n *installation) inspectLogs() {
	logs, _ := filepath.Glob(n.path("*.err"))
	for _, path := range logs {
		text := readAll(path)
		for _, sign := range []string{"DATA RACE", "panic:", "fatal error:", "goroutine "} {
			if at := strings.Index(text, sign); at >= 0 {
				n.t.Errorf("%s has %q:\n%.6000s", filepath.Base(path), sign, text[at:])
				break
			}
		}
	}
	if n.t.Failed() && n.gateway != nil {
		n.t.Logf("the end of the gateway's log:\n%s", tail(n.gateway.err))
	}
}

func (n *installation) path(name string) string { return filepath.Join(n.dir, name) }

// port is where a simulated modem is at first.
func (n *installation) port(i int) string { return n.path(fmt.Sprint("modem", i)) }

func (n *installation) write(name, text string) {
	n.t.Helper()
	if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// run runs the program to its end and returns what it printed.
func (n *installation) run(args ...string) string {
	n.t.Helper()
	p := launch(n.t, n.dir, "command", args...)
	if code := p.exit(n.t); code != 0 {
		n.t.Fatalf("smsotpd %v ended with %d: %s", args, code, tail(p.err))
	}
	return readAll(p.out)
}

// serve starts the gateway and returns when it accepts requests.
func (n *installation) serve() {
	n.t.Helper()
	n.gateway = launch(n.t, n.dir, "gateway", "serve", "--config", "serve.toml")
	listening := regexp.MustCompile(`(?m)^listening on (.*)$`)
	await(n.t, "the gateway's address", func() error {
		match := listening.FindStringSubmatch(readAll(n.gateway.out))
		if match != nil {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.url = match[1]
			return nil
		}
		if !n.gateway.running() {
			n.t.Fatalf("the gateway has ended:\n%s", tail(n.gateway.err))
		}
		return errors.New("there is none")
	})
}

// ready waits until the gateway says that it can send.
func (n *installation) ready() {
	n.t.Helper()
	await(n.t, "readiness", func() error {
		_, err := n.call(http.MethodGet, "/readyz", nil, nil)
		return err
	})
}

// stop ends the gateway with SIGTERM and expects a clean exit.
func (n *installation) stop() {
	n.t.Helper()
	if err := n.gateway.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Fatal(err)
	}
	if code := n.gateway.exit(n.t); code != 0 {
		n.t.Fatalf("the gateway ended with %d after SIGTERM:\n%s", code, tail(n.gateway.err))
	}
}

// crash ends the gateway with SIGKILL.
func (n *installation) crash() {
	n.crashed.Store(true)
	n.gateway.kill()
}
