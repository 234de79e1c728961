// Package guard decides what may be sent at all. It is the one room for the
// limits and fraud rules of the gateway: who may be sent to now; cooldowns,
// ranges, conversion and spend as they come.
//
// It knows numbers by their region and class, and nothing of verifications,
// messages and modems.
//
// What always holds:
//
//   - What is not allowed is refused: a Policy without regions sends nothing.
//   - The region decides, never the calling code: +1 876 is Jamaica.
//   - A Refusal's text is safe to show to anybody; it never tells the number.
package guard

import (
	"errors"
	"fmt"
	"slices"

	"smsotpd/gateway/number"
)

// Reason is why a number was refused, as callers branch on it.
type Reason string

// The reasons of Screen.
const (
	// RegionNotAllowed: the operator has not allowed the number's region, or
	// no operator can: non-geographic numbers are satellite phones and the
	// like, with the dearest termination of all.
	RegionNotAllowed Reason = "region_not_allowed"
	// ClassRefused: the number is of a class that is not sent to.
	ClassRefused Reason = "number_class_refused"
)

// Refusal is the error of a number that may not be sent to.
type Refusal struct {
	Reason Reason
	// Text is a sentence for people; it is safe to show.
	Text string
}

// Error is the reason and the text.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Text }

// ErrPolicy says that the policy holds what doesn't exist.
var ErrPolicy = errors.New("guard: invalid policy")

// Policy says which numbers may be sent to. The zero Policy refuses all.
type Policy struct {
	// AllowRegions are the countries and territories to send to, as ISO
	// 3166-1 alpha-2 codes in capitals. Default: none, and nothing is sent.
	AllowRegions []string
	// RefuseClasses are the classes not to send to. Default, when nil:
	// DefaultRefuseClasses. An empty slice refuses none.
	RefuseClasses []number.Class
}

// DefaultRefuseClasses are all classes but mobile, and fixed-or-mobile as
// where the numbering plan doesn't tell (US, CA): the others can't receive a
// text, or cost more than a text should, or are somebody's trap.
func DefaultRefuseClasses() []number.Class {
	return slices.DeleteFunc(number.Classes(), func(c number.Class) bool {
		return c == number.Mobile || c == number.FixedOrMobile
	})
}

// Validate answers ErrPolicy with what is wrong, or nil.
func (p Policy) Validate() error {
	for _, region := range p.AllowRegions {
		if region == number.NonGeographic {
			return fmt.Errorf("%w: region %s (non-geographic numbers) can't be allowed", ErrPolicy, region)
		}
		if !number.KnownRegion(region) {
			return fmt.Errorf("%w: unknown region %q; regions are ISO 3166-1 alpha-2 codes in capitals, as FR or GB", ErrPolicy, region)
		}
	}
	for _, class := range p.RefuseClasses {
		if !slices.Contains(number.Classes(), class) {
			return fmt.Errorf("%w: unknown number class %q; classes are %q", ErrPolicy, class, number.Classes())
		}
	}
	return nil
}

// Screen answers nil if n may be sent to, and a *Refusal if not.
func (p Policy) Screen(n number.Number) error {
	refused := p.RefuseClasses
	if refused == nil {
		refused = DefaultRefuseClasses()
	}
	switch {
	case n.IsZero() || n.Region() == number.NonGeographic:
		return &Refusal{RegionNotAllowed, "Numbers that belong to no country are never sent to."}
	case len(p.AllowRegions) == 0:
		return &Refusal{RegionNotAllowed, "No region is allowed yet, so nothing is sent. " +
			"The operator allows some with --allow-region, for instance --allow-region FR,GB."}
	case !slices.Contains(p.AllowRegions, n.Region()):
		return &Refusal{RegionNotAllowed, fmt.Sprintf("Region %s is not allowed. "+
			"The operator can add it to --allow-region.", n.Region())}
	case slices.Contains(refused, n.Class()):
		return &Refusal{ClassRefused, fmt.Sprintf("Numbers of class %s are not sent to.", n.Class())}
	}
	return nil
}
