package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"smsotpd/gateway/access"
)

// What people send to a SIM goes all the way up, and is kept.
func TestReceivedMessagesAreListed(t *testing.T) {
	phone := newDemoPhone()
	defer phone.network.Close()
	dir := t.TempDir()
	port, opener, err := phone.plug(dir)
	if err != nil {
		t.Fatal(err)
	}
	config, err := demoConfig(dir, "127.0.0.1:0", "FR", port)
	if err != nil {
		t.Fatal(err)
	}
	d, err := startDaemon(t.Context(), config, opener, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.life.stop(10 * time.Second) }()
	key, _, err := access.Add(t.Context(), d.store, d.keys, "test", []access.Scope{access.Messages, access.Read})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	await(t, "the modem to be ready", func() error {
		if got := get("/readyz"); !strings.Contains(got, `"ready":true`) {
			return errors.New(got)
		}
		return nil
	})
	phone.network.Modems()[0].Receive("+33698765432", "hello")
	await(t, "the message to be listed", func() error {
		got := get("/v1/inbound")
		if !strings.Contains(got, `"from":"+33698765432","text":"hello"`) || !strings.Contains(got, `"modem":"demo"`) {
			return errors.New(got)
		}
		return nil
	})
	if !strings.Contains(get("/metrics"), "smsotpd_messages_received_total 1") {
		t.Error("the message is not counted")
	}
}
