package policy

import (
	"iter"
	"slices"
	"strings"
)

// Policy is a compiled policy. Immutable; safe for concurrent use.
type Policy struct {
	Realm      string // names the API in challenges
	StripToken bool   // forward_token strip
	Catalog    *Catalog
	// Prefix is that of patgate's secrets, which are never let through (let_through). "": not
	// known. Set it before use.
	Prefix string

	routes         []*Route // in the order they are written
	tree           *node    // of them
	fallback       *Route   // what default says for requests no route matches; nil: deny
	site           settings // those of the site itself: of requests that no route matches, too
	letThrough     []Credential
	preflight      bool // cors_preflight isn't deny
	preflightAsked bool // it is forward, written out
	encodedSlash   slashes
	mounts         map[string]bool // literals that other segments follow: something may be mounted there
	semicolon      bool            // semicolon allow

	credentials []Credential // all the places where routes take tokens from
	enforces    bool         // some route that isn't public isn't in report mode
	at          string       // where it begins: file:line; for warnings
	noDefault   bool         // default isn't written; for warnings
}

// Routes returns the compiled routes in the order they are written.
func (p *Policy) Routes() []*Route { return p.routes }

// all yields the routes, and the one for requests that none of them matches.
func (p *Policy) all() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, r := range p.routes {
			if !yield(r) {
				return
			}
		}
		if p.fallback != nil {
			yield(p.fallback)
		}
	}
}

// Credentials returns all the places where routes take tokens from. They aren't to
// be changed.
func (p *Policy) Credentials() []Credential { return p.credentials }

// LetsThrough reports whether the credential at a place is let through (let_through).
func (p *Policy) LetsThrough(c Credential) bool { return slices.ContainsFunc(p.letThrough, c.SameAs) }

// LetThroughCookies returns the names of the cookies that are let through.
func (p *Policy) LetThroughCookies() (names []string) {
	for _, c := range p.letThrough {
		if c.Kind == Cookie {
			names = append(names, c.Name)
		}
	}
	return names
}

// JudgedHeaders returns the headers in which routes find tokens, spaces and resources,
// or other credentials of the API.
func (p *Policy) JudgedHeaders() (names []string) {
	for _, c := range slices.Concat(p.credentials, p.letThrough) {
		names = append(names, c.header())
	}
	names = append(names, p.SourceHeaders()...)
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// SourceHeaders returns the headers in which routes find spaces and resources.
func (p *Policy) SourceHeaders() (names []string) {
	for r := range p.all() {
		for _, s := range []source{r.space, r.resource} {
			if s.kind == fromHeader && !slices.Contains(names, s.name) {
				names = append(names, s.name)
			}
		}
	}
	return names
}

// Reporting returns how many routes are in report mode. What no route matches counts as
// one.
func (p *Policy) Reporting() (n int) {
	for _, r := range p.routes {
		if r.report {
			n++
		}
	}
	if p.site.report {
		n++
	}
	return n
}

// ReportsDefault reports whether what no route matches is in report mode.
func (p *Policy) ReportsDefault() bool { return p.site.report }

// Default returns what a request needs that no route matches: "deny", "any" or
// "public".
func (p *Policy) Default() string {
	if p.fallback == nil {
		return "deny"
	}
	return p.fallback.Require.text
}

// Denies reports whether there can be requests that no route matches, and they are
// rejected.
func (p *Policy) Denies() bool {
	return p.fallback == nil && !p.site.report && !slices.ContainsFunc(p.routes, func(r *Route) bool { return r.takesAll() })
}

// RouteBelow returns the first route, as "route GET /x (Caddyfile:3)", if the patterns of
// all routes begin with this path; otherwise "".
func (p *Policy) RouteBelow(path string) string {
	path = strings.TrimSuffix(path, "/") + "/"
	elsewhere := func(r *Route) bool { return !strings.HasPrefix(r.Pattern+"/", path) }
	if path == "/" || len(p.routes) == 0 || slices.ContainsFunc(p.routes, elsewhere) {
		return ""
	}
	return p.routes[0].name() + p.routes[0].written()
}

// ByHost returns a route for which the host of a request says which space or resource
// it is for, or nil.
func (p *Policy) ByHost() *Route {
	for r := range p.all() {
		if r.byHost() {
			return r
		}
	}
	return nil
}
