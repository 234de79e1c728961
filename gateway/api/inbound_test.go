package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/inbound"
)

func TestInbound(t *testing.T) {
	f := newFixture(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f.inbound = []inbound.Message{
		{
			ID: inbound.ID{15: 3}, Modem: "left", From: someNumber, Content: inbound.Content{Text: "STOP é"},
			Sent: at, Received: at.Add(time.Second), Parts: 3, Missing: []int{2},
		},
		{ID: inbound.ID{15: 4}, Modem: "left", From: "Bank", Content: inbound.Content{Data: []byte{0, 255}}, Received: at, Parts: 1},
		{ID: inbound.ID{15: 5}, Received: at, Parts: 1, Undecodable: true, TPDU: []byte{0xAB, 1}},
	}
	w := f.do(t, request{method: "GET", path: "/v1/inbound?limit=2&after=" + strings.Repeat("0", 31) + "9"})
	const want = `{"messages":[` +
		`{"id":"00000000000000000000000000000003","modem":"left","from":"+33612345678","text":"STOP é","data":null,"sent_at":"2026-03-01T12:00:00Z","received_at":"2026-03-01T12:00:01Z","parts":3,"missing":[2],"tpdu":null},` +
		`{"id":"00000000000000000000000000000004","modem":"left","from":"Bank","text":"","data":"AP8=","sent_at":null,"received_at":"2026-03-01T12:00:00Z","parts":1,"missing":[],"tpdu":null}],` +
		`"next":"00000000000000000000000000000004"}`
	if got := w.Body.String(); w.Code != http.StatusOK || got != want {
		t.Errorf("%d, got\n%s\nwant\n%s", w.Code, got, want)
	}
	if f.asked != (inbound.Range{After: inbound.ID{15: 9}, Limit: 3}) {
		t.Errorf("asked for %+v", f.asked)
	}
	w = f.do(t, request{method: "GET", path: "/v1/inbound?before=00000000000000000000000000000004"})
	if f.asked != (inbound.Range{Before: inbound.ID{15: 4}, Limit: 51}) {
		t.Errorf("asked for %+v", f.asked)
	}
	if got := w.Body.String(); !strings.Contains(got, `"text":"","data":null,"sent_at":null`) || !strings.HasSuffix(got, `"tpdu":"AB01"}],"next":null}`) {
		t.Errorf("the last page: %s", got)
	}
	f.inbound = nil
	if got := f.do(t, request{method: "GET", path: "/v1/inbound"}).Body.String(); got != `{"messages":[],"next":null}` {
		t.Errorf("none: %s", got)
	}
}

func TestInboundParameters(t *testing.T) {
	all := newFixture(t)
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=": "limit", "limit=1&limit=2": "limit", "limit": "limit", "limit=%2B5": "limit", "limit=+5": "limit", "limit=007": "limit", "after=" + strings.Repeat("A", 32): "after",
		"after=1": "after", "before=" + strings.Repeat("g", 32): "before", "page=2": "page", "&": "query", "+33612345678": "query",
	} {
		f := all.again()
		w := f.do(t, request{method: "GET", path: "/v1/inbound?" + query})
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), fmt.Sprintf(`"field":%q`, field)) || len(f.calls) != 0 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
}
