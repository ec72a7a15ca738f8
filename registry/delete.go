package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Delete removes the tokens with these ids and returns the ids, each once. If one
// of them is unknown, nothing is deleted.
func (a *Account) Delete(ctx context.Context, ids ...string) ([]string, error) {
	tokens, err := a.all(ctx, ids, a.Own)
	if err != nil {
		return nil, err
	}
	return a.registry.delete(ctx, a.by, tokens)
}

// DeleteOwnerTokens removes all tokens of an owner, but not the owner's record,
// and returns their ids. With an error they are those deleted so far.
func (a *Account) DeleteOwnerTokens(ctx context.Context, owner string) ([]string, error) {
	if a.owner != nil && owner != a.by.Name {
		return nil, forbidden("owner: you can delete your own tokens; an admin can revoke others', no more")
	}
	r := a.registry
	return r.endAll(ctx, owner, func(ctx context.Context, page []*token.Token) ([]string, error) {
		ids, err := r.delete(ctx, a.by, page)
		for errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) { // someone else has deleted some of them
			if page, err = r.left(ctx, page); err == nil && len(page) > 0 {
				ids, err = r.delete(ctx, a.by, page)
			}
		}
		return ids, err
	})
}

// left returns those of the tokens that are still there.
func (r *Registry) left(ctx context.Context, tokens []*token.Token) (left []*token.Token, err error) {
	for _, t := range tokens {
		now, err := r.store.Token(ctx, t.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, noToken(t.ID, "reading", err)
		}
		left = append(left, now)
	}
	return left, nil
}

func (r *Registry) delete(ctx context.Context, by Actor, tokens []*token.Token) ([]string, error) {
	ids, events := make([]string, len(tokens)), make([]Event, len(tokens))
	for i, t := range tokens {
		ids[i] = t.ID
		events[i] = r.event(by, Deleted, t, t, "")
	}
	err := r.store.Delete(recording(ctx, &events), ids...)
	if errors.Is(err, store.ErrNotFound) && len(tokens) == 1 {
		return nil, noToken(ids[0], "deleting", err)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, conflict("tokens: one of them was deleted by someone else meanwhile; nothing was deleted now")
	}
	if err != nil {
		return nil, fmt.Errorf("deleting tokens: %w", err)
	}
	r.tell(events)
	return ids, nil
}
