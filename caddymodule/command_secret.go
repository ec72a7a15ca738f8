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
func readSecret(cmd *cobra.Command) (secret string, err error) {
	if terminal := int(os.Stdin.Fd()); term.IsTerminal(terminal) {
		before, err := term.GetState(terminal)
		if err != nil {
			return "", fmt.Errorf("reading the secret: %w", err)
		}
		fmt.Fprint(cmd.ErrOrStderr(), "Secret (not shown): ")
		secret, err = interruptibly(cmd.Context(), func() ([]byte, error) { return term.ReadPassword(terminal) })
		fmt.Fprintln(cmd.ErrOrStderr())
		err = errors.Join(err, term.Restore(terminal, before))
		if err != nil {
			return "", fmt.Errorf("reading the secret: %w", err)
		}
	} else {
		in := io.LimitReader(cmd.InOrStdin(), 2*token.MaxSecretLength) // a longer one is refused, whatever follows
		secret, err = interruptibly(cmd.Context(), func() ([]byte, error) { return io.ReadAll(in) })
		if err != nil {
			return "", fmt.Errorf("reading the secret: %w", err)
		}
	}
	if secret == "" {
		return "", usageError(errors.New("want a secret on standard input; it is empty"))
	}
	return secret, nil
}

// interruptibly returns what read reads, without the blanks around it, or an
// error when ctx ends.
func interruptibly(ctx context.Context, read func() ([]byte, error)) (string, error) {
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
	case <-ctx.Done(): // read ends with the program
		return "", ctx.Err()
	case r := <-done:
		return strings.TrimSpace(string(r.text)), r.err
	}
}
