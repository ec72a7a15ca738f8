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
		Long: `Shows what report mode has forwarded that would have been rejected, by route,
reason and token, the most frequent first, and the routes and grants that would
mend it. It is what the server asked has seen since it began; --clear begins anew.`,
		Example: `  patgate report
  patgate report --json | jq '.findings[] | select(.reason == "route_unknown") | .path'`,
		Args: wantArgs(),
	}
	forget := cmd.Flags().Bool("clear", false, "show nothing, and begin anew")
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
	if routes := missingRoutes(r.Findings); len(routes) > 0 {
		fmt.Fprint(w, "\nNo route is for some of these. Those that are part of the API need, with the scopes that they are to ask for,\n\n")
		for _, route := range routes {
			fmt.Fprintf(w, "  route %s <scope>\n", route)
		}
	}
	if mends := mendingGrants(r.Findings); len(mends) > 0 {
		fmt.Fprint(w, "\nWhere the token's owner is to have them, these grants would let requests through\n\n")
		for _, m := range mends {
			grant, _ := json.Marshal(m.grant) // strings only: never fails
			fmt.Fprintf(w, "  %s token grant %s --add %s\n", command, m.token, shellQuoted(string(grant)))
		}
	}
	if owners := forbiddingOwners(r.Findings); len(owners) > 0 {
		fmt.Fprint(w, "\nThe records of these owners don't allow some of these, whatever their tokens hold\n\n")
		for _, id := range owners {
			fmt.Fprintf(w, "  %s owner show %s\n", command, shellQuoted(id))
		}
	}
}

// forbiddingOwners returns the owners whose records don't allow what was found.
func forbiddingOwners(findings []finding) (ids []string) {
	for _, f := range findings {
		if f.OwnerForbids && !slices.Contains(ids, f.Owner) {
			ids = append(ids, f.Owner)
		}
	}
	return ids
}

// shellQuoted returns text as one word for a shell. A space or resource is what a
// client has sent.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// missingRoutes returns the routes that would be for requests on none, each with all of
// its methods.
func missingRoutes(findings []finding) (routes []string) {
	methods := map[string][]string{}
	var patterns []string
	for _, f := range findings {
		if f.Proposed == "" {
			continue
		}
		if methods[f.Proposed] == nil {
			patterns = append(patterns, f.Proposed)
		}
		if !slices.Contains(methods[f.Proposed], f.Method) {
			methods[f.Proposed] = append(methods[f.Proposed], f.Method)
		}
	}
	for _, pattern := range patterns {
		routes = append(routes, strings.Join(methods[pattern], ",")+" "+pattern)
	}
	return routes
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
