package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program is what a command may touch of the world outside.
type program struct {
	env            map[string]string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{env: environment(env), stdin: stdin, stdout: stdout, stderr: stderr}
	began := false
	root := p.root()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		began = true
		return fromEnvironment(cmd.Flags(), p.env)
	}
	root.SetArgs(args)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !began {
		err = &kindError{errUsage, err}
	}
	fmt.Fprintf(stderr, "smsotpd: %v\n", err)
	code := exitCode(err)
	if code == exitUsage {
		fmt.Fprintf(stderr, "Try: %s --help\n", cmd.CommandPath())
	}
	return code
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "smsotpd",
		Short: "A self-hosted gateway that verifies phone numbers by SMS codes through your own modems",
		Long: `smsotpd verifies phone numbers: an application asks it over HTTP, it sends a
code by SMS through GSM/LTE modems on your own serial ports, and says whether
the code came back right.

See it at work without any modem:   smsotpd demo

Every flag can also be given in the environment as SMSOTPD_ and its name in
capitals with underscores (--state-dir is SMSOTPD_STATE_DIR), and the flags of
serve in the file named by --config. A flag wins over the environment, which
wins over the file.

Exit codes: 0 done, 1 failure, 2 wrong usage, 78 wrong configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(p.commands()...)
	return root
}

// environment is the process's environment as a map.
func environment(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			m[name] = value
		}
	}
	return m
}

// fromEnvironment sets the flags that the command line left alone and the
// environment names; an empty variable is as good as none.
func fromEnvironment(flags *pflag.FlagSet, env map[string]string) error {
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		name := envName(f.Name)
		value := env[name]
		if value == "" || f.Changed || err != nil {
			return
		}
		if e := flags.Set(f.Name, value); e != nil {
			err = configf("%s in the environment: %w", name, e)
		}
	})
	return err
}

const envPrefix = "SMSOTPD_"

// envName is the environment variable that stands for a flag.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// newLogger writes the log to w in the given format, "text" or "json".
func newLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.serveCommand(), p.demoCommand(), p.keysCommand(), p.modemsCommand(), p.auditCommand(),
		p.doctorCommand(), p.verifyCommand(), p.simCommand(), p.benchCommand(), p.versionCommand(),
	}
}
