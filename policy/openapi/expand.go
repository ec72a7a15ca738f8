package openapi

import (
	"errors"
	"fmt"
	"slices"

	"github.com/patgate/patgate/policy"
)

// Expand returns the configuration with the routes of its OpenAPI documents in
// place of them. It reads the files.
func Expand(c policy.Config) (policy.Config, error) {
	groups, err := expand(c.OpenAPI, c.Groups)
	c.OpenAPI, c.Groups = nil, groups
	return c, err
}

// expand returns the groups, followed by one for each document.
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
		if c.File == "" {
			errs = append(errs, policy.At(c.At, errors.New("openapi: file is missing: which document?")))
			continue
		}
		d, err := Read(c.File)
		if err != nil {
			errs = append(errs, policy.At(c.At, err))
			continue
		}
		routes, err := d.routes(c)
		errs = append(errs, err)
		groups = append(groups, policy.GroupConfig{Prefix: "/", At: c.At, Settings: c.Settings, Routes: routes})
	}
	return groups, errors.Join(errs...)
}

// routes returns the routes that a configuration makes of the document. Its
// errors, joined, name the places of the mistakes.
func (d *Document) routes(c policy.OpenAPIConfig) ([]policy.RouteConfig, error) {
	r, err := newRules(d, c, "")
	if err != nil {
		return nil, err
	}
	var routes []policy.RouteConfig
	for o := range r.operations() {
		route, err := r.route(o)
		why, open := errors.AsType[gap](err)
		switch {
		case open:
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
