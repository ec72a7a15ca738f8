package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// asking is a command that asks the running server, under way.
type asking struct {
	*client
	cmd  *cobra.Command
	json bool // the answer is printed as it is
}

// askingCommand makes cmd one that asks the running server: f does it.
func askingCommand(cmd *cobra.Command, f func(a *asking, args []string) error) *cobra.Command {
	address := cmd.Flags().String("address", "", "`ADDRESS` of the running server's admin endpoint")
	cmd.Flags().StringP("config", "c", "", "configuration `FILE` to find that address in")
	cmd.Flags().StringP("adapter", "a", "", "config adapter for that file, by `NAME`")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		if err := checkText(cmd, args); err != nil {
			return err
		}
		c, err := newClient(*address, cmd)
		if err != nil {
			return err
		}
		return f(&asking{client: c, cmd: cmd, json: *asJSON}, args)
	})
	return cmd
}

func (a *asking) ctx() context.Context { return a.cmd.Context() }
func (a *asking) out() io.Writer       { return a.cmd.OutOrStdout() }

// ask asks the server and prints its answer: as it is with --json, and otherwise
// as show does.
func ask[T any](a *asking, method, path string, in any, show func(w io.Writer, answer T)) error {
	if a.json {
		resp, err := a.send(a.ctx(), method, path, in)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return copyAnswer(a.out(), resp.Body)
	}
	var answer T
	if err := a.call(a.ctx(), method, path, in, &answer); err != nil {
		return err
	}
	w := bufio.NewWriter(a.out())
	show(w, answer)
	return w.Flush()
}

// askSecret asks for a new secret and prints it. Where it can't be printed it is
// lost, and the token isn't: the error says which one that is.
func (a *asking) askSecret(path string, in any) error {
	var made madeSecret
	if err := a.call(a.ctx(), http.MethodPost, path, in, &made); err != nil {
		return err
	}
	w := bufio.NewWriter(a.out())
	if a.json {
		w.Write(made.text)
		w.WriteByte('\n')
	} else {
		printTokenSecret(w, made.TokenSecret)
	}
	if err := w.Flush(); err != nil {
		id := made.Token.ID
		return fmt.Errorf("the secret of token %s is lost, for it can't be shown: %w; make another with \"patgate token regenerate %s\"", id, err, id)
	}
	return nil
}

// madeSecret is the answer to what makes a secret, with the text that it was read from.
type madeSecret struct {
	rest.TokenSecret
	text []byte
}

func (m *madeSecret) UnmarshalJSON(text []byte) error {
	m.text = bytes.Clone(text)
	return json.Unmarshal(text, &m.TokenSecret)
}

func copyAnswer(w io.Writer, body io.Reader) error {
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("passing the answer on: %w", err)
	}
	return nil
}

// wantArgs refuses arguments other than those named, and empty ones. A name that
// ends in ... stands for one or more. Unlike cobra's checks it doesn't repeat what
// was given, which may be a secret.
func wantArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		if slices.Contains(args, "") && len(names) > 0 {
			return fmt.Errorf("want %s, got an empty argument", strings.Join(names, " "))
		}
		if len(args) == len(names) || many && len(args) > len(names) {
			return nil
		}
		if len(names) == 0 {
			return fmt.Errorf("want no arguments, got %d", len(args))
		}
		return fmt.Errorf("want %s, got %s", strings.Join(names, " "), counted(len(args), "argument"))
	}
}

// checkText refuses what can't be sent as JSON: it would arrive as something else.
func checkText(cmd *cobra.Command, args []string) (err error) {
	for _, arg := range args {
		if !utf8.ValidString(arg) {
			return usageError(errors.New("an argument is not valid UTF-8"))
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if !utf8.ValidString(f.Value.String()) {
			err = usageError(fmt.Errorf("--%s: not valid UTF-8", f.Name))
		}
	})
	return err
}

// checkIDs refuses what can't be a token's id before it is sent: the server logs
// the addresses it is asked for, and what was given may be a secret.
func checkIDs(ids ...string) error {
	for _, id := range ids {
		if err := token.ValidID(id); err != nil {
			return usageError(fmt.Errorf("%w (\"token verify\" tells the id of a secret)", err))
		}
	}
	return nil
}

// changed returns value if the flag was given, and nil otherwise.
func changed[T any](cmd *cobra.Command, flag string, value *T) *T {
	if cmd.Flags().Changed(flag) {
		return value
	}
	return nil
}

// given returns which of the flags were given. One that says yes or no and says no
// (--remove-all=false) was not.
func given(cmd *cobra.Command, flags ...string) (names []string) {
	for _, name := range flags {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed || f.Value.Type() == "bool" && f.Value.String() == "false" {
			continue
		}
		names = append(names, "--"+name)
	}
	return names
}

// oneOf refuses several of these flags, and, if it is required, none of them.
func oneOf(cmd *cobra.Command, required bool, flags ...string) error {
	switch names := given(cmd, flags...); {
	case len(names) > 1:
		return usageError(fmt.Errorf("%s contradict each other: give one", strings.Join(names, " and ")))
	case len(names) == 0 && required:
		return usageError(errors.New("give one of --" + strings.Join(flags, ", --")))
	}
	return nil
}
