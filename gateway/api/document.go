package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"smsotpd/gateway/access"
)

const (
	schemaPrefix   = "#/components/schemas/"
	responsePrefix = "#/components/responses/"
	// problemPrefix begins the names of the responses that are problems; the
	// status ends them.
	problemPrefix = "Problem"
	// bearer is the document's name for API keys.
	bearer = "apiKey"
)

// published is what tells people and programs about the API.
type published struct {
	document []byte
	page     page
}

// publish makes the OpenAPI 3.1 document of the operations and the unversioned
// routes, and the page that shows it.
func publish(operations []operation, schemas huma.Registry, o Options) (published, error) {
	d := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title:   "smsotpd",
			Version: o.Version,
			Description: "Verify phone numbers by codes over SMS. Requests and replies are JSON, times are RFC 3339 in UTC. " +
				"Errors are problems (RFC 9457) whose code stays the same from release to release; no error repeats what was submitted. " +
				"Unknown, repeated or differently spelt fields are errors; replies may gain fields.",
		},
		Components: &huma.Components{
			Schemas:   schemas,
			Responses: map[string]*huma.Response{},
			SecuritySchemes: map[string]*huma.SecurityScheme{
				bearer: {Type: "http", Scheme: "bearer", Description: "An API key. Each operation names the scopes of which the key needs one."},
			},
		},
	}
	w := writer{d, schemas}
	for _, op := range operations {
		d.AddOperation(w.operation(op))
	}
	w.unversioned(o)
	w.openReplies()

	document, err := json.Marshal(d)
	if err != nil {
		return published{}, fmt.Errorf("api: document: %w", err)
	}
	page, err := newPage(d)
	if err != nil {
		return published{}, err
	}
	return published{document: document, page: page}, nil
}

func (p published) serveDocument(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(p.document)
}

// writer adds to a document.
type writer struct {
	d       *huma.OpenAPI
	schemas huma.Registry
}

func (w writer) operation(op operation) *huma.Operation {
	out := &huma.Operation{
		Method:      op.method,
		Path:        op.path,
		OperationID: op.id,
		Summary:     op.summary,
		Description: op.description,
		Responses:   map[string]*huma.Response{},
		Security:    security(op.scopes),
	}
	if _, rest, ok := strings.Cut(op.path, "{"); ok {
		name, _, _ := strings.Cut(rest, "}")
		out.Parameters = append(out.Parameters, &huma.Param{
			Name: name, In: "path", Required: true,
			Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	for _, p := range op.query {
		out.Parameters = append(out.Parameters, &huma.Param{Name: p.name, In: "query", Description: p.description, Schema: p.schema})
	}
	if op.idempotent {
		out.Parameters = append(out.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header",
			Description: "Your own name for this request: if it comes again within 24 hours, it gets the first reply and nothing is done twice. With another body it gets 422.",
			Schema:      &huma.Schema{Type: huma.TypeString, Pattern: fmt.Sprintf("^[ -~]{1,%d}$", maxIdempotencyKey)},
		})
	}
	if op.body != nil {
		out.RequestBody = &huma.RequestBody{Required: !op.bodyOptional, Content: w.content("application/json", op.body)}
	}
	for status, body := range op.replies {
		response := &huma.Response{Description: replyMeaning(status), Content: w.content("application/json", body)}
		if status == http.StatusCreated {
			response.Headers = map[string]*huma.Header{"Location": {
				Description: "The path of what was created.", Schema: &huma.Schema{Type: huma.TypeString},
			}}
		}
		out.Responses[strconv.Itoa(status)] = response
	}
	for _, status := range append(commonErrors(), op.errors...) {
		out.Responses[strconv.Itoa(status)] = w.problem(status)
	}
	return out
}

// security says that any one of the scopes will do.
func security(scopes []access.Scope) []map[string][]string {
	var alternatives []map[string][]string
	for _, s := range scopes {
		alternatives = append(alternatives, map[string][]string{bearer: {string(s)}})
	}
	return alternatives
}

// commonErrors are the statuses that every operation may answer with.
func commonErrors() []int {
	return []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusInternalServerError, http.StatusServiceUnavailable,
	}
}

// problem refers to the document's one response for problems of this status.
func (w writer) problem(status int) *huma.Response {
	name := problemPrefix + strconv.Itoa(status)
	if w.d.Components.Responses[name] == nil {
		response := &huma.Response{Description: problemMeaning(status), Content: w.content("application/problem+json", Problem{})}
		switch status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			response.Headers = map[string]*huma.Header{"Retry-After": {
				Required: true, Description: "Seconds to wait.", Schema: &huma.Schema{Type: huma.TypeInteger},
			}}
		case http.StatusUnauthorized:
			response.Headers = map[string]*huma.Header{"WWW-Authenticate": {
				Required: true, Schema: &huma.Schema{Type: huma.TypeString},
			}}
		}
		w.d.Components.Responses[name] = response
	}
	return &huma.Response{Ref: responsePrefix + name}
}

func (w writer) content(mediaType string, example any) map[string]*huma.MediaType {
	schema := w.schemas.Schema(reflect.TypeOf(example), true, "")
	schema.Nullable = false // huma takes every list for one that may be null
	return map[string]*huma.MediaType{mediaType: {Schema: schema}}
}

// unversioned adds the routes outside /v1.
func (w writer) unversioned(o Options) {
	text := map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}
	html := map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: huma.TypeString}}}
	object := map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: huma.TypeObject}}}
	add := func(path, id, summary string, responses map[string]*huma.Response) *huma.Operation {
		op := &huma.Operation{Method: http.MethodGet, Path: path, OperationID: id, Summary: summary, Responses: responses}
		w.d.AddOperation(op)
		return op
	}
	add("/healthz", "health", "See that the process answers", map[string]*huma.Response{
		"200": {Description: "It does.", Content: w.content("application/json", Health{})},
	})
	add("/readyz", "readiness", "See whether codes can be sent and checked", map[string]*huma.Response{
		"200": {Description: "Ready.", Content: w.content("application/json", Readiness{})},
		"503": {Description: "Not ready, with the reasons.", Content: w.content("application/json", Readiness{})},
	})
	add("/openapi.json", "document", "This document", map[string]*huma.Response{
		"200": {Description: "OpenAPI 3.1.", Content: object},
	})
	add("/docs", "page", "This document for people", map[string]*huma.Response{
		"200": {Description: "A page without scripts or outside resources.", Content: html},
	})
	if o.Gatherer == nil {
		return
	}
	op := add("/metrics", "metrics", "Metrics for Prometheus", map[string]*huma.Response{
		"200": {Description: "The text exposition format, unless another is negotiated.", Content: text},
	})
	if !o.MetricsPublic {
		op.Security = security([]access.Scope{access.Read})
		for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable} {
			op.Responses[strconv.Itoa(status)] = w.problem(status)
		}
	}
}

// openReplies lets later releases add fields to replies: only request bodies
// are closed.
func (w writer) openReplies() {
	for name, schema := range w.schemas.Map() {
		switch name {
		case "Start", "Check", "USSD", "Reason", "Limits":
		default:
			schema.AdditionalProperties = nil
		}
	}
}

func replyMeaning(status int) string {
	if status == http.StatusCreated {
		return "Begun; the message is queued, durably."
	}
	return "Done, or as it stands."
}

// problemMeaning tells a status, and the codes that come with it.
func problemMeaning(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "Malformed; field names the part at fault. Nothing was done. Codes: malformed_body, invalid_field, invalid_number, unknown_service."
	case http.StatusUnauthorized:
		return "No key, or one that is not valid. Code: unauthorized."
	case http.StatusForbidden:
		return "The key lacks the scope: insufficient_scope. Or policy refuses: region_not_allowed, number_class_refused, purpose_undeclared."
	case http.StatusNotFound:
		return "There is none with this id or name. Code: not_found."
	case http.StatusConflict:
		return "Not possible in the present state. Codes: not_pending, modem_not_ready, ussd_busy, resumed."
	case http.StatusBadGateway:
		return "The modem or its network refuses it. Code: ussd_refused."
	case http.StatusGatewayTimeout:
		return "The network did not answer in time. Codes: ussd_no_answer, still_in_air."
	case http.StatusRequestTimeout:
		return "The body did not come in time. Code: request_timeout."
	case http.StatusRequestEntityTooLarge:
		return fmt.Sprintf("The body is larger than %d bytes. Code: body_too_large.", maxBody)
	case http.StatusUnsupportedMediaType:
		return "The body is not application/json. Code: unsupported_media_type."
	case http.StatusUnprocessableEntity:
		return "The Idempotency-Key came before with another request. Code: idempotency_mismatch."
	case http.StatusTooManyRequests:
		return "Too soon; Retry-After says when. Codes: cooldown, locked."
	case http.StatusServiceUnavailable:
		return "Overloaded or stopping: try again after Retry-After, with the same Idempotency-Key. Code: overloaded."
	case http.StatusInsufficientStorage:
		return "No room to take on new work. Code: storage_full."
	default:
		return "A fault on our side; request_id finds it in the log. Code: internal."
	}
}
