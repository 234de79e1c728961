package api

import (
	"math"
	"strings"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/dispatch/health"
)

// The types below are the contract: the published document and the checks on
// request bodies are both made from their tags.

// Start is the body of POST /v1/verifications.
type Start struct {
	To       string `json:"to" minLength:"1" maxLength:"64" doc:"The phone number to verify, in E.164." example:"+33612345678"`
	Service  string `json:"service,omitempty" pattern:"^[a-z0-9_.-]{1,64}$" doc:"The service that asks; default if left out." example:"default"`
	Purpose  string `json:"purpose,omitempty" pattern:"^[a-z0-9_.-]{1,64}$" doc:"What the code is for; may be left out where the service declares only one." example:"login"`
	Locale   string `json:"locale,omitempty" maxLength:"35" pattern:"^[A-Za-z]{1,8}([_-][A-Za-z0-9]{1,8})*$" doc:"The language of the text (BCP 47)." example:"fr"`
	ClientIP string `json:"client_ip,omitempty" maxLength:"45" pattern:"^[0-9A-Fa-f:.]+$" doc:"The end user's IPv4 or IPv6 address as you saw it, for the limits per address." example:"203.0.113.9"`
	Subject  string `json:"subject,omitempty" minLength:"1" maxLength:"256" doc:"Your own authenticated reference to the person, at most 256 bytes, without control characters. A start with the same one continues the verification that is pending."`
}

// Check is the body of POST /v1/verifications/{id}/check.
type Check struct {
	Code string `json:"code" minLength:"1" maxLength:"32" doc:"The code as the person typed it: a string, since it may begin with 0." example:"123456"`
}

// Verification is one attempt to verify a number.
type Verification struct {
	ID         string      `json:"id" doc:"Unguessable; the check needs it."`
	Status     string      `json:"status" enum:"pending,approved,expired,canceled,exhausted,undeliverable"`
	To         string      `json:"to" doc:"The number, all but its country and last digits hidden." example:"+33•••••••78"`
	Service    string      `json:"service"`
	Purpose    string      `json:"purpose"`
	CreatedAt  time.Time   `json:"created_at"`
	ExpiresAt  time.Time   `json:"expires_at" doc:"The code is valid until then; a resend does not extend it."`
	ResendAt   time.Time   `json:"resend_at" doc:"No further message before then."`
	ChecksLeft int         `json:"checks_left" doc:"How many checks this verification still takes." minimum:"0"`
	Message    LastMessage `json:"message"`
	Notice     Notice      `json:"notice"`
}

// LastMessage is the newest message of a verification.
type LastMessage struct {
	ID     string `json:"id" doc:"For GET /v1/messages/{id}."`
	Status string `json:"status" enum:"queued,sending,accepted,delivered,undelivered,unconfirmed,ambiguous,failed,expired,canceled,superseded"`
}

// Notice is what the person should be told about codes by SMS.
type Notice struct {
	Restricted  bool `json:"restricted" doc:"SMS is a restricted authenticator (NIST SP 800-63B-4, 3.2.9): tell the person of its risk."`
	Alternative bool `json:"alternative" doc:"The service offers another way, which the person should be shown."`
}

// Verdict is the answer to a check; why one failed is never told.
type Verdict struct {
	ID         string `json:"id"`
	Status     string `json:"status" enum:"pending,approved,expired,canceled,exhausted,undeliverable"`
	Valid      bool   `json:"valid" doc:"The code was right, and this check used it up."`
	ChecksLeft int    `json:"checks_left" minimum:"0"`
}

// Message is one SMS and what became of it.
type Message struct {
	ID                string    `json:"id"`
	Status            string    `json:"status" enum:"queued,sending,accepted,delivered,undelivered,unconfirmed,ambiguous,failed,expired,canceled,superseded"`
	LastMile          string    `json:"last_mile" enum:"queued,sent,unreachable,delivered,in_doubt,failed" doc:"How far it has come, for the page that waits. delivered is said only where a report or the right code proves it."`
	PossibleDuplicate bool      `json:"possible_duplicate" doc:"It was sent again after a send in doubt, or by another operator since no report came: the phone may show it twice."`
	Segments          int       `json:"segments" minimum:"1"`
	CreatedAt         time.Time `json:"created_at"`
	ExpiresAt         time.Time `json:"expires_at"`
	Attempts          []Attempt `json:"attempts" nullable:"false"`
}

// Attempt is one try of a modem to send a message.
type Attempt struct {
	Modem     string     `json:"modem"`
	StartedAt time.Time  `json:"started_at"`
	SettledAt *time.Time `json:"settled_at" doc:"null while the attempt is in the air."`
	Result    *string    `json:"result" doc:"accepted, destination, ours, sim, temporary or ambiguous; null while the attempt is in the air."`
	Cause     string     `json:"cause" doc:"What the modem or the network said, as a short stable word; empty where nothing went wrong. cms-N and cme-N are the error numbers of 3GPP TS 27.005 and 27.007; cms-197 on an accepted attempt: the network had it already; late: it was in doubt until the answer came after all; restart: the gateway was stopped meanwhile." example:"cms-500"`
	Meaning   string     `json:"meaning" doc:"What the delivery report says, or before it comes what cause does, in words for people, which may change; empty where there is no more to say." example:"unknown error"`
	MR        *int       `json:"mr" doc:"The message reference (TP-MR); null where none is known." minimum:"0" maximum:"255"`
	Report    *int       `json:"report" doc:"TP-Status of the delivery report (3GPP TS 23.040, 9.2.3.15); null while there is none." minimum:"0" maximum:"255"`
	ReportAt  *time.Time `json:"report_at" doc:"When the report came; null while there is none."`
	Why       []string   `json:"why" nullable:"false" doc:"Why this modem was chosen, in words for people, which may change." example:"the recipient knows this SIM"`
}

// Modem is one modem of this gateway.
type Modem struct {
	Name         string     `json:"name"`
	Status       string     `json:"status" enum:"starting,waiting,ready,sending,paused,parked,down"`
	Reason       string     `json:"reason" doc:"Why it is not ready; empty when it is."`
	Manufacturer string     `json:"manufacturer"`
	Model        string     `json:"model"`
	IMEI         string     `json:"imei" doc:"All but the last digits hidden."`
	Operator     string     `json:"operator"`
	Registered   bool       `json:"registered"`
	SignalDBm    *int       `json:"signal_dbm" doc:"Received signal strength in dBm; null when unknown."`
	Port         string     `json:"port"`
	Since        *time.Time `json:"since" doc:"When the status began; null when unknown."`
	SentToday    int        `json:"sent_today" doc:"Messages that the network took from this SIM today, or may have; the day begins at midnight in budget.zone." minimum:"0"`
	Notice       string     `json:"notice" doc:"What should be looked into although it may be ready, as that its SIM was exchanged; empty for nothing."`
	SIM          string     `json:"sim" doc:"The operator's own name of the SIM in it; empty for none."`
	DayLimit     *int       `json:"day_limit" doc:"What the SIM may send today; null for no limit." minimum:"0"`
	Breaker      string     `json:"breaker" enum:"closed,open,probing" doc:"Whether the SIM is trusted to send: closed; open: others send while there are any; probing: a message is to show whether it works again."`
	BreakerWhy   string     `json:"breaker_why" doc:"Why it is not trusted; empty when it is."`
	SuccessRate  *float64   `json:"success_rate" minimum:"0" maximum:"1" doc:"Of its latest messages, those that the network took; null when nothing is known, as for the other rates."`
	DeliveryRate *float64   `json:"delivery_rate" minimum:"0" maximum:"1" doc:"Of its latest messages with a report due, those that were reported as delivered."`
	VerifiedRate *float64   `json:"verified_rate" minimum:"0" maximum:"1" doc:"Of its latest codes, those that were entered."`
	Recoveries   int        `json:"recoveries" doc:"Steps that were taken to bring it back to work since the gateway began: resynchronised, port opened anew, modem or USB device reset." minimum:"0"`
}

// Health is the reply of /healthz.
type Health struct {
	Status  string `json:"status" enum:"ok"`
	Version string `json:"version"`
}

// Readiness is the reply of /readyz.
type Readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons" nullable:"false" doc:"Why not; empty when ready."`
}

func verificationReply(v gateway.Verification) Verification {
	return Verification{
		ID:         v.ID,
		Status:     string(v.Status),
		To:         v.To,
		Service:    v.Service,
		Purpose:    v.Purpose,
		CreatedAt:  v.CreatedAt.UTC(),
		ExpiresAt:  v.ExpiresAt.UTC(),
		ResendAt:   v.ResendAt.UTC(),
		ChecksLeft: v.ChecksLeft,
		Message:    LastMessage{ID: v.MessageID, Status: string(v.MessageStatus)},
		Notice:     Notice{Restricted: v.Restricted, Alternative: v.Alternative},
	}
}

func messageReply(m gateway.Message) Message {
	reply := Message{
		ID:                m.ID,
		Status:            string(m.Status),
		LastMile:          string(m.LastMile),
		PossibleDuplicate: m.PossibleDuplicate,
		Segments:          m.Segments,
		CreatedAt:         m.CreatedAt.UTC(),
		ExpiresAt:         m.ExpiresAt.UTC(),
		Attempts:          make([]Attempt, 0, len(m.Attempts)),
	}
	for _, a := range m.Attempts {
		reply.Attempts = append(reply.Attempts, Attempt{
			Modem:     a.Modem,
			StartedAt: a.StartedAt.UTC(),
			SettledAt: unless(a.SettledAt.IsZero(), a.SettledAt.UTC()),
			Result:    unless(a.Result == "", string(a.Result)),
			Cause:     a.Cause,
			Meaning:   a.Meaning,
			MR:        unless(a.MR < 0, a.MR),
			Report:    unless(a.Report < 0, a.Report),
			ReportAt:  unless(a.ReportAt.IsZero(), a.ReportAt.UTC()),
			Why:       append([]string{}, a.Why...),
		})
	}
	return reply
}

func modemsReply(modems []gateway.Modem) []Modem {
	reply := make([]Modem, 0, len(modems))
	for _, m := range modems {
		reply = append(reply, modemReply(m))
	}
	return reply
}

func modemReply(m gateway.Modem) Modem {
	return Modem{
		Name:         m.Name,
		Status:       string(m.State),
		Reason:       m.Reason,
		Manufacturer: m.Manufacturer,
		Model:        m.Model,
		IMEI:         mask(m.IMEI),
		Operator:     m.Operator,
		Registered:   m.Registered,
		SignalDBm:    unless(m.SignalDBm == 0, m.SignalDBm),
		Port:         m.Port,
		Since:        unless(m.Since.IsZero(), m.Since.UTC()),
		SentToday:    m.SentToday,
		Notice:       m.Notice,
		SIM:          m.Card,
		DayLimit:     unless(m.Standing.Day.Limit == 0, m.Standing.Day.Limit),
		Breaker:      m.Health.State.String(),
		BreakerWhy:   m.Health.Why,
		SuccessRate:  rate(m.Health.Success),
		DeliveryRate: rate(m.Health.Delivery),
		VerifiedRate: rate(m.Health.Verified),
		Recoveries:   m.Recoveries,
	}
}

// rate is a rate, or null without samples.
func rate(r health.Rate) *float64 { return unless(r.Samples == 0, math.Round(1000*r.Value)/1000) }

// unless is v, or null where it is unknown.
func unless[T any](unknown bool, v T) *T {
	if unknown {
		return nil
	}
	return &v
}

// mask hides all but the last four digits of an identity.
func mask(identity string) string {
	hidden := max(len(identity)-4, 0)
	return strings.Repeat("•", hidden) + identity[hidden:]
}
