package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// starter is one kept-alive connection that starts verifications with as little
// work of its own as it can.
type starter struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
	head    string
	used    time.Time // when it was last used
}

// starterIdle is how long a connection may rest: for less than the daemon keeps
// one that does.
const starterIdle = 20 * time.Second

// dialStarter connects to the daemon at url, as http://HOST:PORT.
func dialStarter(ctx context.Context, url, key string) (*starter, error) {
	address := strings.TrimPrefix(url, "http://")
	c := &starter{address: address, head: "POST /v1/verifications HTTP/1.1\r\nHost: " + address +
		"\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\nContent-Length: "}
	return c, c.dial(ctx)
}

func (c *starter) dial(ctx context.Context) (err error) {
	if c.conn, err = new(net.Dialer).DialContext(ctx, "tcp", c.address); err == nil {
		c.in, c.used = bufio.NewReader(c.conn), time.Now()
	}
	return err
}

// benchNumbers is how many numbers there are before they come again.
const benchNumbers = 80_000_000

// benchNumber is the n-th number: French, as all of them, and made up.
func benchNumber(n int) string { return fmt.Sprintf("+336%08d", 10_000_000+n%benchNumbers) }

// start starts the verification of the n-th number.
func (c *starter) start(ctx context.Context, n int) error {
	if time.Since(c.used) > starterIdle {
		_ = c.conn.Close()
		if err := c.dial(ctx); err != nil {
			return err
		}
	}
	c.used = time.Now()
	body := `{"to":"` + benchNumber(n) + `"}`
	if _, err := fmt.Fprintf(c.conn, "%s%d\r\n\r\n%s", c.head, len(body), body); err != nil {
		return err
	}
	status, length := "", 0
	for line := "-"; line != ""; {
		raw, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(string(raw), "\r\n")
		if status == "" {
			status = line
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(v) //nolint:errcheck // 0 fails below
		}
	}
	if status != "HTTP/1.1 201 Created" {
		return fmt.Errorf("status line %q", status)
	}
	_, err := c.in.Discard(length)
	return err
}

// startSome starts the verifications of the n numbers behind from over all
// connections at once; none is left out unless there is an error.
func startSome(ctx context.Context, clients []*starter, from, n int) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, len(clients))
	for _, c := range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := c.start(ctx, from+int(i)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("a verification was not started: %w", err)
	default:
		return nil
	}
}
