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
)

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
