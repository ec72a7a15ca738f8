package policy

import (
	"cmp"
	"slices"
	"strings"
)

// node is a place in the tree of path segments. Routes whose patterns have the
// same segments end in the same node, whatever their parameters are called. What
// every lookup reads comes first: it fits into a cache line.
type node struct {
	edges     []edge           // the literals that follow
	literals  map[string]*node // the same; nil in a finished tree where there are few of them
	parameter *node
	ends      []*Route  // patterns that end here
	partial   []partial // parameters with literals around them, the narrowest first
	marks     marks     // of the literals
	tails     []*Route  // patterns whose last segment takes one or more from here on
	space     bool      // the parameter before it is the space of a route
	missing   []string  // the parameters that follow where a route has nothing but parameters from here on
}

type edge struct {
	literal string
	to      *node
}

// partial is a segment such as {id}:cancel, with where it leads.
type partial struct {
	segment
	to    *node
	first *Route // the first that has it
}

// maxFew is how many literals are compared one by one.
const maxFew = 8

// next returns where a literal leads, or nil.
func (n *node) next(literal string) *node {
	if n.literals != nil {
		return n.literals[literal]
	}
	for i := range n.edges {
		if n.edges[i].literal == literal {
			return n.edges[i].to
		}
	}
	return nil
}

// insert puts a route at its place.
func (n *node) insert(r *Route) {
	for i, s := range r.pattern.segments {
		if r.pattern.endsInParameters(i) && !slices.Contains(n.missing, s.parameter) {
			n.missing = append(n.missing, s.parameter)
		}
		n = n.child(s, r)
		n.space = n.space || r.space.kind == fromPath && r.space.segment == i && !r.space.tail
	}
	if r.pattern.tail {
		n.tails = append(n.tails, r)
	} else {
		n.ends = append(n.ends, r)
	}
}

// child returns where a segment of r's pattern leads.
func (n *node) child(s segment, r *Route) *node {
	switch {
	case s.partial():
		i := slices.IndexFunc(n.partial, func(p partial) bool { return p.before == s.before && p.after == s.after })
		if i < 0 {
			i = len(n.partial)
			n.partial = append(n.partial, partial{s, &node{}, r})
		}
		return n.partial[i].to
	case s.parameter != "":
		if n.parameter == nil {
			n.parameter = &node{}
		}
		return n.parameter
	}
	if n.literals == nil {
		n.literals = map[string]*node{}
	}
	next := n.literals[s.literal]
	if next == nil {
		next = &node{}
		n.literals[s.literal] = next
		n.edges = append(n.edges, edge{s.literal, next})
		n.marks.add(s.literal)
	}
	return next
}

// spaceOf follows a path through the tree and returns the index of the first segment that is
// the space of a route there; -1: the path leaves the tree before one.
func (n *node) spaceOf(path []string) int {
	for i, s := range path {
		next := n.next(s)
		if next == nil {
			next = n.parameter
		}
		switch {
		case next == nil:
			return -1
		case next.space:
			return i
		}
		n = next
	}
	return -1
}

// beside returns the indexes of the segments at which r has a parameter and other routes
// match some of its values.
func (n *node) beside(r *Route) (at []int) {
	for i, s := range r.pattern.segments {
		others := len(n.edges) + len(n.partial)
		if s.partial() {
			others-- // itself
		}
		if s.parameter != "" && others > 0 {
			at = append(at, i)
		}
		n = n.child(s, r)
	}
	if r.pattern.tailName != "" && (n.parameter != nil || len(n.edges)+len(n.partial) > 0) {
		at = append(at, len(r.pattern.segments))
	}
	return at
}

// each calls f for all nodes below the node, and then for itself.
func (n *node) each(f func(*node)) {
	for _, e := range n.edges {
		e.to.each(f)
	}
	for _, p := range n.partial {
		p.to.each(f)
	}
	if n.parameter != nil {
		n.parameter.each(f)
	}
	f(n)
}

// finish prepares a tree that is complete: it puts the routes of every place in
// the order in which they are tried, more query conditions first, then those
// that want a certain value, and partial parameters, the narrowest first.
func (n *node) finish() { n.each((*node).finishPlace) }

func (n *node) finishPlace() {
	for _, routes := range [][]*Route{n.ends, n.tails} {
		slices.SortStableFunc(routes, func(a, b *Route) int { return compareConditions(&b.pattern, &a.pattern) })
		listValues(routes)
	}
	slices.SortStableFunc(n.partial, func(a, b partial) int {
		return cmp.Compare(len(b.before)+len(b.after), len(a.before)+len(a.after))
	})
	slices.SortFunc(n.edges, func(a, b edge) int { return strings.Compare(a.literal, b.literal) })
	if len(n.literals) <= maxFew {
		n.literals = nil
	}
}

// listValues tells every condition which other values of its key the routes of
// a place want: a request with one of them is on those routes, however much it
// looks like another spelling (publish=1 beside publish=true).
func listValues(routes []*Route) {
	values := map[string][]string{}
	for _, r := range routes {
		for _, c := range r.pattern.conditions {
			if !c.anyValue && !slices.Contains(values[c.key], c.value) {
				values[c.key] = append(values[c.key], c.value)
			}
		}
	}
	for _, r := range routes {
		for i := range r.pattern.conditions {
			c := &r.pattern.conditions[i]
			c.others = values[c.key]
		}
	}
}

// find returns the most specific route for the segments from the i-th on, or
// nil. It sets m.Reason where the query can be read in two ways.
func (n *node) find(m *Match, i int) *Route {
	if i == m.path.n {
		r := m.pick(n.ends)
		m.odd = m.odd || r == nil && len(n.tails) > 0 || m.query != "" && m.completes(n.missing)
		return r
	}
	text := m.path.segment(i)
	if next := n.next(text); next != nil {
		if r := next.find(m, i+1); r != nil || m.Reason != Forward {
			return r
		}
	} else if n.marks.resembles(text) {
		m.odd = true
	}
	for j := range n.partial {
		p := &n.partial[j]
		if !p.matches(text) {
			m.odd = m.odd || p.nearlyMatches(text)
		} else if r := p.to.find(m, i+1); r != nil || m.Reason != Forward {
			return r
		}
	}
	if n.parameter != nil {
		if r := n.parameter.find(m, i+1); r != nil || m.Reason != Forward {
			return r
		}
	}
	return m.pick(n.tails)
}

// pick returns the most specific of the routes of one place: by their patterns first,
// then by their methods.
func (m *Match) pick(routes []*Route) *Route {
	var best *Route
	rank := 0
	for i, r := range routes {
		if best != nil && (len(r.pattern.conditions) < len(best.pattern.conditions) || rank == listedRank) {
			break // sorted: none that follows is more specific
		}
		if k := r.Methods.rank(m.method); k > rank && m.meets(r.pattern.conditions) && (best == nil || !m.onStricter(routes[:i], r)) {
			best, rank = r, k
		}
		if m.Reason != Forward {
			return nil
		}
	}
	return best
}

// onStricter reports whether the request is on one of the routes whose conditions are
// stricter than r's.
func (m *Match) onStricter(routes []*Route, r *Route) bool {
	for _, s := range routes {
		if stricter(&s.pattern, &r.pattern) && s.Methods.Has(m.method) && m.meets(s.pattern.conditions) {
			return true
		}
	}
	return false
}

// meets reports whether the request's query meets all the conditions.
func (m *Match) meets(conditions []condition) bool {
	all := true
	for i := range conditions {
		met, why := m.meetsCondition(&conditions[i])
		if why != "" {
			m.refuse(why)
			return false
		}
		all = all && met
	}
	return all
}
