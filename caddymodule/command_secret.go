package caddymodule

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/patgate/patgate/token"
)

// readSecret reads a secret from standard input, where it stays out of the
// history of shells and the lists of processes. A terminal doesn't show it. It may be
// given as in the header Authorization: no secret has a blank in it.
func readSecret(cmd *cobra.Command) (string, error) {
	in := io.LimitReader(cmd.InOrStdin(), 2*token.MaxSecretLength) // a longer one is refused, whatever follows
	read := func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	}
	// Ctrl-D doesn't end what term reads from it.
	if terminal := int(os.Stdin.Fd()); cmd.InOrStdin() == os.Stdin && term.IsTerminal(terminal) {
		before, err := term.GetState(terminal)
		if err != nil {
			return "", fmt.Errorf("reading the secret: %w", err)
		}
		defer func() {
			_ = term.Restore(terminal, before) // an interrupted read leaves it mute
			fmt.Fprintln(cmd.ErrOrStderr())
		}()
		fmt.Fprint(cmd.ErrOrStderr(), "Secret (not shown; Ctrl-C to end): ")
		read = func(w io.Writer) error {
			text, err := term.ReadPassword(terminal)
			w.Write(text)
			return err
		}
	}
	text, err := io.ReadAll(interruptible(cmd.Context(), read))
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if words := strings.Fields(secret); len(words) == 2 && strings.EqualFold(words[0], "bearer") {
		secret = words[1]
	}
	if secret == "" {
		return "", usageErrorf("want a secret on standard input; it is empty")
	}
	return secret, nil
}
