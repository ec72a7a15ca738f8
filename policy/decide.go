package policy

import (
	"net/netip"
	"time"

	"github.com/patgate/patgate/token"
)

// Decide says whether the token may do what the request asks for, at this time
// and from this address. m is a match that NeedsDecision. For routes whose space
// is the token's own, it sets m.Space. It allocates nothing.
func (m *Match) Decide(s *Subject, now time.Time, from netip.Addr) Reason {
	clock := now.UnixNano()
	owner := s.Owner.state.Load()
	switch {
	case s.Revoked, s.SecretUntil != 0 && clock >= s.SecretUntil:
		return TokenRevoked
	case s.Expires != 0 && clock >= s.Expires:
		return TokenExpired
	case owner.disabled:
		return OwnerDisabled
	case s.Allowed != nil && !allows(*s.Allowed, from):
		return AddressNotAllowed
	}
	if m.Route.Space.Kind == FromToken {
		if m.Space = s.Grants.space; m.Space == "" {
			return SpaceNotGranted
		}
	}
	if r := m.judge(s.Grants); r != Forward || owner.ceiling == nil {
		return r
	}
	return m.judge(owner.ceiling)
}

func allows(prefixes []netip.Prefix, from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	for _, p := range prefixes {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// covered is the set of the grants that cover a request, by their index.
type covered [(token.MaxGrants + 63) / 64]uint64

func (c *covered) add(i int)           { c[i/64] |= 1 << (i % 64) }
func (c *covered) contains(i int) bool { return c[i/64]&(1<<(i%64)) != 0 }

// judge says whether the grants allow the request: those that cover its space
// and its resource must together hold its scopes.
func (m *Match) judge(g *Grants) Reason {
	r := m.Route
	if r.Require.need == needAny && r.Space.Kind == FromNone && r.Resource.Kind == FromNone {
		return Forward // any valid token, whatever it holds
	}
	var inSpace, both covered
	anySpace, any := false, false
	for i := range g.list {
		if !m.coversSpace(&g.list[i]) {
			continue
		}
		inSpace.add(i)
		anySpace = true
		if m.coversResource(&g.list[i]) {
			both.add(i)
			any = true
		}
	}
	switch {
	case !anySpace && r.Space.Kind != FromNone:
		return SpaceNotGranted
	case any && m.holds(g, &both):
		return Forward
	case !m.holds(g, &inSpace):
		return ScopeMissing
	}
	return ResourceNotGranted
}

func (m *Match) coversSpace(g *token.Grant) bool {
	switch m.Route.Space.Kind {
	case FromNone:
		return true
	case FromAll:
		return covers(g.Spaces, token.All)
	}
	return covers(g.Spaces, m.Space)
}

// coversResource reports whether a grant covers the request's resource. One that
// is limited to some covers no route without a resource.
func (m *Match) coversResource(g *token.Grant) bool {
	if m.Route.Resource.Kind == FromNone {
		return covers(g.Resources, token.All)
	}
	return covers(g.Resources, m.Resource)
}

// holds reports whether these of the grants together hold what is required.
func (m *Match) holds(g *Grants, which *covered) bool {
	for _, clause := range m.Route.Require.clauses {
		if !m.meetsClause(g, which, clause) {
			return false
		}
	}
	return true
}

func (m *Match) meetsClause(g *Grants, which *covered, clause []int) bool {
	for _, scope := range clause {
		held := g.in(m.policy.Catalog, scope)
		for i, set := range held.sets {
			if which.contains(i) && set.contains(scope) {
				return true
			}
		}
	}
	return false
}

// HeldScopes returns the scopes that the token holds in the request's space,
// blank-separated, as its grants write them; where its owner's grants are a
// ceiling, written out and only those they hold as well.
func (m *Match) HeldScopes(s *Subject) string {
	covered := func(g *token.Grant) bool { return m.coversSpace(g) }
	ceiling := s.Owner.state.Load().ceiling
	if ceiling == nil {
		return s.Grants.scopes(covered)
	}
	return common(m.policy.Catalog, s.Grants, ceiling, covered)
}
