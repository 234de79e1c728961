package modem

import (
	"context"
	"errors"
	"testing"
	"time"

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

// An acknowledgement that the next report has overtaken would count for that
// one, which is perhaps not kept yet.
func TestAcknowledgementOvertaken(t *testing.T) {
	s := &session{chores: newChores()} // it has no engine: a command would fail
	first := time.Now()
	s.chores.direct(first)
	s.chores.settled(first, nil)
	s.chores.direct(first.Add(time.Second))
	if err := s.acknowledge(context.Background(), first); err != nil || !s.chores.doubted {
		t.Errorf("%v, doubted: %v", err, s.chores.doubted)
	}
}

// What the handler has not kept in time is not acknowledged, nor what came before
// a restart of the modem.
func TestAcknowledgementOwed(t *testing.T) {
	c := newChores()
	now := time.Now()
	for at, err := range map[time.Time]error{
		now.Add(-lateAck - time.Second): nil, now.Add(-2 * time.Second): errMailbox, now.Add(-time.Second): nil,
	} {
		c.settled(at, err)
	}
	if len(c.acks) != 1 || !c.acks[0].Equal(now.Add(-time.Second)) || !c.doubted {
		t.Errorf("%d, doubted: %v", len(c.acks), c.doubted)
	}
	c.reset()
	c.settled(now, nil)
	if len(c.acks) > 0 {
		t.Error("one of before the restart")
	}
}
