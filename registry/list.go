package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Limits of a page.
const (
	defaultLimit = 100
	MaxLimit     = 1000
)

// Query selects tokens. The zero Query selects the first page of all.
type Query struct {
	Owner  *string // of this owner; nil: of any
	Status string  // "active", "expired" or "revoked"; "" or "all": any, but see Expiring and Unused
	Space  string  // with a grant that covers this space; "": any
	Scope  string  // with a grant that covers this scope, or one that implies it; "": any
	Text   string  // contained in the name, the description, the owner or the id, or equal to the hint, whatever the case; "": any

	// Expiring selects those that expire within this time (14d), and Unused those
	// that were neither made nor used for so long (30d); "": any. With either, an
	// empty Status means active.
	Expiring string
	Unused   string

	Sort   string // an order of Sorts, perhaps with a "-" before it: the other way round; "": SortCreated
	Limit  int    // at most so many, up to MaxLimit; 0: defaultLimit
	Cursor string // what the page before returned, with the same Sort; "": from the start
}

// The orders in which tokens are listed. Tokens that are equal in an order are sorted by
// id, which is by age for those made here.
const (
	SortCreated  = "created"   // the newest first
	SortName     = "name"      // by the alphabet, whatever the case
	SortExpires  = "expires"   // the soonest first, those that never expire last
	SortLastUsed = "last_used" // the latest first, those never used last
)

// Sorts returns the orders in which tokens can be listed.
func Sorts() []string { return []string{SortCreated, SortName, SortExpires, SortLastUsed} }

// List returns the tokens that q selects and the cursor of the next page ("" after the
// last). Without an Owner in q, an admin gets those of all owners. A token that is there
// all the time is on exactly one page, whatever is made and deleted meanwhile; one that
// is renamed, regenerated or used may change its place in an order by that.
//
// The newest tokens come straight from the store. Every other order reads all
// tokens of the owner, or of all owners, for each page: that is a millisecond for
// 100 tokens, half a second for 100,000 in a file and a second in Redis (see
// BenchmarkList). What is kept in memory on the way is bounded.
func (a *Account) List(ctx context.Context, q Query) (tokens []*token.Token, next string, err error) {
	if q.Owner, err = a.sees(q.Owner); err != nil {
		return nil, "", err
	}
	r := a.registry
	selected, err := r.selected(q)
	if err != nil {
		return nil, "", err
	}
	o, err := parseOrder(q.Sort)
	if err != nil {
		return nil, "", err
	}
	var after *place
	if q.Cursor != "" {
		if after, err = o.parseCursor(q.Cursor); err != nil {
			return nil, "", err
		}
	}
	if o.by == SortCreated && !o.reverse {
		if after != nil {
			selected.Cursor = after.id
		}
		if tokens, next, err = r.store.Tokens(ctx, selected); err != nil {
			return nil, "", fmt.Errorf("listing tokens: %w", err)
		}
		if next != "" {
			next = o.cursor(place{id: next})
		}
		return tokens, next, nil
	}
	p := sortedPage{order: o, query: selected, after: after}
	if err := r.pages(ctx, selected, func(some []*token.Token) error { p.add(some); return nil }); err != nil {
		return nil, "", err
	}
	tokens, next = p.end()
	return tokens, next, nil
}

// pages calls f with the tokens that q selects, page by page.
func (r *Registry) pages(ctx context.Context, q store.Query, f func([]*token.Token) error) error {
	q.Limit = MaxLimit
	for {
		tokens, next, err := r.store.Tokens(ctx, q)
		if err != nil {
			return fmt.Errorf("listing tokens: %w", err)
		}
		if len(tokens) > 0 {
			if err := f(tokens); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		q.Cursor = next
	}
}

// all is pages for callers that must not miss a token: if the store has lost some that it
// lists, it returns an error after the others.
func (r *Registry) all(ctx context.Context, q store.Query, f func([]*token.Token) error) error {
	lost, first := 0, ""
	q.Lost = func(id string) {
		lost++
		first = cmp.Or(first, id)
	}
	if err := r.pages(ctx, q, f); err != nil {
		return err
	}
	if lost > 0 {
		return fmt.Errorf("%w: %d, of which %s is one; the others were dealt with (see patgate store check)", errRecordsLost, lost, first)
	}
	return nil
}

// errRecordsLost is why all tokens can't be listed.
var errRecordsLost = errors.New("the store has lost the records of tokens that it lists")

var errCursor = invalid("cursor: want what the page before gave as next, with the same sort")

// selected returns what q asks of the store, but for the cursor.
func (r *Registry) selected(q Query) (s store.Query, err error) {
	s = store.Query{Owner: q.Owner, Space: q.Space, Text: q.Text, Now: r.clock()}
	if s.Limit, err = pageSize(q.Limit); err != nil {
		return s, err
	}
	switch s.Status = token.Status(q.Status); s.Status {
	case "all":
		s.Status = ""
	case "":
		if q.Expiring != "" || q.Unused != "" {
			s.Status = token.Active
		}
	case token.Active, token.Expired, token.Revoked:
	default:
		return s, invalid("status %q: want active, expired, revoked or all", q.Status)
	}
	if q.Scope != "" {
		if strings.Contains(q.Scope, token.All) {
			return s, asInvalid(token.ScopeError(q.Scope, "want one scope, as in stories:read; tokens that hold it by a pattern are listed, too"))
		}
		if err := token.ValidScopeName(q.Scope); err != nil {
			return s, asInvalid(err)
		}
		s.Scopes = append([]string{q.Scope}, r.rules.ImpliedBy[q.Scope]...)
	}
	if q.Expiring != "" {
		d, err := positiveDuration("expiring", q.Expiring)
		if err != nil {
			return s, err
		}
		s.ExpiresBy = s.Now.Add(d)
	}
	if q.Unused != "" {
		d, err := positiveDuration("unused", q.Unused)
		if err != nil {
			return s, err
		}
		s.UnusedSince = s.Now.Add(-d)
	}
	return s, nil
}

func positiveDuration(what, text string) (time.Duration, error) {
	d, err := parseDuration(what, text)
	if err == nil && d <= 0 {
		err = invalid("%s: %q; want a time above 0", what, text)
	}
	return d, err
}

func pageSize(limit int) (int, error) {
	if limit < 0 || limit > MaxLimit {
		return 0, invalid("limit: %d; want 1 to %d", limit, MaxLimit)
	}
	return cmp.Or(limit, defaultLimit), nil
}

// order is an order of tokens.
type order struct {
	by      string
	reverse bool
}

func parseOrder(text string) (o order, err error) {
	o.by, o.reverse = strings.CutPrefix(text, "-")
	if text == "" {
		o.by = SortCreated
	}
	if !slices.Contains(Sorts(), o.by) {
		return o, invalid("sort %q: want %s, perhaps with a - before it", text, strings.Join(Sorts(), ", "))
	}
	return o, nil
}

// place is the place of a token in an order: by text, then by id.
type place struct{ text, id string }

func (o order) place(t *token.Token) place {
	p := place{id: t.ID}
	switch o.by {
	case SortName:
		p.text = strings.ToLower(t.Name)
	case SortExpires:
		p.text = timeText(t.ExpiresAt, 1)
	case SortLastUsed:
		p.text = timeText(t.LastUsedAt, -1)
	}
	return p
}

// timeText returns a text that sorts as times do, or, with a direction of -1, the other
// way round. The zero time comes last.
func timeText(t time.Time, direction int64) string {
	if t.IsZero() {
		return "~"
	}
	return fmt.Sprintf("%020d", uint64(direction*t.UnixMilli())^1<<63) // negative numbers before positive ones
}

func (o order) compare(a, b place) int {
	c := strings.Compare(a.text, b.text)
	if c == 0 {
		c = strings.Compare(a.id, b.id)
		if o.by == SortCreated {
			c = -c // the newest first
		}
	}
	if o.reverse {
		return -c
	}
	return c
}

// cursor returns the cursor of the page after p.
func (o order) cursor(p place) string { return newCursor(o.String(), p.id+"\x00"+p.text) }

func (o order) parseCursor(cursor string) (*place, error) {
	last, ok := openCursor(o.String(), cursor)
	id, text, whole := strings.Cut(last, "\x00")
	if !ok || !whole || token.ValidID(id) != nil {
		return nil, errCursor
	}
	return &place{text, id}, nil
}

// newCursor returns a cursor of the page after last. It is valid for one list only, and
// needs no escaping in a URL.
func newCursor(list, last string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(list + "\x00" + last))
}

// openCursor returns the last of a cursor of this list.
func openCursor(list, cursor string) (last string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	of, last, ok := strings.Cut(string(b), "\x00")
	return last, ok && err == nil && of == list
}

// String returns what parseOrder reads.
func (o order) String() string {
	if o.reverse {
		return "-" + o.by
	}
	return o.by
}

// sortedPage picks the first tokens after a place in an order.
type sortedPage struct {
	order  order
	query  store.Query // says how many
	after  *place      // nil: from the start
	picked []*token.Token
	size   int  // of those picked
	more   bool // there are others after them
}

func (p *sortedPage) add(tokens []*token.Token) {
	for _, t := range tokens {
		if p.after == nil || p.order.compare(p.order.place(t), *p.after) > 0 {
			p.picked, p.size = append(p.picked, t), p.size+t.Size()
		}
	}
	if len(p.picked) > 2*MaxLimit+p.query.Limit || p.size > 2*store.MaxPage {
		p.cut()
	}
}

func (p *sortedPage) cut() {
	slices.SortFunc(p.picked, func(a, b *token.Token) int { return p.order.compare(p.order.place(a), p.order.place(b)) })
	p.size = 0
	for i, t := range p.picked {
		if p.query.Full(i, p.size) {
			p.more = true
			clear(p.picked[i:])
			p.picked = p.picked[:i]
			break
		}
		p.size += t.Size()
	}
}

// end returns the page and the cursor of the next.
func (p *sortedPage) end() (tokens []*token.Token, next string) {
	p.cut()
	if p.more {
		next = p.order.cursor(p.order.place(p.picked[len(p.picked)-1]))
	}
	return p.picked, next
}
