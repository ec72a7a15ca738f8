package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [--owner OWNER] [--status STATUS] [--space ID] [--scope SCOPE] [--text TEXT] [--expiring DURATION] [--unused DURATION] [--sort ORDER] [--limit N] [--cursor CURSOR]",
		Short: "List tokens",
		Long: `Lists the tokens that all given conditions hold for, newest first unless --sort says
something else: all of them, or with --limit one page, and the cursor of the next.
--space and --scope find tokens with a grant that covers them. --expiring and
--unused find tokens that are active, unless --status says something else.

Newest first goes by the ids, which begin with the time they were made: an imported
token stands where its id says, whatever its created_at.`,
		Example: `  patgate token list
  patgate token list --owner alice --status active
  patgate token list --space 1 --scope stories:write --json | jq -r '.tokens[].id'
  patgate token list --expiring 14d --sort expires
  patgate token list --unused 90d --json | jq -r '.tokens[].id' | xargs -r patgate token revoke
  patgate token list --limit 50 --cursor Y3JlYXRlZAAwMWtibjRteGtwejh0MnJ3eTNjNXE3ZDllZgA`,
		Args: wantArgs(),
	}
	flags := cmd.Flags()
	flags.String("owner", "", "only tokens of this `OWNER`")
	status := flags.String("status", "all", "only tokens with this `STATUS`: active, expired, revoked, or all")
	flags.String("space", "", "only tokens for the space with this `ID`")
	flags.String("scope", "", "only tokens with this `SCOPE`")
	flags.String("text", "", "only tokens with this `TEXT` in their name, description, owner or id, whatever the case")
	flags.Var(aWhile.in(new(string)), "expiring", "only tokens that expire within this `DURATION`, as in 14d")
	flags.Var(aWhile.in(new(string)), "unused", "only tokens that were neither made nor used for this `DURATION`, as in 30d")
	sort := flags.String("sort", registry.SortCreated, "the `ORDER`: "+strings.Join(registry.Sorts(), ", ")+"; with a - before it, the other way round")
	complete(cmd, "status", statuses)
	complete(cmd, "sort", registry.Sorts())
	limit := flags.Int("limit", 0, fmt.Sprintf("one page of at most `N` tokens, up to %d", registry.MaxLimit))
	flags.String("cursor", "", "`CURSOR` that the page before ended with")
	return askingCommand(cmd, func(a *asking, _ []string) error {
		if !slices.Contains(statuses, *status) {
			return usageError(fmt.Errorf("--status %s: want active, expired, revoked or all", *status))
		}
		if !slices.Contains(registry.Sorts(), strings.TrimPrefix(*sort, "-")) {
			return usageError(fmt.Errorf("--sort %s: want %s, perhaps with a - before it", *sort, strings.Join(registry.Sorts(), ", ")))
		}
		query, err := pageQuery(cmd, *limit, "owner", "status", "space", "scope", "text", "expiring", "unused", "sort", "cursor")
		if err != nil {
			return err
		}
		header := []string{"ID", "NAME", "OWNER", "STATUS", "EXPIRES", "USED", "HINT", "GRANTS"}
		return list(a, apiPath("tokens"), "tokens", query, header, func(t token.View) []string {
			expires := "never"
			if t.ExpiresAt != nil {
				expires = distance(*t.ExpiresAt, time.Now())
			}
			used := "never"
			if t.LastUsedAt != nil {
				used = distance(*t.LastUsedAt, time.Now())
			}
			return []string{t.ID, t.Name, t.Owner, string(t.Status), expires, used, t.Hint, grantsShort(t.Grants)}
		})
	})
}

// statuses are what --status takes.
var statuses = []string{string(token.Active), string(token.Expired), string(token.Revoked), "all"}

// complete has shells offer words as the value of a flag.
func complete(cmd *cobra.Command, flag string, words []string) {
	// It fails only for a flag that isn't there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// pageQuery returns the query parameters that these flags say, and --limit.
func pageQuery(cmd *cobra.Command, limit int, flags ...string) (url.Values, error) {
	query := url.Values{}
	if cmd.Flags().Changed("limit") {
		if limit < 1 || limit > registry.MaxLimit {
			return nil, usageError(fmt.Errorf("--limit %d: want 1 to %d", limit, registry.MaxLimit))
		}
		query.Set("limit", strconv.Itoa(limit))
	}
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			query.Set(name, flagValue(cmd, name))
		}
	}
	return query, nil
}

// list prints what the server lists at path under key, as a table or, with
// --json, as one object like that of a page: one page if query has a limit, and
// otherwise all of it.
func list[T any](a *asking, path, key string, query url.Values, header []string, row func(T) []string) error {
	out := bufio.NewWriter(a.out())
	var print pagePrinter = &tablePrinter[T]{out: out, none: a.cmd.ErrOrStderr(), key: key, header: header, row: row}
	if a.json {
		print = &jsonPrinter{out: out, key: key}
	}
	onePage := query.Has("limit")
	if !onePage {
		query.Set("limit", strconv.Itoa(registry.MaxLimit))
	}
	for {
		var page map[string]json.RawMessage
		if err := a.call(a.ctx(), http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		var items []json.RawMessage
		var next string
		if err := errors.Join(json.Unmarshal(page[key], &items), json.Unmarshal(page["next"], &next)); err != nil {
			return fmt.Errorf("reading the server's list: %w", err)
		}
		if err := print.page(items); err != nil {
			return err
		}
		if next == "" || onePage {
			print.end(next)
			return out.Flush()
		}
		query.Set("cursor", next)
	}
}

// pagePrinter prints a list as it comes. The errors of its output are kept there.
type pagePrinter interface {
	page(items []json.RawMessage) error
	end(next string) // next is the cursor of what is not printed; "": nothing is left
}

// tablePrinter prints a list as a table, aligned page by page.
type tablePrinter[T any] struct {
	out    *bufio.Writer
	none   io.Writer // where it is said that there are none: no script takes that for one
	key    string
	header []string // nil when it is printed
	row    func(T) []string
}

func (p *tablePrinter[T]) page(items []json.RawMessage) error {
	if len(items) == 0 {
		return nil
	}
	table := newTable(p.out)
	if p.header != nil {
		fmt.Fprintln(table, strings.Join(p.header, "\t"))
		p.header = nil
	}
	for _, item := range items {
		var v T
		if err := json.Unmarshal(item, &v); err != nil {
			return fmt.Errorf("reading the server's list: %w", err)
		}
		fmt.Fprintln(table, strings.Join(p.row(v), "\t"))
	}
	return table.Flush()
}

func (p *tablePrinter[T]) end(next string) {
	if p.header != nil {
		fmt.Fprintf(p.none, "no %s\n", p.key)
	}
	if next != "" {
		fmt.Fprintf(p.out, "\nmore with --cursor %s\n", next)
	}
}

// jsonPrinter prints a list as one JSON object. If the list breaks off, so does
// the object.
type jsonPrinter struct {
	out   *bufio.Writer
	key   string
	begun bool
	some  bool
}

func (p *jsonPrinter) page(items []json.RawMessage) error {
	if !p.begun {
		fmt.Fprintf(p.out, "{%q:[", p.key)
		p.begun = true
	}
	for _, item := range items {
		if p.some {
			p.out.WriteByte(',')
		}
		p.out.Write(item)
		p.some = true
	}
	return nil
}

func (p *jsonPrinter) end(next string) {
	cursor, _ := json.Marshal(next) // a string: never fails
	fmt.Fprintf(p.out, `],"next":%s}`+"\n", cursor)
}
