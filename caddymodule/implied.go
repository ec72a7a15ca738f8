package caddymodule

import (
	"slices"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// impliedBy returns, for each name that a scope of the catalog has, the names of
// those that imply it, and its own others.
func impliedBy(scopes []policy.Scope) map[string][]string {
	byName := map[string]policy.Scope{}
	for _, s := range scopes {
		for _, name := range names(s) {
			byName[name] = s
		}
	}
	by := map[string][]string{}
	for _, s := range scopes {
		reached := map[string]bool{s.Name: true}
		for todo := []policy.Scope{s}; len(todo) > 0; todo = todo[1:] {
			implied := todo[0].Implies
			if slices.Contains(implied, token.All) {
				implied = nil
				for _, other := range scopes {
					implied = append(implied, other.Name)
				}
			}
			for _, name := range implied {
				if next := byName[name]; !reached[next.Name] {
					reached[next.Name] = true
					todo = append(todo, next)
				}
			}
		}
		for name := range reached {
			for _, n := range names(byName[name]) {
				by[n] = append(by[n], names(s)...)
			}
		}
	}
	return by
}

// names returns all names of a scope.
func names(s policy.Scope) []string { return append([]string{s.Name}, s.Aliases...) }
