package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Difference names requests that two policies answer differently.
type Difference struct {
	Methods []string `json:"methods"`
	Pattern string   `json:"pattern"` // of their paths, with the query they have
	Old     string   `json:"old"`     // what the old policy asks of them
	New     string   `json:"new"`
}

// maxPairs bounds the work of Diff: beyond so many pairs of routes, requests that
// lie on a route of each policy are compared only where both are written alike.
const maxPairs = 4_000_000

// Diff returns which requests the two policies answer differently. It compares
// them on a request for every route of either, and for every two of them that
// some request is on at once.
func Diff(before, after *Policy) []Difference {
	methods := listedMethods([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, before, after)
	methods = append(methods, unlisted(methods)) // the last
	var differences []Difference
	deepest := max(before.deepest(), after.deepest())
	for _, s := range samples(before, after) {
		byAnswer := map[[2]string][]string{}
		var order [][2]string
		for _, method := range methods {
			pair, differ := s.asked(method, deepest, before, after)
			if !differ || s.above && !strings.HasPrefix(pair[0], asksNothing) && !strings.HasPrefix(pair[1], asksNothing) {
				continue
			}
			if byAnswer[pair] == nil {
				order = append(order, pair)
			} else if method == methods[len(methods)-1] {
				continue // it represents all other methods, and is named only where no listed one has the answer
			}
			byAnswer[pair] = append(byAnswer[pair], method)
		}
		for _, pair := range order {
			differences = append(differences, Difference{byAnswer[pair], s.String(), pair[0], pair[1]})
		}
	}
	slices.SortStableFunc(differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Methods[0], b.Methods[0]))
	})
	return differences
}

// deepest returns how many segments the longest pattern has.
func (p *Policy) deepest() (n int) {
	for _, r := range p.routes {
		n = max(n, len(r.pattern.segments))
	}
	return n
}

// asked says what two policies ask of a request that the pattern matches, and whether that
// differs: of one that strays in neither, if there is one.
func (p *pattern) asked(method string, deepest int, before, after *Policy) (asks [2]string, differ bool) {
	first := true
	for _, rest := range p.rests(deepest) {
		for _, query := range p.queries() {
			r := p.request(method, query, rest)
			a, b := before.routed(&r), after.routed(&r)
			stays := !p.strays(&a) && !p.strays(&b)
			if first || stays {
				asks, differ = bothAsk(before, after, &a, &b)
			}
			if stays {
				return asks, differ
			}
			first = false
		}
	}
	return asks, differ
}

// bothAsk says what two policies ask of a request that both have routed, and whether that
// differs.
func bothAsk(before, after *Policy, a, b *Match) (asks [2]string, differ bool) {
	asks = [2]string{before.asks(a), after.asks(b)}
	if a.Reason != Forward || b.Reason != Forward || a.Route == nil || b.Route == nil {
		return asks, asks[0] != asks[1]
	}
	differ = !slices.Equal(before.Catalog.normalized(a.Route.Require.text), after.Catalog.normalized(b.Route.Require.text)) ||
		!a.Route.judgesAs(b.Route)
	if differ && asks[0] == asks[1] { // they have a parameter of one name in two places
		asks = [2]string{asks[0] + ", on " + a.Route.Pattern, asks[1] + ", on " + b.Route.Pattern}
	}
	return asks, differ
}

// judgesAs reports whether two routes with the same requirement judge a request that is on
// both in the same way.
func (r *Route) judgesAs(s *Route) bool {
	return r.optional == s.optional && r.report == s.report && (!r.Require.dependsOnToken() ||
		r.space.place() == s.space.place() && r.resource.place() == s.resource.place() && sameCredentials(r.from, s.from))
}

// place returns where the source is in a request, however the path's parameter is called.
func (s source) place() source {
	s.text = ""
	if s.kind == fromPath {
		s.name = ""
	}
	return s
}

// rests returns how many segments the rest of a path may have in samples: the usual, more
// than the deepest pattern, what is between, and at last one.
func (p *pattern) rests(deepest int) []int {
	rests := []int{usualRest}
	if !p.tail {
		return rests
	}
	for n := len(p.segments) + usualRest + 1; n <= min(deepest+1, maxSegments); n++ {
		rests = append(rests, n-len(p.segments))
	}
	return append(rests, 1)
}

// strays reports whether a request of the pattern is refused, or on a route that isn't for
// all that the pattern leaves open: a value, or the rest of a path.
func (p *pattern) strays(m *Match) bool {
	if m.Reason != Forward || m.Route == nil {
		return m.Reason != Forward
	}
	on := &m.Route.pattern
	return p.tail && (!on.tail || len(on.segments) > len(p.segments)) || slices.ContainsFunc(on.conditions, func(c condition) bool {
		return !c.anyValue && slices.ContainsFunc(p.conditions, func(d condition) bool { return d.anyValue && d.key == c.key })
	})
}

// listedMethods returns these methods, followed by the others that routes list.
func listedMethods(methods []string, policies ...*Policy) []string {
	for _, p := range policies {
		for _, r := range p.routes {
			for _, m := range r.Methods {
				if m != "*" && !slices.Contains(methods, m) {
					methods = append(methods, m)
				}
			}
		}
	}
	return methods
}

// unlisted returns a method that isn't one of these.
func unlisted(methods []string) string {
	for _, m := range []string{"PROPFIND", "REPORT", "SEARCH", "QUERY"} {
		if !slices.Contains(methods, m) {
			return m
		}
	}
	return someMethod
}

// asksNothing begins the answer to a request that is refused whatever its token.
const asksNothing = "refused: "

// asks says what the policy asks of a request that it has routed.
func (p *Policy) asks(m *Match) (asks string) {
	switch {
	case m.Reason != Forward:
		asks = asksNothing + m.Detail
	case m.Route == nil:
		asks = "no route"
	default:
		// What is written in another order, or by another name, is the same.
		return m.Route.asks(strings.Join(p.Catalog.normalized(m.Route.Require.text), " "))
	}
	if m.Reports() {
		asks += ", mode report"
	}
	return asks
}

// asks says what the route asks of a request, with the requirement written so.
func (r *Route) asks(requirement string) string {
	says := []string{requirement}
	if r.optional {
		says = append(says, "optional")
	}
	if r.report {
		says = append(says, "mode report")
	}
	if r.Require.dependsOnToken() {
		if r.space.kind != fromNone {
			says = append(says, "space "+r.space.String())
		}
		if r.resource.kind != fromNone {
			says = append(says, "resource "+r.resource.String())
		}
		if !sameCredentials(r.from, defaultCredentials) {
			first := len(says)
			for _, c := range r.from {
				says = append(says, "token_from "+c.String())
			}
			slices.Sort(says[first:])
		}
	}
	return strings.Join(says, ", ")
}

// sameCredentials reports whether two lists without duplicates name the same places.
func sameCredentials(a, b []Credential) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(c Credential) bool {
		same := func(d Credential) bool {
			return c == d || c.Kind == Scheme && d.Kind == Scheme && equalFold(c.Name, d.Name)
		}
		return !slices.ContainsFunc(b, same)
	})
}

// sample is a pattern on which a difference may show.
type sample struct {
	pattern
	// above: it is that of a path above a route for all that is below, where requests may be
	// refused for that; else, they are as others.
	above bool
}

// samples returns patterns on which every difference between the policies shows.
func samples(before, after *Policy) (all []sample) {
	seen := map[string]bool{}
	addAs := func(p pattern, above bool) {
		s := p.path(0) + p.queries()[0]
		if p.tail {
			s = "*" + s
		}
		if !seen[s] {
			seen[s] = true
			all = append(all, sample{p, above})
		}
	}
	add := func(p pattern) { addAs(p, false) }
	for _, p := range []*Policy{before, after} {
		for _, r := range p.routes {
			add(r.pattern)
		}
	}
	if len(before.routes)*len(after.routes) <= maxPairs {
		for _, a := range before.routes {
			for _, b := range after.routes {
				if both, ok := overlap(&a.pattern, &b.pattern); ok {
					add(both)
				}
			}
		}
	}
	add(pattern{tail: true, tailName: "anything"})
	add(pattern{})
	for _, p := range []*Policy{before, after} {
		for _, r := range p.routes {
			if above := r.pattern; above.tail {
				above.tail = false
				addAs(above, len(above.segments) > 0) // / is below nothing that tells of it
			}
		}
	}
	return all
}

// overlap returns a pattern of requests that are on both, and whether there are
// any.
func overlap(a, b *pattern) (both pattern, ok bool) {
	if len(a.segments) > len(b.segments) {
		a, b = b, a
	}
	if len(a.segments) < len(b.segments) && !a.tail || len(a.segments) == len(b.segments) && a.tail != b.tail {
		return both, false
	}
	for i, s := range b.segments {
		if i < len(a.segments) {
			if s, ok = s.meet(&a.segments[i]); !ok {
				return both, false
			}
		}
		both.segments = append(both.segments, s)
	}
	both.tail, both.tailName = b.tail, b.tailName
	both.conditions = merge(a.conditions, b.conditions)
	return both, compatible(a.conditions, b.conditions)
}

// ScopeDifference is a scope that two catalogs declare differently.
type ScopeDifference struct {
	Name string `json:"name"`
	Old  string `json:"old"` // what it implies, and its aliases; "declared"; "not declared"
	New  string `json:"new"`
}

// DiffScopes returns which scopes two catalogs declare differently.
func DiffScopes(before, after *Catalog) (differences []ScopeDifference) {
	describe := func(c *Catalog) map[string]string {
		scopes := map[string]string{}
		for _, s := range c.declared {
			var says []string
			if len(s.Implies) > 0 {
				says = append(says, "implies "+strings.Join(c.normalized(strings.Join(s.Implies, " ")), " "))
			}
			if len(s.Aliases) > 0 {
				says = append(says, "alias "+strings.Join(slices.Sorted(slices.Values(s.Aliases)), " "))
			}
			scopes[s.Name] = cmp.Or(strings.Join(says, ", "), "declared")
		}
		return scopes
	}
	was, is := describe(before), describe(after)
	either := maps.Clone(was)
	maps.Copy(either, is)
	for _, name := range slices.Sorted(maps.Keys(either)) {
		if was[name] != is[name] {
			differences = append(differences, ScopeDifference{name, cmp.Or(was[name], "not declared"), cmp.Or(is[name], "not declared")})
		}
	}
	return differences
}
