package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// recorded components note when they end.
func recorded(ended *[]string, name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		*ended = append(*ended, name)
		return nil
	}
}

func TestLifecycleStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := newLifecycle(slog.New(slog.DiscardHandler))
		var ended []string
		life.onStop("store", func(context.Context) error { ended = append(ended, "store"); return nil })
		life.start("modems", recorded(&ended, "modems"))
		life.start("workers", recorded(&ended, "workers"))
		life.start("intake", recorded(&ended, "intake"))
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, stop)
		if err := life.wait(ctx, time.Second); err != nil {
			t.Errorf("a graceful stop failed: %v", err)
		}
		if want := []string{"intake", "workers", "modems", "store"}; !slices.Equal(ended, want) {
			t.Errorf("stopped %v, want %v", ended, want)
		}
	})
}

func TestLifecycleEndsWithItsComponents(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		do   func(context.Context) error
		want error
	}{
		"failure":       {func(context.Context) error { return broken }, broken},
		"early end":     {func(context.Context) error { return nil }, errEarly},
		"its own limit": {func(context.Context) error { return context.Canceled }, errEarly},
		"failure while stopping": {func(ctx context.Context) error {
			<-ctx.Done()
			return broken
		}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				life := newLifecycle(slog.New(slog.DiscardHandler))
				var ended []string
				life.start("other", recorded(&ended, "other"))
				life.start("part", c.do)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := life.wait(ctx, time.Second); !errors.Is(err, c.want) {
					t.Errorf("wait: %v, want %v", err, c.want)
				}
				if len(ended) != 1 {
					t.Error("the other component was left running")
				}
			})
		})
	}
}

func TestLifecycleLeavesBehindWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := newLifecycle(slog.New(slog.DiscardHandler))
		var ended []string
		release := make(chan struct{})
		life.onStop("store", func(context.Context) error { ended = append(ended, "store"); return nil })
		life.start("hanging", func(context.Context) error { <-release; return nil })
		life.fail(errors.New("durability lost"))
		began := time.Now()
		err := life.wait(t.Context(), 7*time.Second)
		if err == nil || !strings.Contains(err.Error(), "durability lost") || !strings.Contains(err.Error(), "stopping hanging") {
			t.Errorf("wait: %v", err)
		}
		if waited := time.Since(began); waited != 7*time.Second {
			t.Errorf("waited %v", waited)
		}
		if len(ended) != 1 {
			t.Error("the store was not closed")
		}
		close(release)
	})
}
