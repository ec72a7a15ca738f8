package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/policy/openapi"
)

func policyImportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import OPENAPI-FILE [--base PATH] [--default REQUIREMENT] [--scheme 'NAME REQUIREMENT']... [--ignore SCHEME]...",
		Short: "Print the routes of an OpenAPI document as a Caddyfile snippet to edit",
		Long: `Reads an OpenAPI document, 3.0 or later, and prints routes to edit: those that the
word openapi in a Caddyfile makes of it, in groups, with operationIds and summaries.

An operation needs what its security in the document says. If a scheme there names
no scopes, --default or --scheme says what it needs. --ignore names schemes that
aren't tokens. An operation whose need is still open, or whose scopes no token can
have, is closed (never). If the document has tokens in other places than bearer,
token_from lines are printed, too.`,
		Example: `  patgate policy import openapi.yaml
  patgate policy import openapi.yaml --base /api --default any --ignore sessionCookie > routes.caddyfile`,
		Args: wantArgs("OPENAPI-FILE"),
	}
	var c policy.OpenAPIConfig
	cmd.Flags().StringVar(&c.Base, "base", "", "`PATH` of the API (default: the path of the document's servers)")
	cmd.Flags().StringVar(&c.Default, "default", "", "the `REQUIREMENT` of operations without security, or with a scheme without scopes")
	cmd.Flags().StringArrayVar(&c.Ignore, "ignore", nil, "a security `SCHEME` that isn't a token (repeatable)")
	schemes := cmd.Flags().StringArray("scheme", nil, "`'NAME REQUIREMENT'`: what a security scheme without scopes needs, as in 'bearerAuth any', or '\"API key\" any' for a name with blanks (repeatable)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, args []string) error {
		for _, s := range *schemes {
			scheme, err := schemeIn(s)
			if err != nil {
				return usageError(err)
			}
			c.Schemes = append(c.Schemes, scheme)
		}
		c.File = args[0]
		d, err := openapi.Read(c.File)
		if err != nil {
			return err
		}
		var draft *openapi.Draft
		w := bufio.NewWriter(cmd.OutOrStdout())
		if *asJSON {
			if draft, err = d.Draft(c); err == nil {
				err = rest.Print(w, draft)
			}
		} else {
			draft, err = d.WriteSnippet(w, c) // with what is left open as comments
		}
		if err == nil {
			err = sayMistakes(cmd.ErrOrStderr(), draft)
		}
		if err != nil {
			return err
		}
		return w.Flush()
	})
	return cmd
}

// schemeIn reads what a security scheme asks for, quoted as in a Caddyfile.
func schemeIn(text string) (s policy.SchemeConfig, err error) {
	words, err := caddyfile.Tokenize([]byte(text), "--scheme")
	if err != nil || len(words) < 2 {
		return s, fmt.Errorf("--scheme %q: want a name and a requirement", text)
	}
	s.Name = words[0].Text
	for _, w := range words[1:] {
		s.Require = strings.TrimPrefix(s.Require+" "+w.Text, " ")
	}
	return s, nil
}

// sayMistakes says what keeps routes from being compiled as they are, and how many
// take a token where the document asks for another credential, or want several.
func sayMistakes(w io.Writer, draft *openapi.Draft) error {
	if draft.Doubtful > 0 {
		fmt.Fprintf(w, "%s: --default takes a token where the document asks for another credential; see EDIT\n", counted(draft.Doubtful, "route"))
	}
	if draft.Several > 0 {
		fmt.Fprintf(w, "%s: the document asks for several tokens in one request, which is refused; see EDIT\n", counted(draft.Several, "route"))
	}
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		return err
	}
	if _, err := policy.Compile(policy.Config{Routes: draft.Routes}, catalog); err != nil {
		fmt.Fprintf(w, "To be mended before it can be used:\n%v\n", err)
	}
	return nil
}
