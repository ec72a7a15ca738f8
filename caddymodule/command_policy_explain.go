package caddymodule

import (
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
		Long: `Runs the gate's decision code on one request. Without a token, it says what the
request needs. With --token or --secret-stdin, it asks the running server for the
token, and says what a request with it would be answered.

The policy is that of the configuration file. Without a file, it is that of the
running server, if --address is given or there is no Caddyfile in the current
directory. The answer says which one it was: a running server may have another
policy than the file, and other environment variables.

The URL is a path, or a whole URL if several sites use patgate. It is the URL that
the gate sees: handlers that rewrite it before the gate (handle_path, uri, rewrite)
aren't run.

If a snippet makes several gates in one place, they are numbered: Caddyfile:3#2.`,
		Example: `  patgate policy explain GET /v1/spaces/1/stories
  patgate policy explain POST /v1/spaces/1/stories --token 01kbn4mxkpz8t2rwy3c5q7d9ef
  patgate policy explain GET https://api.example.com/v1/spaces/1/stories --header 'X-Space: 7' --json`,
		Args: wantArgs("METHOD", "URL"),
	}
	read := configFlags(cmd)
	var in explainRequest
	cmd.Flags().StringVar(&in.Token, "token", "", "judge the request as if it carried the token with this `ID`")
	cmd.Flags().StringVar(&in.Address, "from", "", "judge it as coming from this `IP` address")
	cmd.Flags().StringVar(&in.Site, "site", "", "`HOST` of the site, or the place of its gate as in Caddyfile:3, if the URL doesn't say")
	secretStdin := cmd.Flags().Bool("secret-stdin", false, "judge it as if it carried the secret read from standard input")
	headers := cmd.Flags().StringArray("header", nil, "a `HEADER` of the request, as in 'X-Space: 7'")
	address := cmd.Flags().String("address", "", "`ADDRESS` of the running server's admin endpoint, for the token and, without --config, for the policy")
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
		in.Method, in.URL = args[0], args[1]
		if in.Headers, err = headersIn(*headers); err != nil {
			return err
		}
		q, err := newQuestion(&in)
		if err != nil {
			return usageError(err)
		}
		if *secretStdin {
			if in.Secret, err = readSecret(cmd); err != nil {
				return err
			}
		}
		flags := cmd.Flags()
		if _, err := os.Stat("Caddyfile"); err == nil && !flags.Changed("config") && *address == "" {
			if err := flags.Set("config", "Caddyfile"); err != nil { // it says where the running server is, too
				return err
			}
		}
		var e explanation
		if flags.Changed("config") {
			e, err = explainFile(cmd, read, *address, q)
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

// headersIn reads headers as --header has them.
func headersIn(lines []string) (map[string]headerValues, error) {
	headers := map[string]headerValues{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usageErrorf("--header: want 'Name: value', with a colon")
		}
		name = strings.TrimSpace(name)
		headers[name] = append(headers[name], strings.TrimSpace(value))
	}
	return headers, nil
}

// explainRunning asks the running server.
func explainRunning(cmd *cobra.Command, address string, in explainRequest) (e explanation, err error) {
	admin, err := newClient(address, cmd)
	if err != nil {
		return e, err
	}
	err = admin.call(cmd.Context(), http.MethodPost, apiPath("explain"), in, &e)
	if err != nil && address == "" {
		err = fmt.Errorf("there is no Caddyfile here, so the running server is asked: %w", err)
	}
	e.Policy = &policySource{Server: admin.address}
	return e, err
}

// explainFile judges by a configuration file. Only the token is the running
// server's.
func explainFile(cmd *cobra.Command, read func() (*configuration, error), address string, q question) (e explanation, err error) {
	c, err := read()
	if err != nil {
		return e, err
	}
	s, err := siteFor(c.sites, q.site())
	if err != nil {
		return e, err
	}
	if q.in.Token != "" || q.in.Secret != "" {
		admin, err := newClient(address, cmd)
		if err != nil {
			return e, err
		}
		if err := admin.lookUp(cmd.Context(), &q, q.in.Token, q.in.Secret); err != nil {
			return e, err
		}
	}
	e = s.explain(&q)
	e.Policy = &policySource{File: flagValue(cmd, "config")}
	return e, nil
}

// policySource says whose policy a request was judged by: that of a configuration file,
// or of the running server.
type policySource struct {
	File   string `json:"file,omitempty"`   // - is standard input
	Server string `json:"server,omitempty"` // the address of its admin endpoint
}

// words says it for people. Beside a token of the running server, the file's policy is
// easily taken for that server's.
func (p *policySource) words(ofToken bool) string {
	switch {
	case p == nil:
		return ""
	case p.Server != "":
		return "of the server at " + p.Server
	case ofToken:
		return "of the file " + p.File + "; --address has the running server judge by its own"
	}
	return "of the file " + p.File
}

// lookUp gets a token and its owner from the running server, by the token's id
// or by its secret.
func (c *client) lookUp(ctx context.Context, q *question, id, secret string) (err error) {
	var view token.View
	if id != "" {
		err = c.call(ctx, http.MethodGet, apiPath("tokens", id), nil, &view)
	} else {
		err = c.call(ctx, http.MethodPost, apiPath("verify"), verification{secret}, &view)
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
func printExplanation(w io.Writer, in explainRequest, e explanation) {
	fields := []field{{"request", e.Request}}
	for _, h := range e.Headers {
		fields = append(fields, field{"  with", h})
	}
	fields = append(fields, field{"  removed", strings.Join(e.Removed, ", ")}, field{"  from", in.Address},
		field{"policy", e.Policy.words(in.Token != "" || in.Secret != "")}, field{"path", e.Path})
	if e.Rewritten {
		fields = append(fields, field{"  rewritten", "not here: ask for the URL that the gate gets from what rewrites requests before it"})
	}
	if r := e.Route; r != nil {
		needs := r.Require
		if r.Optional {
			needs += ", or no token at all"
		}
		fields = append(fields, field{"route", routeText(r)}, field{"strictest", e.Strictest}, field{"needs", needs},
			field{"space", locatedText(e.Space)}, field{"resource", locatedText(e.Resource)}, field{"token from", strings.Join(r.From, ", ")})
	} else if e.Path != "" {
		fields = append(fields, field{"route", "none matches"})
	}
	if t := e.Token; t != nil {
		fields = append(fields, field{"token", fmt.Sprintf("%s %q of %q, %s", t.ID, t.Name, t.Owner, t.Status)})
		fields = append(fields, heldFields(t.Grants)...)
		if o := e.Owner; o != nil && !o.Enabled {
			fields = append(fields, field{"owner", fmt.Sprintf("%q is disabled", o.ID)})
		} else if o != nil {
			fields = append(fields, field{"owner", fmt.Sprintf("%q may do no more than", o.ID)})
			fields = append(fields, heldFields(o.Grants)...)
		}
		if len(t.AllowedIPs) > 0 && in.Address == "" {
			fields = append(fields, field{"allowed", fmt.Sprintf("from %v only, which --from would judge", t.AllowedIPs)})
		}
	}
	fields = append(fields, field{"decision", decisionText(&e)})
	if e.Alike != nil {
		fields = append(fields, field{"read as", routeText(e.Alike) + ", which asks for " + e.Alike.Require})
	}
	fields = append(fields, field{"because", e.Detail})
	if e.Option != "" {
		fields = append(fields, field{"unless", "the gate says " + e.Option})
	}
	printSheet(w, fields)
}

// heldFields are the lines with what a token holds, or an owner.
func heldFields(grants []token.Grant) []field {
	if len(grants) == 0 {
		return []field{{"  holds", "nothing"}}
	}
	fields := make([]field, len(grants))
	for i, g := range grants {
		text, _ := json.Marshal(g) // strings only: never fails
		fields[i] = field{"  holds", string(text)}
	}
	return fields
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
