package policy

import "slices"

// repeated is the ways to read a key that a condition depends on and that
// stands in the query more than once: as one of its values, or, by servers that
// make a list of them or refuse it, as none.
type repeated struct {
	key    string // "": none was met yet
	values []string
	now    int // the one that is followed; len(values): none
}

// value returns the value that the key has in the reading that is followed, nil
// for none. The first key that is asked for is the one that is read in several
// ways; a second one is refused.
func (r *repeated) value(key, query string) (value *string, why string) {
	switch r.key {
	case key:
	case "":
		r.key, r.values = key, make([]string, maxReadings)
		n, why := queryValues(query, key, r.values)
		if n > maxReadings {
			why = "the query has " + key + " too many times"
		}
		if why != "" {
			return nil, why
		}
		r.values = r.values[:n]
	default:
		return nil, "the query has both " + r.key + " and " + key + " twice"
	}
	if r.now == len(r.values) {
		return nil, ""
	}
	return &r.values[r.now], ""
}

// strictest returns the route on which the request is to be judged, or nil, where
// a key stands in the query more than once: the one that asks for all that is
// asked for on the routes of the other readings. Where there is none, the request
// is refused. first is the route of the reading that was followed first.
func (p *Policy) strictest(m *Match, first *Route) *Route {
	routes := [maxReadings + 1]*Route{first}
	n := len(m.repeated.values) + 1
	strictest := first
	for i := 1; i < n; i++ {
		m.repeated.now = i
		if routes[i] = p.lookFor(m); m.Reason != Forward {
			return nil
		}
		if !strictest.covers(routes[i], p.Catalog) {
			strictest = routes[i]
		}
	}
	for _, r := range routes[:n] {
		if !strictest.covers(r, p.Catalog) {
			m.refuse("the query has " + m.repeated.key + " twice")
			return nil
		}
	}
	return strictest
}

// covers reports whether every request that is forwarded on r would be forwarded
// on s, too. Either may be nil, where nothing is.
func (r *Route) covers(s *Route, c *Catalog) bool {
	if r == s {
		return true
	}
	if r == nil || s == nil || r.Report && !s.Report {
		return false
	}
	switch {
	case r.Require.need == needNever, s.Require.need == needNothing:
		return true
	case r.Require.need == needNothing, s.Require.need == needNever, r.Optional && !s.Optional:
		return false
	}
	return r.Space == s.Space && r.Resource == s.Resource && slices.Equal(r.from, s.from) && r.Require.covers(&s.Require, c)
}

// covers reports whether a token that holds what r asks for holds what s asks
// for, too.
func (r *Requirement) covers(s *Requirement, c *Catalog) bool {
	for _, wanted := range s.clauses {
		if !slices.ContainsFunc(r.clauses, func(held []int) bool {
			return !slices.ContainsFunc(held, func(n int) bool { return !c.containsAny(n, wanted) })
		}) {
			return false
		}
	}
	return true
}

// containsAny reports whether the scope numbered n is, or implies, one of these.
func (c *Catalog) containsAny(n int, wanted []int) bool {
	return slices.ContainsFunc(wanted, func(w int) bool { return w == n || slices.Contains(c.implied[n], w) })
}
