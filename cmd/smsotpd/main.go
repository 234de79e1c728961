// Command smsotpd is the gateway's one binary: the daemon, the operator's
// commands, the simulated modems and the demonstration.
//
// It knows every room, because it is the one place that puts them together;
// nothing imports it. What always holds: only main calls os.Exit, exactly one
// place (exit.go) says which error gives which exit code, secrets arrive as
// paths of files and never as flags, and stdout carries only what was asked
// for, so that it can be piped.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
