package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/patgate/patgate/internal/spelling"
)

// ofUnusedScopes warns of declared scopes that no route of any policy asks for.
func (w *warnings) ofUnusedScopes(policies []*Policy) {
	used := map[int]bool{}
	for _, p := range policies {
		for _, r := range p.routes {
			for _, clause := range r.Require.clauses {
				for _, n := range clause {
					used[n] = true
				}
			}
		}
	}
	c := policies[0].Catalog
	for n, s := range c.declared {
		// One that implies a scope in use is of use itself.
		if !used[n] && !slices.ContainsFunc(c.implied[n], func(implied int) bool { return used[implied] }) {
			w.add(s.At, WarnUnused, "scope "+s.Name+" is declared, but no route asks for it")
		}
	}
}

// reservedWords are those that say what routes ask for, beside scopes.
var reservedWords = []string{"never", "public", "any", "deny", "optional"}

// connectives are words that other systems have between scopes.
var connectives = []string{"and", "or", "&", "&&", "+"}

// ofMisspeltScopes warns of scopes that nobody declares and that look like reserved words,
// like paths, unless all do, like words between scopes, or like others which more routes
// ask for.
func (w *warnings) ofMisspeltScopes(policies []*Policy) {
	count, first := map[string]int{}, map[string]*Route{}
	for _, p := range policies {
		for _, r := range p.routes {
			for _, name := range r.Require.scopes() {
				if count[name]++; first[name] == nil {
					first[name] = r
				}
			}
		}
	}
	names := slices.Sorted(maps.Keys(count))
	for _, name := range names {
		if why := noScope(name, names); why != "" {
			r := first[name]
			w.add(r.At, WarnMisspelt, r.name()+" asks for the scope "+name+why)
			continue
		}
		for _, other := range names {
			if !alikeScopes(name, other) {
				continue
			}
			if more := cmp.Or(cmp.Compare(count[other], count[name]), cmp.Compare(name, other)); more > 0 {
				r := first[name]
				w.add(r.At, WarnMisspelt,
					r.name()+" asks for the scope "+name+", which looks like "+other+first[other].written()+"; declare scopes to have them checked")
				break
			}
		}
	}
}

// noScope says why one of the names is probably no scope, or returns "".
func noScope(name string, names []string) string {
	for _, word := range reservedWords {
		if strings.EqualFold(name, word) || spelling.Slip(name, word) {
			return ", which looks like the word " + word + "; declare scopes to have them checked"
		}
	}
	switch {
	case slices.Contains(connectives, strings.ToLower(name)):
		return ": scopes that are all needed have only blanks between them, those of which one is enough a |"
	case strings.HasPrefix(name, "/") && slices.ContainsFunc(names, func(other string) bool { return !strings.HasPrefix(other, "/") }):
		return ", which looks like a path: a route has one pattern"
	}
	return ""
}

// alikeScopes reports whether one of the names may be the other, mistyped. Parts of up to three
// letters are names like others: db:read and deb:read.
func alikeScopes(a, b string) bool {
	x, y := strings.Split(a, ":"), strings.Split(b, ":")
	for i := range min(len(x), len(y)) {
		if len(x) == len(y) && !strings.EqualFold(x[i], y[i]) && max(len(x[i]), len(y[i])) < 4 {
			return false
		}
	}
	return spelling.Slip(a, b)
}

// scopes returns the names of the scopes in the requirement.
func (r *Requirement) scopes() []string {
	if r.need != needScopes {
		return nil
	}
	return strings.FieldsFunc(r.text, func(c rune) bool { return c == ' ' || c == '|' })
}
