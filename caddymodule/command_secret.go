package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/patgate/patgate/token"
)

// readSecret reads a secret from standard input, where it stays out of the
// history of shells and the lists of processes. A terminal doesn't show it.
func readSecret(cmd *cobra.Command) (string, error) {
	read := func() ([]byte, error) {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), 2*token.MaxSecretLength)) // a longer one is refused, whatever follows
	}
	if terminal := int(os.Stdin.Fd()); cmd.InOrStdin() == os.Stdin && term.IsTerminal(terminal) {
		before, err := term.GetState(terminal)
		if err != nil {
			return "", fmt.Errorf("reading the secret: %w", err)
		}
		defer func() {
			_ = term.Restore(terminal, before) // an interrupted read leaves it mute
			fmt.Fprintln(cmd.ErrOrStderr())
		}()
		fmt.Fprint(cmd.ErrOrStderr(), "Secret (not shown): ")
		read = func() ([]byte, error) { return term.ReadPassword(terminal) }
	}
	text, err := interruptibly(cmd.Context(), read)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", usageError(errors.New("want a secret on standard input; it is empty"))
	}
	return secret, nil
}

// interruptibly returns what read reads, or an error when ctx ends before that. A
// read of standard input can't be interrupted itself: it ends with the program.
func interruptibly(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.text, r.err
	}
}
