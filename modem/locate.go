package modem

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"
)

// stranger is a neighbouring port that was looked at and is not ours.
type stranger struct {
	id    string // by Opener.Lookup
	until time.Time
}

// locate waits for the port. The configured path goes first; if its modem was
// seen before and has gone, a new neighbour is worth a look.
func (w *worker) locate(ctx context.Context) (path string, ok bool) {
	for i := 0; ; i++ {
		if w.pool.cfg.Opener.Lookup(w.path) != "" {
			return w.path, true
		}
		if i%globEvery == 0 {
			if path := w.neighbor(); path != "" {
				return path, true
			}
		}
		if !w.explicit && !w.pool.registry.owns(w) {
			return "", false
		}
		w.set(func(s *Status) {
			s.State, s.Reason, s.Registered = Down, "there is no "+w.path+": is the modem plugged in?", false
		})
		select {
		case <-time.After(w.pool.cfg.Timeouts.Appear):
		case <-ctx.Done():
			return "", false
		}
	}
}

// await waits before the next attempt, less if another device takes the path.
func (w *worker) await(ctx context.Context, path string, d time.Duration) {
	found := w.pool.cfg.Opener.Lookup(path)
	freed := w.pool.registry.released()
	for end := time.Now().Add(d); time.Now().Before(end); {
		select {
		case <-time.After(min(time.Until(end), w.pool.cfg.Timeouts.Appear)):
		case <-freed:
			return
		case <-ctx.Done():
			return
		}
		if w.pool.cfg.Opener.Lookup(path) != found {
			return
		}
	}
}

// siblings are the ports beside path whose names begin like its own without
// the number at its end.
func (w *worker) siblings() map[string]string {
	dir, base := filepath.Split(w.path)
	stem := strings.TrimRight(base, "0123456789")
	if stem == "" || !w.explicit {
		return nil
	}
	found := make(map[string]string)
	for _, path := range w.pool.cfg.Opener.Glob(dir + escapeGlob(stem) + "*") {
		if path != w.path && !w.pool.served(path) {
			found[path] = w.pool.cfg.Opener.Lookup(path)
		}
	}
	return found
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

// neighbor is a sibling that has appeared since the modem was lost and was
// not rejected yet, "" if there is none.
func (w *worker) neighbor() string {
	if w.lost.imei == "" {
		return ""
	}
	for path, id := range w.siblings() {
		r := w.rejected[path]
		if id != "" && w.neighbors[path] != id && r.id != id && time.Now().After(r.until) {
			return path
		}
	}
	return ""
}

// errStranger: behind a neighbouring port is not the modem that was lost.
var errStranger = errors.New("modem: another modem")
