package modem

import (
	"encoding/hex"
	"fmt"
	"sync"
	"testing"
)

// The codec makes the tables of national alphabets when a message first names
// one: run with -race, this fails without the lock around it.
func TestCodecIsSharedByModems(t *testing.T) {
	const text = "04" + "0B913316325476F8" + "00" + "00" + "62119051127240" + "03" + "C8F70C"
	plain, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for language := range 14 {
				// UDH: national language single shift and locking shift tables.
				national := fmt.Sprintf("44"+"0B913316325476F8"+"0000"+"62119051127240"+"0B"+"062401%02X2501%02X"+"0102", language, language)
				raw, err := hex.DecodeString(national)
				if err != nil {
					t.Error(err)
				}
				decodeDeliver(raw)
			}
			if in := decodeDeliver(plain); in.From != "+33612345678" {
				t.Errorf("goroutine %d: the sender was not decoded", i)
			}
			if _, _, err := encodeSubmit(Submission{To: "33612345678", Text: "a€b"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
