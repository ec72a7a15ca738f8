package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "status",
		Short: "Show the store, the gateways and the cache",
		Long: `Shows where tokens are kept, which gateways serve from there and how far each has
followed its changes, and what the cache of the server asked holds and has done.`,
		Example: `  patgate status
  patgate status --address localhost:2020 --json | jq .store.tokens`,
		Args: wantArgs(),
	}, func(a *asking, _ []string) error {
		return ask(a, http.MethodGet, apiPath("status"), nil, printStatus)
	})
}

func printStatus(w io.Writer, s serverStatus) {
	printSheet(w, []field{
		{"version", fmt.Sprintf("patgate %s, Caddy %s", s.Version.Patgate, s.Version.Caddy)},
		{"store", s.Store.Kind + " " + s.Store.Location},
		{"holds", counted(s.Store.Tokens, "token") + ", " + counted(s.Store.Owners, "owner")},
		{"changes", fmt.Sprint(s.Store.Position)},
		{"feed", feedText(s.Feed)},
		{"cache", fmt.Sprintf("%s held, %d unknown ones remembered", counted(s.Cache.Tokens, "token"), s.Cache.Unknown)},
		{"lookups", fmt.Sprintf("%d held, %d known to be unknown, %d missed", s.Cache.Hits, s.Cache.NegativeHits, s.Cache.Misses)},
		{"store reads", fmt.Sprintf("%d, %d failed", s.Cache.StoreReads, s.Cache.StoreErrors)},
	})
	fmt.Fprintln(w)
	table := newTable(w)
	fmt.Fprintln(table, "GATEWAY\tFOLLOWS\tBEHIND BY\tLAST SEEN")
	for _, g := range s.Store.Gateways {
		var behind uint64
		if g.Follows < s.Store.Position {
			behind = uint64(s.Store.Position - g.Follows)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", g.Name, g.Follows, behind, distance(g.LastSeen, time.Now()))
	}
	table.Flush() // w keeps its error
}

func feedText(f *feedStatus) string {
	switch {
	case f == nil:
		return "none needed: this is the only gateway"
	case f.Last == nil:
		return "NOT HEARD yet: every token is asked for"
	case !f.Heard:
		return "NOT HEARD, last " + distance(*f.Last, time.Now()) + ": every token is asked for"
	}
	return "heard"
}
