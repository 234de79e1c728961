package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
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
