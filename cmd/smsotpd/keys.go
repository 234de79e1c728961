package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway/access"
	"smsotpd/gateway/api"
	"smsotpd/gateway/keyring"
	"smsotpd/storage"
	"smsotpd/storage/bolt"
)

func (p *program) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make the master key; add, list and revoke API keys",
		Long: `Make the master key; add, list and revoke API keys.

add, list and revoke work while the daemon runs, over its local socket in the
state directory, and while it doesn't.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(p.keysInitCommand(), p.keysAddCommand(), p.keysListCommand(), p.keysRevokeCommand())
	return cmd
}

func (p *program) keysInitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a new master key; never overwrites",
		Long: `Make a new master key of 32 random bytes in a file with mode 0600. A file that
exists is never overwritten.

Keep a copy apart from the state directory: without the key nothing in it can
be read, and with it everything can.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, _, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			err = keyring.Init(config.KeyFile)
			if errors.Is(err, keyring.ErrMasterExists) {
				return fmt.Errorf("%w; it stays as it is; another goes to a file of its own: --key-file", err)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stderr, "made %s; keep a copy apart from the state directory\n", config.KeyFile)
			return nil
		},
	}
	addOptions(cmd.Flags(), "key-file")
	return cmd
}

func (p *program) keysAddCommand() *cobra.Command {
	var name string
	scopes := []string{string(access.Verify), string(access.Check)}
	cmd := &cobra.Command{
		Use:   "add --name NAME",
		Short: "Add an API key; prints the key alone on stdout",
		Long: `Add an API key and print it, alone, on stdout. It is shown this once: the
database keeps only a keyed hash of it.

Scopes: verify (start, resend and cancel), check (check codes), messages and
read (look at messages, modems and metrics), privacy, admin.`,
		Example: "  smsotpd keys add --name shop --scopes verify,check > shop.key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return usagef("--name is needed: what the key is for, such as the application's name")
			}
			key := newKey{Name: name}
			for _, s := range scopes {
				key.Scopes = append(key.Scopes, access.Scope(s))
			}
			if err := access.Validate(key.Name, key.Scopes); err != nil {
				return &kindError{errUsage, err}
			}
			return withKeys(cmd, mayBeNew, func(ctx context.Context, keys keyAdmin) error {
				added, err := keys.add(ctx, key)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(p.stdout, added.Secret)
				return err
			})
		},
	}
	addOptions(cmd.Flags(), "state-dir", "key-file")
	cmd.Flags().StringVar(&name, "name", "", "what the key is for")
	cmd.Flags().StringSliceVar(&scopes, "scopes", scopes, "what the key may do")
	return cmd
}

func (p *program) keysListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the API keys, without their secrets",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withKeys(cmd, mustExist, func(ctx context.Context, keys keyAdmin) error {
				list, err := keys.list(ctx)
				if err != nil {
					return err
				}
				table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(table, "ID\tNAME\tSCOPES\tCREATED\tSTATUS")
				for _, k := range list {
					status := "live"
					if k.RevokedAt != nil {
						status = "revoked " + k.RevokedAt.Local().Format(time.DateTime)
					}
					fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name,
						strings.Join(k.Scopes, ","), k.CreatedAt.Local().Format(time.DateTime), status)
				}
				return table.Flush()
			})
		},
	}
	addOptions(cmd.Flags(), "state-dir", "key-file")
	return cmd
}

func (p *program) keysRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke an API key, at once and for good",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withKeys(cmd, mustExist, func(ctx context.Context, keys keyAdmin) error {
				return keys.revoke(ctx, args[0])
			})
		},
	}
	addOptions(cmd.Flags(), "state-dir", "key-file")
	return cmd
}

// lockWait is how long a command waits for a daemon that has the store but no
// socket yet, or no more.
const lockWait = 10 * time.Second

// Whether a command that finds no database in the state directory makes one.
const (
	mayBeNew  = true
	mustExist = false
)

// withKeys calls fn with the API keys of the state directory: the running
// daemon's, or the store's where none runs.
func withKeys(cmd *cobra.Command, create bool, fn func(context.Context, keyAdmin) error) error {
	config, _, err := loadConfig(cmd.Flags())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), lockWait)
	defer cancel()
	for {
		err := fn(ctx, socketKeys{localClient(config.StateDir)})
		if !errors.Is(err, errNoDaemon) {
			return err
		}
		if _, err := os.Stat(filepath.Join(config.StateDir, databaseName)); !create && errors.Is(err, fs.ErrNotExist) {
			return configf("there is no database in %s: is --state-dir right?", config.StateDir)
		}
		state, err := openState(ctx, config, bolt.Options{})
		if errors.Is(err, storage.ErrLocked) && ctx.Err() == nil {
			continue // bolt.Open has waited before it gave up
		}
		if err != nil {
			return err
		}
		self, _ := access.Local(uint32(os.Geteuid())) //nolint:gosec // a user's id
		return errors.Join(fn(api.WithPrincipal(ctx, self), storeKeys{state}), state.store.Close())
	}
}
