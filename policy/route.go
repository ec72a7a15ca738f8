package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Route is a compiled route.
type Route struct {
	Methods Methods
	Pattern string // whole: with the prefixes of its groups
	Require Requirement
	At      string // where it is written: file:line; "": not known

	settings
	implicit bool // no requirement was written: any valid token is enough
	pattern  pattern
	beside   []int  // see node.beside
	outside  string // the path.<name> that is the space by its group or site, if the pattern has no {name}; for a warning
}

// String returns the route as the Caddyfile has it.
func (r *Route) String() string {
	s := r.name() + " " + r.Require.String()
	if r.optional {
		s += " (optional)"
	}
	return s
}

// takesAll reports whether every request that is on no other route is on this one.
func (r *Route) takesAll() bool {
	return r.pattern.tail && len(r.pattern.segments)+len(r.pattern.conditions) == 0 && r.Methods.all()
}

// name returns "route GET,PUT /x".
func (r *Route) name() string { return "route " + r.Label() }

// Place returns "GET,PUT /x (Caddyfile:3)".
func (r *Route) Place() string { return r.Label() + r.written() }

// Label returns "GET,PUT /x".
func (r *Route) Label() string { return strings.Join(r.Methods, ",") + " " + r.Pattern }

// written returns where the route is written, " (Caddyfile:3)", or "".
func (r *Route) written() string {
	if r.At == "" {
		return ""
	}
	return " (" + r.At + ")"
}

// compileRoute compiles one route of a site or a group with these settings and prefix.
func (p *Policy) compileRoute(c *RouteConfig, around settings, prefix string) (*Route, error) {
	r := &Route{Methods: c.Methods, Pattern: join(prefix, c.Pattern), At: c.At, implicit: strings.TrimSpace(c.Require) == ""}
	if !strings.HasPrefix(c.Pattern, "/") {
		return nil, noPattern(c)
	}
	err := r.Methods.validate()
	if err != nil {
		return nil, err
	}
	if r.pattern, err = parsePattern(r.Pattern, p.encodedSlash); err != nil {
		return nil, err
	}
	if r.Require, err = ParseRequirement(c.Require, p.Catalog); err != nil {
		return nil, err
	}
	if c.Optional && !r.Require.dependsOnToken() {
		return nil, fmt.Errorf("optional: has no effect with %q", r.Require.text)
	}
	if r.settings, err = c.Settings.within(around); err != nil {
		return nil, err
	}
	r.optional = r.optional && r.Require.dependsOnToken()
	if r.space, err = r.source("space", r.space, c.Space != ""); err != nil {
		return nil, err
	}
	if r.resource, err = r.source("resource", r.resource, c.Resource != ""); err != nil {
		return nil, err
	}
	return r, r.checkSources()
}

// noPattern is the error of a route whose pattern isn't a path.
func noPattern(c *RouteConfig) error {
	hint := ""
	switch {
	case len(c.Methods) == 1 && strings.HasPrefix(c.Methods[0], "/"):
		hint = fmt.Sprintf("; methods stand before it, as in GET %s, or * %[1]s for all", c.Methods[0])
	case slices.Contains(c.Methods, ""):
		hint = "; methods are listed without blanks, as in GET,POST"
	}
	return fmt.Errorf("pattern %q: want a path, which begins with /%s", c.Pattern, hint)
}

// checkSources refuses to take a token for a space or a resource: those are told
// to the client, the upstream and the logs.
func (r *Route) checkSources() error {
	for _, s := range [...]struct {
		what string
		*source
	}{{"space", &r.space}, {"resource", &r.resource}} {
		for _, c := range r.from {
			if c.Kind == Header && s.kind == fromHeader && c.Name == s.name || c.Kind == Query && s.kind == fromQuery && sameKey(c.Name, s.name) {
				return fmt.Errorf("%s %s: tokens are taken from there", s.what, s.text)
			}
		}
	}
	return nil
}

// source returns where the route's space or resource is. s is what the route itself says (own),
// or what its group or site says for those of its routes that have the parameter.
func (r *Route) source(what string, s source, own bool) (source, error) {
	found := s.text != ""
	if s.kind == fromPath {
		found = s.isIn(&r.pattern)
	}
	switch {
	case found:
		return s, nil
	case own:
		return s, fmt.Errorf("%s %s: pattern %s has no {%s}", what, s.text, r.Pattern, s.name)
	case what == "space":
		if space := (source{kind: fromPath, name: "space", text: "path.space"}); space.isIn(&r.pattern) {
			return space, nil
		}
		r.outside = s.text
	}
	return source{kind: fromNone, text: "none"}, nil
}

// covers reports whether every token that is enough for r is enough for s, too. Either may
// be nil: no token is for no route.
func (r *Route) covers(s *Route, c *Catalog) bool {
	if r == s {
		return true
	}
	if r == nil || s == nil || r.report && !s.report {
		return false
	}
	switch {
	case r.Require.need == needNever, s.Require.need == needNothing:
		return true
	case r.Require.need == needNothing, s.Require.need == needNever, r.optional && !s.optional:
		return false
	}
	return r.coversSpace(s) && r.coversResource(s) && slices.Equal(r.from, s.from) && r.Require.covers(&s.Require, c)
}

// coversSpace is covers for the space alone: that of s, or all of them.
func (r *Route) coversSpace(s *Route) bool {
	return r.space == s.space || r.space.kind == fromAll && s.space.kind != fromToken
}

// coversResource is covers for the resource alone: that of s, or none, for which a grant has
// to be for all of them. (Where any token will do, grants don't matter.)
func (r *Route) coversResource(s *Route) bool {
	return r.resource == s.resource || r.resource.kind == fromNone && (r.space.kind != fromNone || len(r.Require.clauses) > 0)
}

// reads reports whether the route has a condition on a key of the query, or finds its space or
// resource there.
func (r *Route) reads(key string) bool {
	return r.pattern.dependsOn(key) || r.space.kind == fromQuery && r.space.name == key || r.resource.kind == fromQuery && r.resource.name == key
}
