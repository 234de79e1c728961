package keyring

import (
	"bytes"
	"encoding/hex"
	"path/filepath"
	"testing"
)

// A state directory and values as the package comment describes them, made by
// another implementation from known keys: what a first release wrote is read
// for ever.
func TestFormatsAreFinal(t *testing.T) {
	m, err := parseMaster("smsotpd-master-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_lxhDX")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, keysDir))
	mkdir(t, filepath.Join(dir, epochsDir))
	for name, content := range map[string]string{
		"keys/lookup":   "534d534f5450444b010171816634c692b275a0a0a0a0a0a0a0a0a0a0a0a035a172f3aed45ecda9419e92fd2fe0bed5a889f5a2fd390b191e552272041d7d3750d2d995edf9116d6c35ef6df2607f",
		"keys/codes":    "534d534f5450444b010171816634c692b275a1a1a1a1a1a1a1a1a1a1a1a1b4d1ea4fc20f60c5d50cb05cf929d6c660204c524bf8e1f95a3ac1b1c2dcf1c4c8ead40a8cb0ba9536e38cfa20b0ea0c",
		"keys/apikeys":  "534d534f5450444b010171816634c692b275a2a2a2a2a2a2a2a2a2a2a2a2479c0a105f2869fe1b5303a72e266364d9b345c8c0e74d9a959454d92d31044909409d8b83a5617772d79c8cd1d486d9",
		"keys/sessions": "534d534f5450444b010171816634c692b275a3a3a3a3a3a3a3a3a3a3a3a391548acdfd29360059a32aed3c61516d312409c10cb5a0655f945fcb7ea1c8a179a9055d8228e2ffbc5a52e9836881e9",
		"epochs/1":      "534d534f5450444b010271816634c692b275b0b0b0b0b0b0b0b0b0b0b0b0da92dc6abeeabe8a25baef8bfd974aaf40a2641181a4e0a57388b9110c6d2ee1b3e9318c6bdfbdd21e5eb0efdc25309d",
	} {
		write(t, filepath.Join(dir, name), unhex(t, content))
	}
	k := open(t, dir, m)

	ref := Ref{Table: "verification", Key: []byte{1, 2}, Field: "number"}
	nonce := Nonce(bytes.Repeat([]byte{0xc0}, nonceSize))
	sealed := unhex(t, "0100000001c0c0c0c0c0c0c0c0c0c0c0c0fc47c41bcae37a0907b1d37b4f8e264805d39ee45c0569623951982b")
	if got := k.SealNonce(nonce, ref, []byte("+33612345678")); !bytes.Equal(got, sealed) {
		t.Errorf("sealed value = %x", got)
	}
	if got, err := k.Unseal(ref, sealed); err != nil || string(got) != "+33612345678" {
		t.Errorf("Unseal = %q, %v", got, err)
	}

	if got := k.Lookup("number", []byte("33612345678")); !bytes.Equal(got.Bytes(), unhex(t, "a9c2b918d78578dc05c28f9e836c7fc9")) {
		t.Errorf("token = %x", got.Bytes())
	}
	for name, tt := range map[string]struct {
		mac  func(...[]byte) [32]byte
		want string
	}{
		"CodeMAC":    {k.CodeMAC, "89051653a518bdab4a1c6ec8308ab63adeb61143c6b03aa9196aea1f85f50ba6"},
		"APIKeyMAC":  {k.APIKeyMAC, "008ea9068212e3524a4f66dadb58638aec94241f78d115e1d228f6cfa0a8ad2c"},
		"SessionMAC": {k.SessionMAC, "1a7fb72b3d6dac10ed6f69c4ca345e504c5c6bae2c9ffd208ae18dbb835e04ec"},
	} {
		if got := tt.mac([]byte("ab"), []byte("c")); !bytes.Equal(got[:], unhex(t, tt.want)) {
			t.Errorf("%s = %x", name, got)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
