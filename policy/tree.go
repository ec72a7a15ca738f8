package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// node is a place in the tree of path segments. Routes whose patterns have the
// same segments end in the same node, whatever their parameters are called.
type node struct {
	literals  map[string]*node
	parameter *node
	ends      []*Route // patterns that end here
	tails     []*Route // patterns whose last segment takes one or more from here on
}

// insert puts a route at its place.
func (n *node) insert(r *Route) {
	for _, s := range r.pattern.segments {
		if s.parameter != "" {
			if n.parameter == nil {
				n.parameter = &node{}
			}
			n = n.parameter
			continue
		}
		next := n.literals[s.literal]
		if next == nil {
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			next = &node{}
			n.literals[s.literal] = next
		}
		n = next
	}
	if r.pattern.tail {
		n.tails = append(n.tails, r)
	} else {
		n.ends = append(n.ends, r)
	}
}

// each calls f for the routes of every place that has some.
func (n *node) each(f func([]*Route)) {
	for _, routes := range [][]*Route{n.ends, n.tails} {
		if len(routes) > 0 {
			f(routes)
		}
	}
	for _, next := range n.literals {
		next.each(f)
	}
	if n.parameter != nil {
		n.parameter.each(f)
	}
}

// sort puts the routes of every place in the order in which they are tried:
// more query conditions first, then those that want a certain value.
func (n *node) sort() {
	n.each(func(routes []*Route) {
		slices.SortStableFunc(routes, func(a, b *Route) int { return compareConditions(&b.pattern, &a.pattern) })
	})
}

// compareConditions says which pattern is the more specific one by its query
// conditions.
func compareConditions(a, b *pattern) int {
	return cmp.Or(cmp.Compare(len(a.conditions), len(b.conditions)), cmp.Compare(a.values(), b.values()))
}

// values counts the conditions that want a certain value.
func (p *pattern) values() (n int) {
	for _, c := range p.conditions {
		if !c.anyValue {
			n++
		}
	}
	return n
}

// conflicts returns an error for every two routes that some request matches
// equally well.
func (n *node) conflicts() (errs []error) {
	n.each(func(routes []*Route) {
		for i, a := range routes {
			for _, b := range routes[:i] {
				if err := conflict(b, a, routes); err != nil {
					errs = append(errs, err)
				}
			}
		}
	})
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

// conflict compares two routes of one place; all are the routes there.
func conflict(a, b *Route, all []*Route) error {
	methods := a.methods.overlap(&b.methods)
	if len(methods) == 0 || compareConditions(&a.pattern, &b.pattern) != 0 {
		return nil
	}
	both, compatible := merge(a.pattern.conditions, b.pattern.conditions)
	if !compatible {
		return nil
	}
	for _, c := range all {
		// A third route decides where both would match.
		if compareConditions(&c.pattern, &a.pattern) > 0 && c.methods.includes(methods) && within(c.pattern.conditions, both) {
			return nil
		}
	}
	if slices.Equal(a.pattern.conditions, b.pattern.conditions) || len(both) == len(a.pattern.conditions) {
		return at(b.At, fmt.Errorf("route %s %s can't be told apart from %s %s%s: the same path for %s",
			strings.Join(b.Methods, ","), b.Pattern, strings.Join(a.Methods, ","), a.Pattern, written(a), strings.Join(methods, ",")))
	}
	query := make([]string, len(both))
	for i, c := range both {
		query[i] = c.String()
	}
	return at(b.At, fmt.Errorf("route %s %s can't be told apart from %s %s%s on a request with ?%s: add a route for that",
		strings.Join(b.Methods, ","), b.Pattern, strings.Join(a.Methods, ","), a.Pattern, written(a), strings.Join(query, "&")))
}

func written(r *Route) string {
	if r.At == "" {
		return ""
	}
	return " (" + r.At + ")"
}

// merge returns the conditions that hold where both lists do, and whether that
// can be.
func merge(a, b []condition) ([]condition, bool) {
	both := slices.Clone(a)
	for _, c := range b {
		i := slices.IndexFunc(both, func(d condition) bool { return d.key == c.key })
		switch {
		case i < 0:
			both = append(both, c)
		case both[i].anyValue:
			both[i] = c
		case !c.anyValue && both[i].value != c.value:
			return nil, false
		}
	}
	return both, true
}

// within reports whether all the conditions hold wherever those of outer do.
func within(conditions, outer []condition) bool {
	for _, c := range conditions {
		if !slices.ContainsFunc(outer, func(d condition) bool { return d.key == c.key && (c.anyValue || c.value == d.value && !d.anyValue) }) {
			return false
		}
	}
	return true
}

// find returns the most specific route for the segments from the i-th on, or
// nil. It sets m.Reason where the query can be read in two ways.
func (n *node) find(m *Match, i int) *Route {
	if i == m.path.n {
		return m.pick(n.ends)
	}
	if next := n.literals[m.path.segment(i)]; next != nil {
		if r := next.find(m, i+1); r != nil || m.Reason != Forward {
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

// pick returns the most specific of the routes of one place.
func (m *Match) pick(routes []*Route) *Route {
	var best *Route
	rank := 0
	for _, r := range routes {
		if best != nil && compareConditions(&r.pattern, &best.pattern) < 0 {
			break // sorted: all that follow are less specific
		}
		if k := r.methods.rank(m.method); k > rank && m.meets(r.pattern.conditions) {
			best, rank = r, k
		}
		if m.Reason != Forward {
			return nil
		}
	}
	return best
}

// meets reports whether the request's query meets all the conditions.
func (m *Match) meets(conditions []condition) bool {
	if len(conditions) == 0 {
		return true
	}
	if !m.judgeQuery() {
		return false
	}
	all := true
	for i := range conditions {
		met, why := conditions[i].holds(m.query)
		if why != "" {
			m.refuse(why)
			return false
		}
		all = all && met
	}
	return all
}
