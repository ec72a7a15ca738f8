package caddymodule

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// policyCommand is the commands that look at policies. They need no running
// server but to look a token up.
func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, show, explain and test policies",
		Long: `Commands that look at the policies in a configuration. They run the gate's own
decision code on the configuration file and need no running server, except to
look up the token that explain is asked about.`,
	}
	cmd.AddCommand(policyCheckCommand(), policyRoutesCommand(), policyExplainCommand(), policyTestCommand(), policyDiffCommand(),
		policyImportCommand())
	return cmd
}

// configFlags adds the flags that say which configuration is meant.
func configFlags(cmd *cobra.Command) (read func() (*configuration, error)) {
	file := cmd.Flags().StringP("config", "c", "", "configuration file (default: Caddyfile in the current directory)")
	adapter := cmd.Flags().StringP("adapter", "a", "", "config adapter (default: caddyfile, unless the file ends in .json)")
	return func() (*configuration, error) { return readConfiguration(*file, *adapter) }
}

func policyRoutesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "routes [--config FILE]",
		Short: "Show the compiled table of routes",
		Example: `  patgate policy routes
  patgate policy routes --config Caddyfile --json`,
		Args: cobra.NoArgs,
	}
	read := configFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		c, err := read()
		if err != nil {
			return err
		}
		type siteRoutes struct {
			Hosts   []string           `json:"hosts"`
			Default string             `json:"default"`
			Routes  []policy.RouteInfo `json:"routes"`
		}
		all := []siteRoutes{}
		for _, s := range c.sites {
			routes := siteRoutes{Hosts: s.hosts, Default: s.gate.policy.Default(), Routes: []policy.RouteInfo{}}
			for _, r := range s.gate.policy.Routes() {
				routes.Routes = append(routes.Routes, r.Info())
			}
			all = append(all, routes)
		}
		if *asJSON {
			return rest.Print(cmd.OutOrStdout(), all)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		for i, s := range all {
			fmt.Fprintf(w, "%s\n", c.sites[i])
			fmt.Fprintln(w, "METHODS\tPATTERN\tREQUIRES\tSPACE\tRESOURCE\tAT")
			for _, r := range s.Routes {
				require := r.Require
				if r.Optional {
					require += " (optional)"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", strings.Join(r.Methods, ","), r.Pattern, require, r.Space, r.Resource, r.At)
			}
			fmt.Fprintf(w, "*\t(everything else)\t%s\t\t\t\n", s.Default)
		}
		return w.Flush()
	})
	return cmd
}

func policyTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [--config FILE] CASES.jsonl...",
		Short: "Compare the policy with what requests are known to need",
		Long: `Reads cases, one JSON object a line, and compares what the policy asks of each
request with what the case says it needs:

  {"method":"GET","path":"/v1/spaces/1/stories","scope":"stories:read","space":"1","resource":null}

scope is "a b" (both are needed), "a|b" (one of them), public, any, never, deny
(no route), or a list (all are needed). space and resource are those found in the
request, or null. "anonymous": true says that the request is also served without
a token. Other keys are ignored. The file - is standard input.`,
		Example: `  patgate policy test --config Caddyfile cases.jsonl
  patgate policy test --site api.example.com cases/*.jsonl`,
		Args: cobra.MinimumNArgs(1),
	}
	read := configFlags(cmd)
	host := cmd.Flags().String("site", "", "host of the site to test, where several use patgate")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, files []string) error {
		c, err := read()
		if err != nil {
			return err
		}
		s, err := siteFor(c.sites, *host)
		if err != nil {
			return err
		}
		return testCases(cmd.OutOrStdout(), s.gate.policy, files, *asJSON)
	})
	return cmd
}

// testCases runs the cases in files. Its last line says how many passed.
func testCases(out io.Writer, p *policy.Policy, files []string, asJSON bool) error {
	type failure struct {
		File  string `json:"file"`
		Line  int    `json:"line"`
		Case  string `json:"case"`
		Error string `json:"error"`
	}
	failures, passed := []failure{}, 0
	for _, file := range files {
		cases, err := casesIn(file)
		if err != nil {
			return err
		}
		for _, c := range cases {
			err := p.Check(c)
			if err == nil {
				passed++
				continue
			}
			why := strings.ReplaceAll(err.Error(), "\n", "; ")
			failures = append(failures, failure{file, c.Line, c.Method + " " + c.Path, why})
			if !asJSON {
				fmt.Fprintf(out, "%s:%d: %s %s: %s\n", file, c.Line, c.Method, c.Path, why)
			}
		}
	}
	if asJSON {
		if err := rest.Print(out, map[string]any{"passed": passed, "failed": len(failures), "failures": failures}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%d passed, %d failed\n", passed, len(failures))
	}
	if len(failures) > 0 {
		return errSilent
	}
	return nil
}

func casesIn(file string) ([]policy.Case, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading cases: %w", err)
		}
		defer f.Close()
		in = f
	}
	cases, err := policy.ReadCases(in)
	if err != nil {
		return nil, fmt.Errorf("reading cases: %s: %w", file, err)
	}
	return cases, nil
}

func policyExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [--config FILE] METHOD URL [--token ID | --secret-stdin] [--header 'K: V']...",
		Short: "Say what the gate makes of a request, and why",
		Long: `Runs the gate's decision code on one request. Without a token it says what the
request needs; with --token or --secret-stdin, which ask the running server for
the token, it says what that token would be answered.

The policy is that of the configuration file; without one, and without a
Caddyfile in the current directory, that of the running server. The URL is a path,
or a whole URL where several sites use patgate.`,
		Example: `  patgate policy explain GET /v1/spaces/1/stories
  patgate policy explain POST /v1/spaces/1/stories --token 01kbn4mxkpz8t2rwy3c5q7d9ef
  patgate policy explain GET https://api.example.com/v1/spaces/1/stories --header 'X-Space: 7' --json`,
		Args: cobra.ExactArgs(2),
	}
	read := configFlags(cmd)
	var in explainRequest
	cmd.Flags().StringVar(&in.Token, "token", "", "judge the request as if it carried the token with this id")
	cmd.Flags().StringVar(&in.Address, "from", "", "judge it as coming from this IP address")
	secretStdin := cmd.Flags().Bool("secret-stdin", false, "judge it as if it carried the secret read from standard input")
	headers := cmd.Flags().StringArray("header", nil, "a header of the request, as in 'X-Space: 7'")
	address := cmd.Flags().String("address", "", "address of the running server's admin endpoint")
	asJSON := jsonFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("token", "secret-stdin")
	cmd.RunE = run(func(cmd *cobra.Command, args []string) (err error) {
		in.Method, in.URL, in.Headers = args[0], args[1], map[string]string{}
		for _, h := range *headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usageError(fmt.Errorf("--header %q: want 'Name: value'", h))
			}
			in.Headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		if *secretStdin {
			if in.Secret, err = readSecret(cmd); err != nil {
				return err
			}
		}
		var e explanation
		if _, err := os.Stat("Caddyfile"); err != nil && !cmd.Flags().Changed("config") {
			e, err = explainRunning(cmd, *address, in)
			if err != nil {
				return err
			}
		} else if e, err = explainFile(cmd, read, *address, in); err != nil {
			return err
		}
		if *asJSON {
			return rest.Print(cmd.OutOrStdout(), e)
		}
		return printExplanation(cmd.OutOrStdout(), in, e)
	})
	return cmd
}

// explainRunning asks the running server.
func explainRunning(cmd *cobra.Command, address string, in explainRequest) (e explanation, err error) {
	admin, err := newClient(address, cmd)
	if err != nil {
		return e, err
	}
	if err := admin.call(cmd.Context(), http.MethodPost, apiPath("explain"), in, &e); err != nil {
		return e, fmt.Errorf("there is no Caddyfile here, so the running server is asked: %w", err)
	}
	return e, nil
}

// explainFile judges by a configuration file. Only the token is the running
// server's.
func explainFile(cmd *cobra.Command, read func() (*configuration, error), address string, in explainRequest) (e explanation, err error) {
	c, err := read()
	if err != nil {
		return e, err
	}
	headers := http.Header{}
	for name, value := range in.Headers {
		headers[name] = []string{value}
	}
	q, err := newQuestion(in.Method, in.URL, headers, in.Address)
	if err != nil {
		return e, usageError(err)
	}
	s, err := siteFor(c.sites, q.host())
	if err != nil {
		return e, err
	}
	if in.Token != "" || in.Secret != "" {
		admin, err := newClient(address, cmd)
		if err != nil {
			return e, err
		}
		if err := admin.lookUp(cmd.Context(), &q, in.Token, in.Secret); err != nil {
			return e, err
		}
	}
	return s.gate.explain(&q), nil
}

// lookUp gets a token and its owner from the running server, by the token's id
// or by its secret.
func (c *client) lookUp(ctx context.Context, q *question, id, secret string) (err error) {
	var view token.View
	if id != "" {
		err = c.call(ctx, http.MethodGet, apiPath("tokens", id), nil, &view)
	} else {
		err = c.call(ctx, http.MethodPost, apiPath("verify"), map[string]string{"secret": secret}, &view)
	}
	if err != nil {
		return err
	}
	var owner *token.Owner
	if view.Owner != "" {
		owner = new(token.Owner)
		if err := c.call(ctx, http.MethodGet, apiPath("owners", view.Owner), nil, owner); isNotFound(err) {
			owner = nil
		} else if err != nil {
			return err
		}
	}
	q.with(&view, owner)
	return nil
}

// printExplanation writes an explanation as can be put in a ticket.
func printExplanation(out io.Writer, in explainRequest, e explanation) error {
	b := bufio.NewWriter(out)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	grants := func(grants []token.Grant) {
		for _, g := range grants {
			text, _ := json.Marshal(g) // strings only: never fails
			line("  holds", "%s", text)
		}
		if len(grants) == 0 {
			line("  holds", "nothing")
		}
	}
	line("request", "%s %s", in.Method, in.URL)
	if e.Path != "" {
		line("path", "%s", e.Path)
	}
	if e.Route == nil {
		line("route", "none matches")
	} else {
		line("route", "%s %s %s", strings.Join(e.Route.Methods, ","), e.Route.Pattern, inParentheses(e.Route.At))
		if e.Strictest != "" {
			line("strictest", "%s", e.Strictest)
		}
		needs := e.Route.Require
		if e.Route.Optional {
			needs += ", or no token at all"
		}
		line("needs", "%s", needs)
		line("space", "%s", locatedText(e.Space, e.Route.Space))
		line("resource", "%s", locatedText(e.Resource, e.Route.Resource))
		line("token from", "%s", strings.Join(e.Route.From, ", "))
	}
	if v := e.Token; v != nil {
		line("token", "%s %q of %q, %s", v.ID, v.Name, v.Owner, v.Status)
		grants(v.Grants)
		if o := e.Owner; o != nil && !o.Enabled {
			line("owner", "%q is disabled", o.ID)
		} else if o != nil {
			line("owner", "%q may do no more than", o.ID)
			grants(o.Grants)
		}
		if len(v.AllowedIPs) > 0 && in.Address == "" {
			line("allowed", "from %v only, which --from would judge", v.AllowedIPs)
		}
	}
	decision := e.Decision
	if e.Status != 0 {
		decision += fmt.Sprintf(" (%d %s)", e.Status, http.StatusText(e.Status))
	}
	line("decision", "%s", decision)
	if e.Detail != "" {
		line("because", "%s", e.Detail)
	}
	w.Flush()
	return b.Flush()
}

func inParentheses(s string) string {
	if s == "" {
		return ""
	}
	return "(" + s + ")"
}

func locatedText(v *policy.LocatedValue, source string) string {
	switch {
	case v == nil:
		return "none"
	case v.Value == "":
		return "(" + source + ")"
	}
	return v.Value + " (" + v.Source + ")"
}
