package policy

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/token"
)

// Subject is a token in the form decisions read: what it is, never what it was
// last allowed to do. A gateway holds many of them, so it is small and shares
// what repeats: Grants and Owner are meant to be interned.
type Subject struct {
	Owner   *Owner          // never nil
	Grants  *Grants         // never nil
	Allowed *[]netip.Prefix // nil: from everywhere
	// Expires and SecretUntil are Unix times in nanoseconds, 0 for never: when
	// the token expires, and when the secret that was presented, if it is a
	// replaced one, stops working.
	Expires     int64
	SecretUntil int64
	Revoked     bool
	ID          ID
}

// NewSubject returns a token, of which the secret in force was presented.
func NewSubject(t *token.Token, owner *Owner, grants *Grants) Subject {
	s := Subject{ID: NewID(t.ID), Owner: owner, Grants: grants, Expires: UnixNano(t.ExpiresAt), Revoked: !t.RevokedAt.IsZero()}
	if len(t.AllowedIPs) > 0 {
		s.Allowed = &t.AllowedIPs
	}
	return s
}

// Replaced says that the secret that was presented is a replaced one, which works
// until then. Without a time it never works.
func (s *Subject) Replaced(until time.Time) {
	s.SecretUntil = max(UnixNano(until), 1) // 0 would be for ever
}

// Ends returns when the token, or the secret that was presented, stops working, as a
// Unix time in nanoseconds; 0: never.
func (s *Subject) Ends() int64 {
	if s.Expires == 0 || s.SecretUntil != 0 && s.SecretUntil < s.Expires {
		return s.SecretUntil
	}
	return s.Expires
}

// ID is a token's id without a pointer, for the garbage collector's sake.
type ID struct {
	n uint8
	b [token.MaxIDLength]byte
}

// NewID returns id as an ID. Bytes over token.MaxIDLength are dropped; stores
// hold no such ids.
func NewID(id string) (i ID) {
	i.n = uint8(copy(i.b[:], id))
	return i
}

// String returns the id's text.
func (i ID) String() string { return string(i.b[:i.n]) }

// UnixNano returns t in the form Subject keeps times in. Times that it can't tell
// become the nearest it can: an imported token may well expire in 9999, and one
// that expired in 1970 doesn't last for ever.
func UnixNano(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Unix() < 1:
		return 1
	case t.Unix() >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Owner is what decisions need to know of a token's owner. All tokens of an
// owner share one, so that a change of the owner's record reaches every token
// at once. Safe for concurrent use.
type Owner struct {
	name  string
	state atomic.Pointer[ownerState] // nil: no record
	// Stale is for whoever keeps owners, and says that the record has changed
	// since Set was called last. Decisions don't look at it.
	Stale atomic.Bool
}

type ownerState struct {
	disabled bool
	ceiling  *Grants // nil: none
}

// NewOwner returns the owner with this name, as its record says; nil stands for
// no record.
func NewOwner(name string, record *token.Owner) *Owner {
	o := &Owner{name: name}
	o.Set(record)
	return o
}

// Name returns the owner's id.
func (o *Owner) Name() string { return o.name }

// Set takes over a changed record; nil stands for no record.
func (o *Owner) Set(record *token.Owner) {
	if record == nil {
		o.state.Store(nil)
		return
	}
	state := &ownerState{disabled: !record.Enabled}
	if !slices.ContainsFunc(record.Grants, token.Grant.IsFull) {
		state.ceiling = NewGrants(record.Grants)
	}
	o.state.Store(state)
}

// Grants is what a token or an owner holds, in the form decisions read.
// Immutable but for a memo; safe for concurrent use.
type Grants struct {
	list  []token.Grant
	space string // the one space all grants are limited to, or ""
	held  atomic.Pointer[holdings]
}

// holdings are the scopes of each grant by their numbers in a catalog.
type holdings struct {
	catalog *Catalog
	known   int    // scopes numbered below this are in the sets
	sets    bitset // of each grant in turn, as many words as known scopes take
}

// has reports whether the i-th grant holds the scope with number n, below known.
func (h *holdings) has(i, n int) bool { return h.sets[i*words(h.known):].contains(n) }

// NewGrants returns grants in the form decisions read. It keeps no reference to
// what it is given.
func NewGrants(grants []token.Grant) *Grants {
	g := &Grants{list: token.CloneGrants(grants)}
	for _, grant := range g.list {
		slices.Sort(grant.Spaces)
		slices.Sort(grant.Resources)
		shareAll(grant.Spaces)
		shareAll(grant.Resources)
	}
	g.space = onlySpace(g.list)
	return g
}

// shareAll has every token.All be the same text in memory, which is at hand when
// a decision reads it.
func shareAll(list []string) {
	for i, s := range list {
		if s == token.All {
			list[i] = token.All
		}
	}
}

// onlySpace returns the one space that all grants are limited to, or "".
func onlySpace(grants []token.Grant) string {
	only := ""
	for _, g := range grants {
		if len(g.Spaces) != 1 || g.Spaces[0] == token.All || only != "" && g.Spaces[0] != only {
			return ""
		}
		only = g.Spaces[0]
	}
	return only
}

// in returns the holdings under c that know of scopes up to number n.
func (g *Grants) in(c *Catalog, n int) *holdings {
	h := g.held.Load()
	if h == nil || h.catalog != c || h.known <= n {
		h = c.holdings(g.list)
		g.held.Store(h)
	}
	return h
}

// covers reports whether a sorted list names value or everything.
func covers(sorted []string, value string) bool {
	if len(sorted) <= 8 {
		return token.Covers(sorted, value)
	}
	if _, ok := slices.BinarySearch(sorted, value); ok {
		return true
	}
	_, ok := slices.BinarySearch(sorted, token.All)
	return ok
}

// spaces returns the spaces that some grant holds in.
func (g *Grants) spaces() (all []string) {
	for _, grant := range g.list {
		for _, space := range grant.Spaces {
			if !slices.Contains(all, space) {
				all = append(all, space)
			}
		}
	}
	return all
}

// written returns the scopes of the covered grants as they are written there, but
// for those that have another name by now.
func (g *Grants) written(c *Catalog, covered func(*token.Grant) bool) (all []string) {
	for i := range g.list {
		if !covered(&g.list[i]) {
			continue
		}
		if all == nil && !c.aliased {
			all = slices.Clip(g.list[i].Scopes)
			continue
		}
		for _, s := range g.list[i].Scopes {
			if s = c.scope(s); !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// common lists the scopes that both hold in their covered grants, blank-separated:
// as one of them writes them, and those behind them that one names and the other
// only implies.
func common(c *Catalog, a, b *Grants, covered func(*token.Grant) bool) string {
	var all []string
	for _, s := range a.written(c, covered) {
		for _, t := range b.written(c, covered) {
			if both, ok := token.MeetScopes(s, t); ok && !slices.Contains(all, both) {
				all = append(all, both)
			}
		}
	}
	listed := c.holdings([]token.Grant{{Scopes: all}})
	for n, name := range c.all() {
		if (n >= listed.known || !listed.has(0, n)) && a.has(c, n, covered) && b.has(c, n, covered) {
			all = append(all, name)
		}
	}
	return strings.Join(all, " ")
}

// has reports whether a covered grant holds the scope with number n.
func (g *Grants) has(c *Catalog, n int, covered func(*token.Grant) bool) bool {
	held := g.in(c, n)
	for i := range g.list {
		if held.has(i, n) && covered(&g.list[i]) {
			return true
		}
	}
	return false
}
