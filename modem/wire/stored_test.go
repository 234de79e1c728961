package wire

import "testing"

// TestStoredMessageShapes: whatever form a stored message has, all of it is the
// answer, and what comes directly meanwhile is not.
func TestStoredMessageShapes(t *testing.T) {
	const (
		first, second = "0006D60B911326880736F4", "111011719551401110117195714000"
		whole         = first + second
	)
	for _, c := range []dialogue{
		{"without header", "+CMGR=1", whole + "\r\nOK\r\n", []string{whole}, nil, nil, 0},
		{"in two lines", "+CMGR=1", "+CMGR: 0,,25\r\n" + first + "\r\n" + second + "\r\nOK\r\n", []string{"+CMGR: 0,,25", first, second}, nil, nil, 0},
		{"a short line first", "+CMGR=1", "+CMGR: 0,,25\r\n0006\r\n" + whole[4:] + "\r\nOK\r\n", []string{"+CMGR: 0,,25", "0006", whole[4:]}, nil, nil, 0},
		{"a short line last", "+CMGR=1", "+CMGR: 0,,25\r\n" + whole[:49] + "\r\n" + whole[49:] + "\r\nOK\r\n", []string{"+CMGR: 0,,25", whole[:49], whole[49:]}, nil, nil, 0},
		{"in quotes", "+CMGR=1", "+CMGR: 0,,25\r\n\"" + first + "\r\n" + second + "\"\r\nOK\r\n", []string{"+CMGR: 0,,25", `"` + first, second + `"`}, nil, nil, 0},
		{"in the header", "+CMGR=1", "+CMGR: 0,,25," + whole + "\r\nOK\r\n", []string{"+CMGR: 0,,25," + whole}, nil, nil, 0},
		{"the other prefix", "+CMGR=1", "+CMGL: 1,0,,25\r\n" + whole + "\r\nOK\r\n", []string{"+CMGL: 1,0,,25", whole}, nil, nil, 0},
		{"a list", "+CMGL=4", "+CMGL: 1,0,,25\r\n" + whole + "\r\n+CMGL: 300,0,,25\r\n" + whole + "\r\nOK\r\n", []string{"+CMGL: 1,0,,25", whole, "+CMGL: 300,0,,25", whole}, nil, nil, 0},
		{"a message meanwhile", "+CMGR=1", "+CMT: ,4\r\n+CMGR: 0,,25\r\n0011223344\r\n" + first + "\r\n+CMTI: \"SM\",2\r\n" + second + "\r\nOK\r\n", []string{"+CMGR: 0,,25", first, second}, nil, []string{"+CMT: ,4|0011223344", `+CMTI: "SM",2`}, 0},
	} {
		c.check(t)
	}
}
