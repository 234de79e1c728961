package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

func startObject(t testing.TB) object[Start] {
	o, err := newObject[Start](huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectsHoldStringsAndBoundedNumbers(t *testing.T) {
	type nested struct {
		To struct{ Number string } `json:"to"`
	}
	type unnamed struct{ To string }
	type unbounded struct {
		N *int `json:"n" minimum:"0"`
	}
	type never struct {
		N int `json:"n" minimum:"0" maximum:"1"`
	}
	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	if _, err := newObject[nested](schemas); err == nil {
		t.Error("a nested object is taken")
	}
	if _, err := newObject[unnamed](schemas); err == nil {
		t.Error("a field without a name is taken")
	}
	if _, err := newObject[unbounded](schemas); err == nil {
		t.Error("a number without a bound is taken")
	}
	if _, err := newObject[never](schemas); err == nil {
		t.Error("a number that can't be left out is taken")
	}
}

// Numbers are read as encoding/json reads them, or refused.
func FuzzDecodeNumbers(f *testing.F) {
	for _, seed := range []string{
		`{"per_day":1,"per_hour":null}`, ` { "per_day" : 0 } `, `{"per_day":-1}`, `{"per_day":1e3}`, `{"per_day":"1"}`,
		`{"per_day":1,"per_day":1}`, `{"per_day":[1],"per_hour":1}`, `{"per_day":nul}`, `{"per_day":true,"reserve":1}`,
	} {
		f.Add([]byte(seed))
	}
	o, err := newObject[Limits](huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := o.decode(body)
		if err != nil {
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Status != 400 || p.Field == "" {
				t.Errorf("refused by %v", err)
			}
			return
		}
		var want Limits
		reader := json.NewDecoder(bytes.NewReader(body))
		reader.DisallowUnknownFields()
		if err := reader.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, by encoding/json as %+v (%v)", body, got, want, err)
		}
	})
}

// Whatever is decoded is what encoding/json reads too, keeps the schema's
// rules and names each field once; whatever is refused names a field.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"to":"+33612345678"}`,
		` { "to" : "+33612345678" , "subject" : "a\"\\\u00e9\ud83d\ude00" } `,
		`{"to":"+33612345678","service":"default","purpose":"login","locale":"fr","client_ip":"203.0.113.9"}`,
		`{"to":"1","to":"2"}`, `{"t\u006f":"1"}`, `{"To":"1"}`, `{"to":{"to":"1"}}`, `{"to":"\ud800"}`, `{"to":"\\"}`,
		`{}`, `[]`, `null`, `""`, "{\"to\":\"\xff\"}", `{"to":"1"}x`, "{\"to\":\"1\"}\x00",
	} {
		f.Add([]byte(seed))
	}
	o := startObject(f)
	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	schema := huma.SchemaFromType(schemas, reflect.TypeFor[Start]())
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := o.decode(body)
		if err != nil {
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Status != 400 || p.Field == "" {
				t.Errorf("refused by %v", err)
			}
			return
		}
		var want Start
		reader := json.NewDecoder(bytes.NewReader(body))
		reader.DisallowUnknownFields()
		if err := reader.Decode(&want); err != nil || got != want {
			t.Errorf("encoding/json reads it otherwise: %v", err)
		}
		var loose map[string]any
		if err := json.Unmarshal(body, &loose); err != nil {
			t.Fatal(err)
		}
		var result huma.ValidateResult
		huma.Validate(schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, loose, &result)
		if len(result.Errors) > 0 {
			t.Errorf("the schema refuses it: %v", result.Errors)
		}
		if n := count(body); n != len(loose) {
			t.Errorf("%d members, %d names", n, len(loose))
		}
	})
}

// count is how many members a flat object has, names repeated or not.
func count(body []byte) int {
	tokens := json.NewDecoder(bytes.NewReader(body))
	n := 0
	for {
		token, err := tokens.Token()
		if err != nil {
			return n / 2
		}
		if _, ok := token.(string); ok {
			n++
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	o := startObject(b)
	body := []byte(`{"to":"+33612345678","service":"default","purpose":"login","locale":"fr","client_ip":"203.0.113.9","subject":"user-4711"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.decode(body); err != nil {
			b.Fatal(err)
		}
	}
}
