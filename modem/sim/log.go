package sim

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Journal writes what happens in a network as JSON, one object a line and one
// Write a line. A message that the network took has no "event":
//
//	{"time":"2026-01-02T03:04:05.678Z","modem":0,"imsi":"001010000000001",
//	 "from":"+447700900000","to":"+33612345678","text":"…","mr":7,"pid":0,
//	 "dcs":0,"vp_format":"relative","vp":"00","vp_seconds":300,"srr":true,
//	 "submitted_at":"…","accepted_at":"…","reports":[0]}
//
// vp is TP-VP in hexadecimal and vp_seconds what it means, 0 for none;
// submitted_at is when the modem had the PDU, accepted_at (and time) when the
// network had the message; reports are the TP-ST that the service centre
// reports or would report. Others tell of what came of it, and of breaches of
// protocol:
//
//	{"event":"report","time":"…","modem":0,"to":"+33612345678","mr":7,"status":0}
//	{"event":"violation","time":"…","modem":0,"kind":"PDU in text mode"}
//
// The lines hold numbers and texts: a journal is as private as the messages.
type Journal struct {
	mu  sync.Mutex
	out io.Writer
	err error
}

// NewJournal writes to out.
func NewJournal(out io.Writer) *Journal { return &Journal{out: out} }

// Err is the first error of out; nothing is written after it.
func (j *Journal) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Message fits NetworkConfig.OnMessage.
func (j *Journal) Message(m Message) {
	reports := make([]int, len(m.Reports)) // []byte would become base64
	for i, status := range m.Reports {
		reports[i] = int(status)
	}
	j.line(struct {
		Time      time.Time `json:"time"`
		Modem     int       `json:"modem"`
		IMSI      string    `json:"imsi"`
		From      string    `json:"from"`
		To        string    `json:"to"`
		Text      string    `json:"text"`
		MR        byte      `json:"mr"`
		PID       byte      `json:"pid"`
		DCS       byte      `json:"dcs"`
		VPFormat  string    `json:"vp_format"`
		VP        string    `json:"vp"`
		VPSeconds int64     `json:"vp_seconds"`
		SRR       bool      `json:"srr"`
		Submitted time.Time `json:"submitted_at"`
		Accepted  time.Time `json:"accepted_at"`
		Reports   []int     `json:"reports"`
	}{
		m.Accepted, m.Modem, m.IMSI, m.From, m.To, m.Text, m.MR, m.PID, m.DCS, m.VPFormat.String(),
		hex.EncodeToString(m.VP), int64(m.Validity / time.Second), m.StatusReport, m.Submitted, m.Accepted, reports,
	})
}

// Report fits NetworkConfig.OnReport.
func (j *Journal) Report(r Receipt) {
	j.line(struct {
		Event  string    `json:"event"`
		Time   time.Time `json:"time"`
		Modem  int       `json:"modem"`
		To     string    `json:"to"`
		MR     byte      `json:"mr"`
		Status byte      `json:"status"`
	}{"report", r.At, r.Message.Modem, r.Message.To, r.Message.MR, r.Status})
}

// Violation fits NetworkConfig.OnViolation.
func (j *Journal) Violation(v Violation) {
	j.line(struct {
		Event string        `json:"event"`
		Time  time.Time     `json:"time"`
		Modem int           `json:"modem"`
		Kind  ViolationKind `json:"kind"`
	}{"violation", v.At, v.Modem, v.Kind})
}

func (j *Journal) line(record any) {
	b, err := json.Marshal(record)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return
	}
	if err == nil {
		_, err = j.out.Write(append(b, '\n'))
	}
	j.err = err
}
