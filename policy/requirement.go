package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

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

// dependsOnToken reports whether it depends on a token: public and never don't.
func (r *Requirement) dependsOnToken() bool { return r.need == needScopes || r.need == needAny }

// alone are the requirements that are a single word.
var alone = map[string]need{"any": needAny, "public": needNothing, "never": needNever}

// IsWord reports whether name is a requirement by itself, and so no scope that a route could
// ask for.
func IsWord(name string) bool {
	_, is := alone[name]
	return is
}

// ParseRequirement reads "a b|c", public, any, never; empty means any.
func ParseRequirement(text string, catalog *Catalog) (Requirement, error) {
	r := Requirement{text: cmp.Or(strings.Join(strings.Fields(text), " "), "any")}
	if err := r.parse(catalog); err != nil {
		return r, fmt.Errorf("requirement %q: %w", r.text, err)
	}
	return r, nil
}

// parse reads the text.
func (r *Requirement) parse(catalog *Catalog) error {
	if r.text == "deny" {
		return errors.New("is for default; write never for a route that no token opens")
	}
	if n, ok := alone[r.text]; ok {
		r.need = n
		return nil
	}
	var enough []string
	for word := range strings.FieldsSeq(r.text) {
		var clause []int
		for name := range strings.SplitSeq(word, "|") {
			if IsWord(name) {
				return fmt.Errorf("%q can't be combined with others", name)
			}
			if name == "" {
				return errors.New("want a scope on both sides of |, without blanks")
			}
			if err := RefusePlaceholder(name); err != nil {
				return err
			}
			if strings.HasPrefix(name, "{") {
				return fmt.Errorf("%s isn't replaced here; an environment variable {$NAME} is", name)
			}
			n, err := catalog.require(name)
			if err != nil {
				return err
			}
			if name = catalog.scope(name); clause == nil && !slices.Contains(enough, name) {
				enough = append(enough, name)
			}
			if !slices.Contains(clause, n) {
				clause = append(clause, n)
			}
		}
		r.clauses = append(r.clauses, clause)
	}
	r.scope = strings.Join(enough, " ")
	return nil
}

// covers reports whether a token that holds what r asks for holds what s asks
// for, too.
func (r *Requirement) covers(s *Requirement, c *Catalog) bool {
	for _, wanted := range s.clauses {
		if !slices.ContainsFunc(r.clauses, func(held []int) bool {
			return !slices.ContainsFunc(held, func(n int) bool { return !c.containsAny(n, wanted) })
		}) {
			return false
		}
	}
	return true
}

// containsAny reports whether the scope numbered n is, or implies, one of these.
func (c *Catalog) containsAny(n int, wanted []int) bool {
	return slices.ContainsFunc(wanted, func(w int) bool { return w == n || slices.Contains(c.implied[n], w) })
}
