package registry

import (
	"cmp"
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

// nearest returns the names most like s, at most three, the nearest first.
func nearest(s string, names []string) []string {
	near := slices.Clone(names)
	slices.SortStableFunc(near, func(a, b string) int { return cmp.Compare(editDistance(s, a), editDistance(s, b)) })
	return near[:min(len(near), 3)]
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
