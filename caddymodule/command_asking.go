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
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
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
	if !strings.Contains(cmd.Use, "FILE") {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
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
	answered := showTime(a.cmd.ErrOrStderr(), "waiting for the server")
	if a.json {
		resp, err := a.send(a.ctx(), method, path, in)
		answered()
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return copyAnswer(a.out(), resp.Body)
	}
	var answer T
	err := a.call(a.ctx(), method, path, in, &answer)
	answered()
	if err != nil {
		return err
	}
	return printAnswer(a.cmd, false, answer, show)
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
		printToken(w, made.Token)
		fmt.Fprintf(w, "\nThe secret, shown only now:\n%s\n", made.Secret)
	}
	id := made.Token.ID
	again := fmt.Sprintf("make another with \"patgate token regenerate %s\"", id)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("the secret of token %s is lost, for it can't be shown: %w; %s", id, err, again)
	}
	if isNull(a.out()) {
		a.note([]string{fmt.Sprintf("nobody sees the secret of token %s, for standard output is closed or %s; %s", id, os.DevNull, again)})
	}
	if !a.json { // where they are in the answer
		a.note(made.Warnings)
	}
	return nil
}

// note prints warnings, beside the answer.
func (a *asking) note(warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(a.cmd.ErrOrStderr(), "note:", warning)
	}
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
	_, err := io.Copy(w, body)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server broke the answer off, and its log says why: %w", err)
	case err != nil:
		return fmt.Errorf("passing the answer on: %w", err)
	}
	return nil
}
