package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/policy"
)

// rules is what a configuration says of a document.
type rules struct {
	config   policy.OpenAPIConfig
	mark     string // before the configuration's words in errors: "--" if they are a command's flags
	document *Document
	schemes  map[string]string // what security schemes mean: requirements
	replaced []bool            // which of config.Routes are routes already
	open     gaps
	errs     []error
}

// newRules returns the rules of a configuration. Its errors, joined, are the mistakes in
// that.
func newRules(d *Document, c policy.OpenAPIConfig, mark string) (*rules, error) {
	r := &rules{config: c, mark: mark, document: d, schemes: map[string]string{}, replaced: make([]bool, len(c.Routes))}
	r.check()
	return r, errors.Join(r.errs...)
}

// fail notes a mistake in a line of the configuration, or in all of it.
func (r *rules) fail(place, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if r.mark == "" {
		err = fmt.Errorf("openapi %s: %w", filepath.Base(r.config.File), err)
	}
	r.errs = append(r.errs, policy.At(cmp.Or(place, r.config.At), err))
}

// operations yields those of the document that the configuration doesn't skip.
func (r *rules) operations() iter.Seq[*operation] {
	return func(yield func(*operation) bool) {
		for i := range r.document.operations {
			if o := &r.document.operations[i]; !r.skips(o) && !yield(o) {
				return
			}
		}
	}
}

// skips reports whether the configuration leaves the operation out.
func (r *rules) skips(o *operation) bool { return slices.ContainsFunc(r.config.Skip, o.named) }

// check refuses lines that are wrong, or that match nothing.
func (r *rules) check() {
	c, d := &r.config, r.document
	if c.Base != "" && (!strings.HasPrefix(c.Base, "/") || strings.ContainsAny(c.Base, "?*")) {
		r.fail("", "%s %s: want a path", r.mark+"base", c.Base)
	}
	if c.Default != "" {
		r.valid("", r.mark+"default", c.Default)
	}
	for _, s := range c.Schemes {
		what := r.mark + "scheme " + s.Name
		r.known(s.At, what, "security scheme", s.Name, d.schemeNames())
		if _, twice := r.schemes[s.Name]; twice || slices.Contains(c.Ignore, s.Name) {
			r.fail(s.At, "%s: is given twice", what)
		}
		if s.Require == "public" {
			r.fail(s.At, "%s: a credential is asked for, so it can't be public", what)
		}
		r.valid(s.At, what, s.Require)
		r.schemes[s.Name] = s.Require
	}
	for _, name := range c.Ignore {
		r.known("", r.mark+"ignore "+name, "security scheme", name, d.schemeNames())
	}
	var names, tags, paths []string
	for _, o := range d.operations {
		if o.id != "" {
			names = append(names, o.id)
		}
		names = append(names, o.method+" "+o.path)
		tags = append(tags, o.tags...)
		paths = append(paths, nameless(o.path))
	}
	for _, name := range c.Skip {
		r.known("", "skip "+name, "operation", name, names)
		r.unique("", "skip "+name, name)
	}
	for _, o := range c.Operations {
		what := "operation " + o.Name
		r.valid(o.At, what, o.Require)
		r.known(o.At, what, "operation", o.Name, names)
		r.unique(o.At, what, o.Name)
		if slices.ContainsFunc(d.operations, func(d operation) bool { return d.named(o.Name) && r.skips(&d) }) {
			r.fail(o.At, "%s: is skipped", what)
		}
	}
	for _, t := range c.Tags {
		r.valid(t.At, "tag "+t.Name, t.Require)
		r.known(t.At, "tag "+t.Name, "tag", t.Name, tags)
	}
	for _, route := range c.Routes {
		r.checkRoute(&route, paths)
	}
}

// valid refuses a line without a requirement, or with one that is none.
func (r *rules) valid(place, what, require string) {
	if err := validRequirement(require); err != nil {
		r.fail(place, "%s: %w", what, err)
	}
}

// known refuses a name that the document doesn't have.
func (r *rules) known(place, what, kind, name string, known []string) {
	if !slices.Contains(known, name) {
		r.fail(place, "%s: the document has no such %s%s", what, kind, spelling.Suggest(name, known))
	}
}

// unique refuses the name of several operations.
func (r *rules) unique(place, what, name string) {
	var places []string
	var first operation
	for _, o := range r.document.operations {
		if o.named(name) {
			if places = append(places, o.at); len(places) == 1 {
				first = o
			}
		}
	}
	if len(places) > 1 {
		r.fail(place, "%s: several operations have this name, at %s: write the method and path, as in %s",
			what, strings.Join(places, ", "), quoted(first.method+" "+first.path))
	}
}

// checkRoute refuses a route that replaces nothing. The paths are nameless.
func (r *rules) checkRoute(route *policy.RouteConfig, paths []string) {
	what := "route " + strings.Join(route.Methods, ",") + " " + route.Pattern
	r.valid(route.At, what, route.Require)
	if strings.Contains(route.Pattern, "?") {
		r.fail(route.At, "%s: a route with a query condition stands outside of the openapi block", what)
		return
	}
	var there []string
	for _, o := range r.document.operations {
		if samePath(route.Pattern, o.path) {
			there = append(there, o.method)
		}
	}
	if len(there) == 0 {
		r.known(route.At, what, "path", nameless(route.Pattern), paths)
		return
	}
	for _, m := range route.Methods {
		if m != "*" && !slices.Contains(there, m) {
			r.fail(route.At, "%s: the document has %s there, not %s", what, strings.Join(there, ", "), m)
		}
	}
}

// checkSources refuses a space or resource in the path of none of the routes.
func (r *rules) checkSources(routes []policy.RouteConfig) {
	for _, s := range []struct{ what, text string }{{"space", r.config.Space}, {"resource", r.config.Resource}} {
		name, ok := strings.CutPrefix(s.text, "path.")
		has := func(route policy.RouteConfig) bool {
			return strings.Contains(route.Pattern, "{"+name+"}") || strings.Contains(route.Pattern, "{"+name+"...}")
		}
		if ok && len(routes) > 0 && !slices.ContainsFunc(routes, has) {
			r.fail("", "%s %s: none of the operations has {%s}", s.what, s.text, name)
		}
	}
}
