package modem

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"smsotpd/modem/wire"
)

// tap is a port that remembers the newest octets that came from it.
type tap struct {
	wire.Port

	mu   sync.Mutex
	last []byte
}

// maxHeard is enough to tell what kind of stream it is.
const maxHeard = 4096

// Read implements io.Reader.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Port.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p[:n]...)
	t.last = t.last[max(0, len(t.last)-maxHeard):]
	return n, err
}

func (t *tap) heard() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.last)
}

func (t *tap) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = nil
}

// streamKind is what a port sends that answers no AT command.
type streamKind int

const (
	streamSilent streamKind = iota
	streamEcho              // what is written comes back, and nothing else
	streamNMEA              // positions, IEC 61162
	streamBinary            // frames, as of a diagnostics port
	streamOther             // text of some other kind
)

// kindOf tells what kind of stream it is by a piece of it.
func kindOf(heard []byte) streamKind {
	nmea := regexp.MustCompile(`[$!][A-Z]{2}[A-Z0-9]{2,4},`)
	binary := 0
	other := false
	for line := range bytes.FieldsFuncSeq(heard, func(r rune) bool { return r == '\r' || r == '\n' }) {
		for _, c := range line {
			if c != 0x1b && (c < ' ' || c > '~') {
				binary++
			}
		}
		line = bytes.Trim(line, "\x1b^[\x00 ")
		other = other || len(line) > 0 && !bytes.HasPrefix(line, []byte("AT"))
	}
	switch {
	case len(heard) == 0:
		return streamSilent
	case nmea.Match(heard):
		return streamNMEA
	case bytes.Contains(heard, []byte{0x7e}) || 5*binary > len(heard):
		return streamBinary
	case other:
		return streamOther
	}
	return streamEcho
}

// portUser is another process that has a port open.
type portUser struct {
	pid  int
	name string
}

// portUsers are the other processes that have path open, as far as /proc
// shows them to us: root sees all, others only their own.
func portUsers(path string) []portUser {
	target, err := filepath.EvalSymlinks(path)
	if err != nil || !strings.HasPrefix(target, "/dev/") || target == os.DevNull {
		return nil
	}
	var users []portUser
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is well-formed
	for _, fd := range fds {
		pid, err := strconv.Atoi(strings.Split(fd, "/")[2])
		if err != nil || pid == os.Getpid() || len(users) > 0 && users[len(users)-1].pid == pid {
			continue
		}
		if open, err := os.Readlink(fd); err != nil || open != target {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm")) // it may have ended
		users = append(users, portUser{pid: pid, name: strings.TrimSpace(string(comm))})
	}
	return users
}
