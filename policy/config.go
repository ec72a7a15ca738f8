package policy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Config is a policy as an operator writes it, in a Caddyfile or as JSON. The
// words in its strings are those of the Caddyfile.
type Config struct {
	// Realm names the protected API in challenges (RFC 9110 section 11.5). Default: patgate.
	Realm string `json:"realm,omitempty"`
	// Default is what a request needs that no route matches: deny, any or
	// public. Default: deny.
	Default string `json:"default,omitempty"`
	// ForwardToken is keep (the upstream gets the client's credentials
	// untouched) or strip. Default: keep.
	ForwardToken string `json:"forward_token,omitempty"`
	// LetThrough lists other credentials of the API: "cookie <name>", "header
	// <name>", "scheme <word>" or "bearer <beginning>*". A request that carries
	// one of them and no token is forwarded untouched.
	LetThrough []string `json:"let_through,omitempty"`
	// CORSPreflight is forward (a preflight request for a route is forwarded
	// without a token) or deny. Default: forward.
	CORSPreflight string `json:"cors_preflight,omitempty"`
	// EncodedSlash is reject or allow: whether a path segment may contain %2F.
	// Default: reject.
	EncodedSlash string `json:"encoded_slash,omitempty"`
	// Semicolon is reject or allow: whether paths, and queries that routes
	// depend on, may contain a semicolon. Default: reject.
	Semicolon string `json:"semicolon,omitempty"`

	Settings
	Routes  []RouteConfig   `json:"routes,omitempty"`
	Groups  []GroupConfig   `json:"groups,omitempty"`
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"` // documents whose operations are routes
	At      string          `json:"at,omitempty"`      // where the policy begins: file:line
}

// Settings hold for the routes of a site, a group, or for one route. Inner ones
// win over outer ones.
type Settings struct {
	// TokenFrom lists where a token is taken from: "bearer", "bare", "basic",
	// "scheme <word>", "header <name>", "query <name>" or "cookie <name>".
	// Default: bearer and bare.
	TokenFrom []string `json:"token_from,omitempty"`
	// Mode is enforce or report. Default: enforce.
	Mode string `json:"mode,omitempty"`
	// Space is where the space of a request is found: "path.<name>",
	// "query.<name>", "header.<name>", "host.<n>", "token", "all" or "none".
	// Default: path.space where the pattern has {space}, otherwise none.
	Space string `json:"space,omitempty"`
	// Resource is where the resource of a request is found, as Space.
	// Default: none.
	Resource string `json:"resource,omitempty"`
	// ErrorBody is the body of rejections. Default: problem+json (RFC 9457).
	ErrorBody *ErrorBody `json:"error_body,omitempty"`
	// Optional means that no token is needed, but one that is sent is judged.
	Optional bool `json:"optional,omitempty"`
}

// RouteConfig is one route.
type RouteConfig struct {
	Methods []string `json:"methods"`           // upper-case, or "*" alone; GET covers HEAD
	Pattern string   `json:"pattern"`           // below the prefixes of its groups
	Require string   `json:"require,omitempty"` // "a b": both; "a|b": one of them; public, any, never. Default: any
	At      string   `json:"at,omitempty"`      // where it is written: file:line

	Settings
}

// GroupConfig is routes with a common prefix and common settings.
type GroupConfig struct {
	Prefix string `json:"prefix"`
	At     string `json:"at,omitempty"`

	Settings
	Routes  []RouteConfig   `json:"routes,omitempty"`
	Groups  []GroupConfig   `json:"groups,omitempty"`
	OpenAPI []OpenAPIConfig `json:"openapi,omitempty"` // documents whose operations are routes
}

// within returns inner with what it leaves open taken from outer.
func (inner Settings) within(outer Settings) Settings {
	if len(inner.TokenFrom) == 0 {
		inner.TokenFrom = outer.TokenFrom
	}
	inner.Mode = cmp.Or(inner.Mode, outer.Mode)
	inner.Space = cmp.Or(inner.Space, outer.Space)
	inner.Resource = cmp.Or(inner.Resource, outer.Resource)
	inner.ErrorBody = cmp.Or(inner.ErrorBody, outer.ErrorBody)
	inner.Optional = inner.Optional || outer.Optional
	return inner
}

// OneOf checks a word of the configuration against those possible and returns
// the first of these for "".
func OneOf(what, word string, possible ...string) (string, error) {
	if word == "" {
		return possible[0], nil
	}
	if slices.Contains(possible, word) {
		return word, nil
	}
	return "", fmt.Errorf("%s %q: want %s", what, word, strings.Join(possible, ", "))
}

// need says what a route asks of a token.
type need uint8

const (
	needScopes  need = iota
	needAny          // any valid token
	needNothing      // public
	needNever        // no token is accepted
)

// Requirement is what a route asks for.
type Requirement struct {
	text    string
	need    need
	clauses [][]int // every clause must be met, by one of its scopes
	scope   string  // for challenges: scopes that are enough (RFC 6750 section 3)
}

// String returns the requirement as the Caddyfile has it.
func (r *Requirement) String() string { return r.text }

// Enough returns scopes, blank-separated, that meet the requirement: of
// alternatives the first. It is what a challenge names (RFC 6750 section 3).
func (r *Requirement) Enough() string { return r.scope }

// ParseRequirement reads "a b|c", public, any, never; empty means any.
func ParseRequirement(text string, catalog *Catalog) (Requirement, error) {
	words := strings.Fields(text)
	r := Requirement{text: strings.Join(words, " ")}
	if len(words) == 0 {
		words = []string{"any"}
		r.text = "any"
	}
	single := map[string]need{"any": needAny, "public": needNothing, "never": needNever}
	if r.text == "deny" {
		return r, errors.New(`requirement "deny": is for default; a route that no token opens is never`)
	}
	var enough []string
	for _, word := range words {
		if n, ok := single[word]; ok {
			if len(words) > 1 {
				return r, fmt.Errorf("requirement %q: %q stands alone, without scopes", r.text, word)
			}
			r.need = n
			return r, nil
		}
		var clause []int
		for i, name := range strings.Split(word, "|") {
			if _, ok := single[name]; ok {
				return r, fmt.Errorf("requirement %q: %q stands alone, without scopes", r.text, name)
			}
			if name == "" {
				return r, fmt.Errorf("requirement %q: want a scope on both sides of |, without blanks", r.text)
			}
			if strings.HasPrefix(name, "{") {
				return r, fmt.Errorf("requirement %q: %s isn't replaced here; an environment variable {$NAME} is", r.text, name)
			}
			n, err := catalog.require(name)
			if err != nil {
				return r, fmt.Errorf("requirement %q: %w", r.text, err)
			}
			if name = catalog.scope(name); i == 0 && !slices.Contains(enough, name) {
				enough = append(enough, name)
			}
			if !slices.Contains(clause, n) {
				clause = append(clause, n)
			}
		}
		r.clauses = append(r.clauses, clause)
	}
	r.scope = strings.Join(enough, " ")
	return r, nil
}

// SourceKind says where a space or a resource is found.
type SourceKind uint8

// The kinds of sources.
const (
	FromNone SourceKind = iota
	FromAll
	FromToken
	FromPath
	FromQuery
	FromHeader
	FromHost
)

// Source is where the space or the resource of a request is found.
type Source struct {
	Kind  SourceKind
	Name  string // of the path parameter, query key or header
	Label int    // of the host, from the right
	text  string

	segment       int // of a path parameter
	before, after int // bytes of the segment that aren't the parameter's
	tail          bool
}

// String returns the source as the Caddyfile has it.
func (s *Source) String() string { return s.text }

// ParseSource reads a source.
func ParseSource(text string) (Source, error) {
	if err := RefusePlaceholder(text); err != nil {
		return Source{}, fmt.Errorf("source %q: %w", text, err)
	}
	s := Source{text: text}
	kind, name, dotted := strings.Cut(text, ".")
	switch {
	case !dotted && text == "none":
		s.Kind = FromNone
	case !dotted && text == "all":
		s.Kind = FromAll
	case !dotted && text == "token":
		s.Kind = FromToken
	case dotted && kind == "path" && validParameter(name):
		s.Kind, s.Name = FromPath, name
	case dotted && kind == "query" && validQueryKey(name):
		s.Kind, s.Name = FromQuery, name
	case dotted && kind == "header" && PlainHeaderName(name):
		s.Kind, s.Name = FromHeader, http.CanonicalHeaderKey(name)
		switch {
		case s.Name == "Authorization", s.Name == "Proxy-Authorization", s.Name == "Cookie":
			return s, fmt.Errorf("source %q: credentials stand there, which nobody is to be told", text)
		case s.Name == "Host":
			return s, fmt.Errorf("source %q: want host.<n>, a label from the right, from 0", text)
		case isRemoved(s.Name):
			return s, fmt.Errorf("source %q: this header is removed from what clients send", text)
		}
	case dotted && kind == "host" && name != "" && len(name) <= 2 && strings.Trim(name, "0123456789") == "":
		s.Kind = FromHost
		for _, digit := range name {
			s.Label = s.Label*10 + int(digit-'0')
		}
	default:
		return s, fmt.Errorf("source %q: want path.<name>, query.<name>, header.<name>, host.<n>, token, all or none", text)
	}
	return s, nil
}

// validParameter reports whether name can stand in {name}.
func validParameter(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c != '_' && c != '-' && !isAlnum(c) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
