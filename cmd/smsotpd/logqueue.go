package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// logLines is how many lines of the log wait for a reader that is slow.
	logLines = 4096
	// logFlush is how long the end of the program waits for them.
	logFlush = time.Second
)

// logQueue writes lines in the order in which it was given them, and keeps
// nobody waiting: a reader of stderr that stops must not stop the daemon. What
// finds no room is dropped, and a line says how many were.
type logQueue struct {
	lines   chan []byte
	dropped atomic.Int64
	done    chan struct{}

	mu     sync.RWMutex
	closed bool // guarded by mu
}

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{lines: make(chan []byte, logLines), done: make(chan struct{})}
	go func() {
		defer close(q.done)
		for line := range q.lines {
			_, _ = w.Write(line)
			if n := q.dropped.Swap(0); n > 0 {
				_, _ = fmt.Fprintf(w, "smsotpd: %d lines of the log were dropped: nobody read them\n", n)
			}
		}
	}()
	return q
}

// Write queues a copy of the line. It never fails.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if !q.closed {
		select {
		case q.lines <- append([]byte(nil), line...):
		default:
			q.dropped.Add(1)
		}
	}
	return len(line), nil
}

// Close writes what waits, but not for longer than logFlush.
func (q *logQueue) Close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	timer := time.NewTimer(logFlush)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
	}
}
