package registry

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// In grants that are given to the registry, a list that is nil was not given,
// and one that is empty was given empty.

// newGrants completes and checks the grants of a new token, or of a ceiling that replaces
// others.
func (r *Registry) newGrants(given []token.Grant, full bool, others ...token.Grant) ([]token.Grant, error) {
	if full && len(given) > 0 {
		return nil, invalid("full: is every grant there is; give no others with it")
	}
	if full {
		return []token.Grant{token.Full()}, nil
	}
	return eachGrant(given, func(g token.Grant) (token.Grant, error) { return r.newGrant(g, others...) })
}

// eachGrant returns the grants that f makes of those given.
func eachGrant(given []token.Grant, f func(token.Grant) (token.Grant, error)) ([]token.Grant, error) {
	var grants []token.Grant
	for i, g := range given {
		g, err := f(g)
		if err != nil {
			return nil, invalid("grants: number %d: %w", i+1, err)
		}
		if !holds(grants, g) {
			grants = append(grants, g)
		}
		if len(grants) > token.MaxGrants { // before the next is compared with all of them
			return nil, refuseField(ErrInvalid, "grants", "more than %d given, which is as many as are kept", token.MaxGrants)
		}
	}
	return grants, nil
}

// newGrant is complete, and checks that the scopes exist.
func (r *Registry) newGrant(g token.Grant, others ...token.Grant) (token.Grant, error) {
	g, err := r.complete(g, others...)
	if err != nil {
		return g, err
	}
	for _, s := range g.Scopes {
		if err := token.ValidScopePattern(s); err != nil {
			return g, asInvalid(err)
		}
		if !r.knownScope(s) {
			return g, r.unknownScope(s)
		}
	}
	return g, nil
}

func (r *Registry) unknownScope(s string) error {
	return asInvalid(token.ScopeError(s, "the catalog has none like it; the nearest: %s", strings.Join(spelling.Nearest(s, r.rules.Scopes), ", ")))
}

// knownScope reports whether the catalog, if there is one, has a scope that
// pattern covers.
func (r *Registry) knownScope(pattern string) bool {
	if r.rules.Scopes == nil || pattern == token.All {
		return true
	}
	if !strings.Contains(pattern, token.All) {
		return slices.Contains(r.rules.Scopes, pattern)
	}
	return slices.ContainsFunc(r.rules.Scopes, func(name string) bool { return token.MatchScope(pattern, name) })
}

// complete fills in what the grant doesn't say, where that may be guessed. It refuses
// secrets, except for those in the grants that it replaces.
func (r *Registry) complete(g token.Grant, others ...token.Grant) (token.Grant, error) {
	if g.Spaces == nil && r.rules.Spaces {
		return g, refuseField(ErrInvalid, "spaces", `say which spaces the grant holds in ("spaces":["ID"], or --space ID), or that it is all ("spaces":["*"], or --all-spaces)`)
	}
	g = token.Grant{Spaces: distinct(orAll(g.Spaces)), Scopes: distinct(g.Scopes), Resources: distinct(orAll(g.Resources))}
	if err := g.CheckLengths(); err != nil {
		return g, asInvalid(err)
	}
	for _, l := range []struct {
		what   string
		values []string
	}{{"spaces", g.Spaces}, {"scope", g.Scopes}, {"resources", g.Resources}} {
		for _, v := range l.values {
			if err := noSecret(l.what, v); err != nil && !slices.ContainsFunc(others, func(o token.Grant) bool { return has(o, v) }) {
				return g, err
			}
		}
	}
	return g, nil
}

// has reports whether v is one of the grant's spaces, scopes or resources.
func has(g token.Grant, v string) bool {
	return slices.Contains(g.Spaces, v) || slices.Contains(g.Scopes, v) || slices.Contains(g.Resources, v)
}

func orAll(list []string) []string {
	if list == nil {
		return []string{token.All}
	}
	return list
}

// distinct returns list without repetitions, and nil for an empty list, as
// records come back from a store.
func distinct(list []string) []string {
	var d []string
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			d = append(d, v)
		}
	}
	return d
}

func holds(grants []token.Grant, g token.Grant) bool {
	return slices.ContainsFunc(grants, func(held token.Grant) bool { return token.EqualGrant(held, g) })
}

// AddGrant gives the token one more grant. One that it holds already changes
// nothing.
func (a *Account) AddGrant(ctx context.Context, id string, g token.Grant) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	r := a.registry
	g, err := r.newGrant(g)
	if err != nil {
		return nil, invalid("grant: %w", err)
	}
	may, o, err := a.mayWiden(ctx)
	switch {
	case err == nil && !may:
		err = refuseField(ErrForbidden, "grant", "%s", a.mayNot())
	case err == nil && o != nil:
		err = r.withinCeiling(o, []token.Grant{g})
	}
	if err != nil {
		return nil, err
	}
	return a.regrant(ctx, Granted, id, func(t *token.Token, _ time.Time) (string, error) {
		if holds(t.Grants, g) {
			return "", store.ErrUnchanged
		}
		t.Grants = append(t.Grants, g)
		return "", a.fits(t)
	})
}

// RemoveGrant removes the token's grant number n, counted from 1. same reports whether
// that is the grant which the caller means; if it isn't, the error is ErrConflict:
// numbers change when grants before them are removed. nil: don't check.
func (a *Account) RemoveGrant(ctx context.Context, id string, n int, same func(token.Grant) bool) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.regrant(ctx, Ungranted, id, func(t *token.Token, _ time.Time) (string, error) {
		there := n >= 1 && n <= len(t.Grants)
		switch {
		case same != nil && !(there && same(t.Grants[n-1])):
			return "", conflict("grant %d: the grants of token %s have changed", n, id)
		case !there:
			return "", notFound("grant %d: token %s has %d", n, id, len(t.Grants))
		}
		t.Grants = slices.Delete(t.Grants, n-1, n)
		return "", nil
	})
}

// RemoveAllGrants removes all grants of the token, which then serves only for routes that
// any valid token may use.
func (a *Account) RemoveAllGrants(ctx context.Context, id string) (*token.Token, error) {
	if err := a.own(ctx, id); err != nil {
		return nil, err
	}
	return a.regrant(ctx, Ungranted, id, func(t *token.Token, _ time.Time) (string, error) {
		if len(t.Grants) == 0 {
			return "", store.ErrUnchanged
		}
		t.Grants = nil
		return "", nil
	})
}

// regrant is change for a token's grants, where they may be changed.
func (a *Account) regrant(ctx context.Context, what Action, id string, f func(*token.Token, time.Time) (string, error)) (*token.Token, error) {
	if a.registry.rules.GrantsImmutable {
		return nil, refuseField(ErrForbidden, "grants", "stay what they were when the token was made; make another token, and revoke this one")
	}
	return a.registry.change(ctx, a.by, what, id, f)
}
