package wire

import "time"

// SetPace changes Options.Pace for the payloads from now on: what a modem needs
// is known only once it has said what it is. It may be called only between
// commands, by whoever writes them.
func (w *Wire) SetPace(d time.Duration) { w.opts.Pace = d }
