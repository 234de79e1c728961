package modem

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// candidate is a port behind which a worker's modem may be.
type candidate struct {
	path string
	id   string // by Opener.Lookup
	usb  USBPort
	// away: it is neither the worker's own port nor on the same USB device.
	away bool
	// first: nothing is known of it yet, and there are others to look at.
	first bool
}

// device is the place of the USB device whose ports are all one modem's; ""
// if there is none.
func (c candidate) device() string {
	if c.usb.isBridge() {
		return ""
	}
	return c.usb.Device
}

// attempt is what became of a candidate that was of no use.
type attempt struct {
	id         string // by Opener.Lookup
	failures   int    // in a row
	until      time.Time
	twin       bool   // of a port in use
	impression string // what it seems to be, where it answers no AT command
}

// next waits for a candidate worth an attempt. It returns false when ctx ends,
// or when a worker that was made for what was found has nothing left.
func (w *worker) next(ctx context.Context) (candidate, bool) {
	for i := 0; ctx.Err() == nil; i++ {
		freed := w.pool.registry.released()
		all := w.candidates(i%globEvery == 0)
		if c, ok := w.choose(all); ok {
			return c, true
		}
		if len(all) == 0 {
			if !w.explicit && !w.pool.registry.owns(w) {
				return candidate{}, false
			}
			if i%globEvery == 0 {
				w.away(Down, "there is no "+w.path+": is the modem plugged in?")
			}
		}
		select {
		case <-time.After(w.pool.cfg.Timeouts.Appear):
		case <-freed:
			for path, t := range w.tries {
				if t.twin {
					delete(w.tries, path)
				}
			}
		case <-ctx.Done():
		}
	}
	return candidate{}, false
}

// choose picks the candidate to be tried now: the likeliest that was not tried
// yet, or else the one whose last attempt is the longest ago.
func (w *worker) choose(all []candidate) (candidate, bool) {
	now := time.Now()
	var best candidate
	var last time.Time
	for _, c := range all {
		t, tried := w.tries[c.path]
		if tried = tried && t.id == c.id; !tried {
			t = attempt{}
		}
		if now.Before(t.until) || w.ladder.waits(c.id, now) && !w.unparkedSince(w.ladder.climbed) || w.pool.busy(w, c) {
			continue
		}
		if best.path == "" || t.until.Before(last) {
			best, last = c, t.until
			best.first = len(all) > 1 && !w.met() && !tried
		}
	}
	return best, best.path != ""
}

// met tells whether the worker has had a modem.
func (w *worker) met() bool { return !w.metAt.IsZero() }

// candidates lists the ports that there are, the likeliest first: those of the
// worker's own place, and where there are none, and its modem is lost, those
// that have appeared since. Looking at directories is left out unless
// thorough.
func (w *worker) candidates(thorough bool) []candidate {
	ports := w.pool.usbPorts()
	home := w.home(ports)
	if len(home) > 0 || !w.explicit || !w.met() || !thorough {
		return home
	}
	return w.neighbors(ports)
}

// home lists the ports of the worker's own place.
func (w *worker) home(ports []USBPort) []candidate {
	if w.device != "" {
		return w.pool.portsOf(ports, w.device, w.pattern)
	}
	own := candidate{path: w.path, id: w.pool.cfg.Opener.Lookup(w.path)}
	if own.id == "" {
		return nil
	}
	own.usb, _ = usbPortAt(ports, w.path)
	all := []candidate{own}
	if own.device() == "" || !w.explicit {
		return all
	}
	// The other ports of a stick come in when the one that was configured, or
	// worked, is none that answers.
	t := w.tries[w.path]
	wrong := t.id == own.id && t.impression != ""
	for _, c := range w.pool.portsOf(ports, own.device(), "") {
		switch {
		case samePort(c, own):
		case c.path == w.good.path && c.id == w.good.id && w.ladder.mutes < 2:
			return []candidate{c}
		case wrong && (!w.met() || w.ladder.mutes >= 2):
			all = append(all, c)
		}
	}
	return all
}

func samePort(a, b candidate) bool {
	return a.path == b.path || a.usb.Path != "" && a.usb.Path == b.usb.Path
}

// portsOf lists the ports of a USB device that fit the pattern (filepath.Match;
// "": all of them), in the order in which they are worth a look. Those that
// are known to be for something else are left out, if that leaves any.
func (p *Pool) portsOf(ports []USBPort, device, pattern string) []candidate {
	var all []candidate
	add := func(path string, port USBPort) {
		if id := p.cfg.Opener.Lookup(path); id != "" && port.Device == device {
			all = append(all, candidate{path: path, id: id, usb: port})
		}
	}
	if pattern != "" {
		for _, path := range p.cfg.Opener.Glob(pattern) {
			if port, ok := usbPortAt(ports, path); ok {
				add(path, port)
			}
		}
	} else {
		for _, port := range ports {
			add(port.Path, port)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(p.rank(a.usb), p.rank(b.usb)), cmp.Compare(a.usb.Interface, b.usb.Interface))
	})
	useful := slices.DeleteFunc(slices.Clone(all), func(c candidate) bool { return p.rank(c.usb) >= rankOther })
	if len(useful) > 0 {
		return useful
	}
	return all
}

// rank orders the ports of a device by their role.
func (p *Pool) rank(port USBPort) int {
	return min(MatchProfile(p.profiles, Make{USB: port.ID}).rank(port), rankOther)
}

// neighbors lists ports that have appeared since the modem was lost: beside
// its port by name, or anywhere on USB by make. The likeliest come first.
func (w *worker) neighbors(ports []USBPort) []candidate {
	var all []candidate
	for path, id := range w.beside(ports) {
		if w.seen[path] != id {
			c := candidate{path: path, id: id, away: true}
			c.usb, _ = usbPortAt(ports, path)
			all = append(all, c)
		}
	}
	was := w.good.usb
	slices.SortFunc(all, func(a, b candidate) int {
		unlike := func(p USBPort) int {
			n := 0
			for _, differs := range [...]bool{p.Interface != was.Interface, p.Serial != was.Serial, p.ID != was.ID} {
				n *= 2
				if differs {
					n++
				}
			}
			return n
		}
		return cmp.Or(
			cmp.Compare(unlike(a.usb), unlike(b.usb)), cmp.Compare(w.pool.rank(a.usb), w.pool.rank(b.usb)),
			cmp.Compare(len(a.path), len(b.path)), cmp.Compare(a.path, b.path),
		)
	})
	return all
}

// beside are the ports that nobody is responsible for and behind which the
// worker's modem may come back, with their identities: those whose names begin
// like its own without the number at its end, and the USB ports of modems.
func (w *worker) beside(ports []USBPort) map[string]string {
	if !w.explicit {
		return nil // a worker of its own will be made for each
	}
	found := make(map[string]string)
	add := func(path string) {
		port, _ := usbPortAt(ports, path)
		if path != w.path && !w.pool.served(candidate{path: path, usb: port}) {
			if id := w.pool.cfg.Opener.Lookup(path); id != "" {
				found[path] = id
			}
		}
	}
	dir, base := filepath.Split(w.path)
	if stem := strings.TrimRight(base, "0123456789"); stem != "" && !IsRemote(w.path) {
		for _, path := range w.pool.cfg.Opener.Glob(dir + escapeGlob(stem) + "*") {
			add(path)
		}
	}
	for _, p := range ports {
		if w.good.usb.Path != "" && (p.ID == w.good.usb.ID || w.pool.isModem(ports, p)) {
			add(p.Path)
		}
	}
	return found
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// note remembers what became of a candidate.
func (w *worker) note(c candidate, err error, impression string) {
	t := w.tries[c.path]
	if t.id != c.id || w.proven {
		t = attempt{id: c.id}
	}
	w.proven = false
	t.impression, t.twin = impression, errors.Is(err, errTwin)
	pause := min(w.pool.cfg.Timeouts.Appear<<min(t.failures, 6), w.pool.cfg.Timeouts.Retry)
	switch {
	case t.twin:
		pause = twinRetry // unless the other port is freed
	case errors.Is(err, errStranger):
		pause = w.pool.cfg.Timeouts.Retry
	}
	t.failures++
	t.until = time.Now().Add(pause)
	for path := range w.tries { // of ports that are there no more
		if w.pool.cfg.Opener.Lookup(path) == "" {
			delete(w.tries, path)
		}
	}
	w.tries[c.path] = t
}
