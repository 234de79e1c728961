package modem

import (
	"strings"
	"time"
)

// usbPorts are the ports on USB as of a moment ago: many workers ask at once.
func (p *Pool) usbPorts() []USBPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.usbAt.IsZero() || time.Since(p.usbAt) >= p.cfg.Timeouts.Appear/2 {
		p.usb, p.usbAt = p.cfg.USB.Ports(), time.Now()
	}
	return p.usb
}

// isModem tells whether the port looks like a modem's.
func (p *Pool) isModem(ports []USBPort, port USBPort) bool {
	if port.isBridge() {
		return false
	}
	if port.isModemDriver() || MatchProfile(p.profiles, Make{USB: port.ID}).Name != "" {
		return true
	}
	n := 0
	for _, other := range ports {
		if other.Device == port.Device {
			n++
		}
	}
	return n > 1
}

// found makes workers for what an entry of the configuration matches and no
// worker has: one for each USB device, and one for each port otherwise.
func (p *Pool) found(entry string) []*worker {
	name, pattern := splitPort(entry)
	ports := p.usbPorts()
	var paths []string
	if pattern == Auto {
		pattern = ""
		for _, port := range ports {
			if p.isModem(ports, port) {
				paths = append(paths, port.Path)
			}
		}
	} else {
		paths = p.cfg.Opener.Glob(pattern)
	}
	var made []*worker
	for _, path := range paths {
		port, _ := usbPortAt(ports, path)
		device := candidate{usb: port}.device()
		if w := p.adopt(ports, path, device, pattern, name); w != nil {
			made = append(made, w)
		}
	}
	return made
}

// adopt makes a worker for a path, or for the USB device that it is a port of,
// unless one is responsible already.
func (p *Pool) adopt(ports []USBPort, path, device, pattern, name string) *worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers[path] != nil || p.configured(ports, path, device) {
		return nil
	}
	key := path
	if device != "" {
		if key = "usb " + device; p.workers[key] != nil {
			return nil
		}
		all := p.portsOf(ports, device, pattern)
		if len(all) == 0 {
			return nil
		}
		path = all[0].path
	}
	w := newWorker(p, path, name)
	w.key, w.device, w.pattern = key, device, pattern
	p.workers[key] = w
	return w
}

// configured tells whether the operator has named the port by another path, or
// another port of its device. The caller holds mu.
func (p *Pool) configured(ports []USBPort, path, device string) bool {
	real := realPath(path)
	for _, w := range p.workers {
		if !w.explicit {
			continue
		}
		if realPath(w.path) == real {
			return true
		}
		if port, ok := usbPortAt(ports, w.path); ok && device != "" && port.Device == device {
			return true
		}
	}
	return false
}

func (p *Pool) forget(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.workers, w.key)
}

// served tells whether a worker is responsible for the port.
func (p *Pool) served(c candidate) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.workers[c.path] != nil || c.device() != "" && p.workers["usb "+c.device()] != nil
}

// busy tells whether the port is none for w now: another worker has it, or
// another port of its device.
func (p *Pool) busy(w *worker, c candidate) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken(w, c)
}

// taken is busy for who holds mu.
func (p *Pool) taken(w *worker, c candidate) bool {
	for other, theirs := range p.open {
		if other == w {
			continue
		}
		if samePort(c, theirs) || c.path != w.path && c.device() != "" && c.device() == theirs.device() {
			return true
		}
	}
	if c.path == w.path {
		return false
	}
	for _, other := range p.workers {
		if other != w && other.explicit && (other.path == c.path || c.usb.Path != "" && realPath(other.path) == c.usb.Path) {
			return true
		}
	}
	return false
}

// occupy notes that w is about to open the port, unless it is none for it now.
func (p *Pool) occupy(w *worker, c candidate) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken(w, c) {
		return false
	}
	p.open[w] = c
	return true
}

func (p *Pool) vacate(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, w)
}

// shared tells whether another worker uses the USB device, or one behind it.
func (p *Pool) shared(w *worker, device string) bool {
	ports := p.usbPorts()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, other := range p.workers {
		if other == w {
			continue
		}
		path := other.path
		if c, ok := p.open[other]; ok {
			path = c.path
		}
		port, _ := usbPortAt(ports, path)
		for _, at := range []string{other.device, port.Device} {
			if at == device || strings.HasPrefix(at, device+".") {
				return true
			}
		}
	}
	return false
}
