package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"

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
	return cmd
}

func printModems(w io.Writer, modems []api.Modem) error {
	if len(modems) == 0 {
		_, err := fmt.Fprintln(w, "no modems are configured: give serve a --modem")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tSTATUS\tOPERATOR\tSIGNAL\tTODAY\tPORT\tMODEL\tREASON")
	for _, m := range modems {
		signal := "-"
		if m.SignalDBm != nil {
			signal = fmt.Sprintf("%d dBm", *m.SignalDBm)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			m.Name, m.Status, dash(m.Operator), signal, m.SentToday, m.Port, dash(m.Model), m.Reason)
	}
	return table.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
