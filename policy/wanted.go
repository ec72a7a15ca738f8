package policy

import (
	"slices"

	"github.com/patgate/patgate/token"
)

// Wanted returns the spaces and resources that one more grant, of the missing scopes,
// would need so that the token is allowed the request; nil where no grant can name them
// without being wider than the request. A request that names "*" is about something of
// that name, and no grant for it is one for all.
func (m *Match) Wanted(s *Subject) (spaces, resources []string) {
	spaces, resources = m.Route.space.spellings(m.Space), m.Route.resource.spellings(m.Resource)
	switch m.Route.space.kind {
	case fromNone: // the scope is enough, in whatever space it is held
		if spaces = s.Grants.spaces(); spaces == nil && !m.policy.Catalog.Spaces() {
			spaces = []string{token.All}
		}
	case fromAll:
		spaces = []string{token.All}
	default:
		if m.Space == token.All {
			return nil, nil
		}
	}
	if m.Route.resource.kind == fromNone {
		resources = []string{token.All}
	} else if m.Resource == token.All {
		return nil, nil
	}
	return spaces, resources
}

// ManySpaces reports whether a grant for these spaces would take from the token the
// routes whose space is the token's own: they want a token that is limited to exactly
// one.
func (m *Match) ManySpaces(s *Subject, spaces []string) bool {
	return m.policy.Catalog.ownSpaces() && s.Grants.space != "" && !slices.Equal(spaces, []string{s.Grants.space})
}

// Lacks reports whether the token itself, and not only its owner's record, doesn't
// allow the request, and a grant would help.
func (m *Match) Lacks(s *Subject) bool {
	return m.aboutSpace() && m.judge(s.Grants) != Forward
}

// Beyond reports whether the record of the token's owner doesn't allow the request,
// whatever the token itself holds.
func (m *Match) Beyond(s *Subject) bool {
	owner := s.Owner.state.Load()
	return owner != nil && owner.ceiling != nil && m.aboutSpace() && m.judge(owner.ceiling) != Forward
}

// aboutSpace reports whether the space of the request is known. The token's own isn't, for a
// token for several spaces.
func (m *Match) aboutSpace() bool { return m.Route.space.kind != fromToken || m.Space != "" }

// spellings returns a value, and with it what it is to servers that drop its end.
func (s *source) spellings(value string) []string {
	return slices.Compact([]string{value, s.shortened(value)})
}
