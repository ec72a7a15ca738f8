package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

// Decide says whether the token may do what the request asks for, at this time and from
// this address. m is a match that NeedsDecision. On a route whose space is the token's
// own, it sets m.Space. Where the reason alone doesn't say enough, because it is the
// owner who lacks the scope, for instance, it sets m.Detail, and only for that it
// allocates.
func (m *Match) Decide(s *Subject, now time.Time, from netip.Addr) Reason {
	if r := s.Serves(now, from); r != Forward {
		return r
	}
	if m.Route.space.kind == fromToken {
		if m.Space = s.Grants.space; m.Space == "" {
			m.Detail = "the token is not limited to exactly one space, as it must be here"
			return SpaceNotGranted
		}
	}
	if r := m.judge(s.Grants); r != Forward {
		m.Detail = m.lacks(theToken, r)
		return r
	}
	if owner := s.Owner.state.Load(); owner != nil && owner.ceiling != nil {
		if r := m.judge(owner.ceiling); r != Forward {
			m.Detail = m.lacks("the token's owner", r)
			return r
		}
	}
	return Forward
}

// theToken begins the details of reasons that are about the token.
const theToken = "the token"

// lacks says what the token or its owner, whichever was judged, lacks.
func (m *Match) lacks(who string, r Reason) string {
	switch {
	case r == SpaceNotGranted && m.Route.space.kind == fromAll:
		return who + " is not granted for all spaces"
	case r == ResourceNotGranted && m.Route.resource.kind == fromNone:
		return who + " is granted for some resources only, and there is none here"
	case r == SpaceNotGranted && m.Route.space.shortened(m.Space) != m.Space:
		return who + " has no grant for the space both with the " + ending(m.Space) + " at its end and without it, which are the same to some servers"
	case r == ResourceNotGranted && m.Route.resource.shortened(m.Resource) != m.Resource:
		return who + " has no grant for the resource both with the " + ending(m.Resource) + " at its end and without it, which are the same to some servers"
	case who == theToken:
		return "" // the reason says it
	}
	return who + strings.TrimPrefix(r.Detail(), theToken)
}

// ending names what source.shortened drops from a value.
func ending(value string) string {
	if strings.HasSuffix(value, "/") {
		return "slash"
	}
	return "dot"
}

// Serves says whether the token is valid at this time and from this address, whatever it
// holds. It allocates nothing.
func (s *Subject) Serves(now time.Time, from netip.Addr) Reason {
	clock := now.UnixNano()
	owner := s.Owner.state.Load()
	switch {
	case s.Revoked, s.SecretUntil != 0 && clock >= s.SecretUntil:
		return TokenRevoked
	case s.Expires != 0 && clock >= s.Expires:
		return TokenExpired
	case owner != nil && owner.disabled:
		return OwnerDisabled
	case s.Allowed != nil && !allows(*s.Allowed, from):
		return AddressNotAllowed
	}
	return Forward
}

// Again returns a match for Decide only: of a request that was forwarded on this
// route, for this space and resource, and is still under way.
func (p *Policy) Again(route *Route, space, resource string) Match {
	return Match{Route: route, Space: space, Resource: resource, policy: p}
}

func allows(prefixes []netip.Prefix, from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(from) })
}

// judge says whether the grants allow the request.
func (m *Match) judge(g *Grants) Reason {
	r := m.Route
	switch {
	case r.Require.need == needAny && r.space.kind == fromNone && r.resource.kind == fromNone:
		return Forward // any valid token, whatever it holds
	case m.enough(g, true):
		return Forward
	case r.space.kind != fromNone && !slices.ContainsFunc(g.list, func(grant token.Grant) bool { return m.coversSpace(&grant) }):
		return SpaceNotGranted
	case !m.enough(g, false):
		return ScopeMissing
	}
	return ResourceNotGranted
}

// enough reports whether the grants that cover the request's space and, where
// that counts, its resource together hold the scopes it needs.
func (m *Match) enough(g *Grants, resource bool) bool {
	clauses := m.Route.Require.clauses
	if len(clauses) == 0 {
		for i := range g.list {
			if m.covers(&g.list[i], resource) {
				return true
			}
		}
		return !resource
	}
	for _, clause := range clauses {
		if !m.meetsClause(g, clause, resource) {
			return false
		}
	}
	return true
}

// meetsClause reports whether a grant that covers the request holds one of the
// scopes.
func (m *Match) meetsClause(g *Grants, clause []int, resource bool) bool {
	for _, scope := range clause {
		held := g.in(m.policy.Catalog, scope)
		for i := range g.list {
			if held.has(i, scope) && m.covers(&g.list[i], resource) {
				return true
			}
		}
	}
	return false
}

// covers reports whether a grant covers the request's space and, where that
// counts, its resource.
func (m *Match) covers(g *token.Grant, resource bool) bool {
	return m.coversSpace(g) && (!resource || m.coversResource(g))
}

func (m *Match) coversSpace(g *token.Grant) bool {
	switch m.Route.space.kind {
	case fromNone:
		return true
	case fromAll:
		return covers(g.Spaces, token.All)
	}
	return coversValue(g.Spaces, &m.Route.space, m.Space)
}

// coversResource reports whether a grant covers the request's resource. One that
// is limited to some covers no route without a resource.
func (m *Match) coversResource(g *token.Grant) bool {
	if m.Route.resource.kind == fromNone {
		return covers(g.Resources, token.All)
	}
	return coversValue(g.Resources, &m.Route.resource, m.Resource)
}

// coversValue reports whether a sorted list names the value found at a source, in each way
// in which servers read it: with the dot or slash at its end, and without.
func coversValue(sorted []string, s *source, value string) bool {
	if !covers(sorted, value) {
		return false
	}
	short := s.shortened(value)
	return len(short) == len(value) || covers(sorted, short)
}

// HeldScopes returns the scopes that the token holds in the request's space, on any
// resource, blank-separated: as its grants write them, but with the name of the scope in
// place of an alias. Where its owner's grants are a ceiling, it returns only what they
// hold too.
func (m *Match) HeldScopes(s *Subject) string {
	covered := func(g *token.Grant) bool { return m.coversSpace(g) }
	owner := s.Owner.state.Load()
	if owner == nil || owner.ceiling == nil {
		return strings.Join(s.Grants.written(m.policy.Catalog, covered), " ") // a single one as it is
	}
	return common(m.policy.Catalog, s.Grants, owner.ceiling, covered)
}
