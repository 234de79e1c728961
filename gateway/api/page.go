package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed page.html
var pageTemplate string

//go:embed page.css
var pageStyle string

// page is the human-readable reference: one HTML document that needs nothing
// else, made once.
type page struct {
	html []byte
	// policy is its Content-Security-Policy: no scripts, no outside resources,
	// no style but its own.
	policy string
}

// newPage renders the document.
func newPage(d *huma.OpenAPI) (page, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"type":     typeName,
		"target":   target,
		"rules":    rules,
		"fields":   fields,
		"scopes":   scopesOf,
		"problem":  problemStatus,
		"problems": problemsOf,
	}).Parse(pageTemplate)
	if err != nil {
		return page{}, fmt.Errorf("api: page: %w", err)
	}
	var html bytes.Buffer
	data := struct {
		Document   *huma.OpenAPI
		Style      template.CSS
		Operations []*huma.Operation
		Schemas    map[string]*huma.Schema
	}{d, template.CSS(pageStyle), operationsOf(d), d.Components.Schemas.Map()}
	if err := t.Execute(&html, data); err != nil {
		return page{}, fmt.Errorf("api: page: %w", err)
	}
	sum := sha256.Sum256([]byte(pageStyle))
	return page{
		html: html.Bytes(),
		policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	}, nil
}

func (p published) servePage(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.page.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(p.page.html)
}

// operationsOf are the document's operations, by path, the /v1 ones first.
func operationsOf(d *huma.OpenAPI) []*huma.Operation {
	var ops []*huma.Operation
	for _, item := range d.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				ops = append(ops, op)
			}
		}
	}
	slices.SortFunc(ops, func(a, b *huma.Operation) int {
		versioned := func(op *huma.Operation) string {
			if strings.HasPrefix(op.Path, "/v1/") {
				return "0" + op.Path
			}
			return "1" + op.Path
		}
		if c := strings.Compare(versioned(a), versioned(b)); c != 0 {
			return c
		}
		return strings.Compare(b.Method, a.Method)
	})
	return ops
}

// typeName is a schema's type in words.
func typeName(s *huma.Schema) string {
	name := s.Type
	switch {
	case s.Ref != "":
		name = strings.TrimPrefix(s.Ref, schemaPrefix)
	case s.Type == huma.TypeArray:
		name = "list of " + typeName(s.Items)
	case s.Format == "date-time":
		name = "time"
	}
	if s.Nullable {
		name += " or null"
	}
	return name
}

// target is the named schema that s is or lists, "" if there is none.
func target(s *huma.Schema) string {
	if s.Type == huma.TypeArray {
		s = s.Items
	}
	return strings.TrimPrefix(s.Ref, schemaPrefix)
}

// rules are a schema's bounds in words.
func rules(s *huma.Schema) string {
	var words []string
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		words = append(words, "one of "+strings.Join(values, ", "))
	}
	if s.MaxLength != nil {
		words = append(words, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.Pattern != "" {
		words = append(words, "matches "+s.Pattern)
	}
	return strings.Join(words, "; ")
}

// namedField is one field of a schema.
type namedField struct {
	Name     string
	Required bool
	*huma.Schema
}

// fields are a schema's fields, the required ones first.
func fields(s *huma.Schema) []namedField {
	var list []namedField
	for name, f := range s.Properties {
		list = append(list, namedField{name, slices.Contains(s.Required, name), f})
	}
	slices.SortFunc(list, func(a, b namedField) int {
		if a.Required != b.Required {
			if a.Required {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// scopesOf are the scopes of which an operation needs one, in words.
func scopesOf(op *huma.Operation) string {
	var names []string
	for _, alternative := range op.Security {
		names = append(names, alternative[bearer]...)
	}
	return strings.Join(names, " or ")
}

// problemStatus is the status that the document's response of this name is
// for.
func problemStatus(name string) string { return strings.TrimPrefix(name, problemPrefix) }

// problemsOf are the statuses of the problems that an operation may answer
// with.
func problemsOf(op *huma.Operation) []string {
	var statuses []string
	for status, response := range op.Responses {
		if response.Ref != "" {
			statuses = append(statuses, status)
		}
	}
	slices.Sort(statuses)
	return statuses
}
