package modem

// PINMemory remembers, over a restart of the daemon, which PINs were tried on
// which SIM and not taken: each wrong one costs one of the SIM's three tries.
// Its methods may be called from many goroutines, and may block.
//
// The attempt is made of the SIM's ICCID (of the modem's IMEI or port, where
// it tells none) and the PIN. A PIN has so few values that a plain hash would
// give it away: the memory must keep no more than a keyed hash of the attempt
// (HMAC under a key that is not stored beside it).
type PINMemory interface {
	// Tried tells whether Try was called for the attempt, and Forget not
	// since. On an error the PIN is not entered.
	Tried(attempt string) (bool, error)
	// Try remembers the attempt. It returns nil when that is durable: only
	// then is the PIN entered.
	Try(attempt string) error
	// Forget is told that the SIM has taken the PIN.
	Forget(attempt string) error
}
