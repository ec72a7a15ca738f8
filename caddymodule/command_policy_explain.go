package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

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
		Args: wantArgs("METHOD", "URL"),
	}
	read := configFlags(cmd)
	var in explainRequest
	cmd.Flags().StringVar(&in.Token, "token", "", "judge the request as if it carried the token with this `ID`")
	cmd.Flags().StringVar(&in.Address, "from", "", "judge it as coming from this `IP` address")
	cmd.Flags().StringVar(&in.Site, "site", "", "`HOST` of the site that is meant, or the place of its gate as in Caddyfile:3, where the URL doesn't say")
	secretStdin := cmd.Flags().Bool("secret-stdin", false, "judge it as if it carried the secret read from standard input")
	headers := cmd.Flags().StringArray("header", nil, "a `HEADER` of the request, as in 'X-Space: 7'")
	address := cmd.Flags().String("address", "", "`ADDRESS` of the running server's admin endpoint, which is asked for the token")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, args []string) (err error) {
		if err := oneOf(cmd, "token", "secret-stdin"); err != nil {
			return err
		}
		if cmd.Flags().Changed("token") {
			if err := checkIDs(in.Token); err != nil {
				return err
			}
		}
		in.Method, in.URL, in.Headers = args[0], args[1], map[string]headerValues{}
		for _, h := range *headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usageErrorf("--header: want 'Name: value', with a colon")
			}
			name = strings.TrimSpace(name)
			in.Headers[name] = append(in.Headers[name], strings.TrimSpace(value))
		}
		q, err := newQuestion(in.Method, in.URL, in.header(), in.Address)
		if err != nil {
			return usageError(err)
		}
		if *secretStdin {
			if in.Secret, err = readSecret(cmd); err != nil {
				return err
			}
		}
		flags := cmd.Flags()
		if _, err := os.Stat("Caddyfile"); err == nil && !flags.Changed("config") {
			if err := flags.Set("config", "Caddyfile"); err != nil { // it says where the running server is, too
				return err
			}
		}
		var e explanation
		if flags.Changed("config") {
			e, err = explainFile(cmd, read, *address, in, q)
		} else {
			e, err = explainRunning(cmd, *address, in)
		}
		if err != nil {
			return err
		}
		return printAnswer(cmd, *asJSON, e, func(w io.Writer, e explanation) { printExplanation(w, in, e) })
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
func explainFile(cmd *cobra.Command, read func() (*configuration, error), address string, in explainRequest, q question) (e explanation, err error) {
	c, err := read()
	if err != nil {
		return e, err
	}
	s, err := siteFor(c.sites, cmp.Or(in.Site, q.host()))
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
	if secret != "" && q.without(err) {
		return nil
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
func printExplanation(out io.Writer, in explainRequest, e explanation) {
	w := newTable(out)
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
	line("request", "%s", e.Request)
	for _, h := range e.Headers {
		line("  with", "%s", h)
	}
	if len(e.Removed) > 0 {
		line("  removed", "%s", strings.Join(e.Removed, ", "))
	}
	if in.Address != "" {
		line("  from", "%s", in.Address)
	}
	if e.Path != "" {
		line("path", "%s", e.Path)
	}
	switch {
	case e.Route == nil && e.Path != "":
		line("route", "none matches")
	case e.Route != nil:
		line("route", "%s", routeText(e.Route))
		if e.Strictest != "" {
			line("strictest", "%s", e.Strictest)
		}
		needs := e.Route.Require
		if e.Route.Optional {
			needs += ", or no token at all"
		}
		line("needs", "%s", needs)
		line("space", "%s", locatedText(e.Space))
		line("resource", "%s", locatedText(e.Resource))
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
	line("decision", "%s", decisionText(&e))
	if e.Alike != nil {
		line("read as", "%s, which asks for %s", routeText(e.Alike), e.Alike.Require)
	}
	if e.Detail != "" {
		line("because", "%s", e.Detail)
	}
	if e.Option != "" {
		line("unless", "the gate says %s", e.Option)
	}
	w.Flush()
}

// decisionText says what becomes of the request.
func decisionText(e *explanation) string {
	decision := e.Decision
	switch {
	case e.Status != 0:
		decision += fmt.Sprintf(" (%d %s)", e.Status, http.StatusText(e.Status))
	case e.Found != "" && !e.TokenJudged:
		decision = "depends on the token (" + e.Found + ")"
	}
	if e.Reports && decision != policy.Forward.String() {
		decision += ", but forwarded all the same: mode report"
	}
	return decision
}

// routeText writes a route with its place.
func routeText(r *policy.RouteInfo) string {
	text := strings.Join(r.Methods, ",") + " " + r.Pattern
	if r.At != "" {
		text += " (" + r.At + ")"
	}
	return text
}

// locatedText says what was found at a source, and what is wrong with it. In a
// request that can be read in two ways, nothing was looked for.
func locatedText(v *policy.LocatedValue) string {
	if v == nil {
		return "none"
	}
	return strings.TrimSpace(v.Value + " (" + strings.TrimSpace(v.Source+" "+v.Problem) + ")")
}
