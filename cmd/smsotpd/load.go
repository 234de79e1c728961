package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	tomlparser "github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"
)

// configFlag names the file; it is no option, since a file can't name itself.
const configFlag = "config"

// loadConfig layers the defaults, the file that --config names and the given
// flags, which fromEnvironment has filled where the command line was silent.
// It also returns the settings as TOML. Errors wrap errConfig and name the
// key at fault by its path.
func loadConfig(flags *pflag.FlagSet) (Config, []byte, error) {
	settings := koanf.New(".")
	if path, err := flags.GetString(configFlag); err == nil && path != "" {
		if err := loadFile(settings, path); err != nil {
			return Config{}, nil, err
		}
	}
	all := pflag.NewFlagSet("defaults", pflag.ContinueOnError)
	addOptions(all)
	for _, layer := range []*pflag.FlagSet{all, flags} {
		provider := posflag.ProviderWithFlag(layer, ".", settings, optionValue(layer, all))
		if err := settings.Load(provider, nil); err != nil {
			return Config{}, nil, configf("%w", err)
		}
	}
	config, err := decode(settings)
	if err != nil {
		return Config{}, nil, err
	}
	if err := config.validate(); err != nil {
		return Config{}, nil, &kindError{errConfig, err}
	}
	text, err := settings.Marshal(tomlparser.Parser())
	return config, text, err
}

// loadFile reads the file. One that may have to be waited for, such as a FIFO,
// would hang the daemon at its start or at a reload.
func loadFile(settings *koanf.Koanf, path string) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return configf("%s is no regular file", path)
	}
	err := settings.Load(file.Provider(path), tomlparser.Parser())
	if syntax, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := syntax.Position()
		return configf("%s:%d:%d: %s", path, line, column, strings.TrimPrefix(syntax.Error(), "toml: "))
	}
	if _, unread := errors.AsType[*fs.PathError](err); err != nil && !unread { // which names the path itself
		err = fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "toml: "))
	}
	if err != nil {
		return configf("%w", err)
	}
	return nil
}

// optionValue gives the key and value of those of a command's flags that are
// options; all has every option.
func optionValue(flags, all *pflag.FlagSet) func(*pflag.Flag) (string, any) {
	return func(f *pflag.Flag) (string, any) {
		if f.Name == configFlag || all.Lookup(f.Name) == nil {
			return "", nil
		}
		if f.Value.Type() == "duration" {
			return optionKey(f.Name), f.Value.String()
		}
		return optionKey(f.Name), posflag.FlagVal(flags, f)
	}
}

// decode reads the settings strictly: no unknown keys, no keys in another
// case, no values of another type.
func decode(settings *koanf.Koanf) (Config, error) {
	var config Config
	var met mapstructure.Metadata
	err := settings.UnmarshalWithConf("", &config, koanf.UnmarshalConf{
		DecoderConfig: &mapstructure.DecoderConfig{
			Metadata:  &met,
			MatchName: func(key, field string) bool { return key == field },
			DecodeHook: mapstructure.ComposeDecodeHookFunc(
				secondsHook,
				wholeHook,
				mapstructure.StringToTimeDurationHookFunc(),
				mapstructure.TextUnmarshallerHookFunc(),
			),
		},
	})
	if err != nil {
		return Config{}, decodeError(err)
	}
	if len(met.Unused) > 0 {
		slices.Sort(met.Unused)
		hint := ""
		for i, path := range met.Unused {
			met.Unused[i] = keyPath(path)
			if key := met.Unused[i]; key == "pin" || strings.HasSuffix(key, ".pin") {
				hint = "; a PIN does not stand in the configuration: put it into a file and name that by pin_file"
			}
		}
		return Config{}, configf("unknown setting: %s%s", strings.Join(met.Unused, ", "), hint)
	}
	return config, nil
}

// secondsHook refuses bare numbers for durations: 300 what?
func secondsHook(from, to reflect.Type, value any) (any, error) {
	if to == reflect.TypeFor[time.Duration]() && from.Kind() != reflect.String && from != to {
		return nil, errors.New(`expected a duration in quotes, such as "90s" or "5m"`)
	}
	return value, nil
}

// wholeHook refuses fractions for whole numbers, which would be cut off.
func wholeHook(from, to reflect.Type, value any) (any, error) {
	if from.Kind() == reflect.Float64 && to.Kind() == reflect.Int {
		return nil, errors.New("expected a whole number")
	}
	return value, nil
}

// decodeError names the keys whose values have the wrong type or form.
func decodeError(err error) error {
	var wrong []string
	var walk func(err error)
	walk = func(err error) {
		text := err.Error()
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the tree is walked here
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		} else if rest, ok := strings.CutPrefix(text, "'"); ok { // 'service[name].key' what is wrong
			key, what, _ := strings.Cut(rest, "' ")
			if key == "route" {
				what = "expected a list of tables, each under [[route]]"
			}
			wrong = append(wrong, keyPath(key)+": "+plainly(what))
		} else if inner := errors.Unwrap(err); inner != nil {
			walk(inner)
		} else {
			wrong = append(wrong, text)
		}
	}
	walk(err)
	return configf("%s", strings.Join(wrong, "; "))
}

// plainly puts the decoder's words on a value of the wrong type into the
// file's.
func plainly(what string) string {
	switch {
	case strings.HasPrefix(what, "source data must be an array"):
		return `expected a list, such as ["a", "b"]`
	case strings.HasPrefix(what, "expected type 'string'"):
		return `expected text in quotes, such as "abc"`
	}
	return what
}

// keyPath turns the decoder's service[name].key into the file's
// service.name.key. An index into a list stays as it is: route[0].key.
func keyPath(path string) string {
	head, rest, _ := strings.Cut(path, "[")
	named := slices.Contains([]string{"service", "sim", "profile"}, head)
	s := head
	for i, part := range strings.Split(rest, "[") {
		key, behind, ok := strings.Cut(part, "]")
		switch {
		case !ok:
			s += part
		case isDigits(key, 1, maxWord) && !(i == 0 && named):
			s += "[" + part
		default:
			s += "." + key + behind
		}
	}
	return s
}
