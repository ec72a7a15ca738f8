package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/token"
)

// commands returns patgate's commands: one function for each word that can follow patgate.
func commands() []*cobra.Command {
	return []*cobra.Command{
		tokenCommand(),
		ownerCommand(),
		statusCommand(),
		policyCommand(),
		demoCommand(),
		reportCommand(),
		eventsCommand(),
		storeCommand(),
	}
}

// topLevel says that patgate's commands are also those of the program itself.
var topLevel bool

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "patgate",
		Short: "Manages personal access tokens, their owners and policies",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Use = "patgate"
			cmd.Long = "Manages the personal access tokens of the running server, their owners and the\npolicies they are judged by."
			cmd.Hidden = topLevel
			cmd.AddCommand(commands()...)
			adopt(cmd)
			if !topLevel {
				inExamples(cmd, cmp.Or(caddy.CustomBinaryName, "caddy")+" patgate")
			}
		},
	})
}

// RegisterCommands makes patgate's commands those of the program itself:
// "patgate token" where another Caddy build has "caddy patgate token". It is for
// the patgate binary, and is called before caddycmd.Main.
func RegisterCommands() {
	topLevel = true
	for i, c := range commands() {
		caddycmd.RegisterCommand(caddycmd.Command{
			Name: c.Name(), Short: c.Short,
			CobraFunc: func(cmd *cobra.Command) {
				*cmd = *commands()[i]
				below := cmd.Commands()
				cmd.ResetCommands()
				cmd.AddCommand(below...) // so that they know where they are
				adopt(cmd)
			},
		})
	}
}

// inExamples has the examples of cmd and the commands below it begin with name.
func inExamples(cmd *cobra.Command, name string) {
	cmd.Example = strings.ReplaceAll(cmd.Example, "  patgate ", "  "+name+" ")
	for _, below := range cmd.Commands() {
		inExamples(below, name)
	}
}

// adopt has cmd and the commands below it fail as patgate's commands do: with one
// line on standard error, and with exit status 2 where they are used wrongly.
func adopt(cmd *cobra.Command) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true // run says it
	cmd.DisableFlagsInUseLine = true
	cmd.SetHelpTemplate(helpTemplate) // without Caddy's footer
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], cobra.ShellCompRequestCmd) {
		// Help takes these quotes away, cobra's completion shows them.
		cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fail(cmd, usageError(flagError(cmd, err)))
	})
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = run(chooseCommand)
		// Flags are those of a command below, whose name is what is missing or mistyped.
		cmd.FParseErrWhitelist.UnknownFlags = true
	}
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return fail(cmd, usageError(err))
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		adopt(below)
	}
}

const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

// chooseCommand is run for a command that is only there for those below it.
func chooseCommand(cmd *cobra.Command, args []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			names = append(names, c.Name())
		}
	}
	if len(args) > 0 {
		return usageErrorf("there is no command %q here; there are %s%s", args[0], strings.Join(names, ", "), spelling.Suggest(args[0], names))
	}
	return usageErrorf("say which command, before its flags: %s", strings.Join(names, ", "))
}

// run makes f what a command does. Its error is printed as one line on standard
// error. When the program is interrupted, the context ends, and f has a short while
// left to say how far it came: not everything minds the context, such as a read from
// a pipe that nobody writes to. Another signal ends the program at once.
func run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		cmd.SetContext(ctx)
		out := &closableWriter{w: cmd.OutOrStdout()}
		cmd.SetOut(out)
		ended := make(chan error, 1)
		go func() { ended <- f(cmd, args) }()
		var err error
		select {
		case err = <-ended:
		case <-ctx.Done():
			// Another signal does what it does to other programs, but not one that comes
			// with the first: timeout(1) sends two.
			defer time.AfterFunc(oneSignal, stop).Stop()
			select {
			case err = <-ended:
			case <-time.After(lastWords):
				out.closed.Store(true)
				err = errInterrupted
			}
		}
		if err != nil && ctx.Err() != nil && !errors.Is(err, errInterrupted) {
			err = errInterrupted
		}
		return fail(cmd, err)
	}
}

// oneSignal is how long signals that come together count as one.
const oneSignal = 100 * time.Millisecond

// lastWords is how long a command that is interrupted may take to end by itself. It is
// shorter in tests.
var lastWords = time.Second

// closableWriter passes on what is written until it is closed: what is still under way
// when its command has ended adds nothing to the output.
type closableWriter struct {
	w      io.Writer
	closed atomic.Bool
}

func (w *closableWriter) Write(b []byte) (int, error) {
	if w.closed.Load() {
		return 0, errInterrupted
	}
	return w.w.Write(b)
}

var errInterrupted = errors.New("interrupted")

// usage is the error of a command that was used wrongly.
type usage struct{ error }

// usageError makes err, which says how a command was used wrongly, end the
// program with exit status 2.
func usageError(err error) error { return usage{err} }

// usageErrorf is usageError of what fmt.Errorf makes of its arguments.
func usageErrorf(format string, args ...any) error { return usageError(fmt.Errorf(format, args...)) }

// exitUsage is the exit status of a command that was used wrongly; one that was
// refused or failed has 1.
const exitUsage = 2

// fail prints err and returns what ends the program with the exit status for it.
func fail(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	text := oneLine(err)
	if _, wrong := errors.AsType[usage](err); wrong {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s (see %s --help)\n", cmd.CommandPath(), text, cmd.CommandPath())
		// Caddy's Main takes other statuses than 1 only from here.
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exitUsage, nil })(cmd, nil)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", cmd.CommandPath(), text)
	return err
}

// oneLine returns what err says, without secrets, as a line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(token.Masked(err.Error()), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
