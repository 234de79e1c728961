package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is this program once more, as a process of its own, so that its time
// and memory are told from those of whoever measures it.
type child struct {
	name string
	cmd  *exec.Cmd
	// said is what it writes to stdout.
	said io.ReadCloser
	errs string // the file with its stderr
	done chan struct{}
	// failed is what it ended with; readable once done is closed.
	failed error
}

// childPatience is how long a child may take to stop.
const childPatience = 2 * time.Minute

// startChild runs the program with the arguments and nothing of the
// environment that would change its settings.
func startChild(ctx context.Context, dir, name string, args ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{name: name, errs: filepath.Join(dir, name+".err"), done: make(chan struct{})}
	stderr, err := os.Create(c.errs)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	c.cmd = exec.CommandContext(ctx, program, args...)
	c.cmd.Args[0] = "smsotpd"
	c.cmd.Stderr, c.cmd.Dir = stderr, dir
	c.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	// If this process dies, what it has started dies with it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, pipe, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.said, c.cmd.Stdout = said, pipe
	err = c.cmd.Start()
	_ = pipe.Close()
	if err != nil {
		_ = said.Close()
		return nil, err
	}
	go func() {
		c.failed = c.cmd.Wait()
		close(c.done)
	}()
	return c, nil
}

// stop ends it gracefully and says what it ended with.
func (c *child) stop() error {
	select {
	case <-c.done:
		return c.ended()
	default:
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
	case <-time.After(childPatience):
		c.kill()
	}
	return c.ended()
}

// kill ends it at once, if it still runs.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // fails where it has ended
	<-c.done
	_ = c.said.Close()
}

// ended is what a child that is over ended with, with its last words.
func (c *child) ended() error {
	if c.failed == nil {
		return nil
	}
	const lastWords = 2000
	words, _ := os.ReadFile(c.errs) // the error itself says enough
	return fmt.Errorf("%s: %w: %s", c.name, c.failed, bytes.TrimSpace(words[max(0, len(words)-lastWords):]))
}

// processTime is the user and system time that a process has taken: proc(5),
// stat, in ticks of 1/100 s.
func processTime(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	const userField, systemField = 11, 12 // behind the name
	if len(fields) <= systemField {
		return 0, errors.New("proc(5): stat is too short")
	}
	user, errUser := strconv.Atoi(fields[userField])
	system, errSystem := strconv.Atoi(fields[systemField])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(errUser, errSystem)
}

// residentMemory is what a process has in memory, in MiB, and how much of that
// is not pages of files: proc(5), status, VmRSS and RssAnon.
func residentMemory(pid int) (all, anonymous float64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	kib := func(name string) float64 {
		for line := range strings.Lines(string(raw)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64) //nolint:errcheck // 0 shows it
				return n
			}
		}
		return 0
	}
	return kib("VmRSS") / 1024, kib("RssAnon") / 1024, nil
}
