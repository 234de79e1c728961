package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"smsotpd/gateway/api"
)

// client calls the daemon's HTTP API, over TCP with an API key or over the
// local socket, where the kernel vouches for the caller.
type client struct {
	base string
	key  string
	http *http.Client
}

// maxReply bounds what is read of a reply.
const maxReply = 4 << 20

func newClient(base, key string) *client {
	return &client{base: strings.TrimSuffix(base, "/"), key: key, http: &http.Client{Timeout: 30 * time.Second}}
}

// localClient calls the daemon of the state directory dir. Its calls answer
// errNoDaemon if none runs.
func localClient(dir string) *client {
	c := newClient("http://smsotpd", "")
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, dir) },
	}
	return c
}

// call sends in as JSON, nothing if it is nil, and reads the reply into out,
// unless that is nil. A refusal is returned as *api.Problem.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		problem := new(api.Problem)
		if json.Unmarshal(raw, problem) != nil || problem.Code == "" {
			return fmt.Errorf("the server answered %s", resp.Status)
		}
		return problem
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

// readKeyFile reads an API key from the file at path.
func readKeyFile(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", &kindError{errConfig, err}
	}
	key := strings.TrimSpace(string(raw))
	if key == "" || strings.ContainsAny(key, " \t\r\n") {
		return "", configf("%s holds no API key: one line is expected, as keys add prints it", path)
	}
	return key, nil
}

// noDaemonHint adds to errNoDaemon what to do.
func noDaemonHint(err error) error {
	if errors.Is(err, errNoDaemon) {
		return fmt.Errorf("%w; start it with smsotpd serve, or name its --state-dir", errNoDaemon)
	}
	return err
}
