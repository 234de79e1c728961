package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// report is what bench fleet prints.
type report struct {
	Began time.Time `json:"began"`
	Cores int       `json:"cores"`
	// Loads are the machine's load averages over a minute, after each round.
	Loads []string    `json:"loads"`
	Rows  []*benchRow `json:"rows"`
	Check benchCheck  `json:"check"`
}

// benchRow is one figure.
type benchRow struct {
	Scenario string `json:"scenario"`
	What     string `json:"what"`
	Unit     string `json:"unit"`
	// Aim is what is aimed at, in words; "" for nothing.
	Aim string `json:"aim,omitempty"`
	// Median is that of Rounds; Met says whether it is as aimed at.
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
	Met    *bool     `json:"met,omitempty"`

	met func(float64) bool
}

func (r *report) row(scenario, what, unit string) *benchRow {
	row := &benchRow{Scenario: scenario, What: what, Unit: unit}
	r.Rows = append(r.Rows, row)
	return row
}

func (r *benchRow) atLeast(aim float64) *benchRow {
	r.Aim, r.met = "≥ "+figure(aim)+r.Unit, func(v float64) bool { return v >= aim }
	return r
}

func (r *benchRow) atMost(aim float64) *benchRow {
	r.Aim, r.met = "≤ "+figure(aim)+r.Unit, func(v float64) bool { return v <= aim }
	return r
}

func (r *benchRow) below(aim float64) *benchRow {
	r.Aim, r.met = "< "+figure(aim)+r.Unit, func(v float64) bool { return v < aim }
	return r
}

func (r *benchRow) add(v float64) {
	r.Rounds = append(r.Rounds, v)
	r.Median = medianOf(r.Rounds)
	if r.met != nil {
		met := r.met(r.Median)
		r.Met = &met
	}
}

// figure writes a figure with three digits that count.
func figure(v float64) string {
	if v == 0 || math.Abs(v) >= 100 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tWHAT\tAIM\tMEDIAN\t\tROUNDS")
	for _, row := range r.Rows {
		rounds := make([]string, len(row.Rounds))
		for i, v := range row.Rounds {
			rounds[i] = figure(v)
		}
		verdict := ""
		switch {
		case row.Met != nil && *row.Met:
			verdict = "met"
		case row.Met != nil:
			verdict = "missed"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s%s\t%s\t%s\n", row.Scenario, row.What, dash(row.Aim),
			figure(row.Median), row.Unit, verdict, strings.Join(rounds, " "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	c := r.Check
	_, err := fmt.Fprintf(w, "\n%d messages: %d sent once, %d still waiting, %d lost, %d sent twice; %d breaches of protocol.\n%d cores; load after each round: %s\n",
		c.Started, c.Sent, c.Waiting, c.Lost, c.Doubled, c.Violations, r.Cores, strings.Join(r.Loads, " "))
	return err
}
