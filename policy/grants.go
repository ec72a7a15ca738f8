package policy

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/patgate/patgate/token"
)

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

// shareAll makes every token.All the same string in memory, which is in the processor's cache
// when a decision reads it.
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

// holdings returns which scopes each grant holds, implied ones included.
func (c *Catalog) holdings(grants []token.Grant) *holdings {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := words(len(c.names))
	h := &holdings{catalog: c, known: len(c.names), sets: make(bitset, n*len(grants))}
	for i, g := range grants {
		set := h.sets[n*i : n*(i+1)]
		for _, pattern := range g.Scopes {
			if n, ok := c.numbers[pattern]; ok {
				c.hold(set, n)
			} else if strings.Contains(pattern, token.All) {
				for name, n := range c.numbers {
					if token.MatchScope(pattern, name) {
						c.hold(set, n)
					}
				}
			}
		}
	}
	return h
}

func (c *Catalog) hold(set bitset, n int) {
	set.add(n)
	for _, implied := range c.implied[n] {
		set.add(implied)
	}
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

// common lists the scopes that both hold in their covered grants, blank-separated: first
// where what one writes and what the other writes meet ("things:*" and "things:read" in
// "things:read"), then scopes that are implied on at least one side.
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

// bitset is a set of scope numbers.
type bitset []uint64

func (s bitset) add(n int)           { s[n/64] |= 1 << (n % 64) }
func (s bitset) contains(n int) bool { return s[n/64]&(1<<(n%64)) != 0 }

// words is how many words a bitset of n scopes takes.
func words(n int) int { return (n + 63) / 64 }
