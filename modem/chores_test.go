package modem

import (
	"context"
	"errors"
	"testing"

	"smsotpd/modem/wire"
)

// After a restart another memory may be selected than before, and what is in
// the same place there has perhaps never been read.
func TestNoChoreAfterARestart(t *testing.T) {
	s := &session{chores: newChores(), signed: make(chan struct{}, 1)}
	s.chores.begin()
	defer s.chores.stop()
	s.onSign(wire.Restarted)
	if err := s.chore(context.Background()); !errors.Is(err, errSuspect) {
		t.Errorf("%v", err)
	}
}
