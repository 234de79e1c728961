package modem

import (
	"bytes"
	"regexp"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

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

// memoryDevices is the major number of /dev/null, /dev/zero and their kin, which
// any number of processes have open.
const memoryDevices = 1

// isDevice tells whether path is a character device that may be a port.
func isDevice(path string) bool {
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && unix.Major(st.Rdev) != memoryDevices
}

// LikelyModems sorts the serial ports of USB devices: those of devices that
// look like modems, a group for each, in the order in which to try them; and
// the others, behind which anything may be that must not be written to unasked.
func LikelyModems(ports []USBPort) (modems [][]string, others []string) {
	profiles, err := BuiltinProfiles()
	if err != nil {
		profiles = nil // they are tested to be valid; without them fewer are known
	}
	byDevice := map[string][]USBPort{}
	var order []string
	for _, p := range ports {
		if byDevice[p.Device] == nil {
			order = append(order, p.Device)
		}
		byDevice[p.Device] = append(byDevice[p.Device], p)
	}
	for _, device := range order {
		group := byDevice[device]
		known := MatchProfile(profiles, Make{USB: group[0].ID})
		if group[0].isBridge() || !group[0].isModemDriver() && known.Name == "" && len(group) == 1 {
			for _, p := range group {
				others = append(others, p.Path)
			}
			continue
		}
		slices.SortStableFunc(group, func(a, b USBPort) int { return known.rank(a) - known.rank(b) })
		var paths []string
		for _, p := range group {
			paths = append(paths, p.Path)
		}
		modems = append(modems, paths)
	}
	return modems, others
}
