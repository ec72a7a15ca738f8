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
		Long: `Reads tokens, one JSON object a line, from a file or (-) from standard input, and
stores them: as "token export" and "token show --json" write them, each with its
"secret" or with "digest":"sha256:…". Without an expires_at a token never expires.
Secrets of fewer than 16 characters are taken, and counted: they may be guessed.
So are scopes that aren't in the catalog.

What is there already is skipped, so an import that was interrupted can be run
again; a line is named if it says another owner or other grants. At the first
line that is refused it ends and says how far it came. Of a pipe it sees only the end:
whether an export before it failed, a shell tells with "set -o pipefail".

A token without an "id" gets one. Lists that are newest first go by the ids, which
begin with the time they were made, and not by "created_at".`,
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
		Long: `Prints all tokens, one JSON object a line, as "token import" reads them. It
contains digests, not secrets; it is nevertheless nothing to leave lying around.
Records of owners are not in it. If the store has lost tokens that it lists, the
others are printed, the log says so, and the command fails.`,
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
