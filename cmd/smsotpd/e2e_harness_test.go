package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"smsotpd/gateway/api"
	"smsotpd/modem/sim"
)

// The tests in the e2e files run the real program: `smsotpd sim` and `smsotpd
// serve` are processes of their own, joined by pseudo-terminals and asked over
// HTTP. What the simulator's log says was sent is the truth that the gateway
// is held to.

// patient is how long a step may take on a machine that is busy with other
// tests; far more than any of them needs.
const patient = 90 * time.Second

// process is one run of the program.
type process struct {
	cmd      *exec.Cmd
	out, err string // files
	in       io.Writer
	done     chan struct{}
}

// launch runs the program in dir until the test ends. What it writes goes to
// NAME.out, which is made anew, and to the end of NAME.err.
func launch(t *testing.T, dir, name string, args ...string) *process {
	t.Helper()
	program, err := exec.LookPath("smsotpd")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{out: filepath.Join(dir, name+".out"), err: filepath.Join(dir, name+".err"), done: make(chan struct{})}
	stdout, err := os.Create(p.out)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	stderr, err := os.OpenFile(p.err, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, stdout, stderr
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	// If the test binary dies, what it has started dies with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = stdin
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // exit looks at the state
	}()
	t.Cleanup(func() { p.kill() })
	return p
}

// kill ends the process as a loss of power would, and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// running says whether the process has not ended by itself.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// exit waits until the process ends and returns its exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patient):
		t.Fatalf("%v did not end; its log:\n%s", p.cmd.Args, tail(p.err))
	}
	return p.cmd.ProcessState.ExitCode()
}

// tell writes a line to the process's stdin.
func (p *process) tell(t *testing.T, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		t.Fatal(err)
	}
}

// find waits until the file has a match of the pattern and returns its first
// group, or the whole of it.
func find(t *testing.T, path, pattern string) string {
	t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	found := ""
	await(t, "a line like "+pattern+" in "+filepath.Base(path), func() error {
		match := re.FindStringSubmatch(readAll(path))
		if match == nil {
			return errors.New("there is none")
		}
		found = match[len(match)-1]
		return nil
	})
	return found
}

// await tries until there is no error.
func await(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.After(patient)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("waiting for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// tail is the end of a file, without what is said of every request.
func tail(path string) string {
	const lines = 40
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(readAll(path)), "\n"), func(line string) bool {
		return strings.Contains(line, "msg=request ")
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// plan says what an installation consists of.
type plan struct {
	// modems that are simulated; without any there is no simulator.
	modems int
	// air is how long each message is in the air.
	air string
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
	config := "state_dir = " + quoted(n.state) + "\nkey_file = \"master.key\"\nlisten = \"127.0.0.1:0\"\n" +
		"allow_region = [\"FR\"]\nlog_level = \"debug\"\nmetrics_public = true\nmodem = ["
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
			if strings.Contains(text, sign) {
				n.t.Errorf("%s has %q:\n%s", filepath.Base(path), sign, tail(path))
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

// address is where the gateway that runs now, or ran last, answers.
func (n *installation) address() string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.url
}

// call sends in as JSON, or as it is if it is a string, and reads the reply
// into out. It returns the status; refusals are errors too (*api.Problem).
func (n *installation) call(method, path string, in, out any, header ...string) (int, error) {
	var body []byte
	switch in := in.(type) {
	case nil:
	case string:
		body = []byte(in)
	default:
		raw, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = raw
	}
	req, err := http.NewRequestWithContext(context.Background(), method, n.address()+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+n.key)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		problem := new(api.Problem)
		if json.Unmarshal(raw, problem) != nil || problem.Code == "" {
			return resp.StatusCode, fmt.Errorf("the server answered %s", resp.Status)
		}
		return resp.StatusCode, problem
	}
	if text, ok := out.(*string); ok {
		*text = string(raw)
		return resp.StatusCode, nil
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(raw, out)
}

// begin starts a verification of the default service, or of another one.
func (n *installation) begin(to string, service ...string) api.Verification {
	n.t.Helper()
	in := api.Start{To: to}
	if len(service) > 0 {
		in.Service = service[0]
	}
	var v api.Verification
	status, err := n.call(http.MethodPost, "/v1/verifications", in, &v)
	if err != nil || status != http.StatusCreated {
		n.t.Fatalf("start: %d %v", status, err)
	}
	return v
}

// verification and message read the present state of one.
func (n *installation) verification(id string) api.Verification {
	n.t.Helper()
	var v api.Verification
	if _, err := n.call(http.MethodGet, "/v1/verifications/"+id, nil, &v); err != nil {
		n.t.Fatalf("verification: %v", err)
	}
	return v
}

func (n *installation) message(id string) api.Message {
	n.t.Helper()
	var m api.Message
	if _, err := n.call(http.MethodGet, "/v1/messages/"+id, nil, &m); err != nil {
		n.t.Fatalf("message: %v", err)
	}
	return m
}

// settled waits until a message is in one of the states.
func (n *installation) settled(id string, states ...string) api.Message {
	n.t.Helper()
	var m api.Message
	await(n.t, fmt.Sprintf("a message that is %v", states), func() error {
		if m = n.message(id); !slices.Contains(states, m.Status) {
			return fmt.Errorf("it is %s: %+v", m.Status, m)
		}
		return nil
	})
	return m
}

// check enters a code.
func (n *installation) check(id, code string) api.Verdict {
	n.t.Helper()
	var v api.Verdict
	if _, err := n.call(http.MethodPost, "/v1/verifications/"+id+"/check", api.Check{Code: code}, &v); err != nil {
		n.t.Fatalf("check: %v", err)
	}
	return v
}

// modems are as the gateway lists them, by name.
func (n *installation) modems() map[string]api.Modem {
	n.t.Helper()
	var list []api.Modem
	if _, err := n.call(http.MethodGet, "/v1/modems", nil, &list); err != nil {
		n.t.Fatalf("modems: %v", err)
	}
	byName := map[string]api.Modem{}
	for _, m := range list {
		byName[m.Name] = m
	}
	if len(byName) != len(list) {
		n.t.Errorf("two modems have one name: %+v", list)
	}
	return byName
}

// awaitModem waits until the named modem has the status and returns it.
func (n *installation) awaitModem(name, status string) api.Modem {
	n.t.Helper()
	var m api.Modem
	await(n.t, "modem "+name+" being "+status, func() error {
		all := n.modems()
		if m = all[name]; m.Status != status {
			return fmt.Errorf("the modems are %+v", all)
		}
		return nil
	})
	return m
}

// sms is one message that the simulated network took.
type sms struct {
	Event      string    `json:"event"`
	Kind       string    `json:"kind"`
	Modem      int       `json:"modem"`
	To         string    `json:"to"`
	Text       string    `json:"text"`
	AcceptedAt time.Time `json:"accepted_at"`
}

// code is the one run of six digits in the text.
func (s sms) code() string {
	found := regexp.MustCompile(`[0-9]+`).FindAllString(s.Text, -1)
	found = slices.DeleteFunc(found, func(digits string) bool { return len(digits) != 6 })
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

// sent is what the simulated network took so far, in order.
func (n *installation) sent() []sms {
	n.t.Helper()
	var all []sms
	raw := []byte(readAll(n.path("sms.log")))
	// The last line may be half written.
	for line := range bytes.Lines(raw[:bytes.LastIndexByte(raw, '\n')+1]) {
		var s sms
		if err := json.Unmarshal(line, &s); err != nil {
			n.t.Fatalf("the simulator's log: %v", err)
		}
		switch {
		case n.crashed.Load() && s.Kind == string(sim.ViolationBusy):
		case s.Event == "violation":
			n.t.Errorf("the driver broke the protocol: %s", line)
		case s.To != "" && s.Text != "":
			all = append(all, s)
		}
	}
	return all
}

// sentTo is sent, by number.
func (n *installation) sentTo() map[string][]sms {
	n.t.Helper()
	byNumber := map[string][]sms{}
	for _, s := range n.sent() {
		byNumber[s.To] = append(byNumber[s.To], s)
	}
	return byNumber
}

// received waits for the count-th SMS to the number and returns its code.
func (n *installation) received(to string, count int) string {
	n.t.Helper()
	code := ""
	await(n.t, fmt.Sprintf("SMS number %d", count), func() error {
		got := n.sentTo()[to]
		if len(got) < count {
			return fmt.Errorf("there are %d", len(got))
		}
		code = got[count-1].code()
		return nil
	})
	if code == "" {
		n.t.Fatal("the SMS carries no code")
	}
	return code
}

// wrong is a code that is not the right one.
func wrong(code string) string {
	return code[:5] + string('0'+(code[5]-'0'+1)%10)
}

// mobile is the i-th of a million French mobile numbers.
func mobile(i int) string { return fmt.Sprintf("+336%08d", 12_000_000+i) }
