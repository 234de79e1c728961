package main

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "512B": 512, "3KiB": 3 << 10, "16 MiB": 16 << 20, "4GiB": 4 << 30,
	} {
		var s Size
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%q: %d, %v", text, s, err)
		}
		var again Size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q is written as %q", text, s.String())
		}
	}
	for _, text := range []string{"", "4", "GiB", "-1GiB", "1.5GiB", "4GB", "9999999999GiB", "4gib"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q was taken for %d", text, s)
		}
	}
}

// Every option can be given in each of the ways, under one name.
func TestEveryOptionIsAFlag(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addOptions(flags)
	for _, field := range optionFields() {
		name := flagName(field.Tag.Get("koanf"))
		if flags.Lookup(name) == nil {
			t.Errorf("%s has no flag: its type %v is not known", name, field.Type)
		}
		if back := optionKey(name); back != field.Tag.Get("koanf") {
			t.Errorf("%s comes back as %s", name, back)
		}
	}
	if config, _, err := loadConfig(flags); err != nil || config.Listen != "127.0.0.1:8080" || config.MaxStoreSize != 4<<30 {
		t.Errorf("the defaults are %+v, %v", config, err)
	}
}

func TestStrangersInTheEnvironment(t *testing.T) {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	addOptions(flags)
	env := map[string]string{"SMSOTPD_LISTEN": "x", "SMSOTPD_CONFIG": "x", "SMSOTPD_LISTN": "x", "PATH": "x"}
	if got := strangers(env, flags); !slices.Equal(got, []string{"SMSOTPD_LISTN"}) {
		t.Errorf("strangers: %v", got)
	}
}
