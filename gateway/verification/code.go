package verification

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"

	"smsotpd/gateway/number"
)

// Code is the secret that travels by SMS: 4 to 10 ASCII digits. However it is
// printed it shows bullets; string(c) is the one way to its digits.
type Code string

const bullets = "••••••"

// Format prints bullets whatever the verb, but for %p and %w, which ask no
// string and which go vet refuses.
func (c Code) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, bullets) }

// String is bullets.
func (c Code) String() string { return bullets }

// LogValue is bullets.
func (c Code) LogValue() slog.Value { return slog.StringValue(bullets) }

// MarshalText is bullets.
func (c Code) MarshalText() ([]byte, error) { return []byte(bullets), nil }

// NewCode draws a code of the given length, every one as likely as any other:
// bytes of crypto/rand, of which those above the largest multiple of ten are
// rejected.
func NewCode(length int) Code {
	digits := make([]byte, 0, length)
	buf := make([]byte, 2*length)
	for {
		rand.Read(buf) //nolint:errcheck // never fails since Go 1.24
		for _, b := range buf {
			if b >= 250 {
				continue
			}
			if digits = append(digits, '0'+b%10); len(digits) == length {
				return Code(digits)
			}
		}
	}
}

// Typed is a code as a person may enter it, made comparable: blanks, hyphens
// and the invisible marks that come along when text is pasted are left out, and
// other scripts' decimal digits become ASCII.
func Typed(entered string) Code {
	return Code(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Pd, unicode.Cf) {
			return -1
		}
		if d, ok := number.Digit(r); ok {
			return rune(d)
		}
		return r
	}, entered))
}
