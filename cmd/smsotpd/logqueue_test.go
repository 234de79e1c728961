package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
)

func TestLogIsWrittenInOrder(t *testing.T) {
	var out bytes.Buffer
	q := newLogQueue(&out)
	var want strings.Builder
	for i := range 100 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		_, _ = io.WriteString(q, line)
	}
	q.Close()
	if out.String() != want.String() {
		t.Errorf("got %q", out.String())
	}
	_, _ = io.WriteString(q, "late\n")
	q.Close()
}

func TestLogReaderThatStopsKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		q := newLogQueue(w)
		const extra = 10
		for i := range 1 + logLines + extra {
			_, _ = fmt.Fprintf(q, "line %d\n", i)
			if i == 0 {
				synctest.Wait() // the first one is in the pipe
			}
		}
		q.Close() // gives up
		all := make(chan string)
		go func() {
			got, _ := io.ReadAll(r)
			all <- string(got)
		}()
		<-q.done
		_ = w.Close()
		got := <-all
		if !strings.Contains(got, fmt.Sprintf("%d lines of the log were dropped", extra)) || !strings.Contains(got, fmt.Sprintf("line %d\n", logLines)) {
			t.Errorf("%d bytes, without the word of what was dropped or the last line that was kept", len(got))
		}
	})
}
