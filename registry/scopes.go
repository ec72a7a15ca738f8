package registry

import (
	"slices"
	"strings"

	"github.com/patgate/patgate/token"
)

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
