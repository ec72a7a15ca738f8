package token

import (
	"fmt"
	"slices"
	"strings"
)

// All means every space, scope or resource in a grant.
const All = "*"

// Grant is what a token may do: its scopes, in its spaces, on its resources. A
// token may hold several; they add up.
type Grant struct {
	Spaces    []string `json:"spaces"`    // ids of spaces, or All
	Scopes    []string `json:"scopes"`    // names; a part may be "*": stories:*, *:read; All alone is every scope
	Resources []string `json:"resources"` // ids of resources, or All
}

// Full is the grant of everything.
func Full() Grant {
	return Grant{Spaces: []string{All}, Scopes: []string{All}, Resources: []string{All}}
}

// IsFull reports whether the grant is every scope in every space on every resource.
func (g Grant) IsFull() bool {
	return slices.Contains(g.Spaces, All) && slices.Contains(g.Scopes, All) && slices.Contains(g.Resources, All)
}

// Covers reports whether list names value or everything.
func Covers(list []string, value string) bool {
	for _, v := range list {
		if v == value || v == All {
			return true
		}
	}
	return false
}

// MatchScope reports whether the granted scope pattern covers the scope name.
// Patterns match by part: "stories:*" covers stories:read but not
// stories:a:b, and "*" alone covers every scope.
func MatchScope(pattern, name string) bool {
	if pattern == All {
		return true
	}
	for {
		p, prest, pmore := strings.Cut(pattern, ":")
		n, nrest, nmore := strings.Cut(name, ":")
		if p != n && p != All || pmore != nmore {
			return false
		}
		if !pmore {
			return true
		}
		pattern, name = prest, nrest
	}
}

// MeetScopes returns the intersection of two patterns: the scope or pattern that covers
// what both cover. ok is false if they have nothing in common.
func MeetScopes(a, b string) (both string, ok bool) {
	switch {
	case MatchScope(b, a):
		return a, true
	case MatchScope(a, b):
		return b, true
	}
	p, q := strings.Split(a, ":"), strings.Split(b, ":")
	if len(p) != len(q) {
		return "", false
	}
	for i := range p {
		switch {
		case p[i] == All:
			p[i] = q[i]
		case q[i] != All && q[i] != p[i]:
			return "", false
		}
	}
	return strings.Join(p, ":"), true
}

// ValidScopeName returns why s can't be the name of a scope, or nil. It is a
// scope-token of RFC 6749 section 3.3, without the characters that mean
// something in a policy or a grant (| and *).
func ValidScopeName(s string) error {
	if s == "" || len(s) > MaxValueLength {
		return fieldError("scope", "want 1 to %d characters, got %d", MaxValueLength, len(s))
	}
	for _, c := range s {
		switch {
		case c <= ' ' || c > '~', c == '"', c == '\\', c == '|', c == '*', c == ',':
			return ScopeError(s, "%q can't be part of a scope's name", string(c))
		}
	}
	for part := range strings.SplitSeq(s, ":") {
		if part == "" {
			return ScopeError(s, "has an empty part")
		}
	}
	return nil
}

// ValidScopePattern returns why s can't be a scope of a grant, or nil. It is a scope's name,
// of which whole parts may be "*".
func ValidScopePattern(s string) error {
	parts := strings.Split(s, ":")
	for i, part := range parts {
		if part == All {
			parts[i] = "x"
		} else if strings.Contains(part, All) {
			return ScopeError(s, "%q stands for a whole part (as in stories:* or *:read), not for a piece of one", All)
		}
	}
	if err := ValidScopeName(strings.Join(parts, ":")); err != nil {
		if s != "" && !strings.Contains(s, All) {
			return err
		}
		return ScopeError(s, "not a scope's name or pattern")
	}
	return nil
}

// validGrants returns why grants can't be kept, or nil.
func validGrants(grants []Grant) error {
	if len(grants) > MaxGrants {
		return fieldError("grants", "%d given, at most %d are kept", len(grants), MaxGrants)
	}
	for i, g := range grants {
		if err := g.validate(); err != nil {
			return fmt.Errorf("grants: number %d: %w", i+1, err)
		}
	}
	return nil
}

func (g Grant) validate() error {
	if err := g.CheckLengths(); err != nil {
		return err
	}
	for _, s := range g.Scopes {
		if err := ValidScopePattern(s); err != nil {
			return err
		}
	}
	for _, l := range []struct {
		what   string
		values []string
	}{{"spaces", g.Spaces}, {"resources", g.Resources}} {
		if len(l.values) == 0 {
			return fieldError(l.what, "empty: such a grant covers nothing; name some, or %q for all", All)
		}
		for _, v := range l.values {
			if v == "" {
				return fieldError(l.what, "an empty name")
			}
			if err := ValidText(l.what, v, MaxValueLength); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckLengths returns why a list of the grant is too long to be kept, or nil.
func (g Grant) CheckLengths() error {
	field, longest := "spaces", g.Spaces
	if len(g.Scopes) > len(longest) {
		field, longest = "scope", g.Scopes
	}
	if len(g.Resources) > len(longest) {
		field, longest = "resources", g.Resources
	}
	if len(longest) > MaxGrantValues {
		return &FieldError{Field: field, Why: fmt.Sprintf("%d values in one list, at most %d are kept", len(longest), MaxGrantValues), Whole: true}
	}
	return nil
}

// CloneGrants returns a deep copy. Its texts are copies as well: those of a stored
// record are pieces of it, and would keep all of it in memory. All lists share one
// array, and all texts one string, so that a decision finds them close together.
func CloneGrants(grants []Grant) []Grant {
	if grants == nil {
		return nil
	}
	count, size := 0, 0
	for _, g := range grants {
		for _, list := range [...][]string{g.Spaces, g.Scopes, g.Resources} {
			count += len(list)
			for _, v := range list {
				size += len(v)
			}
		}
	}
	values := make([]string, 0, count)
	var text strings.Builder
	text.Grow(size)
	clone := func(list []string) []string {
		if list == nil {
			return nil
		}
		first := len(values)
		for _, v := range list {
			at := text.Len()
			text.WriteString(v)
			values = append(values, text.String()[at:])
		}
		return slices.Clip(values[first:])
	}
	c := make([]Grant, len(grants))
	for i, g := range grants {
		c[i] = Grant{clone(g.Spaces), clone(g.Scopes), clone(g.Resources)}
	}
	return c
}

// EqualGrant reports whether two grants have the same lists, in the same order.
func EqualGrant(a, b Grant) bool {
	return slices.Equal(a.Spaces, b.Spaces) && slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.Resources, b.Resources)
}
