package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"smsotpd/gateway/api"
)

// limit is one limit of a SIM, as a flag and as the API has it.
type limit struct {
	flag, help string
	is         func(api.Budget) *int
	set        func(*api.Limits) **int
}

func limits() []limit {
	return []limit{
		{"per-minute", "messages a minute", func(b api.Budget) *int { return b.PerMinute }, func(l *api.Limits) **int { return &l.PerMinute }},
		{"per-hour", "messages an hour", func(b api.Budget) *int { return b.PerHour }, func(l *api.Limits) **int { return &l.PerHour }},
		{"per-day", "messages a day", func(b api.Budget) *int { return b.PerDay }, func(l *api.Limits) **int { return &l.PerDay }},
		{"per-month", "messages a month", func(b api.Budget) *int { return b.PerMonth }, func(l *api.Limits) **int { return &l.PerMonth }},
		{"recipients-per-month", "distinct recipients a month", func(b api.Budget) *int { return b.RecipientsPerMonth }, func(l *api.Limits) **int { return &l.RecipientsPerMonth }},
		{"segments-per-day", "segments a day", func(b api.Budget) *int { return b.SegmentsPerDay }, func(l *api.Limits) **int { return &l.SegmentsPerDay }},
		{"segments-per-month", "segments a month", func(b api.Budget) *int { return b.SegmentsPerMonth }, func(l *api.Limits) **int { return &l.SegmentsPerMonth }},
		{"notices-per-minute", "messages without a code a minute", func(b api.Budget) *int { return b.NoticesPerMinute }, func(l *api.Limits) **int { return &l.NoticesPerMinute }},
		{"notices-per-day", "messages without a code a day", func(b api.Budget) *int { return b.NoticesPerDay }, func(l *api.Limits) **int { return &l.NoticesPerDay }},
		{"reserve", "what only codes may use of each limit, in percent", func(b api.Budget) *int { return b.Reserve }, func(l *api.Limits) **int { return &l.Reserve }},
		{"warm-up-days", "days that a new SIM takes to come to its limits", func(b api.Budget) *int { return b.WarmUpDays }, func(l *api.Limits) **int { return &l.WarmUpDays }},
		{"warm-up-start", "where a new SIM begins", func(b api.Budget) *int { return b.WarmUpStart }, func(l *api.Limits) **int { return &l.WarmUpStart }},
	}
}

func (p *program) modemsBudgetCommand() *cobra.Command {
	var asJSON, clear bool
	values := make([]int, len(limits()))
	cmd := &cobra.Command{
		Use:   "budget NAME",
		Short: "See, set or clear the limits of the SIM in a modem",
		Long: `See the limits that were set by hand for the SIM in the modem of that name, or
set some of them. They go before the configured ones until they are cleared,
over restarts too, whichever modem the SIM is in.

The limits that are not given stay as they were set before; with --clear they
are forgotten first. 0 lifts a limit. --clear alone lets the configuration count again.`,
		Example: `  smsotpd modems budget front --per-day 100 --per-hour 20
  smsotpd modems budget front --clear`,
		Args: oneModem,
		RunE: func(cmd *cobra.Command, args []string) error {
			var given api.Limits
			some := false
			for i, l := range limits() {
				if cmd.Flags().Changed(l.flag) {
					*l.set(&given), some = &values[i], true
				}
			}
			c, err := target(cmd.Flags())
			if err != nil {
				return err
			}
			b, err := c.budget(cmd, modemPath(args[0])+"/budget", given, some, clear)
			if err != nil {
				return noDaemonHint(err)
			}
			if asJSON {
				return printJSON(p.stdout, b)
			}
			return printBudget(p.stdout, b)
		},
	}
	addTarget(cmd.Flags())
	for i, l := range limits() {
		cmd.Flags().IntVar(&values[i], l.flag, 0, l.help)
		cmd.Flags().Lookup(l.flag).DefValue = "" // the zero is no default
	}
	cmd.Flags().BoolVar(&clear, "clear", false, "forget what was set by hand before")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, as the API gives it")
	return cmd
}

// budget shows the budget at path, or changes it by what is given.
func (c *client) budget(cmd *cobra.Command, path string, given api.Limits, some, clear bool) (api.Budget, error) {
	var b api.Budget
	if clear && !some {
		return b, c.call(cmd.Context(), http.MethodDelete, path, nil, &b)
	}
	if !clear {
		if err := c.call(cmd.Context(), http.MethodGet, path, nil, &b); err != nil || !some {
			return b, err
		}
		for _, l := range limits() {
			if into := l.set(&given); *into == nil {
				*into = l.is(b)
			}
		}
	}
	b = api.Budget{}
	return b, c.call(cmd.Context(), http.MethodPut, path, given, &b)
}

func printBudget(w io.Writer, b api.Budget) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LIMIT\tIS\tUSED")
	for _, window := range b.Windows {
		is := "none"
		if window.Limit != nil {
			is = strconv.Itoa(*window.Limit)
		}
		fmt.Fprintf(table, "%s\t%s\t%d\n", window.Name, is, window.Used)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, cause := range slices.Sorted(maps.Keys(b.Failures)) {
		fmt.Fprintf(w, "refused today: %d times %s\n", b.Failures[cause], cause)
	}
	if b.Balance != nil && b.BalanceAt != nil {
		fmt.Fprintf(w, "balance: %.2f at %s\n", *b.Balance, b.BalanceAt.Local().Format(time.DateTime))
	}
	if b.NextCodeAt != nil {
		fmt.Fprintf(w, "nothing can be sent until %s\n", b.NextCodeAt.Local().Format(time.DateTime))
	}
	if b.SetBy == nil || b.SetAt == nil {
		_, err := fmt.Fprintln(w, "nothing is set by hand: the configuration counts")
		return err
	}
	var set []string
	for _, l := range limits() {
		if n := l.is(b); n != nil {
			set = append(set, fmt.Sprintf("%s = %d", strings.ReplaceAll(l.flag, "-", "_"), *n))
		}
	}
	_, err := fmt.Fprintf(w, "set by %s at %s: %s; all else is as it is configured\n", *b.SetBy, b.SetAt.Local().Format(time.DateTime), strings.Join(set, ", "))
	return err
}
