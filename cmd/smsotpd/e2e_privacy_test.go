package main

import (
	"bytes"
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

// e2eNothingIsGivenAway sends codes to 1,000 numbers with the log at debug and
// the modems traced, has people send some to the SIMs, asks networks and doctor,
// and for much that is refused, and looks for the numbers, codes and the PIN in
// every byte that stays on disk or goes out to others than the phone and the
// caller who asked.
func e2eNothingIsGivenAway(t *testing.T) {
	const pin = "73519264"
	numbers := seed(1000)
	hidden := newSecrets(numbers)
	hidden.hideText(pin, aPIN)
	n := install(t, plan{
		modems: 2, air: "0s", pin: pin,
		config: "pin_file = \"pin\"\ntrace = [\"modem=*\"]\n", script: balances(numbers, hidden),
	})

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
	n.receiveFrom(numbers, hidden)
	n.askBalances(numbers)
	n.scanState(hidden, "with all sent")

	said := n.provoke(numbers, started)
	hidden.scan(t, "a reply", said)

	n.crash()
	n.scanState(hidden, "at the end")
	n.serve()
	n.stop()
	examined := n.examine()
	hidden.scan(t, "doctor", examined)
	n.scanState(hidden, "after a clean stop")
	n.scanIdentities(said, examined)
	for _, name := range []string{"gateway.err", "gateway.out", "command.err"} {
		data := []byte(readAll(n.path(name)))
		if name == "gateway.err" && bytes.Count(data, []byte("level=DEBUG")) < 100 {
			t.Errorf("the log says little: %d bytes", len(data))
		}
		hidden.scan(t, name, data)
	}
}

// balances is what the networks answer to USSD codes: a number and a code, in
// both alphabets.
func balances(numbers []string, hidden *secrets) string {
	script := ""
	for i, dcs := range []int{15, 72} {
		code := fmt.Sprint(618033 + i)
		hidden.addCode(code)
		script += fmt.Sprintf("[[ussd]]\ncode = '*10%d*%s#'\ndcs = %d\ntext = '%s is the code of %s'\n", i, numbers[i][3:], dcs, code, numbers[i])
	}
	return script
}

// askBalances asks the networks by codes that hold a number. The answer is for
// who asks alone.
func (n *installation) askBalances(numbers []string) {
	n.t.Helper()
	for i := range 2 {
		name := fmt.Sprint("modem", i)
		if said := n.run("modems", "ussd", "--state-dir", n.state, name, fmt.Sprintf("*10%d*%s#", i, numbers[i][3:])); !strings.Contains(said, numbers[i]) {
			n.t.Errorf("the network's answer is %q", said)
		}
	}
}

// receiveFrom has people send codes to the SIMs, in both alphabets, and waits
// until all are kept.
func (n *installation) receiveFrom(numbers []string, hidden *secrets) {
	n.t.Helper()
	const count = 40
	for i := range count {
		code := fmt.Sprint(271828 + 997*i)
		hidden.addCode(code)
		n.sim.tell(n.t, "message %d from = '%s', text = '%s for %s', ucs2 = %v", i%2, numbers[i], code, numbers[count+i], i%4 > 1)
	}
	await(n.t, "what people sent", func() error {
		var list api.Inbound
		if _, err := n.call("GET", "/v1/inbound?limit=100", nil, &list); err != nil {
			return err
		}
		if len(list.Messages) != count || !strings.Contains(list.Messages[0].Text, " for +33") {
			return fmt.Errorf("there are %d messages", len(list.Messages))
		}
		return nil
	})
}

// examine has the doctor look at the modems and send from one to the other, and
// returns all that it says.
func (n *installation) examine() []byte {
	n.t.Helper()
	var said bytes.Buffer
	for _, args := range [][]string{
		{"--json"},
		{"--json", "--send", "--yes", n.port(0), n.port(1), "--number", n.port(1) + "=+447700900001"},
	} {
		p := launch(n.t, n.dir, "doctor", append([]string{"doctor", "--config", "serve.toml"}, args...)...)
		if code := p.exit(n.t); code != 0 {
			n.t.Errorf("doctor %v ended with %d: %s\n%s", args, code, tail(p.err), readAll(p.out))
		}
		said.WriteString(readAll(p.out))
		said.WriteString(readAll(p.err))
	}
	if !bytes.Contains(said.Bytes(), []byte(`"usable": 2`)) {
		n.t.Errorf("doctor found no two modems: %s", said.Bytes())
	}
	return said.Bytes()
}

// scanIdentities looks for the identities of the SIMs where they are cut: in
// replies, logs, traces and what the doctor says and keeps.
func (n *installation) scanIdentities(said, examined []byte) {
	n.t.Helper()
	cards := newSecrets(nil)
	for i := range 2 {
		cards.hideIdentity(fmt.Sprintf("00101%010d", i+1))  // IMSI
		cards.hideIdentity(fmt.Sprintf("894400%012d", i+1)) // ICCID, all but its last digits
		cards.hideIdentity(fmt.Sprintf("77009%05d", i))     // number
	}
	cards.scan(n.t, "a reply", said)
	cards.scan(n.t, "doctor", examined)
	cards.scan(n.t, "gateway.err", []byte(readAll(n.path("gateway.err"))))
	for name, shows := range map[string][]string{
		"capabilities.json": {"enhanced_validity"},
		"trace-modem0.log":  {"AT+CPIN=", "AT+CMGS=", "+CDS", "+CUSD", "+CMT", "+CIMI"},
		"trace-modem1.log":  {"AT+CPIN=", "AT+CMGS=", "+CDS", "+CUSD", "+CMT", "+CIMI"},
	} {
		data := readAll(filepath.Join(n.state, name))
		cards.scan(n.t, name, []byte(data))
		for _, word := range shows {
			if !strings.Contains(data, word) {
				n.t.Errorf("%s (%d bytes) does not show %s", name, len(data), word)
			}
		}
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
