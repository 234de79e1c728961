package modem

// PINMemory remembers, over a restart of the daemon, which PINs were tried on
// which SIM and not taken: each wrong one costs one of the SIM's three tries.
// Its methods may be called from many goroutines.
//
// The attempt is made of the modem's IMEI, the SIM's ICCID and the PIN. A PIN
// has so few values that a plain hash would give it away: the memory must keep
// no more than a keyed hash of attempt (HMAC under a key that is not stored
// beside it).
type PINMemory interface {
	// Tried tells whether Try was called for the attempt, and Forget not
	// since. A memory that can't be read must say so by an error: the PIN is
	// then not entered.
	Tried(attempt string) (bool, error)
	// Try remembers the attempt. It returns nil when that is durable: only
	// then is the PIN entered.
	Try(attempt string) error
	// Forget is told that the SIM has taken the PIN.
	Forget(attempt string) error
}
