//go:build race

package main

// The month under the race detector, which makes it ten times as slow: as many
// messages as take two minutes.
const (
	monthDefaultMessages = 1500
	monthDefaultDays     = 21
)
