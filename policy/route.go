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

func written(r *Route) string {
	if r.At == "" {
		return ""
	}
	return " (" + r.At + ")"
}

// name returns the route's methods and pattern.
func (r *Route) name() string { return "route " + strings.Join(r.Methods, ",") + " " + r.Pattern }

// place names the route with where it is written.
func (r *Route) place() string { return strings.Join(r.Methods, ",") + " " + r.Pattern + written(r) }
