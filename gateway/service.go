package gateway

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"smsotpd/gateway/text"
	"smsotpd/gateway/verification"
)

// DefaultServiceName is the service of a start that names none.
const DefaultServiceName = "default"

// Service is one application that asks for verifications, put together from
// the policies of the rooms below.
type Service struct {
	// Name is how starts refer to it: 1–64 of a–z, 0–9, "_", "." and "-".
	Name string
	// Brand stands before the text of its messages, "" for none.
	Brand string
	// Purposes are what it uses numbers for; a start with any other is
	// refused.
	Purposes []string
	// Alternative: the service offers another way than SMS; replies say so.
	Alternative  bool
	Verification verification.Policy

	text *text.Set
}

// DefaultService is what ships: the service "default" for "verification".
func DefaultService() Service {
	return Service{
		Name: DefaultServiceName, Purposes: []string{"verification"},
		Verification: verification.DefaultPolicy(),
	}
}

var word = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9_.-]{1,64}$`) })

// Validate says what of the service is wrong, by its name in the file.
func (s Service) Validate() error { return s.prepare() }

// prepare validates the service and proves that its texts fit.
func (s *Service) prepare() error {
	if !word().MatchString(s.Name) {
		return errors.New("name: it must be 1 to 64 of a-z, 0-9, _, . and -")
	}
	if len(s.Purposes) == 0 {
		return errors.New("purposes: at least one must be declared")
	}
	for _, p := range s.Purposes {
		if !word().MatchString(p) {
			return errors.New("purposes: each must be 1 to 64 of a-z, 0-9, _, . and -")
		}
	}
	if err := s.Verification.Validate(); err != nil {
		return err
	}
	var err error
	s.text, err = text.New(text.Policy{Brand: s.Brand})
	if err != nil {
		return fmt.Errorf("brand: %w", err)
	}
	return nil
}

// service finds what a start is about, or says why it can't be.
func (g *Gateway) service(req StartRequest) (s Service, purpose string, err error) {
	name := req.Service
	if name == "" {
		name = DefaultServiceName
	}
	s, ok := g.services[name]
	if !ok {
		return s, "", &Error{Kind: Invalid, Code: CodeUnknownService, Field: "service", Message: "No such service is configured."}
	}
	purpose = req.Purpose
	switch {
	case purpose == "" && len(s.Purposes) == 1:
		return s, s.Purposes[0], nil
	case purpose == "":
		return s, "", invalid("purpose", "The service has several purposes; name one.")
	case !slices.Contains(s.Purposes, purpose):
		return s, "", &Error{
			Kind: Forbidden, Code: CodePurposeUndeclared, Field: "purpose",
			Message: "The service has not declared this purpose.",
		}
	}
	return s, purpose, nil
}

// known is the service of a stored record; one that is configured no more goes
// on by the defaults.
func (g *Gateway) known(name string) Service {
	if s, ok := g.services[name]; ok {
		return s
	}
	return g.fallback
}

func (g *Gateway) policy(service string) verification.Policy { return g.known(service).Verification }
