package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway/api"
)

// order is one thing that an operator does to a modem.
type order struct {
	use, short, long string
	// action is its name in the path.
	action  string
	example string
	// patience is how long the daemon may take; 0: as for other requests.
	patience time.Duration
	// done is what is said of the modem when it is done.
	done func(api.Modem) string
}

func (p *program) modemsPauseCommand() *cobra.Command {
	return p.orderCommand(order{
		use: "pause NAME", action: "pause", short: "Let no new message go by a modem",
		long: `Let no new message go by the modem of that name until it is resumed, over
restarts too. The message that is in the air ends, and the modem still receives.`,
		done: func(m api.Modem) string { return m.Name + " sends nothing more until it is resumed; it still receives" },
	})
}

func (p *program) modemsResumeCommand() *cobra.Command {
	return p.orderCommand(order{
		use: "resume NAME", action: "resume", short: "Let messages go by a modem again",
		long: `Undo pause and drain, and end the rest of a parked modem early.`,
		done: func(m api.Modem) string {
			if m.Reason == "" {
				return m.Name + " may send again"
			}
			return fmt.Sprintf("%s may send again; it is %s: %s", m.Name, m.Status, m.Reason)
		},
	})
}

func (p *program) modemsResetCommand() *cobra.Command {
	return p.orderCommand(order{
		use: "reset NAME", action: "reset", short: "Restart a modem",
		long:    `Restart the modem of that name. It comes back by itself.`,
		example: "  smsotpd modems reset front --reason 'deaf since noon'", patience: resetPatience,
		done: func(m api.Modem) string { return m.Name + " restarts" },
	})
}

const (
	// drainPatience is how much longer than a drain lasts its client waits.
	drainPatience = 30 * time.Second
	// resetPatience is longer than the daemon lets a restart take to begin.
	resetPatience = 90 * time.Second
)

func (p *program) modemsDrainCommand() *cobra.Command {
	wait := 30 * time.Second
	cmd := p.orderCommand(order{
		use: "drain NAME", short: "Bring a modem to rest, so that it can be unplugged",
		long: `Pause the modem of that name, and wait until nothing of it is in the air: then
it can be unplugged. If that takes longer than --wait it stays paused, and the
exit code is 1; drain it again to go on waiting.`,
		action: "drain",
		done:   func(m api.Modem) string { return m.Name + " can be unplugged: nothing of it is in the air" },
	})
	cmd.Flags().DurationVar(&wait, "wait", wait, "how long to wait, in whole seconds, 4m at most")
	return cmd
}

// orderCommand is the command by which an order is given.
func (p *program) orderCommand(o order) *cobra.Command {
	var body api.Reason
	var asJSON bool
	cmd := &cobra.Command{
		Use: o.use, Short: o.short, Long: o.long, Example: o.example, Args: oneModem,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			c.http.Timeout = max(c.http.Timeout, o.patience)
			path := modemPath(args[0]) + "/" + o.action
			if wait, err := cmd.Flags().GetDuration("wait"); err == nil {
				if wait < 0 || wait%time.Second != 0 {
					return usagef("--wait is a time in whole seconds, such as 90s")
				}
				path += fmt.Sprintf("?wait=%d", wait/time.Second)
				c.http.Timeout = wait + drainPatience
			}
			var m api.Modem
			if err := c.call(cmd.Context(), http.MethodPost, path, body, &m); err != nil {
				return noDaemonHint(err)
			}
			if asJSON {
				return printJSON(p.stdout, m)
			}
			_, err = fmt.Fprintln(p.stdout, o.done(m))
			return err
		},
	}
	addTarget(cmd.Flags())
	cmd.Flags().StringVar(&body.Reason, "reason", "", "why, for those who see the modem or the audit trail")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the modem as JSON, as the API gives it")
	return cmd
}

func modemPath(name string) string { return "/v1/modems/" + url.PathEscape(name) }

// oneModem wants one argument, a modem's name.
func oneModem(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return err
	}
	if args[0] == "" {
		return usagef("the modem's name is empty; smsotpd modems lists them")
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
