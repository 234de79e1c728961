// Package text writes the messages that carry a code.
//
// It knows templates, brands and the room in one SMS; nothing of numbers,
// verifications and modems.
//
// What always holds of a loaded Set:
//
//   - Every message fits one segment of the GSM 7-bit default alphabet
//     (TS 23.038, 6.2.1), whatever the code and its life; a Set of which that
//     can't be shown doesn't load.
//   - The code is the only run of digits of its length in the message.
//   - A message is one line of printable characters.
package text

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

var (
	// ErrPolicy says that the policy can't be loaded, and why.
	ErrPolicy = errors.New("text: invalid policy")
	// ErrRender says that no message can carry the code or its life.
	ErrRender = errors.New("text: not a code of 4 to 10 digits, or not within its life")
)

// MaxLife is the longest life of a code (NIST SP 800-63B-4, 3.1.3.2).
const MaxLife = 10 * time.Minute

const (
	minCode    = 4
	maxCode    = 10
	oneSegment = 160 // septets
)

// Policy is what a service decides of its texts.
type Policy struct {
	// Brand is put in front of every text, as in "Acme: 123456 is your…".
	// Default: none. It is of printable characters of the GSM 7-bit default
	// alphabet and its extension table, has no run of 4 or more digits, which
	// might be taken for the code, and leaves the text in one segment.
	Brand string
}

// Set is the texts of one service. It is immutable.
type Set struct{ lead string }

// New loads the texts of p, or answers ErrPolicy with the reason.
func New(p Policy) (*Set, error) {
	if p.Brand == "" {
		return &Set{}, nil
	}
	if err := checkBrand(p.Brand); err != nil {
		return nil, fmt.Errorf("%w: brand: %w", ErrPolicy, err)
	}
	s := &Set{lead: p.Brand + ": "}
	if longest := s.longest(); longest > oneSegment {
		return nil, fmt.Errorf("%w: brand: with it the longest text takes %d septets, and one segment has %d",
			ErrPolicy, longest, oneSegment)
	}
	return s, nil
}

// checkBrand says why a brand can't be part of a text.
func checkBrand(brand string) error {
	if strings.TrimSpace(brand) != brand {
		return errors.New("it begins or ends with a space")
	}
	if strings.HasPrefix(brand, "@") {
		return errors.New(`a text that begins with "@" would be read as an origin-bound code`)
	}
	digits := 0
	for _, r := range brand {
		switch {
		case !unicode.IsPrint(r):
			return fmt.Errorf("%U is not printable", r)
		case septets(string(r)) < 0:
			return fmt.Errorf("%q (%U) is not in the GSM 7-bit alphabet", r, r)
		case unicode.IsDigit(r):
			digits++
		default:
			digits = 0
		}
		if digits >= minCode {
			return fmt.Errorf("a run of %d or more digits could be taken for the code", minCode)
		}
	}
	return nil
}

// The printable characters of the GSM 7-bit default alphabet, and those of its
// extension table, which take two septets (TS 23.038, 6.2.1 and 6.2.1.1). The
// codec's own tables are made at first use without a lock, so they are not
// used here while modems may be encoding; a test holds these against them.
const (
	basic = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	extension = "^{}\\[~]|€"
)

// septets is how many septets s takes; -1 where s holds anything else than
// printable characters of the alphabet.
func septets(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune(basic, r):
			n++
		case strings.ContainsRune(extension, r):
			n += 2
		default:
			return -1
		}
	}
	return n
}

// longest is the septets of the longest text that Render can return.
func (s *Set) longest() int {
	longest := 0
	for minutes := range int(MaxLife/time.Minute) + 1 {
		longest = max(longest, septets(s.english(strings.Repeat("0", maxCode), minutes)))
	}
	return longest
}

// Render is the message with a code (4 to 10 ASCII digits) that lives for life
// (more than 0, at most MaxLife), which is told in whole minutes, rounded
// down. locale is a BCP 47 tag; English is the text for all of them as yet.
// The error is ErrRender, and never tells the code.
func (s *Set) Render(code string, life time.Duration, _ string) (string, error) {
	if len(code) < minCode || len(code) > maxCode || strings.Trim(code, "0123456789") != "" {
		return "", ErrRender
	}
	if life <= 0 || life > MaxLife {
		return "", ErrRender
	}
	return s.english(code, int(life/time.Minute)), nil
}

func (s *Set) english(code string, minutes int) string {
	life := strconv.Itoa(minutes) + " minutes"
	switch minutes {
	case 0:
		life = "less than a minute"
	case 1:
		life = "1 minute"
	}
	return s.lead + code + " is your verification code. It expires in " + life + ". Never share it."
}
