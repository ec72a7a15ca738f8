package openapi

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// clauses is what has to be met: one scope out of each clause. None at all means
// that any token will do.
type clauses [][]string

// maxClauses bounds what a requirement is made of.
const maxClauses = 64

// requirement returns what the operation's security asks for, as policies have
// it, and whether it is optional.
func (r *rules) requirement(o *operation) (require string, optional bool, err error) {
	if require, optional, err = r.asked(o); err == nil {
		err = validRequirement(require)
	}
	if err != nil && !errors.As(err, new(gap)) {
		err = noRequirement(err)
	}
	return require, optional, err
}

func (r *rules) asked(o *operation) (require string, optional bool, err error) {
	if !o.said {
		if r.config.Default == "" {
			return "", false, notSaid
		}
		return r.config.Default, false, nil
	}
	if len(o.security) == 0 {
		return "public", false, nil
	}
	var possible []clauses
	for _, a := range o.security {
		if len(a) == 0 {
			optional = true
			continue
		}
		needed, can, err := r.together(a)
		if err != nil {
			return "", false, err
		}
		if can {
			possible = append(possible, needed)
		}
	}
	switch {
	case len(possible) == 0 && optional:
		return "public", false, nil
	case len(possible) == 0:
		return "never", false, nil
	}
	require, err = oneOf(possible)
	return require, optional, err
}

// together returns what all the schemes of an alternative ask for. can is false
// where no token meets that.
func (r *rules) together(a alternative) (all clauses, can bool, err error) {
	for _, s := range a {
		if slices.Contains(r.config.Ignore, s.scheme) {
			continue
		}
		can = true
		for _, scope := range s.scopes {
			if err := validScope(scope); err != nil {
				return nil, false, err
			}
			all = append(all, []string{scope})
		}
		if len(s.scopes) > 0 {
			continue
		}
		require := r.schemes[s.scheme]
		if require == "" && r.config.Default != "public" {
			require = r.config.Default
		}
		switch require {
		case "":
			return nil, false, schemeNotSaid(s.scheme)
		case "never":
			return nil, false, nil
		case "any":
			continue
		}
		for word := range strings.FieldsSeq(require) {
			all = append(all, strings.Split(word, "|"))
		}
	}
	return all, can, nil
}

// doubt says of an operation that asks for a token by the default, where the document asks
// for another credential; "" for others.
func (r *rules) doubt(o *operation) string {
	without := *r
	var schemes, flags []string
	for _, a := range o.security {
		for _, s := range a {
			scheme := r.document.scheme(s.scheme)
			if len(s.scopes) == 0 && r.schemes[s.scheme] == "" && scheme.noToken() != "" && !slices.Contains(without.config.Ignore, s.scheme) {
				without.config.Ignore = append(slices.Clip(without.config.Ignore), s.scheme)
				schemes = append(schemes, s.scheme+" ("+scheme.noToken()+")")
				flags = append(flags, r.mark+"ignore "+quoted(s.scheme))
			}
		}
	}
	now, _, err := r.requirement(o)
	then, _, otherwise := without.requirement(o)
	if err != nil || otherwise != nil || now == then || then == "public" {
		return ""
	}
	return fmt.Sprintf("the document asks for %s, for which %sdefault takes a token; %s makes this %s",
		strings.Join(schemes, " or "), r.mark, strings.Join(flags, " "), then)
}

// several says of an operation that it asks for several tokens in one request, which the
// gate refuses; "" for others.
func (r *rules) several(o *operation) string {
	for _, a := range o.security {
		var tokens []*scheme
		for _, s := range a {
			of := r.document.scheme(s.scheme)
			if r.takesToken(of) && !slices.ContainsFunc(tokens, of.sharesPlace) {
				tokens = append(tokens, of)
			}
		}
		if len(tokens) > 1 {
			var names []string
			for _, s := range tokens {
				names = append(names, s.name)
			}
			return fmt.Sprintf("the document asks for %s in one request, and a request with two tokens is refused; %signore says which is none", strings.Join(names, " and "), r.mark)
		}
	}
	return ""
}

// validScope refuses scopes that mean something else in a requirement.
func validScope(scope string) error {
	if slices.Contains([]string{"public", "any", "never"}, scope) {
		return fmt.Errorf("scope %q: is a word of patgate's", scope)
	}
	return token.ValidScopeName(scope)
}

// oneOf returns the requirement that is met when one of those possible is. It turns an OR of
// ANDs into an AND of ORs, which may be much larger.
func oneOf(possible []clauses) (string, error) {
	all := clauses{nil}
	for _, p := range possible {
		if len(p) == 0 {
			return "any", nil
		}
		var product clauses
		for _, a := range all {
			for _, b := range p {
				product = append(product, union(a, b))
			}
		}
		if all = smallest(product); len(all) > maxClauses {
			return "", fmt.Errorf("its security has too many alternatives with too many scopes each (more than %d clauses)", maxClauses)
		}
	}
	words := make([]string, len(all))
	for i, clause := range all {
		words[i] = strings.Join(clause, "|")
	}
	return strings.Join(words, " "), nil
}

func union(a, b []string) []string {
	all := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// smallest returns the clauses without those implied by another.
func smallest(all clauses) (kept clauses) {
	for i, c := range all {
		implied := slices.ContainsFunc(all[:i], func(other []string) bool { return subset(other, c) }) ||
			slices.ContainsFunc(all[i+1:], func(other []string) bool { return subset(other, c) && !subset(c, other) })
		if !implied {
			kept = append(kept, c)
		}
	}
	return kept
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// validRequirement reports what is wrong with a requirement, whatever the
// catalog.
func validRequirement(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("want a requirement")
	}
	catalog, err := policy.NewCatalog(nil)
	if err == nil {
		_, err = policy.ParseRequirement(text, catalog)
	}
	return err
}
