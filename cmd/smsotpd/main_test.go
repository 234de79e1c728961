package main

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"smsotpd": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// The scenarios in testdata run the real program, each in a directory of its
// own. Beside testscript's own commands they have those of script_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Condition: func(name string) (bool, error) {
			if name != "long" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return os.Getenv("CI") != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"background": cmdBackground,
			"signal":     cmdSignal,
			"ended":      cmdEnded,
			"waitfor":    cmdWaitFor,
			"http":       cmdHTTP,
			"field":      cmdField,
			"occupy":     cmdOccupy,
			"exitcode":   cmdExitCode,
		},
	})
}
