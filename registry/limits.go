package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// mayCreate checks the limits of the token's owner, and of whoever makes it, except for
// max_tokens, which it returns; 0: any number.
func (a *Account) mayCreate(ctx context.Context, owner string, grants []token.Grant) (maxTokens int, err error) {
	switch {
	case a.owner != nil && owner != a.by.Name:
		return 0, forbidden("owner: a token made by %q is %q's own", a.by.Name, a.by.Name)
	case owner == "":
		return 0, nil
	}
	o, err := a.registry.ownerRecord(ctx, owner)
	switch {
	case err != nil:
		return 0, err
	case a.owner == nil:
		return o.MaxTokens, nil
	case !o.MayCreate:
		return 0, forbidden("owner %q may not make tokens: ask the operator", owner)
	}
	return o.MaxTokens, a.registry.withinCeiling(o, grants)
}

// maxOwnSize is maxRecordSize for a token to which its owner gives grants: many lookups share
// an answer of Redis, those of others' tokens too, and the cache counts tokens, not bytes.
const maxOwnSize = 64 << 10

// fits refuses a token that is larger than the account may make one.
func (a *Account) fits(t *token.Token) error {
	if a.owner == nil {
		return nil
	}
	if n := len(t.Encode(nil)); n > maxOwnSize {
		return refuseField(ErrInvalid, "grant", "the token has %d bytes with all its grants, and at most %d are kept where its owner makes it: give it less, or make several, or ask the operator", n, maxOwnSize)
	}
	return nil
}

// Full reports whether the owner has as many tokens as max_tokens allows, so that Create
// is refused.
func (a *Account) Full(ctx context.Context) (bool, error) {
	if a.owner == nil || a.owner.MaxTokens == 0 {
		return false, nil
	}
	return a.registry.hasMore(ctx, a.by.Name, a.owner.MaxTokens-1)
}

// mayWiden reports whether the account may let a token do more than it does: to make it
// wider, longer-lived or alive again is as good as to make another. It returns the
// owner's record as it is now; nil for an operator.
func (a *Account) mayWiden(ctx context.Context) (yes bool, o *token.Owner, err error) {
	if a.owner == nil {
		return true, nil, nil
	}
	if o, err = a.registry.ownerRecord(ctx, a.by.Name); err != nil {
		return false, nil, err
	}
	return o.MayCreate, o, nil
}

// mayNot says why an owner who may not make tokens is refused.
func (a *Account) mayNot() string {
	return fmt.Sprintf("owner %q may not make tokens, nor make one do more: ask the operator", a.by.Name)
}

// ownerLocks are held while tokens are counted and made for owners with max_tokens, so
// that nobody else in this process takes the last place in between. Many owners share a
// lock.
var ownerLocks [64]sync.Mutex

var ownerSeed = maphash.MakeSeed()

// createWithin stores a new token if its owner has fewer than limit.
//
// Another gateway may take the last place between the count and the change. So
// where there are others, the tokens are counted again, and what is one too many
// is deleted: two gateways at the same moment may both do that, but never do both
// tokens stay.
func (r *Registry) createWithin(ctx context.Context, by Actor, t *token.Token, limit int) error {
	lock := &ownerLocks[maphash.String(ownerSeed, t.Owner)%uint64(len(ownerLocks))]
	lock.Lock()
	defer lock.Unlock()
	full := conflict("owner %q already has as many tokens as it may have (%d): delete one that is no longer needed", t.Owner, limit)
	switch more, err := r.hasMore(ctx, t.Owner, limit-1); {
	case err != nil:
		return err
	case more:
		return full
	}
	if err := r.create(ctx, by, t); err != nil {
		return err
	}
	if _, shared := r.store.(store.Shared); !shared {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // also if who asked is gone
	more, err := r.hasMore(ctx, t.Owner, limit)
	if err == nil && !more {
		return nil
	}
	// Also if that can't be read: nobody has been shown the secret yet.
	if _, failed := r.delete(ctx, by, []*token.Token{t}); failed != nil && !errors.Is(failed, ErrNotFound) {
		err = cmp.Or(err, failed)
	}
	return cmp.Or(err, full)
}

// hasMore reports whether an owner has more than n tokens.
func (r *Registry) hasMore(ctx context.Context, owner string, n int) (bool, error) {
	q := store.Query{Owner: &owner}
	for {
		q.Limit = n + 1
		tokens, next, err := r.store.Tokens(ctx, q)
		if err != nil {
			return false, fmt.Errorf("counting tokens: %w", err)
		}
		if n -= len(tokens); n < 0 || next == "" {
			return n < 0, nil
		}
		q.Cursor = next
	}
}

// withinCeiling refuses grants that are more than an owner may do. The gate judges by the
// ceiling anyway: this is so that nobody is given a token that can't do what it says.
//
// A grant is within the ceiling if, for each of its scopes and spaces, one grant of
// the ceiling covers both and all of its resources.
func (r *Registry) withinCeiling(o *token.Owner, grants []token.Grant) error {
	for i, g := range grants {
		if what := r.beyond(g, o.Grants); what != "" {
			err := &token.FieldError{Field: "scope", Why: fmt.Sprintf("%s is more than owner %q may do", what, o.ID), Whole: true}
			return forbidden("grants: number %d: %w", i+1, err)
		}
	}
	return nil
}

// LikeSeveral warns of ids in grants that look like several (token.LikeSeveral).
func LikeSeveral(grants []token.Grant) (warnings []string) {
	for _, g := range grants {
		for _, ids := range []struct {
			noun string
			list []string
		}{{"space", g.Spaces}, {"resource", g.Resources}} {
			for _, id := range ids.list {
				if token.LikeSeveral(id) {
					warnings = append(warnings, fmt.Sprintf("%s %q is one %[1]s; to grant several, give each by itself", ids.noun, id))
				}
			}
		}
	}
	return warnings
}

// Warnings says why a token that an operator has made can't do what its grants say, or
// may not be what was meant. The owner's record, which would refuse an owner, only warns
// an operator.
func (a *Account) Warnings(ctx context.Context, t *token.Token) (warnings []string) {
	if a.owner != nil {
		return nil
	}
	warnings = LikeSeveral(t.Grants)
	if t.Owner == "" {
		return warnings
	}
	o, err := a.registry.ownerRecord(ctx, t.Owner)
	if err != nil {
		return warnings // the token is there all the same, and its secret must be shown
	}
	if !o.Enabled {
		warnings = append(warnings, fmt.Sprintf("owner %q is disabled: the token doesn't work", o.ID))
	}
	if err := a.registry.withinCeiling(o, t.Grants); err != nil {
		warnings = append(warnings, err.Error())
	}
	return warnings
}

// beyond names something in g that the ceiling doesn't cover; "": there is
// nothing.
func (r *Registry) beyond(g token.Grant, ceiling []token.Grant) string {
	scopes := g.Scopes
	if len(scopes) == 0 {
		scopes = []string{""} // no scope is within every ceiling, where it covers the space
	}
	// What doesn't depend on the scope is worked out once.
	inSpace := make([][]bool, len(ceiling))
	for i, c := range ceiling {
		if slices.ContainsFunc(g.Resources, func(id string) bool { return !token.Covers(c.Resources, id) }) {
			continue
		}
		inSpace[i] = make([]bool, len(g.Spaces))
		for n, space := range g.Spaces {
			inSpace[i][n] = token.Covers(c.Spaces, space)
		}
	}
	for _, scope := range scopes {
		covered := make([]bool, len(g.Spaces))
		for i, c := range ceiling {
			if inSpace[i] == nil || scope != "" && !r.rules.Holds(c.Scopes, scope) {
				continue
			}
			for n, yes := range inSpace[i] {
				covered[n] = covered[n] || yes
			}
		}
		if n := slices.Index(covered, false); n >= 0 {
			return words(scope, g.Spaces[n], g.Resources)
		}
	}
	return ""
}

// words names a scope in a space, for people.
func words(scope, space string, resources []string) string {
	s := "scope " + scope
	if scope == "" {
		s = "a grant"
	}
	if space == token.All {
		s += " in all spaces"
	} else {
		s += fmt.Sprintf(" in space %q", space)
	}
	if !slices.Contains(resources, token.All) {
		s += " on these resources"
	}
	return s
}

// Holds reports whether one of the patterns held covers the scope, which may be a
// pattern as well, or implies it.
func (r *Rules) Holds(held []string, scope string) bool {
	return slices.ContainsFunc(held, func(pattern string) bool {
		if token.MatchScope(pattern, scope) {
			return true
		}
		return !strings.Contains(scope, token.All) && slices.ContainsFunc(r.ImpliedBy[scope], func(higher string) bool {
			return token.MatchScope(pattern, higher)
		})
	})
}
