package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/registry"
)

func tokenImportCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "import FILE|-",
		Short: "Take over tokens of another system, or of an export",
		Long: `Imports tokens from a file, or (-) from standard input: one JSON object per line, as
"token export" and "token show --json" write them, each with its "secret" or with
"digest":"sha256:…". A token without "expires_at" never expires. Secrets of fewer
than 16 characters, which may be guessed, and scopes that aren't in the catalog are
imported, and counted.

Tokens that are already there are skipped, so you can run an interrupted import
again. Lines that give such a token another owner or other grants are named. The
import ends at the first line that is refused, and says how far it came. It can't
see whether an export in the same pipe failed: use "set -o pipefail".

A token without an "id" gets one. Ids begin with the time at which they were made,
and lists are sorted by them, not by "created_at".`,
		Example: `  patgate token import tokens.jsonl
  patgate token export --address old:2019 | patgate token import -
  echo '{"name":"ci","owner":"alice","grants":[{"scopes":["stories:read"],"spaces":["1"]}],"digest":"sha256:…"}' | patgate token import -`,
		Args: wantArgs("FILE|-"),
	}, func(a *asking, args []string) error {
		in := a.cmd.InOrStdin()
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("reading tokens: %w", err)
			}
			defer f.Close()
			in = f
		}
		sent := &lineCounter{in: in}
		defer showProgress(a.cmd.ErrOrStderr(), func() string { return fmt.Sprintf("%d lines sent", sent.lines.Load()) })()
		body := interruptible(a.ctx(), func(w io.Writer) error {
			_, err := io.Copy(w, sent)
			return err
		})
		defer body.Close()
		resp, err := a.do(a.ctx(), http.MethodPost, apiPath("import"), "application/x-ndjson", body)
		if reading, ok := errors.AsType[*fs.PathError](err); ok {
			return fmt.Errorf("reading tokens: %w", reading)
		}
		if err != nil {
			return howFar(a.ctx(), err, "when %s had been sent", counted(int(sent.lines.Load()), "line"))
		}
		defer resp.Body.Close()
		if a.json {
			return copyAnswer(a.out(), resp.Body)
		}
		var done registry.ImportResult
		if err := json.NewDecoder(resp.Body).Decode(&done); err != nil {
			return fmt.Errorf("reading the server's answer: %w", err)
		}
		return printAnswer(a.cmd, false, done, printImported)
	})
}

func printImported(w io.Writer, done registry.ImportResult) {
	if done.Guessable > 0 {
		fmt.Fprintf(w, "%s with a secret of fewer than 16 characters, which may be guessed: better have them regenerated\n", counted(done.Guessable, "token"))
	}
	for _, warning := range done.Warnings {
		fmt.Fprintln(w, warning)
	}
	if done.Differing > 0 {
		fmt.Fprintf(w, "%s there already with another owner or other grants than in the line\n", counted(done.Differing, "token"))
	}
	if done.UnknownScopes > 0 {
		fmt.Fprintf(w, "%s with scopes that aren't in the catalog\n", counted(done.UnknownScopes, "token"))
	}
	fmt.Fprintf(w, "%s imported, %d there already\n", counted(done.Stored, "token"), done.Skipped)
}

// lineCounter counts the lines that are read through it.
type lineCounter struct {
	in    io.Reader
	lines atomic.Int64
}

func (c *lineCounter) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.lines.Add(int64(bytes.Count(b[:n], []byte{'\n'})))
	return n, err
}

func tokenExportCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "export",
		Short: "Print all tokens with their digests, for an import",
		Long: `Prints all tokens, one JSON object per line, as "token import" reads them. The
output has digests, not secrets; protect it nevertheless. It doesn't contain the
records of owners. If the store has lost tokens that it lists, the command prints
the others and fails, and the server logs it.`,
		Example: `  patgate token export > tokens.jsonl
  patgate token export | jq -r 'select(.owner == "alice") | .id'`,
		Args: wantArgs(),
	}, func(a *asking, _ []string) error {
		resp, err := a.send(a.ctx(), http.MethodGet, apiPath("export"), nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return copyAnswer(a.out(), resp.Body)
	})
}
