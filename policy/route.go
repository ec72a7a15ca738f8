package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Route is a compiled route.
type Route struct {
	Methods  []string
	Pattern  string // whole: with the prefixes of its groups
	Require  Requirement
	Space    Source
	Resource Source
	Optional bool
	Report   bool   // mode report
	At       string // where it is written: file:line

	implicit bool // no requirement was written: any valid token is enough
	pattern  pattern
	beside   []int  // see node.beside
	outside  string // the path.<name> that is said around it to be the space, where the pattern has no {name}; for a warning
	from     []Credential
	methods  methodSet
	shape    *Shape // of the body of rejections
}

// String returns the route as the Caddyfile has it.
func (r *Route) String() string {
	s := r.name() + " " + r.Require.String()
	if r.Optional {
		s += " (optional)"
	}
	return s
}

// name returns "route GET,PUT /x".
func (r *Route) name() string { return "route " + r.short() }

// place returns "GET,PUT /x (Caddyfile:3)".
func (r *Route) place() string { return r.short() + r.written() }

// short returns "GET,PUT /x".
func (r *Route) short() string { return strings.Join(r.Methods, ",") + " " + r.Pattern }

// written returns where the route is written, " (Caddyfile:3)", or "".
func (r *Route) written() string {
	if r.At == "" {
		return ""
	}
	return " (" + r.At + ")"
}

// compileRoute compiles one route of a site or a group with these settings and prefix.
func compileRoute(c *RouteConfig, around settings, prefix string, catalog *Catalog) (*Route, error) {
	r := &Route{Methods: c.Methods, Pattern: join(prefix, c.Pattern), At: c.At, implicit: strings.TrimSpace(c.Require) == ""}
	if !strings.HasPrefix(c.Pattern, "/") {
		return nil, fmt.Errorf("pattern %q: want a path, which begins with /", c.Pattern)
	}
	var err error
	if r.methods, err = parseMethods(c.Methods); err != nil {
		return nil, err
	}
	if r.pattern, err = parsePattern(r.Pattern); err != nil {
		return nil, err
	}
	if r.Require, err = ParseRequirement(c.Require, catalog); err != nil {
		return nil, err
	}
	if c.Optional && !r.Require.dependsOnToken() {
		return nil, fmt.Errorf("optional: says nothing beside %q", r.Require.text)
	}
	in, err := c.Settings.within(around)
	if err != nil {
		return nil, err
	}
	r.from, r.Report, r.shape = in.from, in.report, in.shape
	r.Optional = in.optional && r.Require.dependsOnToken()
	if r.Space, err = r.source("space", in.space, c.Space != ""); err != nil {
		return nil, err
	}
	if r.Resource, err = r.source("resource", in.resource, c.Resource != ""); err != nil {
		return nil, err
	}
	return r, r.checkSources()
}

// checkSources refuses to take a token for a space or a resource: those are told
// to the client, the upstream and the logs.
func (r *Route) checkSources() error {
	for _, source := range []struct {
		what string
		*Source
	}{{"space", &r.Space}, {"resource", &r.Resource}} {
		for _, c := range r.from {
			if c.Kind == Header && source.Kind == FromHeader && c.Name == source.Name ||
				c.Kind == Query && source.Kind == FromQuery && sameKey(c.Name, source.Name) {
				return fmt.Errorf("%s %s: tokens are taken from there", source.what, source.text)
			}
		}
	}
	return nil
}

// source returns where the route's space or resource is, of which s is said: by the route
// itself, or by what is around it, for those of its routes that have the parameter.
func (r *Route) source(what string, s Source, own bool) (Source, error) {
	found := s.text != ""
	if s.Kind == FromPath {
		found = s.standsIn(&r.pattern)
	}
	switch {
	case found:
		return s, nil
	case own:
		return s, fmt.Errorf("%s %s: pattern %s has no {%s}", what, s.text, r.Pattern, s.Name)
	case what == "space":
		if space := (Source{Kind: FromPath, Name: "space", text: "path.space"}); space.standsIn(&r.pattern) {
			return space, nil
		}
		r.outside = s.text
	}
	return Source{Kind: FromNone, text: "none"}, nil
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
