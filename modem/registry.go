package modem

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// sighting is a modem that a worker has found behind a port, as far as it is
// known by then.
type sighting struct {
	imei, imsi string
	// usb is the USB device's place, serial its serial number; "" where there
	// is none, or the device is a bridge that says nothing of the modem.
	usb, serial string
	path        string
	// wanted is the name that the modem gets unless it has one.
	wanted string
	// complete: all is known that will be.
	complete bool
	// away: path is not the worker's own, which looks there for the modem that
	// it had, and for no other.
	away bool
}

// recognition is what the registry makes of a sighting.
type recognition struct {
	// name of the modem; "" while it can't be told yet.
	name string
	// movedFrom is the port where the modem was before.
	movedFrom string
	// simChanged: another SIM is in the modem than before. simFrom is the
	// modem that the SIM was in before.
	simChanged bool
	simFrom    string
	// simTwice is another modem whose SIM has the same IMSI now.
	simTwice string
	// twins: several modems have its IMEI.
	twins bool
}

// registry remembers, for the Pool's life, which modem has which name and SIM.
//
// A modem is known by its IMEI. Several may have the same one, and some have
// none: those are told apart by their SIM, by their USB serial number and, at
// last, by where they are.
type registry struct {
	mu    sync.Mutex
	bound []*binding
	sims  map[string]*binding // which modem each SIM was last seen in, by IMSI
	freed chan struct{}       // closed and renewed when a binding is released
}

// binding ties a name to a modem. Its owner is the worker that serves the
// modem, or did last.
type binding struct {
	name               string
	imei, imsi, serial string
	usb, path          string // where it was last
	owner              *worker
	live               bool // owner has the modem open
	complete           bool // it is live, and its SIM is known as far as it will be
}

// maxBound bounds the modems that are remembered; those that are not there are
// forgotten first.
const maxBound = 1024

func newRegistry() *registry {
	return &registry{sims: make(map[string]*binding), freed: make(chan struct{})}
}

var (
	// errTwin: another port of the same modem is in use.
	errTwin = errors.New("modem: another port of the same modem is in use already")
	// errUndecided: another modem with the same IMEI is being prepared, and
	// whether it is the same one its SIM will tell.
	errUndecided = errors.New("modem: another port shows the same IMEI; whether it is the same modem is known when that one's SIM is")
	// errStranger: behind the port is not the modem that was lost.
	errStranger = errors.New("modem: another modem")
)

// trueIMEI is the IMEI, or "" if it is one that is none: 000000000000000.
func trueIMEI(imei string) string {
	if imei == "" || strings.Trim(imei, imei[:1]) == "" {
		return ""
	}
	return imei
}

// claim binds the modem that w has found to w and tells its name: the one it
// had before, under whichever port, or else the place's own. Before the SIM is
// known the name is "" where the SIM decides.
func (r *registry) claim(w *worker, s sighting) (recognition, error) {
	s.imei = trueIMEI(s.imei)
	r.mu.Lock()
	defer r.mu.Unlock()
	if clash, err := r.clash(w, s); clash || err != nil {
		return recognition{}, err
	}
	b := r.likeliest(w, s)
	if known := r.known(s.imei); !s.complete && (s.imei == "" || known > 1 || b == nil && known > 0) {
		return recognition{}, nil
	}
	if s.away && (b == nil || b.owner != w) {
		return recognition{}, errStranger
	}
	if b == nil {
		b = &binding{name: r.freeName(w, s.wanted), imei: s.imei}
		r.remember(b)
	}
	return r.bind(w, b, s), nil
}

// known counts the modems with this IMEI.
func (r *registry) known(imei string) int {
	n := 0
	for _, b := range r.bound {
		if imei != "" && b.imei == imei {
			n++
		}
	}
	return n
}

// clash tells whether another worker has the same modem open. An error says
// that it has, or may have; true without one that the SIM will tell.
func (r *registry) clash(w *worker, s sighting) (bool, error) {
	for _, b := range r.bound {
		if !b.live || b.owner == w {
			continue
		}
		sameIMEI, sameSIM := s.imei != "" && b.imei == s.imei, s.imsi != "" && b.imsi == s.imsi
		switch {
		case s.usb != "" && b.usb != "" && s.usb != b.usb:
			// Two devices, whatever they say of themselves.
		case s.imei != "" && b.imei != "" && !sameIMEI:
		case sameIMEI && s.usb != "" && s.usb == b.usb, sameIMEI && sameSIM, !sameIMEI && sameSIM && s.complete:
			return false, fmt.Errorf("%w: %s", errTwin, b.name)
		case !sameIMEI:
		case !s.complete:
			return true, nil
		case !b.complete:
			return false, errUndecided
		case s.imsi == "" || b.imsi == "":
			return false, fmt.Errorf("%w: %s", errTwin, b.name)
		}
	}
	return false, nil
}

// likeliest is the modem that the sighting is most likely of, nil if it is of
// none that is known.
func (r *registry) likeliest(w *worker, s sighting) *binding {
	var best *binding
	most := 0
	for _, b := range r.bound {
		if b.live && b.owner != w || b.imei != s.imei {
			continue
		}
		sure, score := s.imei != "", 1
		for _, clue := range [...]struct {
			holds, sure bool
			weight      int
		}{
			{s.imsi != "" && b.imsi == s.imsi, true, 8},
			{b.owner == w && !s.away, true, 4},
			{s.serial != "" && b.serial == s.serial, s.imsi == "" || b.imsi == "" || b.imsi == s.imsi, 2},
			{s.usb != "" && b.usb == s.usb, false, 1},
		} {
			if clue.holds {
				sure, score = sure || clue.sure, score+clue.weight
			}
		}
		if sure && score > most {
			best, most = b, score
		}
	}
	return best
}

// bind makes b the modem of w and notes what is new of it.
func (r *registry) bind(w *worker, b *binding, s sighting) recognition {
	f := recognition{name: b.name, twins: r.known(b.imei) > 1}
	for _, other := range r.bound {
		if other == b {
			continue
		}
		if other.owner == w {
			other.owner, other.live, other.complete = nil, false, false
		}
		if s.imsi != "" && other.imsi == s.imsi && other.live && other.complete {
			f.simTwice = other.name
		}
	}
	if s.imsi != "" {
		f.simChanged = b.imsi != "" && b.imsi != s.imsi
		if before := r.sims[s.imsi]; before != nil && before != b {
			f.simFrom = before.name
		}
		if len(r.sims) >= maxBound {
			clear(r.sims)
		}
		b.imsi, r.sims[s.imsi] = s.imsi, b
	}
	if b.path != s.path {
		f.movedFrom = b.path
	}
	b.owner, b.live, b.complete = w, true, s.complete
	b.path, b.usb, b.serial = s.path, s.usb, s.serial
	return f
}

// freeName is wanted, if it is not another modem's. A modem that was replaced
// at the port that the operator has named gives up its name, and so does one
// that names another IMEI than before while it is open.
func (r *registry) freeName(w *worker, wanted string) string {
	if i := r.named(wanted); i >= 0 {
		if b := r.bound[i]; !b.live && w.explicit || b.live && b.owner == w {
			r.forget(i)
		}
	}
	taken := make(map[string]bool, len(r.bound))
	for _, b := range r.bound {
		taken[b.name] = true
	}
	name := wanted
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", wanted, n)
	}
	return name
}

func (r *registry) named(name string) int {
	return slices.IndexFunc(r.bound, func(b *binding) bool { return b.name == name })
}

func (r *registry) forget(i int) { r.bound = slices.Delete(r.bound, i, i+1) }

func (r *registry) remember(b *binding) {
	for i := 0; len(r.bound) >= maxBound && i < len(r.bound); {
		if r.bound[i].live {
			i++
			continue
		}
		r.forget(i)
	}
	r.bound = append(r.bound, b)
}

// release says that w has its modem open no more.
func (r *registry) release(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bound {
		if b.owner == w && b.live {
			b.live, b.complete = false, false
			close(r.freed)
			r.freed = make(chan struct{})
		}
	}
}

// released is closed at the next release.
func (r *registry) released() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.freed
}

// owns tells whether a modem is bound to w.
func (r *registry) owns(w *worker) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bound {
		if b.owner == w {
			return true
		}
	}
	return false
}

// elsewhere tells whether the modem with the name is another worker's.
func (r *registry) elsewhere(name string, w *worker) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := r.named(name)
	return i >= 0 && r.bound[i].owner != nil && r.bound[i].owner != w
}
