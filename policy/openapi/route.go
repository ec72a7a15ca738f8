package openapi

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
)

// route returns the route of an operation; nil where one that replaces several
// operations is there already.
func (r *rules) route(o *operation) (*policy.RouteConfig, error) {
	base, err := o.base.or(r.config.Base)
	if err != nil {
		return nil, err
	}
	said, err := only(r.config.Operations, func(rule *policy.OverrideConfig) bool { return o.named(rule.Name) })
	if err != nil {
		return nil, err
	}
	for i, rule := range r.config.Routes {
		switch {
		case !replaces(&rule, o):
			continue
		case said != nil:
			return nil, bothSay(said.At, rule.At)
		case r.replaced[i]:
			return nil, nil
		}
		r.replaced[i] = true
		rule.Pattern = below(base, rule.Pattern)
		return &rule, nil
	}
	if said == nil {
		said, err = only(r.config.Tags, func(rule *policy.OverrideConfig) bool { return slices.Contains(o.tags, rule.Name) })
		if err != nil {
			return nil, fmt.Errorf("%w: write operation %s", err, quoted(o.name()))
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

// only returns the one rule that is for an operation, or nil.
func only(rules []policy.OverrideConfig, isFor func(*policy.OverrideConfig) bool) (said *policy.OverrideConfig, err error) {
	for i := range rules {
		rule := &rules[i]
		switch {
		case !isFor(rule):
		case said != nil:
			return nil, bothSay(said.At, rule.At)
		default:
			said = rule
		}
	}
	return said, nil
}

func bothSay(a, b string) error { return fmt.Errorf("%s and %s both say what it needs", a, b) }

// closed returns the operation's route below a base, closed to all requests (never).
func (o *operation) closed(base string) (*policy.RouteConfig, error) {
	if err := policy.ValidMethod(o.method); err != nil {
		return nil, noMethod(err)
	}
	whole := below(base, pattern(o.path))
	err := policy.ValidPattern(whole)
	if _, query, _ := strings.Cut(whole, "?"); err == nil && strings.ContainsAny(query, "{}#") {
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

// replaces reports whether the configuration's route replaces the operation's.
func replaces(route *policy.RouteConfig, o *operation) bool {
	return (slices.Contains(route.Methods, "*") || slices.Contains(route.Methods, o.method)) && samePath(route.Pattern, o.path)
}
