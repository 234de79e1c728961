package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"smsotpd/gateway/api"
)

// secrets are numbers, and the codes that were sent to them.
type secrets struct {
	// needles tell what an octet string gives away, by length.
	needles map[int]map[string]string
	// begins has the first two octets of all needles, so that most places
	// are passed over quickly.
	begins [1 << 16]bool
	codes  map[string]bool
}

// What needles give away.
const (
	aNumber     = "a number"
	aCode       = "a code"
	aPackedCode = "a packed code"
)

// seed is count mobile numbers without a pattern in their last seven digits.
func seed(count int) []string {
	numbers := make([]string, count)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("+3361%07d", (1_000_019+i*7_919_081)%10_000_000)
	}
	return numbers
}

func newSecrets(numbers []string) *secrets {
	s := &secrets{needles: map[int]map[string]string{}, codes: map[string]bool{}}
	for _, n := range numbers {
		s.hide(strings.TrimPrefix(n, "+33"), aNumber) // it is in every longer form, too
		s.hideOctets(semiOctets(strings.TrimPrefix(n, "+")), aNumber)
	}
	return s
}

func (s *secrets) addCode(code string) {
	s.codes[code] = true
	s.hideOctets(septets(code), aPackedCode)
}

func (s *secrets) hide(needle, what string) {
	if s.needles[len(needle)] == nil {
		s.needles[len(needle)] = map[string]string{}
	}
	s.needles[len(needle)][needle] = what
	s.begins[int(needle[0])<<8|int(needle[1])] = true
}

// hideOctets hides octets and their hexadecimal forms.
func (s *secrets) hideOctets(octets []byte, what string) {
	s.hide(string(octets), what)
	s.hide(hex.EncodeToString(octets), what)
	s.hide(strings.ToUpper(hex.EncodeToString(octets)), what)
}

// semiOctets is a number as PDUs carry it (3GPP TS 23.040 9.1.2.3).
func semiOctets(digits string) []byte {
	if len(digits)%2 == 1 {
		digits += "?" // 0xf
	}
	octets := make([]byte, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		octets = append(octets, (digits[i+1]-'0')<<4|(digits[i]-'0'))
	}
	return octets
}

// septets is a code as PDUs carry the beginning of a text (TS 23.038 6.1.2.1):
// the 42 bits of six characters, of which the first five octets are whole.
func septets(code string) []byte {
	var bits uint64
	for i := range len(code) {
		bits |= uint64(code[i]&0x7f) << (7 * i)
	}
	octets := make([]byte, 5)
	for i := range octets {
		octets[i] = byte(bits >> (8 * i))
	}
	return octets
}

// sixDigits finds what may be a code: six digits that are not part of a longer
// run, of a word, or of a number's fraction. Times, sizes, ids and the IMSI
// hold runs of digits, too, of which one in 1,000 would be somebody's code.
var sixDigits = regexp.MustCompile(`(?:^|[^0-9A-Za-z.])([0-9]{6})(?:[^0-9A-Za-z]|$)`)

// find counts what data gives away: distinct needles by what they are.
func (s *secrets) find(data []byte) map[string]int {
	found := map[string]string{}
	for i := 0; i+1 < len(data); i++ {
		if !s.begins[int(data[i])<<8|int(data[i+1])] {
			continue
		}
		for length, needles := range s.needles {
			here := data[i:min(i+length, len(data))]
			if what, ok := needles[string(here)]; ok {
				found[string(here)] = what
			}
		}
	}
	for rest := data; ; {
		m := sixDigits.FindSubmatchIndex(rest)
		if m == nil {
			break
		}
		if digits := string(rest[m[2]:m[3]]); s.codes[digits] {
			found[digits] = aCode
		}
		rest = rest[m[3]:] // the octet behind may be the one before the next
	}
	counts := map[string]int{}
	for _, what := range found {
		counts[what]++
	}
	return counts
}

// scan fails the test if data gives anything away. In octets that look random,
// as sealed ones do, a packed code, 40 bits, comes up by chance once in 10^12
// octets: with 1,000 codes and some 10 MB in one run of 100. So a single one
// counts for nothing; who keeps them keeps many. All else is rarer by far.
func (s *secrets) scan(t *testing.T, where string, data []byte) {
	t.Helper()
	counts := s.find(data)
	if counts[aPackedCode] == 1 {
		delete(counts, aPackedCode)
	}
	if len(counts) > 0 {
		t.Errorf("%s (%d bytes) gives away: %v", where, len(data), counts)
	}
}

// A search that finds nothing must be one that could.
func TestSecretsAreFound(t *testing.T) {
	s := newSecrets([]string{"+33612345678"})
	s.addCode("904417")
	for data, want := range map[string]string{
		"to=+33612345678 ":                      aNumber,
		"0612345678":                            aNumber,
		"x\x33\x16\x32\x54\x76\xf8y":            aNumber,
		"0001000B913316325476F80000":            aNumber,
		"0001000b913316325476f80000":            aNumber,
		"904417 is your verification code.":     aCode,
		"code=904417":                           aCode,
		"code 111111/904417":                    aCode,
		"\x00904417\xff":                        aCode,
		"at 2026-11-23T16:47:36.904417Z":        "",
		"imsi=001019044170001":                  "",
		"id=0190-a904417bc":                     "",
		"took=904417ns":                         "",
		"\x39\x18\x8d\x16\xbb\x01 is your code": aPackedCode,
		"39188d16b":                             "",
		"...39188D16BB01...":                    aPackedCode,
	} {
		if got := s.find([]byte(data)); len(got) > 1 || want == "" && len(got) > 0 || want != "" && got[want] != 1 {
			t.Errorf("%q: %v, want %q", data, got, want)
		}
	}
}

// scanState scans every file of the state directory.
func (n *installation) scanState(s *secrets, when string) {
	n.t.Helper()
	size := 0
	err := filepath.WalkDir(n.state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		size += len(data)
		s.scan(n.t, filepath.Base(path)+" "+when, data)
		s.scan(n.t, "the name of a file", []byte(entry.Name()))
		return err
	})
	if err != nil {
		n.t.Error(err)
	}
	if size < 1<<20 {
		n.t.Errorf("only %d bytes of state %s", size, when)
	}
}

// e2eNothingIsGivenAway sends codes to 1,000 numbers with the log at debug,
// asks for much that is refused, and looks for the numbers and codes in every
// byte that stays on disk or goes out to others than the phone and the caller
// who asked.
func e2eNothingIsGivenAway(t *testing.T) {
	numbers := seed(1000)
	hidden := newSecrets(numbers)
	n := install(t, plan{modems: 2, air: "0s"})

	// First without any modem, so that all of it lies in the queue.
	serve := readAll(n.path("serve.toml"))
	n.write("serve.toml", regexp.MustCompile(`(?m)^modem = .*$`).ReplaceAllString(serve, ""))
	n.serve()
	started := make([]api.Verification, len(numbers))
	n.each(len(numbers), func(i int) { started[i] = n.begin(numbers[i]) })
	n.scanState(hidden, "with all in the queue")
	n.crash()
	n.scanState(hidden, "after a kill")

	n.write("serve.toml", serve)
	n.serve()
	n.each(len(numbers), func(i int) { n.settled(started[i].Message.ID, "accepted", "delivered") })
	for _, got := range n.sentTo() {
		hidden.addCode(got[0].code())
	}
	if len(hidden.codes) < 990 { // some are alike
		t.Fatalf("%d codes", len(hidden.codes))
	}
	n.scanState(hidden, "with all sent")

	said := n.provoke(numbers, started)
	hidden.scan(t, "a reply", said)

	n.crash()
	n.scanState(hidden, "at the end")
	n.serve()
	n.stop()
	n.scanState(hidden, "after a clean stop")
	for _, name := range []string{"gateway.err", "gateway.out", "command.err"} {
		data := []byte(readAll(n.path(name)))
		if name == "gateway.err" && bytes.Count(data, []byte("level=DEBUG")) < 100 {
			t.Errorf("the log says little: %d bytes", len(data))
		}
		hidden.scan(t, name, data)
	}
}

// each does something for 0 to count-1, some at a time.
func (n *installation) each(count int, do func(i int)) {
	n.t.Helper()
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
	if n.t.Failed() {
		n.t.FailNow()
	}
}

// provoke checks every code, right or wrong, makes every kind of mistake with
// the numbers and codes in it, and returns all that was answered, with the
// headers, and the metrics.
func (n *installation) provoke(numbers []string, started []api.Verification) []byte {
	codes := map[string]string{}
	for to, got := range n.sentTo() {
		codes[to] = got[0].code()
	}
	var mu sync.Mutex
	var said bytes.Buffer
	ask := func(method, path, body string, header ...string) {
		reply := n.raw(method, path, body, header...)
		mu.Lock()
		defer mu.Unlock()
		said.Write(reply)
		said.WriteByte('\n')
	}
	n.each(len(numbers), func(i int) {
		to, code, id := numbers[i], codes[numbers[i]], started[i].ID
		check := "/v1/verifications/" + id + "/check"
		switch i % 10 {
		case 0:
			ask("POST", "/v1/verifications", `{"to":"`+to+`;ext=9"}`)
			ask("POST", "/v1/verifications", `{"to":"`+to+`\u001a"}`)
		case 1:
			ask("POST", "/v1/verifications", `{"to":"+44`+to[1:]+`"}`)
			ask("POST", "/v1/verifications", `{"to":"`+to+`","to":"`+to+`"}`)
		case 2:
			ask("POST", "/v1/verifications", `{"to":"`+to+`","`+to+`":"`+code+`"}`)
			ask("POST", "/v1/verifications", `{"to":"`+to+`","service":"`+to[1:]+`","purpose":"`+code+`"}`)
		case 3:
			ask("POST", "/v1/verifications", `{"to":`+to[1:]+`}`)
			ask("POST", "/v1/verifications", `{"to":"`+to+`","client_ip":"`+to[1:]+`"}`)
		case 4:
			ask("POST", check, `{"code":`+code+`}`)
			ask("POST", check, `{"code":"`+code+`","`+code+`":""}`)
		case 5:
			ask("POST", "/v1/verifications/"+to+"/check", `{"code":"`+code+`"}`)
			ask("GET", "/v1/messages/"+to[1:], "")
			ask("GET", "/"+to[1:]+"/"+code, "")
			ask(code, "/v1/modems", "")
		case 6:
			ask("POST", "/v1/verifications", `{"to":"`+to+`"}`, "Authorization", "Bearer "+to)
			ask("POST", "/v1/verifications", `{"to":"`+to+`"}`, "Idempotency-Key", to+" "+code)
			ask("POST", "/v1/verifications", `{"to":"`+to+`","locale":"fr"}`, "Idempotency-Key", to+" "+code)
		case 7:
			ask("POST", check, `{"code":"`+code+`"`)
			ask("POST", check, code)
		case 8:
			ask("POST", check, `{"code":"`+code+`"}`, "Content-Type", "text/"+code)
			ask("DELETE", "/v1/verifications/"+id+"?to="+to[1:]+"&code="+code, "")
		}
		ask("POST", check, `{"code":"`+wrong(code)+`"}`)
		ask("POST", check, `{"code":"`+code+`"}`)
		ask("POST", check, `{"code":"`+code+`"}`)
		ask("GET", "/v1/verifications/"+id, "")
		ask("GET", "/v1/messages/"+started[i].Message.ID, "")
	})
	ask("GET", "/v1/modems", "")
	ask("GET", "/readyz", "")
	// A metric's value may be any number.
	metrics := n.raw("GET", "/metrics", "")
	if !bytes.Contains(metrics, []byte("smsotpd_")) {
		n.t.Error("there are no metrics")
	}
	said.Write(regexp.MustCompile(`(?m) [0-9.e+-]+\r?$`).ReplaceAll(metrics, nil))
	if series := bytes.Count(metrics, []byte("\nsmsotpd_")); series > 500 {
		n.t.Errorf("%d series", series)
	}
	return said.Bytes()
}

// raw makes a request and returns all of the reply, with its headers.
func (n *installation) raw(method, path, body string, header ...string) []byte {
	n.t.Helper()
	resp, raw, err := n.do(method, path, body, header...)
	if err != nil {
		n.t.Error(err)
		return nil
	}
	var reply bytes.Buffer
	if err := resp.Header.Write(&reply); err != nil {
		n.t.Error(err)
	}
	return append(reply.Bytes(), raw...)
}
