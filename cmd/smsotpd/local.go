package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"smsotpd/gateway"
	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
	"smsotpd/gateway/ledger"
	"smsotpd/storage"
)

// The routes below are the operator's own: they exist on the local socket
// alone, beside the HTTP API, and are no contract; both ends are this binary.
const localKeys = "/local/keys"

// newKey says what key to add.
type newKey struct {
	Name   string         `json:"name"`
	Scopes []access.Scope `json:"scopes"`
}

// addedKey is a new key; its secret is told this once.
type addedKey struct {
	Secret string `json:"secret"`
}

// listedKey is a key without its secret.
type listedKey struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// keyAdmin is what the keys commands ask for.
type keyAdmin interface {
	add(context.Context, newKey) (addedKey, error)
	list(context.Context) ([]listedKey, error)
	revoke(ctx context.Context, id string) error
}

var (
	_ keyAdmin = storeKeys{}
	_ keyAdmin = socketKeys{}
)

// storeKeys keeps the API keys in an opened state directory. Who changes them is
// the principal of the context; the trail tells of it.
type storeKeys struct{ *state }

func (k storeKeys) add(ctx context.Context, n newKey) (addedKey, error) {
	secret, _, err := access.Add(ctx, k.store, k.keys, n.Name, n.Scopes, k.recorded(ctx, gateway.ActionKeyAdd))
	return addedKey{Secret: secret}, err
}

// recorded puts what is done to a key into the trail.
func (k storeKeys) recorded(ctx context.Context, action string) access.Step {
	by, _ := api.PrincipalOf(ctx)
	trail, e := ledger.NewTrail(k.keys), ledger.NewEntry()
	e.Actor, e.ActorID, e.Action = by.Name, by.KeyID, action
	return func(tx storage.Tx, key access.Key) error {
		e.Subject = key.ID
		e.Detail = map[string]string{"name": key.Name, "scopes": listed(key.Scopes)}
		return trail.Record(tx, e)
	}
}

func (k storeKeys) list(ctx context.Context) ([]listedKey, error) {
	keys, err := access.List(ctx, k.store)
	if err != nil {
		return nil, err
	}
	list := make([]listedKey, 0, len(keys))
	for _, key := range keys {
		listed := listedKey{ID: key.ID, Name: key.Name, CreatedAt: key.Created}
		for _, s := range key.Scopes {
			listed.Scopes = append(listed.Scopes, string(s))
		}
		if !key.Revoked.IsZero() {
			listed.RevokedAt = &key.Revoked
		}
		list = append(list, listed)
	}
	return list, nil
}

func (k storeKeys) revoke(ctx context.Context, id string) error {
	return access.Revoke(ctx, k.store, id, k.recorded(ctx, gateway.ActionKeyRevoke))
}

// listed are the scopes in words.
func listed(scopes []access.Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// socketKeys asks the running daemon.
type socketKeys struct{ *client }

func (k socketKeys) add(ctx context.Context, n newKey) (addedKey, error) {
	var added addedKey
	err := k.call(ctx, http.MethodPost, localKeys, n, &added)
	return added, err
}

func (k socketKeys) list(ctx context.Context) ([]listedKey, error) {
	var list []listedKey
	err := k.call(ctx, http.MethodGet, localKeys, nil, &list)
	return list, err
}

func (k socketKeys) revoke(ctx context.Context, id string) error {
	return k.call(ctx, http.MethodDelete, localKeys+"/"+url.PathEscape(id), nil, nil)
}

// localHandler serves the operator's routes to peers of the local socket that
// may administer, and everything else by the HTTP API.
func localHandler(keys keyAdmin, next http.Handler, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("POST "+localKeys, admin(log, func(w http.ResponseWriter, r *http.Request) (any, error) {
		var n newKey
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 8<<10)).Decode(&n); err != nil {
			return nil, err
		}
		return keys.add(r.Context(), n)
	}))
	mux.HandleFunc("GET "+localKeys, admin(log, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return keys.list(r.Context())
	}))
	mux.HandleFunc("DELETE "+localKeys+"/{id}", admin(log, func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return struct{}{}, keys.revoke(r.Context(), r.PathValue("id"))
	}))
	return mux
}

// admin answers with what serve returns, if the peer may administer.
func admin(log *slog.Logger, serve func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		peer, _ := api.PrincipalOf(r.Context())
		if !peer.Can(access.Admin) {
			reply(w, http.StatusForbidden, localProblem(http.StatusForbidden, "insufficient_scope",
				"Only root and the daemon's own user may do this."))
			return
		}
		answer, err := serve(w, r)
		if err != nil {
			problem := localProblem(http.StatusBadRequest, "failed", err.Error())
			if errors.Is(err, access.ErrNotFound) {
				problem = localProblem(http.StatusNotFound, "not_found", err.Error())
			}
			reply(w, problem.Status, problem)
			return
		}
		if r.Method != http.MethodGet {
			log.Info("the API keys were changed", "method", r.Method, "by", peer.Name)
		}
		reply(w, http.StatusOK, answer)
	}
}

func localProblem(status int, code, detail string) *api.Problem {
	return &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the peer may have gone
}
