package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/policy/openapi"
)

func policyCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--config FILE] [--openapi FILE [--base PATH]]...",
		Short: "Report mistakes in the policies, with file and line",
		Long: `Reports probable mistakes in the policies of a configuration, with file and line.

An error, with exit code 1, is a route that no request can match. All others are
warnings.

In the policies:

- routes without a requirement; a route for the rest of a path that asks for less
  than routes below it, or for nothing; a default that isn't written, or is public;
- methods and scopes that look mistyped, like a path, like "or", or like a word for
  all; MOVE and COPY, whose second path isn't judged; scopes of the catalog that no
  route asks for;
- segments that differ only in case; literals like :id, which other routers take for
  parameters; a label of the host as space or resource on a site for every host;
- tokens taken from URLs, and access logs that show tokens;
- signed identities of several sites that nothing tells apart;
- an unknown_token forward whose date has passed; in JSON, keys given twice.

In the routes of each server, which are followed as requests would follow them:

- a gate that no request reaches, because a handler before it answers; a gate after
  another that denies what it has no route for; a gate whose routes all have a prefix
  that was cut off before it;
- upstreams and files that can also be reached without their gate; error routes that
  forward what a gate rejected, or answer it with gated files;
- headers that are judged, or say who is asking, changed after the gate; placeholders
  of the gate used before it;
- the rest of a body that is taken for the next request where there is no gate.

In comparison with OpenAPI documents, those of the policies and those of --openapi:

- operations that no route covers, and routes that no operation has;
- operations that ask for a token and are on a public route;
- documents with tokens only where the gate takes none.`,
		Example: `  patgate policy check
  patgate policy check --config /etc/caddy/Caddyfile
  patgate policy check --openapi openapi.yaml --base /api`,
		Args: wantArgs(),
	}
	read := configFlags(cmd)
	documents := cmd.Flags().StringArray("openapi", nil, "`FILE` with an OpenAPI document to compare the policy with")
	base := cmd.Flags().String("base", "", "`PATH` of the APIs of --openapi (default: the path of their servers)")
	host := cmd.Flags().String("site", "", "`HOST` of the site to compare --openapi with, or the place of its gate as in Caddyfile:3, if several use patgate")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if names := given(cmd, "base", "site"); len(names) > 0 && len(*documents) == 0 {
			return usageErrorf("%s: only with --openapi; without it, every site is checked", strings.Join(names, " and "))
		}
		found, err := findingsBy(read, *documents, *base, *host)
		switch {
		case err == nil:
			return found.print(cmd, *asJSON)
		case *asJSON && !errors.As(err, new(usage)):
			return cmp.Or(rest.Print(cmd.OutOrStdout(), unreadable(err)), err)
		}
		return err
	})
	return cmd
}

// findingsBy checks the configuration that is read. An error is that nothing could be checked.
func findingsBy(read func() (*configuration, error), documents []string, base, host string) (*findings, error) {
	c, err := read()
	if err != nil {
		return nil, err
	}
	if len(c.sites) == 0 {
		return nil, errNoSites
	}
	differences, err := compareDocuments(c.sites, documents, base, host)
	if err != nil {
		return nil, err
	}
	return findingsIn(c.sites, append(c.check(), differences...)), nil
}

// findings are what policy check says.
type findings struct {
	Sites    int              `json:"sites"`
	Routes   int              `json:"routes"`
	Errors   int              `json:"errors"`
	Warnings []policy.Warning `json:"warnings"` // errors among them
}

// findingsIn checks the policies of the sites. others are warnings about what surrounds
// them.
func findingsIn(sites []site, others []policy.Warning) *findings {
	f := &findings{Sites: len(sites)}
	var policies []*policy.Policy
	for _, s := range sites {
		policies = append(policies, s.gate.policy)
		f.Routes += len(s.gate.policy.Routes())
	}
	f.Warnings = append(append([]policy.Warning{}, policy.Warnings(policies...)...), others...)
	for _, w := range f.Warnings {
		if w.Error {
			f.Errors++
		}
	}
	return f
}

// unreadable returns what policy check says where it could check nothing: of a configuration,
// or a document, that can't be read, as far as it is known where.
func unreadable(err error) *findings {
	f := new(findings)
	for text := range strings.SplitSeq(err.Error(), "\n") {
		w := policy.Warning{Kind: warnUnreadable, Text: text, Error: true}
		if found := place.FindStringSubmatch(text); found != nil {
			w.At = cmp.Or(found[1], found[2])
		}
		f.Warnings = append(f.Warnings, w)
		f.Errors++
	}
	return f
}

// place finds file:line in an error about a configuration, before the text or after it.
// With nested blocks, each adds its own place after that of the mistake.
var place = regexp.MustCompile(`^(?:parsing caddyfile tokens for '[^']+': |reading configuration: )*((?:[A-Za-z]:)?[^:]+:\d+): ` +
	`|, at ((?:[A-Za-z]:)?[^:,]+:\d+)(?:, at | import chain|$)`)

// print prints what was found. That there are errors is one, too.
func (f *findings) print(cmd *cobra.Command, asJSON bool) error {
	err := printAnswer(cmd, asJSON, f, printFindings)
	if err == nil && f.Errors > 0 {
		err = fmt.Errorf("%s in the policies", counted(f.Errors, "error"))
	}
	return err
}

// printFindings writes a line for each warning, and one that counts them.
func printFindings(out io.Writer, f *findings) {
	for i := range f.Warnings {
		w := &f.Warnings[i]
		if w.At != "" {
			fmt.Fprintf(out, "%s: ", w.At)
		}
		fmt.Fprintf(out, "%s: %s\n", w.Severity(), w.Text)
	}
	fmt.Fprintf(out, "%s, %s, ", counted(f.Sites, "site"), counted(f.Routes, "route"))
	if f.Errors > 0 {
		fmt.Fprintf(out, "%s, ", counted(f.Errors, "error"))
	}
	fmt.Fprintln(out, counted(len(f.Warnings)-f.Errors, "warning"))
}

// compareDocuments says where the sites' policies and OpenAPI documents differ:
// those that the configuration names, and further files, which are compared with
// the policy of one site.
func compareDocuments(sites []site, files []string, base, host string) ([]policy.Warning, error) {
	var further []policy.OpenAPIConfig
	for _, file := range files {
		absolute, err := filepath.Abs(file)
		if err != nil {
			return nil, err
		}
		further = append(further, policy.OpenAPIConfig{File: absolute, Base: base})
	}
	var of *Handler
	if len(further) > 0 {
		s, err := siteFor(sites, host)
		if err != nil {
			return nil, err
		}
		of = s.gate
	}
	var all []policy.Warning
	for _, s := range sites {
		documents := further
		if s.gate != of {
			documents = nil
		}
		warnings, err := openapi.Compare(s.gate.Config, s.gate.policy, documents...)
		if err != nil {
			return nil, err
		}
		all = append(all, warnings...)
	}
	return all, nil
}
