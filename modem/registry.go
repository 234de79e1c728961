package modem

import (
	"errors"
	"fmt"
	"sync"
)

// registry remembers, for the Pool's life, which modem has which name.
type registry struct {
	mu     sync.Mutex
	modems map[string]*binding // by IMEI, or by port where there is none
	names  map[string]*binding
	freed  chan struct{} // closed and renewed when a binding is released
}

// binding ties a name to a modem. Its owner is the port worker that serves
// the modem, or did last.
type binding struct {
	name       string
	key        string
	imei, imsi string
	owner      *worker
	live       bool // owner has the modem open
}

func newRegistry() *registry {
	return &registry{
		modems: make(map[string]*binding),
		names:  make(map[string]*binding),
		freed:  make(chan struct{}),
	}
}

// errTwin: another port of the same modem is in use.
var errTwin = errors.New("modem: another port of the same modem is in use already")

// claim binds the modem that w has found to w and tells its name: the one it
// had before, under whichever port, or else the port's own.
func (r *registry) claim(w *worker, id identity, wanted string) (string, error) {
	key := id.imei
	if key == "" {
		key = "port " + wanted
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.modems[key]
	if b != nil && b.live && b.owner != w {
		return "", fmt.Errorf("%w: %s", errTwin, b.name)
	}
	for _, other := range r.modems {
		if other.owner == w && other != b {
			other.owner, other.live = nil, false
		}
	}
	if b == nil {
		b = &binding{key: key, name: r.freeName(wanted)}
	}
	b.owner, b.live, b.imei = w, true, id.imei
	if id.imsi != "" {
		b.imsi = id.imsi
	}
	r.modems[key], r.names[b.name] = b, b
	return b.name, nil
}

// freeName is wanted, if it is not another modem's that is in use; a modem
// that was replaced at its port gives up its name.
func (r *registry) freeName(wanted string) string {
	name := wanted
	for n := 2; ; n++ {
		b := r.names[name]
		if b == nil {
			return name
		}
		if !b.live {
			delete(r.modems, b.key)
			return name
		}
		name = fmt.Sprintf("%s-%d", wanted, n)
	}
}

// release says that w has its modem open no more.
func (r *registry) release(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.modems {
		if b.owner == w && b.live {
			b.live = false
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
	for _, b := range r.modems {
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
	b := r.names[name]
	return b != nil && b.owner != nil && b.owner != w
}
