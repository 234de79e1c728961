package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptPatience is how long a script waits for what must come.
const scriptPatience = 45 * time.Second

type jobsKey struct{}

// jobs are the programs that a script has in the background.
type jobs struct {
	mu     sync.Mutex
	byName map[string]*job
}

type job struct {
	cmd      *exec.Cmd
	out, err string // files
	done     chan struct{}
}

func setUpScript(env *testscript.Env) error {
	js := &jobs{byName: map[string]*job{}}
	env.Values[jobsKey{}] = js
	env.Setenv("HOME", env.WorkDir)
	env.Defer(func() {
		js.mu.Lock()
		defer js.mu.Unlock()
		for _, j := range js.byName {
			_ = j.cmd.Process.Kill()
			<-j.done
		}
	})
	return nil
}

func (js *jobs) get(ts *testscript.TestScript, name string) *job {
	js.mu.Lock()
	defer js.mu.Unlock()
	j := js.byName[name]
	if j == nil {
		ts.Fatalf("no background program is called %s", name)
	}
	return j
}

func jobsOf(ts *testscript.TestScript) *jobs {
	js, _ := ts.Value(jobsKey{}).(*jobs)
	return js
}

// cmdBackground starts a program whose output goes to NAME.out and NAME.err:
// background NAME PROGRAM [ARG...]
func cmdBackground(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: background NAME PROGRAM [ARG...]")
	}
	j := &job{out: ts.MkAbs(args[0] + ".out"), err: ts.MkAbs(args[0] + ".err"), done: make(chan struct{})}
	path, err := lookPath(args[1], ts.Getenv("PATH"))
	ts.Check(err)
	stdout, err := os.Create(j.out)
	ts.Check(err)
	defer stdout.Close()
	stderr, err := os.Create(j.err)
	ts.Check(err)
	defer stderr.Close()
	j.cmd = &exec.Cmd{
		Path: path, Args: args[1:], Dir: ts.Getenv("WORK"), Stdout: stdout, Stderr: stderr,
		Env: []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME"), "TMPDIR=" + ts.Getenv("TMPDIR")},
	}
	ts.Check(j.cmd.Start())
	go func() {
		defer close(j.done)
		_ = j.cmd.Wait() // ended looks at the state
	}()
	js := jobsOf(ts)
	js.mu.Lock()
	defer js.mu.Unlock()
	js.byName[args[0]] = j
}

func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s is not in the path", name)
}

// cmdSignal sends a background program a signal: signal NAME TERM|HUP|KILL
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: signal NAME TERM|HUP|KILL")
	}
	ts.Check(jobsOf(ts).get(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// cmdEnded waits for a background program to end with the given exit code, -1
// for one that a signal ended: ended NAME CODE
func cmdEnded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	j := jobsOf(ts).get(ts, args[0])
	select {
	case <-j.done:
	case <-time.After(scriptPatience):
		ts.Fatalf("%s did not end; its log:\n%s", args[0], readAll(j.err))
	}
	if code := j.cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s ended with %d, not %s; its log:\n%s", args[0], code, args[1], readAll(j.err))
	}
}

func readAll(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// cmdWaitFor waits until a file has a match of the pattern, whose first
// group, if there is one, becomes the variable: waitfor FILE PATTERN [NAME]
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: waitfor FILE PATTERN [NAME]")
	}
	path, pattern := ts.MkAbs(args[0]), regexp.MustCompile("(?m)"+args[1])
	err := eventually(func() error {
		match := pattern.FindStringSubmatch(readAll(path))
		if match == nil {
			return fmt.Errorf("%s has no match of %s:\n%s", args[0], args[1], readAll(path))
		}
		if len(args) == 3 {
			ts.Setenv(args[2], match[1])
		}
		return nil
	})
	ts.Check(err)
}

// eventually tries again until there is no error or patience ends.
func eventually(try func() error) error {
	deadline := time.NewTimer(scriptPatience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-deadline.C:
			return err
		case <-tick.C:
		}
	}
}

// cmdHTTP makes a request and writes the reply's body to the file "reply".
// With a pattern it asks again until the body matches:
// http STATUS METHOD URL [-key KEY] [-d BODY] [-until PATTERN]
func cmdHTTP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args)%2 == 0 {
		ts.Fatalf("usage: http STATUS METHOD URL [-key KEY] [-d BODY] [-until PATTERN]")
	}
	options := map[string]string{}
	for i := 3; i < len(args); i += 2 {
		options[args[i]] = args[i+1]
	}
	pattern := regexp.MustCompile(options["-until"])
	ask := func() error {
		status, body, err := request(args[1], args[2], options["-key"], options["-d"])
		if err != nil {
			return err
		}
		if err := os.WriteFile(ts.MkAbs("reply"), body, 0o600); err != nil {
			return err
		}
		if strconv.Itoa(status) != args[0] || !pattern.Match(body) {
			return fmt.Errorf("%s %s: %d %s", args[1], args[2], status, body)
		}
		return nil
	}
	if options["-until"] != "" {
		ts.Check(eventually(ask))
		return
	}
	ts.Check(ask())
}

func request(method, url, key, body string) (int, []byte, error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{Timeout: scriptPatience}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, raw, err
}

// cmdField makes a field of the last reply a variable; dots lead into objects
// and arrays: field NAME PATH
func cmdField(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: field NAME PATH")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(readAll(ts.MkAbs("reply"))), &value))
	for step := range strings.SplitSeq(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(v) {
				ts.Fatalf("the reply has no %s", args[1])
			}
			value = v[i]
		}
	}
	if value == nil {
		ts.Fatalf("the reply has no %s", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// cmdExitCode runs a program that must end with the exit code:
// exitcode CODE PROGRAM [ARG...]
func cmdExitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE PROGRAM [ARG...]")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%v ended with %d, not %s", args[1:], code, args[0])
	}
}

// cmdOccupy leaves a socket that nobody listens on, as a killed daemon does:
// occupy PATH
func cmdOccupy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: occupy PATH")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: ts.MkAbs(args[0]), Net: "unix"})
	ts.Check(err)
	l.SetUnlinkOnClose(false)
	ts.Check(l.Close())
}
