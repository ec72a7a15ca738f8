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
		Long: `Reports what is probably a mistake in the policies of a configuration, with file
and line. An error, answered by exit code 1, is a route that no request can be
on. Warnings are: routes that name no requirement; a route for all the rest of a
path that asks for less than routes below it, or for nothing; methods that name a
second path, which isn't judged (MOVE and COPY); a default that isn't
written, or that is public; scopes of the catalog that no route asks for, and,
without a catalog, scopes that look like others, or like never and public, mistyped,
and scopes that look like paths, or like "or" between others;
methods that look like registered ones, mistyped, or like a word for all;
segments that differ only in case; literals like :id, which other routers take for
parameters; tokens taken from URLs; access logs that show tokens in clear; sites whose signed identities nothing tells
apart; a label of the host as space or resource on a site for every host; a time
until which unknown tokens were forwarded, and that is over.

The routes of each server are followed as requests would follow them. Warned of are:
a gate that no request comes to, because what stands before it answers; one behind
another that denies what it has no route for; one whose routes have a prefix that was
cut off before it; upstreams, and files, that stand behind a gate and are also reached past it; error routes that
forward what was turned away, or answer it with these files; judged headers, and those
that say who is asking, changed behind the gate; placeholders of the gate used before it;
bodies of which a rest is taken for the next request, where no gate stands.

Policies are compared with the OpenAPI documents that they name, and with those
given with --openapi: operations that no route covers are reported, those that ask
for a token and are on a public route, routes that no operation has, and documents
whose tokens are nowhere where the gate takes them from.`,
		Example: `  patgate policy check
  patgate policy check --config /etc/caddy/Caddyfile
  patgate policy check --openapi openapi.yaml --base /api`,
		Args: wantArgs(),
	}
	read := configFlags(cmd)
	documents := cmd.Flags().StringArray("openapi", nil, "an OpenAPI document, a `FILE`, to compare the policy with")
	base := cmd.Flags().String("base", "", "`PATH` below which the APIs of --openapi are (default: the path of their servers)")
	host := cmd.Flags().String("site", "", "`HOST` of the site to compare --openapi with, or the place of its gate as in Caddyfile:3, where several use patgate")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		if names := given(cmd, "base", "site"); len(names) > 0 && len(*documents) == 0 {
			return usageErrorf("%s without --openapi says nothing: every site is checked", strings.Join(names, " and "))
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
