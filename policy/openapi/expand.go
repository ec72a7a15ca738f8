package openapi

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// Expand returns the configuration with the routes of its OpenAPI documents in
// place of them. It reads the files.
func Expand(c policy.Config) (policy.Config, error) {
	groups, err := expand(c.OpenAPI, c.Groups)
	c.OpenAPI, c.Groups = nil, groups
	return c, err
}

// expand returns the groups, and behind them one for each document.
func expand(documents []policy.OpenAPIConfig, groups []policy.GroupConfig) ([]policy.GroupConfig, error) {
	var errs []error
	groups = slices.Clone(groups)
	for i := range groups {
		g := &groups[i]
		inner, err := expand(g.OpenAPI, g.Groups)
		g.OpenAPI, g.Groups = nil, inner
		errs = append(errs, err)
	}
	for _, c := range documents {
		d, err := Read(c.File)
		if err != nil {
			errs = append(errs, policy.At(c.At, err))
			continue
		}
		routes, err := d.routes(c)
		if err != nil {
			errs = append(errs, err)
		}
		groups = append(groups, policy.GroupConfig{Prefix: "/", At: c.At, Settings: c.Settings, Routes: routes})
	}
	return groups, errors.Join(errs...)
}

// rules is what a configuration says of a document.
type rules struct {
	config   policy.OpenAPIConfig
	mark     string // before words of the configuration: "--" where they are a command's
	document *Document
	schemes  map[string]string // what security schemes mean: requirements
	replaced []bool            // which of config.Routes are routes already
	open     gaps
	errs     []error
}

// fail notes a mistake in a line of the configuration, or in all of it.
func (r *rules) fail(place, format string, args ...any) {
	err := fmt.Errorf(format, args...)
	if r.mark == "" {
		err = fmt.Errorf("openapi %s: %w", filepath.Base(r.config.File), err)
	}
	r.errs = append(r.errs, policy.At(cmp.Or(place, r.config.At), err))
}

// newRules returns the rules of a configuration, with the mistakes in them.
func newRules(d *Document, c policy.OpenAPIConfig, mark string) *rules {
	r := &rules{config: c, mark: mark, document: d, schemes: map[string]string{}, replaced: make([]bool, len(c.Routes))}
	r.check()
	return r
}

// skips reports whether the configuration leaves the operation out.
func (r *rules) skips(o *operation) bool { return slices.ContainsFunc(r.config.Skip, o.named) }

// routes returns the routes that a configuration makes of the document. Its
// errors, joined, name the places of the mistakes.
func (d *Document) routes(c policy.OpenAPIConfig) ([]policy.RouteConfig, error) {
	r := newRules(d, c, "")
	if len(r.errs) > 0 {
		return nil, errors.Join(r.errs...)
	}
	var routes []policy.RouteConfig
	for i := range d.operations {
		o := &d.operations[i]
		if r.skips(o) {
			continue
		}
		route, err := r.route(o)
		var why gap
		switch {
		case errors.As(err, &why):
			r.open.add(why, o)
		case err != nil:
			r.errs = append(r.errs, policy.At(o.at, fmt.Errorf("operation %s: %w", o.name(), err)))
		case route != nil:
			routes = append(routes, *route)
		}
	}
	r.reportGaps()
	r.checkSources(routes)
	return routes, errors.Join(r.errs...)
}

// route returns the route of an operation; nil where one that replaces several
// operations is there already.
func (r *rules) route(o *operation) (*policy.RouteConfig, error) {
	base, err := o.base.or(r.config.Base)
	if err != nil {
		return nil, err
	}
	var said *policy.OverrideConfig // what the configuration says that it needs
	override := func(rule policy.OverrideConfig) error {
		if said != nil {
			return fmt.Errorf("%s and %s both say what it needs", said.At, rule.At)
		}
		said = &rule
		return nil
	}
	for _, rule := range r.config.Operations {
		if o.named(rule.Name) {
			if err := override(rule); err != nil {
				return nil, err
			}
		}
	}
	for i, rule := range r.config.Routes {
		if !replaces(&rule, o) {
			continue
		}
		if err := override(policy.OverrideConfig{At: rule.At}); err != nil {
			return nil, err
		}
		if r.replaced[i] {
			return nil, nil
		}
		r.replaced[i] = true
		rule.Pattern = below(base, rule.Pattern)
		return &rule, nil
	}
	if said == nil {
		for _, rule := range r.config.Tags {
			if slices.Contains(o.tags, rule.Name) {
				if err := override(rule); err != nil {
					return nil, fmt.Errorf("%w: write operation %s", err, quoted(o.name()))
				}
			}
		}
	}
	route, err := o.closed(base)
	if err != nil {
		return nil, err
	}
	if said != nil {
		route.Require, route.Settings = said.Require, said.Settings
	} else if route.Require, route.Optional, err = r.requirement(o); err != nil {
		return nil, err
	}
	return route, nil
}

// closed returns the operation's route below a base, through which no request goes.
func (o *operation) closed(base string) (*policy.RouteConfig, error) {
	if err := policy.ValidMethod(o.method); err != nil {
		return nil, noMethod(err)
	}
	whole := below(base, pattern(o.path))
	err := policy.ValidPattern(whole)
	if _, query, _ := strings.Cut(whole, "?"); err == nil && strings.ContainsAny(query, "{}") {
		err = fmt.Errorf("pattern %q: a condition on the query has a fixed value, or any", whole)
	}
	if err != nil {
		return nil, noPattern(err)
	}
	return &policy.RouteConfig{Methods: []string{o.method}, Pattern: whole, Require: "never", At: o.at}, nil
}

// below returns a pattern below a base.
func below(base, pattern string) string {
	return strings.TrimSuffix(base, "/") + pattern
}

// replaces reports whether the configuration's route stands for the operation.
func replaces(route *policy.RouteConfig, o *operation) bool {
	return (slices.Contains(route.Methods, "*") || slices.Contains(route.Methods, o.method)) && samePath(route.Pattern, o.path)
}

// gaps gathers what documents leave open, so that two hundred operations of the
// same kind are one error.
type gaps struct {
	order []gap
	of    map[gap][]*operation
}

func (g *gaps) add(why gap, o *operation) {
	if g.of == nil {
		g.of = map[gap][]*operation{}
	}
	if g.of[why] == nil {
		g.order = append(g.order, why)
	}
	g.of[why] = append(g.of[why], o)
}

// reportGaps notes a mistake for each kind of gap.
func (r *rules) reportGaps() {
	for _, why := range r.open.order {
		operations := r.open.of[why]
		mend := strings.ReplaceAll(why.mend, "<name>", quoted(operations[0].name()))
		if mend != why.mend && len(operations) > 1 {
			mend += ", and so for each"
		}
		r.fail("", "%s: %w: write %s", first(operations), why, r.mark+mend)
	}
}

// first names the first of some operations, and how many more there are.
func first(operations []*operation) string {
	name := fmt.Sprintf("operation %s (%s)", operations[0].name(), operations[0].at)
	switch n := len(operations) - 1; n {
	case 0:
	case 1:
		name += " and 1 other"
	default:
		name += fmt.Sprintf(" and %d others", n)
	}
	return name
}

// quoted returns a word as the Caddyfile has it.
func quoted(word string) string {
	special := func(c rune) bool {
		return c < '!' || c > '~' || strings.ContainsRune("\"`\\#<", c)
	}
	if word != "" && word != "{" && word != "}" && !strings.ContainsFunc(word, special) {
		return word
	}
	if !strings.Contains(word, "`") {
		return "`" + word + "`"
	}
	return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
}
