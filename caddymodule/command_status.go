package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	return askingCommand(&cobra.Command{
		Use:   "status",
		Short: "Show the store, the gateways, the cache and what is rejected",
		Long: `Shows the health of the server, its store, the gateways on this store and how far
each has followed the changes, the cache, and the most frequent rejections. It
works even if the store can't be asked.`,
		Example: `  patgate status
  patgate status --address localhost:2020 --json | jq .store.tokens`,
		Args: wantArgs(),
	}, func(a *asking, _ []string) error {
		return ask(a, http.MethodGet, apiPath("status"), nil, printStatus)
	})
}

func printStatus(w io.Writer, s serverStatus) {
	now := time.Now()
	fields := []field{
		{"version", fmt.Sprintf("patgate %s, Caddy %s", s.Version.Patgate, s.Version.Caddy)},
		{"health", s.Health.words(now)},
		{"store", s.Store.Kind + " " + s.Store.Location},
	}
	if s.Store.Error != "" {
		trouble := "CAN'T BE ASKED: "
		if s.Health.Status == healthPartial {
			trouble = "NOT ALL THERE: "
		}
		fields = append(fields, field{"", trouble + s.Store.Error})
	} else {
		fields = append(fields,
			field{"holds", counted(s.Store.Tokens, "token") + ", " + counted(s.Store.Owners, "owner")},
			field{"changes", fmt.Sprint(s.Store.Position)})
	}
	for _, w := range s.Store.Warnings {
		if !strings.Contains(s.Store.Error, w) { // which is told already
			fields = append(fields, field{"", "WARNING: " + w})
		}
	}
	if s.PepperChanged != nil {
		fields = append(fields, field{"pepper", "CHANGED " + moment(s.PepperChanged, now) + ": tokens made with the one before are unknown"})
	}
	if s.Reporting > 0 {
		fields = append(fields, field{"report mode", counted(s.Reporting, "route") + " in it, defaults counted, too: what would be rejected there is forwarded"})
	}
	printSheet(w, append(fields,
		field{"feed", feedText(s, now)},
		field{"cache", fmt.Sprintf("%s held of %d, %s remembered", counted(s.Cache.Tokens, "token"), s.Cache.Size, counted(s.Cache.Unknown, "unknown one"))},
		field{"staleness", fmt.Sprintf("held tokens are read again after %s, and serve for %s while the store can't be asked", s.Cache.TTL, s.Cache.MaxStale)},
		field{"lookups", fmt.Sprintf("%d held, %d known to be unknown, %d missed", s.Cache.Hits, s.Cache.NegativeHits, s.Cache.Misses)},
		field{"store reads", fmt.Sprintf("%d, %d failed; %d lookups served all the same", s.Cache.StoreReads, s.Cache.StoreErrors, s.Cache.Stale)},
	))
	if len(s.Store.Gateways) > 0 {
		printGateways(w, s.Store, now)
	}
	printRejections(w, s.Rejections, now)
}

func printGateways(w io.Writer, s storeStatus, now time.Time) {
	fmt.Fprintln(w)
	table := newTable(w)
	fmt.Fprintln(table, "GATEWAY\tFOLLOWS\tBEHIND BY\tLAST SEEN")
	for _, g := range s.Gateways {
		var behind uint64
		if g.Follows < s.Position {
			behind = uint64(s.Position - g.Follows)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\n", g.Name, g.Follows, behind, distance(g.LastSeen, now))
	}
	table.Flush() // w keeps its error
}

func printRejections(w io.Writer, r rejectionStatus, now time.Time) {
	since := "since " + moment(&r.Since, now)
	if r.Total == 0 {
		fmt.Fprintf(w, "\nNothing was rejected %s.\n", since)
		return
	}
	shown := uint64(0)
	fmt.Fprintf(w, "\nRejected %s: %d\n\n", since, r.Total)
	table := newTable(w)
	fmt.Fprintln(table, "COUNT\tREASON\tROUTE\tLAST SEEN\tLAST BECAUSE")
	for _, one := range r.Top {
		shown += one.Count
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", one.Count, one.Reason, one.Route, distance(one.Last, now), one.Detail)
	}
	table.Flush() // w keeps its error
	if shown < r.Total {
		fmt.Fprintf(w, "and %d for other reasons or by other routes\n", r.Total-shown)
	}
}

// words says what a state means.
func (h health) words(now time.Time) string {
	since := ", since " + moment(&h.Since, now)
	switch h.Status {
	case healthOK:
		return "ok" + since
	case healthDegraded:
		return "DEGRADED: changes are not heard, so every token is asked for" + since
	case healthPartial:
		return "PARTIAL: not all of the store can be used, as is said below" + since
	case healthStale:
		return fmt.Sprintf("STALE: the store can't be asked; held tokens serve until %s%s", moment(h.HeldUntil, now), since)
	}
	return "UNAVAILABLE: the store can't be asked, and no token serves" + since
}

func feedText(s serverStatus, now time.Time) string {
	f := s.Feed
	switch {
	case f == nil:
		return "none needed: this is the only gateway"
	case f.Heard:
		return "heard"
	}
	text := "NOT HEARD yet"
	if f.Last != nil {
		text = "NOT HEARD, last " + distance(*f.Last, now)
	}
	if !strings.Contains(s.Store.Error, f.Error) { // which is told already
		text += ": " + f.Error
	}
	return text
}
