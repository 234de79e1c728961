package budget

import (
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Every limit has its place in Keys and Over, under its name in the file.
func TestEveryLimitCanBeChanged(t *testing.T) {
	var c Change
	keys, fields := c.Keys(), reflect.TypeFor[Change]()
	if len(keys) != fields.NumField() {
		t.Fatalf("%d keys of %d", len(keys), fields.NumField())
	}
	for i, key := range keys {
		value := i + 1
		*key.Value = &value
		if got := reflect.ValueOf(c).Field(i).Interface().(*int); fields.Field(i).Tag.Get("koanf") != key.Name || got != &value {
			t.Errorf("%s is not %s", key.Name, fields.Field(i).Name)
		}
	}
	want := Limits{
		PerMinute: 1, PerHour: 2, PerDay: 3, PerMonth: 4, RecipientsPerMonth: 5, SegmentsPerDay: 6, SegmentsPerMonth: 7,
		NoticesPerMinute: 8, NoticesPerDay: 9, Reserve: 10, WarmUp: WarmUp{Days: 11, Start: 12},
	}
	if got := c.Over(Limits{}); got != want {
		t.Errorf("%+v", got)
	}
	for _, s := range want.settings() {
		if c.Set()[s.key] != *s.value {
			t.Errorf("%s is %d", s.key, c.Set()[s.key])
		}
	}
}

// What a change sets counts, also 0, and what it leaves out stays.
func TestChangesLieOverOneAnother(t *testing.T) {
	draw := func(t *rapid.T, label string) Change {
		var c Change
		for _, key := range c.Keys() {
			if rapid.Bool().Draw(t, label+" sets "+key.Name) {
				v := rapid.IntRange(0, 9).Draw(t, key.Name)
				*key.Value = &v
			}
		}
		return c
	}
	rapid.Check(t, func(t *rapid.T) {
		base, own := draw(t, "base"), draw(t, "own")
		want := base.Set()
		maps.Copy(want, own.Set())
		over := own.Over(base.Over(Limits{}))
		for _, s := range over.settings() {
			if *s.value != want[s.key] {
				t.Fatalf("%s: %d, want %d", s.key, *s.value, want[s.key])
			}
		}
	})
}
