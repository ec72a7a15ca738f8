package policy

import (
	"net/http"
	"slices"
	"strings"
)

// Places returns where the request's route takes tokens from; without a route, where any
// route does. The caller must not change them.
func (m *Match) Places() []Credential {
	if m.Route != nil {
		return m.Route.from
	}
	return m.policy.Credentials()
}

// Strip removes the token from the places where the route takes tokens from. Where no token
// was looked for, it removes what isToken takes for one, on a public route, or whatever is
// there, on a preflight. Other credentials are the API's own and stay.
func (m *Match) Strip(r *http.Request, isToken func(secret string) bool) {
	from := m.Places()
	// A preflight carries the query of the request that is to come, which nobody
	// needs to be told.
	taken := func(secret string) bool {
		return secret != "" && (m.Preflight || secret == m.Secret || isToken(secret))
	}
	for i := range from {
		switch c := &from[i]; c.Kind {
		case Header:
			if slices.ContainsFunc(r.Header[c.Name], taken) {
				delete(r.Header, c.Name)
			}
		case Query:
			r.URL.RawQuery = without(r.URL.RawQuery, pairEnds, func(pair string) bool {
				name, value, _ := strings.Cut(pair, "=")
				return unescapeQuery(name) == c.Name && taken(unescapeQuery(value))
			})
		case Cookie:
			stripCookie(r.Header, c.Name, taken)
		default:
			if slices.ContainsFunc(r.Header["Authorization"], func(value string) bool {
				var a authorization
				a.parse(value)
				secret, _ := a.secret(c)
				return taken(secret)
			}) {
				delete(r.Header, "Authorization")
			}
		}
	}
}

// withoutTokens returns a query without any parameters that may be tokens, as it may go
// upstream if the policy strips them.
func (p *Policy) withoutTokens(query string) string {
	if !p.StripToken {
		return query
	}
	return without(query, pairEnds, p.isTokens)
}

// isTokens reports whether some route takes tokens from a parameter of the query.
func (p *Policy) isTokens(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	for i := range p.credentials {
		if c := &p.credentials[i]; c.Kind == Query && c.Name == unescapeQuery(name) {
			return true
		}
	}
	return false
}

func stripCookie(h http.Header, name string, taken func(string) bool) {
	var kept []string
	for _, field := range h["Cookie"] {
		rest := without(field, ";", func(pair string) bool {
			n, value, _ := splitCookie(pair)
			return n == name && taken(value)
		})
		if rest != field {
			rest = strings.TrimLeft(rest, " \t")
		}
		if rest != "" {
			kept = append(kept, rest)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
	} else {
		h["Cookie"] = kept
	}
}

// without removes the parts of a list, each with the separator before it, and
// leaves all other bytes alone.
func without(list, separators string, remove func(part string) bool) string {
	var kept []byte
	removed := false
	for start := 0; start <= len(list); {
		end := len(list)
		if i := strings.IndexAny(list[start:], separators); i >= 0 {
			end = start + i
		}
		switch {
		case remove(list[start:end]):
			removed = true
		case kept == nil:
			kept = append(make([]byte, 0, len(list)), list[start:end]...)
		default:
			kept = append(kept, list[start-1:end]...)
		}
		start = end + 1
	}
	if !removed {
		return list
	}
	return string(kept)
}
