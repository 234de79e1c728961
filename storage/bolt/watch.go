package bolt

import (
	"bytes"
	"context"
	"sync"

	"smsotpd/storage"
)

// maxWatched is how many keys wait for a slow watcher before they are given up
// for a Wake that says Lost.
const maxWatched = 1024

// watchers tells the Watch channels what was committed, never waiting for one.
type watchers struct {
	mu    sync.Mutex
	alive map[*watcher]struct{}
	ended chan struct{}
}

func newWatchers() *watchers {
	return &watchers{alive: make(map[*watcher]struct{}), ended: make(chan struct{})}
}

// add begins a watch, which ends with ctx or with the store.
func (ws *watchers) add(ctx context.Context, prefix []byte) <-chan storage.Wake {
	w := &watcher{prefix: bytes.Clone(prefix), keys: make(map[string]struct{}), touched: make(chan struct{}, 1)}
	ws.mu.Lock()
	ws.alive[w] = struct{}{}
	ws.mu.Unlock()
	wakes := make(chan storage.Wake)
	go func() {
		defer close(wakes)
		defer func() {
			ws.mu.Lock()
			delete(ws.alive, w)
			ws.mu.Unlock()
		}()
		for {
			select {
			case <-w.touched:
			case <-ctx.Done():
				return
			case <-ws.ended:
				return
			}
			select {
			case wakes <- w.take():
			case <-ctx.Done():
				return
			case <-ws.ended:
				return
			}
		}
	}()
	return wakes
}

// notify tells of the keys that one committed closure wrote.
func (ws *watchers) notify(touched []storage.Touch) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.alive {
		for i := range touched {
			if (touched[i].Put || touched[i].Deleted) && bytes.HasPrefix(touched[i].Key, w.prefix) {
				w.add(touched[i].Key)
			}
		}
	}
}

// end closes every channel.
func (ws *watchers) end() { close(ws.ended) }

// watcher gathers the touched keys under one prefix.
type watcher struct {
	prefix  []byte
	touched chan struct{} // has an element while there is something to take

	mu   sync.Mutex
	keys map[string]struct{}
	lost bool
}

func (w *watcher) add(key []byte) {
	w.mu.Lock()
	if !w.lost {
		w.keys[string(key)] = struct{}{}
		if len(w.keys) > maxWatched {
			clear(w.keys)
			w.lost = true
		}
	}
	w.mu.Unlock()
	select {
	case w.touched <- struct{}{}:
	default:
	}
}

func (w *watcher) take() storage.Wake {
	w.mu.Lock()
	defer w.mu.Unlock()
	wake := storage.Wake{Lost: w.lost, Keys: make([][]byte, 0, len(w.keys))}
	for key := range w.keys {
		wake.Keys = append(wake.Keys, []byte(key))
	}
	clear(w.keys)
	w.lost = false
	return wake
}
