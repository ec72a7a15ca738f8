package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/token"
)

func reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report [--clear]",
		Short: "Show what enforcing would break",
		Long: `Shows the requests that report mode has forwarded and would have rejected, by
route, reason and token, the most frequent first, and the routes and grants that
would let them through. Each server has its own report, from its start or from
the last --clear.`,
		Example: `  patgate report
  patgate report --json | jq '.findings[] | select(.reason == "route_unknown") | .path'`,
		Args: wantArgs(),
	}
	forget := cmd.Flags().Bool("clear", false, "clear the report, and show nothing")
	return askingCommand(cmd, func(a *asking, _ []string) error {
		if *forget {
			return ask(a, http.MethodDelete, apiPath("report"), nil, func(w io.Writer, _ reportAnswer) {
				fmt.Fprintln(w, "begun anew")
			})
		}
		command := a.cmd.Parent().CommandPath()
		return ask(a, http.MethodGet, apiPath("report"), nil, func(w io.Writer, r reportAnswer) { printReport(w, r, command) })
	})
}

// printReport writes what was found. command is what patgate's commands begin with.
func printReport(w io.Writer, r reportAnswer, command string) {
	if len(r.Findings) == 0 {
		fmt.Fprintf(w, "nothing would have been rejected in report mode since %s\n", r.Since.UTC().Format(time.DateTime+" MST"))
		return
	}
	table := newTable(w)
	fmt.Fprintln(table, "COUNT\tREASON\tROUTE\tTOKEN\tOWNER\tSPACE\tLAST REQUEST\tLAST SEEN")
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\t%s %s\t%s\n", f.Count, f.Reason, cmp.Or(f.Route, f.Detail), f.Token, f.Owner, f.Space,
			f.Method, f.Path, distance(f.Last, time.Now()))
	}
	table.Flush() // w keeps its error
	if r.Forgotten > 0 {
		fmt.Fprintf(w, "and %d more, which there was no room to remember\n", r.Forgotten)
	}
	var tokens, owners []string
	for _, f := range r.Findings {
		if show := command + " token show " + f.Token; f.ManySpaces && !slices.Contains(tokens, show) {
			tokens = append(tokens, show)
		}
		if show := command + " owner show " + shellQuoted(f.Owner); f.OwnerForbids && !slices.Contains(owners, show) {
			owners = append(owners, show)
		}
	}
	for _, advice := range []struct {
		heading string
		lines   []string
	}{
		{"No route is for some of these. Those that are part of the API need, with the scopes that they are to ask for,", routeLines(missingRoutes(r.Findings))},
		{"Where the token's owner is to have them, these grants would let requests through", grantLines(mendingGrants(r.Findings), command)},
		{"With these grants, these tokens would be for several spaces, and no longer for routes in the token's own space (space token): give another token the other spaces", tokens},
		{"The records of these owners don't allow some of these, whatever their tokens hold", owners},
	} {
		if len(advice.lines) > 0 {
			fmt.Fprintf(w, "\n%s\n\n  %s\n", advice.heading, strings.Join(advice.lines, "\n  "))
		}
	}
}

// shellQuoted returns text as one word for a shell. A space or resource is what a
// client has sent.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// missingRoute is a route that requests on none would be on.
type missingRoute struct {
	gate    string // where that is written
	methods []string
	pattern string
}

// missingRoutes returns the routes that would be for requests on none, those of each
// gate together.
func missingRoutes(findings []finding) (routes []missingRoute) {
	for _, f := range findings {
		if f.Proposed == "" {
			continue
		}
		i := slices.IndexFunc(routes, func(r missingRoute) bool { return r.gate == f.At && r.pattern == f.Proposed })
		if i < 0 {
			i = len(routes)
			routes = append(routes, missingRoute{gate: f.At, pattern: f.Proposed})
		}
		if r := &routes[i]; !slices.Contains(r.methods, f.Method) {
			r.methods = append(r.methods, f.Method)
		}
	}
	slices.SortStableFunc(routes, func(a, b missingRoute) int { return strings.Compare(a.gate, b.gate) })
	return routes
}

// routeLines are the lines of a Caddyfile with routes, which say the gate where there are
// several.
func routeLines(routes []missingRoute) (lines []string) {
	for _, r := range routes {
		line := fmt.Sprintf("route %s %s <scope>", strings.Join(r.methods, ","), r.pattern)
		if r.gate != routes[0].gate || r.gate != routes[len(routes)-1].gate {
			line += "  # in the gate at " + r.gate
		}
		lines = append(lines, line)
	}
	return lines
}

// mend is a grant that a token lacks.
type mend struct {
	token string
	grant token.Grant
}

// mendingGrants returns the grants that would let tokens through, those of a
// token for the same space and resource as one.
func mendingGrants(findings []finding) (mends []mend) {
	for _, f := range findings {
		if f.Grant == nil {
			continue
		}
		i := slices.IndexFunc(mends, func(m mend) bool {
			return m.token == f.Token && slices.Equal(m.grant.Spaces, f.Grant.Spaces) && slices.Equal(m.grant.Resources, f.Grant.Resources)
		})
		if i < 0 {
			mends = append(mends, mend{f.Token, *f.Grant})
			continue
		}
		for _, s := range f.Grant.Scopes {
			if !slices.Contains(mends[i].grant.Scopes, s) {
				mends[i].grant.Scopes = append(slices.Clip(mends[i].grant.Scopes), s)
			}
		}
	}
	return mends
}

// grantLines are the commands that give tokens the grants they lack.
func grantLines(mends []mend, command string) (lines []string) {
	for _, m := range mends {
		grant, _ := json.Marshal(m.grant) // strings only: never fails
		lines = append(lines, fmt.Sprintf("%s token grant %s --add %s", command, m.token, shellQuoted(string(grant))))
	}
	return lines
}
