package policy

import (
	"slices"
	"strconv"
	"strings"
)

// Warning is something an operator probably didn't mean.
type Warning struct {
	At   string `json:"at,omitempty"` // file:line
	Kind string `json:"kind"`
	Text string `json:"text"`
	// Error means that it can't have been meant: a route that no request is on.
	Error bool `json:"error,omitempty"`
}

// Severity returns "error" or "warning".
func (w *Warning) Severity() string {
	if w.Error {
		return "error"
	}
	return "warning"
}

// The kinds of warnings.
const (
	WarnShadowed    = "shadowed_route"      // an error: no request can be on it
	WarnFallthrough = "wildcard_over_route" // asks for less than a route below it
	WarnCase        = "literals_alike"      // two segments that some servers don't tell apart
	WarnMount       = "path_above_route"    // what is mounted at /x takes /x as well: there it asks for less, and is refused
	WarnNoScope     = "no_requirement"
	WarnNoSpace     = "no_space" // a group or the site says one that the route's pattern doesn't have
	WarnOpen        = "open_wildcard"
	WarnSecondPath  = "second_path" // a method whose requests name a second path, and are refused
	WarnNoDefault   = "no_default"
	WarnDefault     = "open_default"
	WarnNoRoutes    = "no_routes"
	WarnQueryToken  = "token_in_query"
	WarnOwnToken    = "own_token_let_through" // secrets of patgate never are
	WarnUnused      = "unused_scope"
	WarnMisspelt    = "misspelt_scope"
	WarnMethod      = "misspelt_method"
	WarnParameter   = "literal_like_parameter" // :id and <id> are parameters elsewhere
	WarnUncovered   = "operation_without_route"
	WarnOpened      = "operation_without_token" // its document asks for one, its route doesn't
	WarnElsewhere   = "token_elsewhere"         // by its document
	WarnUnknown     = "route_without_operation"
)

// Warnings returns what is probably a mistake in policies that compile and share
// their catalog, in the order of the policies and of their lines.
func Warnings(policies ...*Policy) []Warning {
	if len(policies) == 0 {
		return nil
	}
	var w warnings
	for _, p := range policies {
		w.of(p)
	}
	if policies[0].Catalog.Complete() {
		w.ofUnusedScopes(policies)
	} else {
		w.ofMisspeltScopes(policies)
	}
	return w
}

// warnings gathers what there is to say.
type warnings []Warning

func (w *warnings) add(at, kind, text string) {
	*w = append(*w, Warning{At: at, Kind: kind, Text: text})
}

// of warns of a policy alone, but for its scopes.
func (w *warnings) of(p *Policy) {
	w.ofSettings(p)
	w.ofMethods(p)
	w.ofRoutes(p)
	w.ofLiterals(p)
}

// ofSettings warns of what holds for the whole site.
func (w *warnings) ofSettings(p *Policy) {
	switch {
	case p.noDefault:
		w.add(p.at, WarnNoDefault, "no default is written: what no route matches is rejected; write default deny to say so")
	case p.fallback != nil && p.fallback.Require.need == needNothing:
		w.add(p.at, WarnDefault, "default public: whatever no route matches is open to everyone")
	}
	if len(p.routes) == 0 && p.fallback == nil {
		w.add(p.at, WarnNoRoutes, "there are no routes: every request is rejected")
	}
	for _, c := range p.credentials {
		if c.Kind == Query {
			w.add(p.at, WarnQueryToken, "token_from "+c.String()+": tokens in URLs end up in logs, histories and referrers")
		}
	}
	for _, c := range p.letThrough {
		if c.Kind == Bearer && p.isOwn(c.Name) {
			w.add(p.at, WarnOwnToken, "let_through "+c.String()+" does nothing: secrets that begin with "+p.Prefix+"_ are patgate's own, and always judged")
		}
	}
}

// ofMethods warns of methods that nobody sends, probably: requests with the one that was
// meant are on another route, or on none.
func (w *warnings) ofMethods(p *Policy) {
	said := map[string]bool{}
	for _, r := range p.routes {
		for _, m := range r.Methods {
			if meant := misspeltMethod(m); meant != "" && !said[m] {
				said[m] = true
				w.add(r.At, WarnMethod, r.name()+": "+m+" "+meant)
			}
		}
	}
}

// ofRoutes warns of single routes, and of what they are beside others.
func (w *warnings) ofRoutes(p *Policy) {
	methods := listedMethods([]string{someMethod}, p)
	slices.Sort(methods)
	for _, r := range p.routes {
		if r.implicit {
			w.add(r.At, WarnNoScope, r.name()+" names no scope: any valid token is enough; write any to say so")
		}
		if r.outside != "" && r.Require.dependsOnToken() {
			w.add(r.At, WarnNoSpace, r.name()+" is in no space, for its pattern has no {"+strings.TrimPrefix(r.outside, "path.")+"}: write space none to say so")
		}
		for _, segment := range r.pattern.segments {
			if name := elsewhereParameter(segment.literal); name != "" {
				w.add(r.At, WarnParameter, r.name()+": "+segment.literal+" stands for itself; a parameter is written {"+name+"}")
			}
		}
		if r.Require.need == needNothing {
			switch {
			case r.pattern.tail:
				w.add(r.At, WarnOpen, r.name()+" opens everything below it to the public")
			case r.pattern.takesEveryPath():
				w.add(r.At, WarnOpen, r.name()+" opens every path of "+r.pattern.length()+" to the public")
			}
		}
		if named := slices.DeleteFunc(slices.Clone(r.Methods), func(m string) bool { return !namesSecondPath(m) }); len(named) > 0 && r.Require.need != needNever {
			w.add(r.At, WarnSecondPath, r.name()+": "+strings.Join(named, " and ")+" with Destination, as in WebDAV, is refused whatever the token: that path isn't judged")
		}
		if why := p.shadowed(r); why != "" {
			*w = append(*w, Warning{At: r.At, Kind: WarnShadowed, Error: true, Text: r.name() + ": no request can be on it: " + why})
		} else if text := p.fallsThrough(r); text != "" {
			w.add(r.At, WarnFallthrough, text)
		}
		if text := p.mounted(r, methods); text != "" {
			w.add(r.At, WarnMount, text)
		}
	}
}

// takesEveryPath reports whether the pattern says nothing but how many segments a path has.
func (p *pattern) takesEveryPath() bool {
	said := func(s segment) bool { return s.parameter == "" || s.partial() }
	return len(p.segments) > 0 && len(p.conditions) == 0 && !slices.ContainsFunc(p.segments, said)
}

// length says how many segments the pattern has.
func (p *pattern) length() string {
	if len(p.segments) == 1 {
		return "one segment"
	}
	return strconv.Itoa(len(p.segments)) + " segments"
}

// elsewhereParameter returns the name of the parameter that a literal would be in other
// systems, or "": :id (Express, Rails), <id> and <int:id> (Flask).
func elsewhereParameter(literal string) string {
	name, is := strings.CutPrefix(literal, ":")
	if inside, opened := strings.CutPrefix(literal, "<"); opened {
		name, is = strings.CutSuffix(inside[strings.LastIndexByte(inside, ':')+1:], ">")
	}
	if !is || !validParameter(name) {
		return ""
	}
	return name
}

// ofLiterals warns of literals at one place that are the same but for their case.
func (w *warnings) ofLiterals(p *Policy) {
	p.tree.each(func(n *node) {
		seen := map[string]*edge{}
		for i := range n.edges {
			e := &n.edges[i]
			folded := foldSegment(e.literal)
			if other := seen[folded]; other != nil {
				a, b := other.to.any(), e.to.any()
				w.add(b.At, WarnCase, b.name()+": "+e.literal+" and "+other.literal+a.written()+" are the same to servers that ignore case")
			}
			seen[folded] = e
		}
	})
}

// any returns a route at the node or below it.
func (n *node) any() (r *Route) {
	n.each(func(n *node) {
		for _, routes := range [][]*Route{n.ends, n.tails} {
			if len(routes) > 0 {
				r = routes[0]
			}
		}
	})
	return r
}

// someMethod is a method that no route lists.
const someMethod = "SOME-METHOD"

// shadowed says why no request can be on the route, or returns "". It tries requests that have
// what no other route has wherever the pattern leaves something open, and several lengths of
// the rest of a path, if the pattern takes all of that.
func (p *Policy) shadowed(r *Route) (why string) {
	methods := r.Methods
	if methods.all() {
		methods = Methods{someMethod}
	}
	var others []string
	for rest := 1; rest == 1 || r.pattern.tail && rest <= 3 && len(r.pattern.segments)+rest <= maxSegments; rest++ {
		for _, query := range r.pattern.queries() {
			for _, method := range methods {
				sample := r.pattern.request(method, query, rest)
				m := p.routed(&sample)
				switch {
				case m.Reason != Forward:
					why = m.Detail
				case m.Route == r:
					return ""
				case !slices.Contains(others, m.Route.Place()):
					others = append(others, m.Route.Place())
				}
			}
		}
	}
	if len(others) == 0 {
		return why
	}
	return "all are on " + strings.Join(others, " or ")
}

// mounted says of a route for everything below a path that the path itself is refused, or
// returns "": some servers find that on this route as well, which asks for more than its own.
// methods are those of the policy.
func (p *Policy) mounted(r *Route, methods []string) string {
	if !r.pattern.tail {
		return ""
	}
	above := r.pattern
	above.tail = false
	for _, method := range methods {
		sample := above.request(method, above.queries()[0], 0)
		m := p.routed(&sample)
		if m.Route != nil && m.alike == r {
			return above.String() + " is refused: it is on " + m.Route.Place() + ", and " + r.name() +
				" asks for more; what is mounted there takes both for the same. Write a route for " + above.String()
		}
	}
	return ""
}

// fallsThrough says which stricter routes are below one that takes all the rest of a path, or
// returns "": a request that misses them by its method or path is on this one.
func (p *Policy) fallsThrough(r *Route) string {
	var stricter []string
	for _, s := range p.routes {
		if r.pattern.tail && r.pattern.above(&s.pattern) && r.sharesMethod(s) && r.Require.need != needNever && !r.covers(s, p.Catalog) {
			stricter = append(stricter, s.Label()+" ("+s.asks(s.Require.text)+")"+s.written())
		}
	}
	if len(stricter) == 0 {
		return ""
	}
	text := strings.Join(stricter[:min(len(stricter), 3)], "; ")
	if more := len(stricter) - 3; more > 0 {
		text += "; and " + strconv.Itoa(more) + " more"
	}
	return r.name() + " asks for less (" + r.asks(r.Require.text) + ") than what is below it, and takes what isn't on that: " + text
}

// above reports whether all that matches s, which is deeper, matches p, too.
func (p *pattern) above(s *pattern) bool {
	if len(s.segments) <= len(p.segments) || !within(p.conditions, s.conditions) {
		return false
	}
	for i := range p.segments {
		a, b := &p.segments[i], &s.segments[i]
		if b.parameter == "" && !a.matches(b.literal) || b.parameter != "" && (a.parameter == "" || !b.within(a)) {
			return false
		}
	}
	return true
}

// sharesMethod reports whether some method is on both routes.
func (r *Route) sharesMethod(s *Route) bool {
	return slices.ContainsFunc(s.Methods, r.Methods.Has) || slices.ContainsFunc(r.Methods, s.Methods.Has)
}
