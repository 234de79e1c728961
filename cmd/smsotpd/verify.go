package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"smsotpd/gateway/api"
)

const (
	urlFlag        = "url"
	apiKeyFileFlag = "api-key-file"
)

// addTarget registers the flags that say which daemon a command talks to.
func addTarget(flags *pflag.FlagSet) {
	addOptions(flags, "state-dir")
	flags.String(urlFlag, "", "address of a daemon elsewhere, such as http://127.0.0.1:8080; needs --"+apiKeyFileFlag)
	flags.String(apiKeyFileFlag, "", "file with an API key for --"+urlFlag)
}

// target is the daemon that the flags name: the one at --url, or the one that
// runs on the state directory.
func target(flags *pflag.FlagSet) (*client, error) {
	base, _ := flags.GetString(urlFlag)
	keyFile, _ := flags.GetString(apiKeyFileFlag)
	switch {
	case base == "" && keyFile == "":
		config, _, err := loadConfig(flags)
		if err != nil {
			return nil, err
		}
		return localClient(config.StateDir), nil
	case base == "" || keyFile == "":
		return nil, usagef("--%s and --%s belong together", urlFlag, apiKeyFileFlag)
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usagef("--%s must be like http://127.0.0.1:8080", urlFlag)
	}
	key, err := readKeyFile(keyFile)
	if err != nil {
		return nil, err
	}
	return newClient(base, key), nil
}

func (p *program) verifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify a phone number by hand",
		Long: `Verify a phone number by hand: start sends a code, check says whether it came
back right. Both ask the daemon on this machine over its local socket, or the
one at --url.`,
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(p.verifyStartCommand(), p.verifyCheckCommand())
	return cmd
}

func (p *program) verifyStartCommand() *cobra.Command {
	var body api.Start
	cmd := &cobra.Command{
		Use:     "start NUMBER",
		Short:   "Send a code; prints the verification's id",
		Example: "  smsotpd verify start +33612345678",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			body.To = args[0]
			var started api.Verification
			if err := c.call(cmd.Context(), http.MethodPost, "/v1/verifications", body, &started); err != nil {
				return noDaemonHint(err)
			}
			fmt.Fprintln(p.stdout, started.ID)
			fmt.Fprintf(p.stderr, "a code is on its way to %s; it is valid until %s\n",
				started.To, started.ExpiresAt.Local().Format(time.TimeOnly))
			return nil
		},
	}
	addTarget(cmd.Flags())
	cmd.Flags().StringVar(&body.Service, "service", "", "service that asks; the default one if left out")
	cmd.Flags().StringVar(&body.Purpose, "purpose", "", "declared purpose; may be left out where the service has only one")
	cmd.Flags().StringVar(&body.Locale, "locale", "", "language of the text, such as fr")
	return cmd
}

// errNotApproved: the code was not right, or no longer valid.
var errNotApproved = errors.New("not approved")

func (p *program) verifyCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check ID CODE",
		Short: "Check a code; exits 0 only if it was right",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			verdict, err := c.check(cmd.Context(), args[0], args[1])
			if err != nil {
				return noDaemonHint(err)
			}
			fmt.Fprintln(p.stdout, verdict.Status)
			if !verdict.Valid {
				return fmt.Errorf("%w; %d checks left", errNotApproved, verdict.ChecksLeft)
			}
			return nil
		},
	}
	addTarget(cmd.Flags())
	return cmd
}

func (c *client) check(ctx context.Context, id, code string) (api.Verdict, error) {
	var verdict api.Verdict
	err := c.call(ctx, http.MethodPost, "/v1/verifications/"+url.PathEscape(id)+"/check", api.Check{Code: code}, &verdict)
	return verdict, err
}
