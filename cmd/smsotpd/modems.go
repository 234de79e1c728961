package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway/api"
)

func (p *program) modemsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "modems",
		Short: "Show the modems and why one can't send",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			var modems []api.Modem
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/modems", nil, &modems); err != nil {
				return noDaemonHint(err)
			}
			if asJSON {
				enc := json.NewEncoder(p.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(modems)
			}
			return printModems(p.stdout, modems)
		},
	}
	addTarget(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as GET /v1/modems gives it")
	cmd.AddCommand(p.modemsUSSDCommand(), p.modemsPauseCommand(), p.modemsResumeCommand(),
		p.modemsDrainCommand(), p.modemsResetCommand(), p.modemsBudgetCommand())
	return cmd
}

// ussdPatience is longer than the daemon waits for a network.
const ussdPatience = 90 * time.Second

func (p *program) modemsUSSDCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ussd NAME CODE",
		Short: "Ask a modem's network by a USSD code, such as for the balance",
		Long: `Send a USSD code through the modem of that name and print what its network
answers, which takes up to a minute. Messages go out meanwhile.

If the network wants a reply, as in a menu, it is the CODE of the next call; a
code that begins with * or # ends the dialogue and begins another. Codes that
change a PIN are not sent.`,
		Example: `  smsotpd modems ussd front '*100#'`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			c.http.Timeout = ussdPatience
			var said api.USSDReply
			path := modemPath(args[0]) + "/ussd"
			if err := c.call(cmd.Context(), http.MethodPost, path, api.USSD{Code: args[1]}, &said); err != nil {
				return noDaemonHint(err)
			}
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(said)
			}
			if said.More {
				fmt.Fprintf(p.stderr, "a reply is wanted: smsotpd modems ussd %s REPLY\n", args[0])
			}
			_, err = fmt.Fprintln(p.stdout, said.Text)
			return err
		},
	}
	addTarget(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as the API gives it")
	return cmd
}

func printModems(w io.Writer, modems []api.Modem) error {
	if len(modems) == 0 {
		_, err := fmt.Fprintln(w, "no modems are configured: give serve a --modem")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATUS\tOPERATOR\tSIGNAL\tTODAY\tARRIVES\tVERIFIED\tPORT\tMODEL\tREMARKS")
	for _, m := range modems {
		signal := "-"
		if m.SignalDBm != nil {
			signal = fmt.Sprintf("%d dBm", *m.SignalDBm)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			m.Name, m.Status, dash(m.Operator), signal, today(m), percent(m.DeliveryRate), percent(m.VerifiedRate), m.Port, dash(m.Model), remark(m))
	}
	return table.Flush()
}

// today is what was sent today, of what may be.
func today(m api.Modem) string {
	if m.DayLimit == nil {
		return strconv.Itoa(m.SentToday)
	}
	return fmt.Sprintf("%d/%d", m.SentToday, *m.DayLimit)
}

// percent is a rate, or a dash where it is not known.
func percent(rate *float64) string {
	if rate == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**rate)
}

// remark is all that there is to say of a modem in words.
func remark(m api.Modem) string {
	var said []string
	for _, words := range []string{m.Reason, m.Notice} {
		if words != "" {
			said = append(said, words)
		}
	}
	if m.BreakerWhy != "" {
		said = append(said, "not trusted: "+m.BreakerWhy)
	}
	switch {
	case m.Recoveries == 1:
		said = append(said, "1 step was taken to bring it back since the start")
	case m.Recoveries > 1:
		said = append(said, fmt.Sprintf("%d steps were taken to bring it back since the start", m.Recoveries))
	}
	return strings.Join(said, "; ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
