package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway/api"
)

func (p *program) auditCommand() *cobra.Command {
	var asJSON bool
	var before string
	count := 50
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show what operators did, the newest first",
		Long: `Show what operators did to modems, SIMs, API keys and the configuration, the
newest first: who, when, and for what reason. It is kept for 400 days; numbers and
USSD codes are not in it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			query := url.Values{"limit": {strconv.Itoa(count)}}
			if before != "" {
				query.Set("before", before)
			}
			var audit api.Audit
			if err := c.call(cmd.Context(), http.MethodGet, "/v1/audit?"+query.Encode(), nil, &audit); err != nil {
				return noDaemonHint(err)
			}
			if asJSON {
				return printJSON(p.stdout, audit)
			}
			if audit.Next != nil {
				fmt.Fprintf(p.stderr, "there is more: smsotpd audit --before %s\n", *audit.Next)
			}
			return printAudit(p.stdout, audit.Entries)
		},
	}
	addTarget(cmd.Flags())
	cmd.Flags().IntVar(&count, "limit", count, "how many entries, 100 at most")
	cmd.Flags().StringVar(&before, "before", "", "id of the entry before which those that are shown were made")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as GET /v1/audit gives it")
	return cmd
}

func printAudit(w io.Writer, entries []api.AuditEntry) error {
	if len(entries) == 0 {
		_, err := fmt.Fprintln(w, "nothing was done yet")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TIME\tWHO\tACTION\tWHAT\tDETAIL")
	for _, e := range entries {
		var detail []string
		for _, name := range slices.Sorted(maps.Keys(e.Detail)) {
			detail = append(detail, name+": "+e.Detail[name])
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.At.Local().Format(time.DateTime), e.Actor, e.Action, e.Subject, dash(strings.Join(detail, ", ")))
	}
	return table.Flush()
}
