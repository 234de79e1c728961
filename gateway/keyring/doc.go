// Package keyring holds the daemon's secret keys: it seals what must be read
// again and makes keyed tokens of what must only be found or compared again.
//
// It knows how keys are kept and used, and nothing of what they protect. It
// imports no other package of this module.
//
// What always holds:
//
//   - The state directory holds no unwrapped key. The master key is kept
//     elsewhere and only wraps.
//   - Keys are random, never derived: destroying an epoch's file destroys what
//     was sealed under it.
//   - A key that is missing or doesn't unwrap is an error, never a new key:
//     keys are made only for a state directory that never had a database.
//   - A sealed value opens only for the Ref that it was sealed for.
//   - Keys, tokens and plaintexts never appear in an error or in fmt output.
//
// The formats below are final. All integers are big-endian.
//
// # Master key file
//
// One line of text, with or without its final newline:
//
//	smsotpd-master-key-1:<48 characters>
//
// The characters are base64url (RFC 4648, section 5) of the 32-byte key and
// the first 4 bytes of SHA-256("smsotpd-master-key-1:" ‖ key), so that a copy
// with a typing mistake is told from another key.
//
// # Wrapped key files
//
// DIR/keys/lookup, DIR/keys/codes, DIR/keys/apikeys, DIR/keys/sessions and
// DIR/epochs/N (N is the epoch in decimal, from 1) are 78 bytes each:
//
//	offset  size  what
//	     0     8  magic "SMSOTPDK"
//	     8     1  version, 1
//	     9     1  purpose: 1 for a file of keys/, 2 for one of epochs/
//	    10     8  the master's id: HKDF-SHA256(master, no salt, info "smsotpd master id 1")
//	    18    12  random nonce
//	    30    48  AES-256-GCM under the master of the 32-byte key, with its tag
//
// The associated data is the first 18 bytes ‖ the file's name ("lookup", "1").
// The master's id tells a wrong master from a damaged file.
//
// # Sealed values
//
//	offset  size  what
//	     0     1  version, 1
//	     1     4  epoch
//	     5    12  nonce
//	    17   n+16  AES-256-GCM under the epoch's key, with its tag
//
// The associated data is the first 5 bytes, then the Ref's table, key and
// field, each preceded by its length in 4 bytes. Nonces are random, so one
// epoch must not seal more than 2^32 values (NIST SP 800-38D, 8.3): at five a
// verification that is 100 a second for three months.
//
// # Tokens and MACs
//
// HMAC-SHA256 under the purpose's key over the label, where there is one, and
// then the parts, each preceded by its length in 4 bytes. A Token is the first
// 16 bytes of it.
package keyring
