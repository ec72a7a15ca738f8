package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
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
