package wire

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warthog618/modem/at"
)

func TestAnswers(t *testing.T) {
	long := strings.Repeat("A", 70000)
	for _, c := range []dialogue{
		{"plain", "+CSQ", "\r\n+CSQ: 28,0\r\n\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"echo", "+CSQ", "AT+CSQ\r\r\n+CSQ: 28,0\r\n\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"echo with an unsolicited line behind it", "+CSQ", "AT+CSQ^RSSI:26\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, []string{"^RSSI:26"}, 0},
		{"vendor lines first", "+CSQ", "\r\n^RSSI:26\r\n\r\n^HCSQ:\"LTE\",60,52,106,24\r\n\r\n+CSQ: 28,99\r\n\r\nOK\r\n", []string{"+CSQ: 28,99"}, nil, []string{"^RSSI:26", `^HCSQ:"LTE",60,52,106,24`}, 0},
		{"CR CR LF", "+CSQ", "\r\r\n+CSQ: 28,0\r\r\n\r\r\nOK\r\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"LF only", "+CSQ", "+CSQ: 28,0\nOK\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"CR only", "+CSQ", "+CSQ: 28,0\rOK\r", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"blank behind OK", "+CSQ", "\r\n+CSQ: 28,0 \r\n\r\nOK \r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"NULs in front", "+CSQ", "\x00\x00\r\n\x00+CSQ: 28,0\r\n\x00\x00OK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"NUL flood", "+CSQ", strings.Repeat("\x00", 70000) + "\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"endless line", "+CSQ", long + "\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"NMEA", "+CSQ", "$GPGGA,1,2,3*47\r\n$GNRMC,,V*4D\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"binary", "+CSQ", "\x7e\x10\xff\xfe\x80ab\xff\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, nil, 0},
		{"no space after colon", "+CPIN?", "+CPIN:READY\r\nOK\r\n", []string{"+CPIN:READY"}, nil, nil, 0},
		{"CME without space", "+CPIN?", "+CME ERROR:50\r\n", nil, at.CMEError("50"), nil, 0},
		{"CME text", "+CPIN?", "+CME ERROR: SIM not inserted\r\n", nil, at.CMEError("SIM not inserted"), nil, 0},
		{"CMS without colon and number", "+CMGF=0", "+CMS ERROR\r\n", nil, at.CMSError("unknown"), nil, 0},
		{"CMS without colon", "+CMGF=0", "+CMS ERROR 500\r\n", nil, at.CMSError("500"), nil, 0},
		{"foreign final", "$TSSPCSW=?", "\r\nCOMMAND NOT SUPPORT\r\n", nil, at.ErrError, nil, 0},
		{"too many parameters", "+CNMI=2,1,0,2,0", "TOO MANY PARAMETERS\r\n", nil, at.ErrError, nil, 0},
		{"modem error", "+CSQ", "MODEM ERROR: 4\r\n", nil, at.ErrError, nil, 0},
		{"extended error", "+CSQ", "+EXT ERROR: 6\r\n", nil, at.ErrError, nil, 0},
		{"NA", "+CSQ", "NA\r\n", nil, at.ErrError, nil, 0},
		{"identity", "+CGMI", "\r\nhuawei\r\n\r\nOK\r\n", []string{"huawei"}, nil, nil, 0},
		{"several lines", "+CGMR", "V ICPR72_08w44.1\r\n24-11-08\r\n(c) Nokia\r\nOK\r\n", []string{"V ICPR72_08w44.1", "24-11-08", "(c) Nokia"}, nil, nil, 0},
		{"words while it runs", "+CGMI", "RING\r\nhuawei\r\nNO CARRIER\r\nOK\r\n", []string{"huawei"}, nil, []string{"RING", "NO CARRIER"}, 0},
		{"registration changes meanwhile", "+CREG?", "+CREG: 5\r\n+CREG: 2,1,\"4048\",\"0B78\"\r\nOK\r\n", []string{`+CREG: 2,1,"4048","0B78"`}, nil, []string{"+CREG: 5"}, 0},
		{"other registration meanwhile", "+CREG?", "+CEREG: 1,\"4048\"\r\n+CREG: 0,1\r\nOK\r\n", []string{"+CREG: 0,1"}, nil, []string{`+CEREG: 1,"4048"`}, 0},
		{"message meanwhile", "+CSQ", "+CMT: ,4\r\n0011223344\r\n+CSQ: 28,0\r\nOK\r\n", []string{"+CSQ: 28,0"}, nil, []string{"+CMT: ,4|0011223344"}, 0},
		{"PDU late", "+CSQ", "+CDS: 4\r\n+CSQ: 28,0\r\n^RSSI:1\r\nOK\r\n0011223344\r\n", []string{"+CSQ: 28,0"}, nil, []string{"^RSSI:1", "+CDS: 4|0011223344"}, 0},
		{"PDU of an answer stays", "+CMGR=1", "+CMT: ,4\r\n+CMGR: 1,,5\r\n001122334455\r\n0099887766\r\nOK\r\n", []string{"+CMGR: 1,,5", "001122334455"}, nil, []string{"+CMT: ,4|0099887766"}, 0},
		{"one-line report in text mode", "+CSQ", "+CDS: 6,214,\"+3161\",145,\"25/11/23,16:00:00+00\",\"25/11/23,16:00:00+00\",0\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{`+CDS: 6,214,"+3161",145,"25/11/23,16:00:00+00","25/11/23,16:00:00+00",0`}, 0},
		{"text message that says OK", "+CSQ", "+CMT: \"+33612345678\",,\"25/11/23,16:00:00+00\"\r\nOK\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{`+CMT: "+33612345678",,"25/11/23,16:00:00+00"|OK`}, 0},
		{"prompt that nobody wants", "+CSQ", "\r\n> \r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, nil, 0},
		{"late answer of a message", "+CSQ", "+CMGS: 41\r\n\r\nOK\r\n+CSQ: 7,0\r\nOK\r\n", []string{"+CSQ: 7,0"}, nil, []string{"+CMGS: 41"}, 0},
	} {
		c.check(t)
	}
}

func TestAnswerWithoutFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{})
		r.play(0, turn{"AT+CPIN?\r", "\r\n+CPIN: READY\r\n"})
		begin := time.Now()
		info, err := r.engine.Command("+CPIN?")
		if err != nil || !slices.Equal(info, []string{"+CPIN: READY"}) || r.wire.Flight().Cause != Unfinished {
			t.Errorf("got %q, %v, %+v", info, err, r.wire.Flight())
		}
		if time.Since(begin) != time.Second {
			t.Errorf("took %v", time.Since(begin))
		}
	})
}

// TestAnswerThatDribbles: an answer that is still coming when the command's
// time is over is waited for; a chatter of other lines is none.
func TestAnswerThatDribbles(t *testing.T) {
	for _, c := range []struct {
		name, says string
		err        error
		cause      Cause
	}{
		{"answer", "\r\n+CMGF: 0\r\n\r\nOK\r\n", nil, Answered},
		{"chatter", strings.Repeat("^RSSI:9\r\n", 40), at.ErrClosed, Timeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Options{})
				r.wire.Limit(2 * time.Second)
				said := make(chan struct{})
				go func() {
					defer close(said)
					buf := make([]byte, 100)
					if _, err := r.modem.Read(buf); err != nil {
						return
					}
					size := 1
					if c.name == "chatter" {
						size = 9
					}
					for piece := range slices.Chunk([]byte(c.says), size) {
						time.Sleep(300 * time.Millisecond)
						if _, err := r.modem.Write(piece); err != nil {
							return
						}
					}
				}()
				begin := time.Now()
				_, err := r.engine.Command("+CMGF?")
				if !errors.Is(err, c.err) || r.wire.Flight().Cause != c.cause {
					t.Errorf("got %v, %+v", err, r.wire.Flight())
				}
				if d := time.Since(begin); (d > 4*time.Second) != (c.err == nil) {
					t.Errorf("took %v", d)
				}
				r.wire.Close()
				<-said
			})
		})
	}
}
