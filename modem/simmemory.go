package modem

// SIMMemory remembers, over a restart of the daemon, which SIM was in which
// modem: one that was exchanged meanwhile may be stolen. Its methods may be
// called from many goroutines, and may block. It needs to keep no more than
// keyed hashes.
type SIMMemory interface {
	// Seen notes that the SIM is in the modem now, and tells whether another
	// was before.
	Seen(imei, imsi string) (another bool, err error)
	// Forget is told that the IMEI tells no modem: several have it.
	Forget(imei string) error
}

// remember notes which SIM is in the modem that was found, and whether another
// was when the daemon saw it last.
func (w *worker) remember(id identity, found *recognition) {
	memory, imei := w.pool.cfg.SIMs, trueIMEI(id.imei)
	pair := imei + "/" + id.imsi
	if memory == nil || imei == "" || id.imsi == "" || found.name == "" || w.remembered == pair {
		return
	}
	var err error
	if found.twins {
		err = memory.Forget(imei)
	} else {
		var another bool
		another, err = memory.Seen(imei, id.imsi)
		found.simChanged = found.simChanged || another
	}
	if err != nil {
		w.log.Warn("which SIM is in the modem can't be remembered", "error", err)
		return
	}
	w.remembered = pair
}
