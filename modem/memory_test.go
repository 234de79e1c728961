package modem

import "testing"

func TestStoredIndex(t *testing.T) {
	for _, c := range []struct {
		line, mem string
		index     int
		ok        bool
	}{
		{`+CMTI: "SM",3`, "SM", 3, true},
		{`+CDSI:"SR",8`, "SR", 8, true},
		{`+CMTI: ,4`, "", 4, true},
		{`+CMTI: ,-1`, "", 0, false},
		{`+CMTI: "SM"`, "", 0, false},
		{`+CMTI: "S;+CFUN=0",1`, "", 1, false},
		{`+CMTI:`, "", 0, false},
	} {
		mem, index, ok := storedIndex(c.line)
		if ok != c.ok || ok && (mem != c.mem || index != c.index) {
			t.Errorf("%s: got %q, %d, %v", c.line, mem, index, ok)
		}
	}
}
