package caddymodule

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events [--follow] [--token ID] [--owner OWNER] [--since WHEN] [--limit N] [--cursor CURSOR]",
		Short: "Show what was done to tokens, when and by whom",
		Long: `Lists the audit trail, newest first: all of it, or with --limit one page and the
cursor of the next.

With --follow it prints the newest events (with --since: all since then), and then
every new one until interrupted, even if the server or its store can't be asked for
a while. With --follow --json, each line is one object.`,
		Example: `  patgate events --limit 20
  patgate events --token 01kbn4mxkpz8t2rwy3c5q7d9ef
  patgate events --since 24h
  patgate events --follow --owner alice
  patgate events --json | jq -r '.events[] | select(.action == "retired_secret_used") | .token_id'`,
		Args: wantArgs(),
	}
	flags := cmd.Flags()
	follow := flags.Bool("follow", false, "print new events as they come")
	flags.String("token", "", "only what was done to the token with this `ID`")
	flags.String("owner", "", "only what was done to this `OWNER` and the owner's tokens")
	flags.Var(aSince.in(new(string)), "since", "only what was done since `WHEN`: a duration before now, or a time")
	limit := flags.Int("limit", 0, fmt.Sprintf("one page of at most `N` events, up to %d; with --follow, how many past events (default: 10, or all with --since)", registry.MaxLimit))
	flags.String("cursor", "", "`CURSOR` at the end of the previous page")
	return askingCommand(cmd, func(a *asking, _ []string) error {
		query, err := pageQuery(cmd, *limit, "token", "owner", "since", "cursor")
		if err != nil {
			return err
		}
		if err := checkIDs(query["token"]...); err != nil {
			return err
		}
		if *follow {
			if err := oneOf(cmd, "follow", "cursor"); err != nil {
				return err
			}
			return followEvents(a, query)
		}
		header := []string{"TIME", "WHO", "DID", "TO", "OWNER", "WHAT"}
		return list(a, "events", query, header, func(e registry.Event) []string {
			what := summary(e)
			if isTerminal(a.out()) {
				what = shortened(what)
			}
			return []string{eventTime(e), who(e), string(e.Action), strings.TrimSpace(e.TokenID + " " + e.TokenName), e.Owner, what}
		})
	})
}

// followPause is how long to wait before a server that couldn't be asked is asked
// again. It is shorter in tests.
var followPause = time.Second

// followEvents prints the newest events, oldest first, and then those that come. What
// may pass doesn't end it: it is said once, and the server asked again for what came
// after the last event.
func followEvents(a *asking, query url.Values) error {
	out := bufio.NewWriter(a.out())
	page, err := a.pastEvents(query)
	if err != nil {
		return err
	}
	query.Del("since")
	query.Set("limit", strconv.Itoa(registry.MaxLimit))
	query.Set("wait", "30s")
	slices.Reverse(page.Events)
	for {
		for _, e := range page.Events {
			if err := printEvent(out, e, a.json); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return fmt.Errorf("printing events: %w", err)
		}
		query.Set("after", page.Next)
		if page, err = a.eventsToCome(query); a.ctx().Err() != nil {
			return nil // that is how it ends
		}
		if err != nil {
			return err
		}
	}
}

// pastEvents returns the events there are, newest first: ten, or as many as query says, or
// all since its time. Next is the last there is, however old.
func (a *asking) pastEvents(query url.Values) (past rest.EventPage, err error) {
	query = maps.Clone(query)
	since, limit := query.Get("since"), query.Get("limit")
	query.Del("since")
	query.Set("limit", cmp.Or(limit, "10"))
	if past, err = a.events(query); err != nil {
		return past, err
	}
	newest := past.Events
	if since != "" {
		query.Set("since", since)
		query.Set("limit", cmp.Or(limit, strconv.Itoa(registry.MaxLimit)))
		past.Events = nil
		for more := true; more; more = limit == "" && past.Next != "" {
			page, err := a.events(query)
			if err != nil {
				return past, err
			}
			past = rest.EventPage{Events: append(past.Events, page.Events...), Next: page.Next}
			query.Set("cursor", page.Next)
		}
	}
	past.Next = "0"
	if all := slices.Concat(past.Events, newest); len(all) > 0 {
		past.Next = all[0].ID
	}
	return past, nil
}

func (a *asking) events(query url.Values) (page rest.EventPage, err error) {
	err = a.call(a.ctx(), http.MethodGet, apiPath("events")+"?"+query.Encode(), nil, &page)
	return page, err
}

// eventsToCome is events, and asks again while what fails may pass.
func (a *asking) eventsToCome(query url.Values) (page rest.EventPage, err error) {
	for said := false; ; said = true {
		page, err = a.events(query)
		if err == nil || a.ctx().Err() != nil || !mayPass(err) {
			return page, err
		}
		if !said {
			fmt.Fprintf(a.cmd.ErrOrStderr(), "%s: %s; asking again until there is an answer\n", a.cmd.CommandPath(), oneLine(err))
		}
		select {
		case <-a.ctx().Done():
		case <-time.After(followPause):
		}
	}
}

// printEvent prints an event as a line.
func printEvent(w io.Writer, e registry.Event, asJSON bool) error {
	if asJSON {
		return rest.Print(w, e)
	}
	line := eventTime(e) + "  " + who(e) + "  " + string(e.Action)
	if e.TokenID != "" {
		line += "  token " + e.TokenID + " (" + e.TokenName + ")"
	}
	if e.Owner != "" {
		line += "  of " + e.Owner
	}
	if s := summary(e); s != "" {
		line += "  " + s
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

// summary is the event's, with grants in the words that other commands have for them.
func summary(e registry.Event) string {
	e.Changes = slices.Clone(e.Changes)
	for i := range e.Changes {
		if c := &e.Changes[i]; c.Field == "grants" {
			c.Before, c.After = grantsTold(c.Before), grantsTold(c.After)
		}
	}
	return e.Summary()
}

// grantsTold writes grants that an event tells of. Many are cut off there, and then
// stay as they are.
func grantsTold(text string) string {
	var grants []token.Grant
	if json.Unmarshal([]byte(text), &grants) != nil {
		return text
	}
	return grantsWords(grants)
}

func eventTime(e registry.Event) string { return e.Time.UTC().Format(time.DateTime) + "Z" }

// who names an event's actor: operator cli (127.0.0.1).
func who(e registry.Event) string {
	name := string(e.ActorKind) + " " + e.Actor
	if e.ActorKind == registry.TokenActor {
		name = "the token itself"
	}
	if e.Address != "" {
		name += " (" + e.Address + ")"
	}
	return name
}
