package api

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/dispatch/budget"
	"smsotpd/gateway/ledger"
)

// Reason is the body of what operators do to a modem.
type Reason struct {
	Reason string `json:"reason,omitempty" maxLength:"200" doc:"Why, for people: it is shown with the modem and in the audit trail. Printable characters only." example:"new antenna"`
}

// Limits is the body of PUT /v1/modems/{name}/budget.
type Limits struct {
	PerMinute          *int `json:"per_minute,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages a minute; null, as for all limits: as it is configured; 0: no limit."`
	PerHour            *int `json:"per_hour,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages an hour."`
	PerDay             *int `json:"per_day,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages a day."`
	PerMonth           *int `json:"per_month,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages a month."`
	RecipientsPerMonth *int `json:"recipients_per_month,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Distinct recipients a month."`
	SegmentsPerDay     *int `json:"segments_per_day,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Segments a day, of which a long message has several."`
	SegmentsPerMonth   *int `json:"segments_per_month,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Segments a month."`
	NoticesPerMinute   *int `json:"notices_per_minute,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages a minute that carry no code."`
	NoticesPerDay      *int `json:"notices_per_day,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Messages a day that carry no code."`
	Reserve            *int `json:"reserve,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"What only codes may use of each limit, in percent."`
	WarmUpDays         *int `json:"warm_up_days,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"How many days a new SIM takes to come to its limits."`
	WarmUpStart        *int `json:"warm_up_start,omitempty" minimum:"0" maximum:"1000000000" nullable:"true" doc:"Where a new SIM begins on its first day."`
}

// Budget is what was set by hand for the SIM in a modem; null is as it is
// configured.
type Budget struct {
	PerMinute          *int       `json:"per_minute" minimum:"0" doc:"Messages a minute; null, as for all limits: as it is configured."`
	PerHour            *int       `json:"per_hour" minimum:"0" doc:"Messages an hour."`
	PerDay             *int       `json:"per_day" minimum:"0" doc:"Messages a day."`
	PerMonth           *int       `json:"per_month" minimum:"0" doc:"Messages a month."`
	RecipientsPerMonth *int       `json:"recipients_per_month" minimum:"0" doc:"Distinct recipients a month."`
	SegmentsPerDay     *int       `json:"segments_per_day" minimum:"0" doc:"Segments a day."`
	SegmentsPerMonth   *int       `json:"segments_per_month" minimum:"0" doc:"Segments a month."`
	NoticesPerMinute   *int       `json:"notices_per_minute" minimum:"0" doc:"Messages a minute that carry no code."`
	NoticesPerDay      *int       `json:"notices_per_day" minimum:"0" doc:"Messages a day that carry no code."`
	Reserve            *int       `json:"reserve" minimum:"0" doc:"What only codes may use of each limit, in percent."`
	WarmUpDays         *int       `json:"warm_up_days" minimum:"0" doc:"How many days a new SIM takes to come to its limits."`
	WarmUpStart        *int       `json:"warm_up_start" minimum:"0" doc:"Where a new SIM begins on its first day."`
	SetBy              *string    `json:"set_by" doc:"Who set them: the name of an API key or of a local peer; null where nothing is set by hand."`
	SetAt              *time.Time `json:"set_at" doc:"When; null where nothing is set by hand."`

	Windows    []BudgetWindow `json:"windows" nullable:"false" doc:"All limits as they are in force, by hand or by configuration, and what is used of them."`
	InAir      int            `json:"in_air" minimum:"0" doc:"Messages that are in the air; each counts as used."`
	NextCodeAt *time.Time     `json:"next_code_at" doc:"When the SIM may send the next code; null: now, or when what is in the air has landed."`

	Failures  map[string]int `json:"failures_today" nullable:"false" doc:"Refusals today by their causes, as attempts have them."`
	Balance   *float64       `json:"balance" doc:"What the network told last; null where it is not asked for."`
	BalanceAt *time.Time     `json:"balance_at" doc:"When it did."`
}

// BudgetWindow is one limit in force.
type BudgetWindow struct {
	Name  string `json:"name" enum:"per_minute,per_hour,per_day,per_month,recipients_per_month,segments_per_day,segments_per_month,notices_per_minute,notices_per_day"`
	Used  int    `json:"used" minimum:"0"`
	Limit *int   `json:"limit" minimum:"0" doc:"null for none."`
}

// Audit is the reply of GET /v1/audit.
type Audit struct {
	Entries []AuditEntry `json:"entries" nullable:"false"`
	Next    *string      `json:"next" doc:"The value of before for the next page, which has older entries; null where there are none."`
}

// AuditEntry is one action of an operator.
type AuditEntry struct {
	ID      string            `json:"id"`
	At      time.Time         `json:"at"`
	Actor   string            `json:"actor" doc:"Who did it: the name of an API key or of a local peer."`
	ActorID string            `json:"actor_id" doc:"The key's id, or the peer's."`
	Action  string            `json:"action" doc:"A stable word: modem.pause, modem.resume, modem.drain, modem.reset, modem.budget, modem.budget_clear, modem.ussd, config.reload, key.add, key.revoke; there may be more." example:"modem.pause"`
	Subject string            `json:"subject" doc:"What it was done to: the modem's name, the key's id, or configuration."`
	Detail  map[string]string `json:"detail" doc:"What else there is to say: reason; refused, with the code of the problem, where it was not possible; the limits that were set; name and scopes of a key; the keys of the configuration that changed."`
}

const (
	// defaultDrain and maxDrain are how long a drain waits: a network may take
	// three minutes to answer.
	defaultDrain = 30 * time.Second
	maxDrain     = 4 * time.Minute
	// resetTime is how long a modem may take to be told to restart.
	resetTime = time.Minute
)

func (a *api) operatorOperations() []operation {
	admin := []access.Scope{access.Admin}
	one := map[int]any{http.StatusOK: Modem{}}
	budget := map[int]any{http.StatusOK: Budget{}}
	ordered := []int{http.StatusNotFound, http.StatusConflict, http.StatusInsufficientStorage}
	return []operation{
		{
			method: http.MethodPost, path: "/v1/modems/{name}/pause",
			id: "pause", summary: "Let no new message go by a modem",
			description: "Until it is resumed, over restarts too. The message that is in the air ends, and the modem still receives.",
			scopes:      admin, body: Reason{}, bodyOptional: true, replies: one, errors: ordered,
			serve: a.ordering(a.gateway.Pause),
		},
		{
			method: http.MethodPost, path: "/v1/modems/{name}/resume",
			id: "resume", summary: "Let messages go by a modem again",
			description: "Undoes pause and drain, also of a modem that is not there any more, and ends the rest of a parked modem early.",
			scopes:      admin, body: Reason{}, bodyOptional: true, replies: one, errors: ordered,
			serve: a.ordering(a.gateway.Resume),
		},
		{
			method: http.MethodPost, path: "/v1/modems/{name}/drain",
			id: "drain", summary: "Bring a modem to rest, so that it can be unplugged",
			description: "Pauses the modem, and replies when nothing of it is in the air. If that takes too long (504, still_in_air) it stays paused; drain it again to go on waiting.",
			scopes:      admin, body: Reason{}, bodyOptional: true, query: []parameter{waitParameter()},
			replies: one, errors: append(ordered[:len(ordered):len(ordered)], http.StatusGatewayTimeout),
			lasts: maxDrain + handlingTime, serve: a.drain,
		},
		{
			method: http.MethodPost, path: "/v1/modems/{name}/reset",
			id: "reset", summary: "Restart a modem",
			scopes: admin, body: Reason{}, bodyOptional: true, replies: one, errors: ordered,
			lasts: resetTime, serve: a.ordering(a.gateway.ResetModem),
		},
		{
			method: http.MethodGet, path: "/v1/modems/{name}/budget",
			id: "budget", summary: "See the limits that were set by hand for the SIM in a modem",
			scopes: admin, replies: budget, errors: ordered[:2], serve: a.budget,
		},
		{
			method: http.MethodPut, path: "/v1/modems/{name}/budget",
			id: "set_budget", summary: "Set limits for the SIM in a modem",
			description: "They go before the configured ones until they are cleared, over restarts too, whichever modem the SIM is in. What was set before is replaced as a whole.",
			scopes:      admin, body: Limits{}, replies: budget, errors: ordered, serve: a.setBudget,
		},
		{
			method: http.MethodDelete, path: "/v1/modems/{name}/budget",
			id: "clear_budget", summary: "Let the configured limits count again",
			scopes: admin, replies: budget, errors: ordered, serve: a.clearBudget,
		},
		{
			method: http.MethodGet, path: "/v1/audit",
			id: "audit", summary: "See what operators did",
			description: "The newest first. What changed nothing is not listed.",
			scopes:      admin, query: auditParameters(),
			replies: map[int]any{http.StatusOK: Audit{}}, serve: a.audit,
		},
	}
}

// ordering serves what is done to a modem for a reason.
func (a *api) ordering(do func(context.Context, gateway.Call, string, string) (gateway.Modem, error)) func(*http.Request, call) (reply, error) {
	return func(r *http.Request, c call) (reply, error) {
		reason, err := a.reason(c)
		if err != nil {
			return reply{}, err
		}
		m, err := do(r.Context(), c.gateway(), r.PathValue("name"), reason)
		if err != nil {
			return reply{}, err
		}
		return ok(modemReply(m)), nil
	}
}

// reason is that of the body, "" where there is none.
func (a *api) reason(c call) (string, error) {
	if len(c.body) == 0 {
		return "", nil
	}
	b, err := a.reasons.decode(c.body)
	if err == nil && strings.ContainsFunc(b.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
		err = invalidField("reason", "The field must hold printable characters only.")
	}
	return b.Reason, err
}

func waitParameter() parameter {
	none, most := 0.0, maxDrain.Seconds()
	return parameter{
		"wait", fmt.Sprintf("How many seconds to wait at most; %.0f if left out.", defaultDrain.Seconds()),
		&huma.Schema{Type: huma.TypeInteger, Minimum: &none, Maximum: &most},
	}
}

func (a *api) drain(r *http.Request, c call) (reply, error) {
	wait := defaultDrain
	if text, given := c.query["wait"]; given {
		seconds, err := wholeFrom("wait", text, 0, int(maxDrain/time.Second))
		if err != nil {
			return reply{}, err
		}
		wait = time.Duration(seconds) * time.Second
	}
	drain := func(ctx context.Context, by gateway.Call, name, reason string) (gateway.Modem, error) {
		return a.gateway.Drain(ctx, by, name, reason, wait)
	}
	return a.ordering(drain)(r, c)
}

func (a *api) budget(r *http.Request, _ call) (reply, error) {
	b, err := a.gateway.Budget(r.Context(), r.PathValue("name"))
	if err != nil {
		return reply{}, err
	}
	return ok(budgetReply(b)), nil
}

func (a *api) setBudget(r *http.Request, c call) (reply, error) {
	l, err := a.limits.decode(c.body)
	if err != nil {
		return reply{}, err
	}
	b, err := a.gateway.SetBudget(r.Context(), c.gateway(), r.PathValue("name"), gateway.Budget(l))
	if err != nil {
		return reply{}, err
	}
	return ok(budgetReply(b)), nil
}

func (a *api) clearBudget(r *http.Request, c call) (reply, error) {
	b, err := a.gateway.ClearBudget(r.Context(), c.gateway(), r.PathValue("name"))
	if err != nil {
		return reply{}, err
	}
	return ok(budgetReply(b)), nil
}

func budgetReply(b gateway.BudgetOrder) Budget {
	r := Budget{
		PerMinute: b.PerMinute, PerHour: b.PerHour, PerDay: b.PerDay, PerMonth: b.PerMonth,
		RecipientsPerMonth: b.RecipientsPerMonth,
		SegmentsPerDay:     b.SegmentsPerDay, SegmentsPerMonth: b.SegmentsPerMonth,
		NoticesPerMinute: b.NoticesPerMinute, NoticesPerDay: b.NoticesPerDay,
		Reserve: b.Reserve, WarmUpDays: b.WarmUpDays, WarmUpStart: b.WarmUpStart,
		SetBy: unless(b.At.IsZero(), b.By), SetAt: unless(b.At.IsZero(), b.At.UTC()),
		Windows: windows(b.Limits, b.Standing), InAir: b.Standing.InAir,
		NextCodeAt: unless(b.Standing.Codes.IsZero() || b.Standing.Codes.Equal(budget.Never()), b.Standing.Codes.UTC()),
		Failures:   map[string]int{},
	}
	maps.Copy(r.Failures, b.Standing.Failures)
	if last := b.Standing.Balance; last != nil {
		at := last.At.UTC()
		r.Balance, r.BalanceAt = &last.Amount, &at
	}
	return r
}

// windows are the limits in force, and what is used of them.
func windows(l budget.Limits, s budget.Standing) []BudgetWindow {
	all := []BudgetWindow{}
	for _, w := range [...]struct {
		name  string
		limit int
		use   budget.Use
	}{
		{"per_minute", l.PerMinute, s.Minute},
		{"per_hour", l.PerHour, s.Hour},
		{"per_day", l.PerDay, s.Day},
		{"per_month", l.PerMonth, s.Month},
		{"recipients_per_month", l.RecipientsPerMonth, s.Recipients},
		{"segments_per_day", l.SegmentsPerDay, s.SegmentsDay},
		{"segments_per_month", l.SegmentsPerMonth, s.SegmentsMonth},
		{"notices_per_minute", l.NoticesPerMinute, s.NoticesMinute},
		{"notices_per_day", l.NoticesPerDay, s.NoticesDay},
	} {
		// The use's own is the limit of today, which a warm-up makes smaller.
		limit := cmp.Or(w.use.Limit, w.limit)
		all = append(all, BudgetWindow{Name: w.name, Used: w.use.Used, Limit: unless(limit == 0, limit)})
	}
	return all
}

func auditParameters() []parameter {
	id := &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{16}$"}
	return []parameter{
		limitParameter("entries"),
		{"before", "Only what was done before the entry with this id.", id},
		{"after", "Only what was done after the entry with this id.", id},
	}
}

func (a *api) audit(r *http.Request, c call) (reply, error) {
	page, err := pageOf(c.query, ledger.ParseID)
	if err != nil {
		return reply{}, err
	}
	found, err := a.gateway.Trail(r.Context(), ledger.Range{After: page.after, Before: page.before, Limit: page.limit + 1})
	if err != nil {
		return reply{}, err
	}
	found, next := cutPage(found, page.limit, func(e ledger.Entry) string { return e.ID.String() })
	body := Audit{Entries: make([]AuditEntry, 0, len(found)), Next: next}
	for _, e := range found {
		entry := AuditEntry{
			ID: e.ID.String(), At: e.At.UTC(), Actor: e.Actor, ActorID: e.ActorID,
			Action: e.Action, Subject: e.Subject, Detail: e.Detail,
		}
		if entry.Detail == nil {
			entry.Detail = map[string]string{}
		}
		body.Entries = append(body.Entries, entry)
	}
	return ok(body), nil
}
