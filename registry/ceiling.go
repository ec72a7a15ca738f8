package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/token"
)

// ceiling returns the grants that limit an owner after c, in place of the present ones.
func (r *Registry) ceiling(present []token.Grant, c OwnerChanges) ([]token.Grant, error) {
	parts := c.Spaces != nil || c.Scopes != nil
	switch {
	case parts && (c.Grants != nil || c.Full):
		return nil, invalid("spaces, scopes: change a part of the ceiling; give neither grants nor full with them")
	case parts:
		g := token.Full()
		if len(present) == 1 {
			g = present[0]
		} else if c.Spaces == nil || c.Scopes == nil {
			return nil, invalid("the ceiling has %d grants: give both spaces and scopes, for one in their place", len(present))
		}
		set(&g.Spaces, c.Spaces)
		set(&g.Scopes, c.Scopes)
		return r.newGrants([]token.Grant{g}, false, present...)
	case c.Grants == nil && !c.Full:
		return present, nil
	}
	var given []token.Grant
	if c.Grants != nil {
		for i, g := range *c.Grants {
			if g.Spaces == nil && g.Scopes == nil {
				return nil, invalid(`grants: number %d: name spaces or scopes; for no ceiling at all, "full":true`, i+1)
			}
			given = append(given, token.Grant{Spaces: orAll(g.Spaces), Scopes: orAll(g.Scopes), Resources: g.Resources})
		}
	}
	return r.newGrants(given, c.Full, present...)
}

// withinCeiling refuses grants that are more than an owner may do. The gate judges by the
// ceiling anyway: this is so that nobody is given a token that can't do what it says.
//
// A grant is within the ceiling if, for each of its scopes and spaces, one grant of
// the ceiling covers both and all of its resources.
func (r *Registry) withinCeiling(o *token.Owner, grants []token.Grant) error {
	for i, g := range grants {
		if what := r.beyond(g, o.Grants); what != "" {
			err := &token.FieldError{Field: "scope", Why: fmt.Sprintf("%s is more than owner %q may do", what, o.ID), Whole: true}
			return forbidden("grants: number %d: %w", i+1, err)
		}
	}
	return nil
}

// beyond names something in g that the ceiling doesn't cover; "": there is
// nothing.
func (r *Registry) beyond(g token.Grant, ceiling []token.Grant) string {
	scopes := g.Scopes
	if len(scopes) == 0 {
		scopes = []string{""} // no scope is within every ceiling, where it covers the space
	}
	// What doesn't depend on the scope is worked out once.
	inSpace := make([][]bool, len(ceiling))
	for i, c := range ceiling {
		if slices.ContainsFunc(g.Resources, func(id string) bool { return !token.Covers(c.Resources, id) }) {
			continue
		}
		inSpace[i] = make([]bool, len(g.Spaces))
		for n, space := range g.Spaces {
			inSpace[i][n] = token.Covers(c.Spaces, space)
		}
	}
	for _, scope := range scopes {
		covered := make([]bool, len(g.Spaces))
		for i, c := range ceiling {
			if inSpace[i] == nil || scope != "" && !r.rules.Holds(c.Scopes, scope) {
				continue
			}
			for n, yes := range inSpace[i] {
				covered[n] = covered[n] || yes
			}
		}
		if n := slices.Index(covered, false); n >= 0 {
			return words(scope, g.Spaces[n], g.Resources)
		}
	}
	return ""
}

// words names a scope in a space, for people.
func words(scope, space string, resources []string) string {
	s := "scope " + scope
	if scope == "" {
		s = "a grant"
	}
	if space == token.All {
		s += " in all spaces"
	} else {
		s += fmt.Sprintf(" in space %q", space)
	}
	if !slices.Contains(resources, token.All) {
		s += " on these resources"
	}
	return s
}

// Holds reports whether one of the patterns held covers the scope, which may be a
// pattern as well, or implies it.
func (r *Rules) Holds(held []string, scope string) bool {
	return slices.ContainsFunc(held, func(pattern string) bool {
		if token.MatchScope(pattern, scope) {
			return true
		}
		return !strings.Contains(scope, token.All) && slices.ContainsFunc(r.ImpliedBy[scope], func(higher string) bool {
			return token.MatchScope(pattern, higher)
		})
	})
}
