package policy

import (
	"cmp"
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
	Implicit bool   // no requirement was written; any valid token is enough

	pattern     pattern
	byRestRoute bool   // it has a condition on restRoute
	beside      []int  // the segments where it has a parameter and others a literal (node.beside)
	outside     string // the inherited path.<name> of the space whose parameter this pattern lacks, or ""; for a warning
	from        []Credential
	methods     methodSet
	shape       *Shape // of the body of rejections
}

// String returns the route as the Caddyfile has it.
func (r *Route) String() string {
	s := "route " + strings.Join(r.Methods, ",") + " " + r.Pattern + " " + r.Require.String()
	if r.Optional {
		s += " (optional)"
	}
	return s
}

// standsIn reports whether the pattern has the source's path parameter, and notes
// where.
func (s *Source) standsIn(p *pattern) bool {
	for i, segment := range p.segments {
		if segment.parameter == s.Name {
			s.segment, s.before, s.after = i, len(segment.before), len(segment.after)
			return true
		}
	}
	s.segment, s.tail = len(p.segments), true
	return p.tail && p.tailName == s.Name
}

// methodSet is a set of methods. HEAD is in it for GET's sake unless listed.
type methodSet struct {
	all    bool
	listed []string
}

// listedRank is the rank of a method that is listed.
const listedRank = 3

// rank says how specifically the set has a method, or all of them ("*"):
// listedRank, 2 for HEAD by way of GET, 1 by *, 0 not at all.
func (s *methodSet) rank(method string) int {
	switch {
	case s.all:
		return 1
	case slices.Contains(s.listed, method):
		return listedRank
	case method == "HEAD" && slices.Contains(s.listed, "GET"):
		return 2
	}
	return 0
}

// overlap returns the methods for which neither set is more specific; "*" where
// both have all.
func (s *methodSet) overlap(t *methodSet) (methods []string) {
	if s.all && t.all {
		return []string{"*"}
	}
	for _, m := range s.listed {
		if slices.Contains(t.listed, m) {
			methods = append(methods, m)
		}
	}
	return methods
}

func parseMethods(methods []string) (methodSet, error) {
	if len(methods) == 0 {
		return methodSet{}, fmt.Errorf("methods: none given; write * for all")
	}
	if slices.Contains(methods, "*") {
		if len(methods) > 1 {
			return methodSet{}, fmt.Errorf("methods %s: * stands alone", strings.Join(methods, ","))
		}
		return methodSet{all: true}, nil
	}
	for i, m := range methods {
		if err := ValidMethod(m); err != nil {
			return methodSet{}, err
		}
		if slices.Contains(methods[:i], m) {
			return methodSet{}, fmt.Errorf("method %s stands twice", m)
		}
	}
	return methodSet{listed: methods}, nil
}

// ValidMethod returns why no route can have the method, or nil.
func ValidMethod(m string) error {
	if !validMethod(m) {
		return fmt.Errorf("method %q: want upper-case names separated by commas, or *", m)
	}
	if m == "CONNECT" || m == "TRACE" || m == "TRACK" {
		return fmt.Errorf("method %s: never let through; a WebSocket over HTTP/2 counts as GET", m)
	}
	return nil
}

// validMethod reports whether m is made of upper-case letters and hyphens
// between them. Others are read as another method by some server.
func validMethod(m string) bool {
	if m == "" || len(m) > 32 || m[0] == '-' || m[len(m)-1] == '-' {
		return false
	}
	for i := 0; i < len(m); i++ {
		if (m[i] < 'A' || m[i] > 'Z') && m[i] != '-' {
			return false
		}
	}
	return true
}

// compileRoute works out one route of the configuration.
func compileRoute(c RouteConfig, outer Settings, prefix string, catalog *Catalog) (*Route, error) {
	settings := c.Settings.within(outer)
	r := &Route{
		Methods: c.Methods, Pattern: join(prefix, c.Pattern), Optional: settings.Optional,
		At: c.At, Implicit: strings.TrimSpace(c.Require) == "",
	}
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
	if r.Require.need == needNothing || r.Require.need == needNever {
		if c.Optional {
			return nil, fmt.Errorf("optional: says nothing beside %q", r.Require.text)
		}
		r.Optional = false
	}
	if r.from, err = parseCredentials(settings.TokenFrom); err != nil {
		return nil, err
	}
	mode, err := OneOf("mode", settings.Mode, "enforce", "report")
	if err != nil {
		return nil, err
	}
	r.Report = mode == "report"
	if r.shape, err = compileErrorBody(settings.ErrorBody); err != nil {
		return nil, err
	}
	if r.Space, err = r.source("space", c.Space, outer.Space); err != nil {
		return nil, err
	}
	if r.Resource, err = r.source("resource", c.Resource, outer.Resource); err != nil {
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

// source works out where a route's space or resource is found: own is what the
// route says, inherited what its groups and the site say.
func (r *Route) source(what, own, inherited string) (Source, error) {
	text := cmp.Or(own, inherited)
	s, err := ParseSource(cmp.Or(text, "none"))
	if err != nil {
		return s, fmt.Errorf("%s: %w", what, err)
	}
	if what == "resource" && (s.Kind == FromToken || s.Kind == FromAll) {
		return s, fmt.Errorf("resource: %q is for spaces only", text)
	}
	ok := text != ""
	if s.Kind == FromPath {
		ok = s.standsIn(&r.pattern)
	}
	switch {
	case ok:
		return s, nil
	case own != "":
		return s, fmt.Errorf("%s %s: pattern %s has no {%s}", what, own, r.Pattern, s.Name)
	}
	// Nothing was said, or by a group, for its routes that have the parameter.
	space := Source{Kind: FromPath, Name: "space", text: "path.space"}
	if what == "space" && space.standsIn(&r.pattern) {
		return space, nil
	}
	if what == "space" {
		r.outside = text
	}
	return Source{Kind: FromNone, text: "none"}, nil
}
