//go:build !race

package main

// The whole month.
const (
	monthDefaultMessages = 9000
	monthDefaultDays     = 30
)
