package caddymodule

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// pageQuery returns the query parameters that these flags say, and --limit. A flag that
// is given but empty is refused: its value is a shell variable that isn't set, and
// everything would be listed.
func pageQuery(cmd *cobra.Command, limit int, flags ...string) (url.Values, error) {
	query := url.Values{}
	if cmd.Flags().Changed("limit") {
		if limit < 1 || limit > registry.MaxLimit {
			return nil, usageErrorf("--limit %d: want 1 to %d", limit, registry.MaxLimit)
		}
		query.Set("limit", strconv.Itoa(limit))
	}
	for _, name := range flags {
		if cmd.Flags().Changed(name) {
			value := flagValue(cmd, name)
			switch {
			case value == "" && name == "owner":
				name, value = "unowned", "true"
			case value == "" && name != "cursor": // of the first page
				return nil, usageErrorf("--%s is empty: leave it out, or say which", name)
			}
			query.Set(name, value)
		}
	}
	return query, nil
}

// list prints what the server lists as tokens, owners or events, as a table or, with
// --json, as one object like that of a page: one page if query has a limit, and
// otherwise all of it. If the list breaks off, so does the object.
func list[T any](a *asking, what string, query url.Values, header []string, row func(T) []string) error {
	out, printed, separator := bufio.NewWriter(a.out()), 0, ""
	if a.json {
		fmt.Fprintf(out, "{%q:[", what)
	}
	onePage := query.Has("limit")
	if !onePage {
		query.Set("limit", strconv.Itoa(registry.MaxLimit))
	}
	var next string
	for more := true; more; more = next != "" && !onePage {
		var page map[string]json.RawMessage
		if err := a.call(a.ctx(), http.MethodGet, apiPath(what)+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		var items []json.RawMessage
		next = ""
		if err := errors.Join(json.Unmarshal(page[what], &items), json.Unmarshal(page["next"], &next)); err != nil {
			return fmt.Errorf("reading the server's list: %w", err)
		}
		if a.json {
			for _, item := range items { // out keeps its error
				out.WriteString(separator)
				out.Write(item)
				separator = ","
			}
		} else if len(items) > 0 {
			if err := printRows(out, header, items, row); err != nil {
				return err
			}
			header = nil
		}
		printed += len(items)
		query.Set("cursor", next)
	}
	if a.json {
		cursor, _ := json.Marshal(next) // a string: never fails
		fmt.Fprintf(out, `],"next":%s}`+"\n", cursor)
		return out.Flush()
	}
	if printed == 0 {
		fmt.Fprintf(a.cmd.ErrOrStderr(), "no %s\n", what) // where no script takes it for an item
	}
	if next != "" {
		fmt.Fprintf(out, "\nmore with --cursor %s\n", next)
	}
	return out.Flush()
}

// grantsColumn returns what formats the grants in a table: all of them or, on a terminal,
// where a row should stay on one line, a short form.
func (a *asking) grantsColumn() func([]token.Grant) string {
	if isTerminal(a.out()) {
		return grantsShort
	}
	return grantsWords
}

// printRows prints the items of a page as a table, under a header if there is one.
func printRows[T any](out io.Writer, header []string, items []json.RawMessage, row func(T) []string) error {
	table := newTable(out)
	if len(header) > 0 {
		fmt.Fprintln(table, strings.Join(header, "\t"))
	}
	for _, item := range items {
		var v T
		if err := json.Unmarshal(item, &v); err != nil {
			return fmt.Errorf("reading the server's list: %w", err)
		}
		fmt.Fprintln(table, strings.Join(row(v), "\t"))
	}
	return table.Flush()
}
