package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Revoke ends the tokens with these ids and returns the ids, each once. A token that was
// revoked before keeps the time at which it was. If one of the ids is unknown, nothing is
// revoked. If the store fails on the way, the ids returned with the error are those of
// the tokens that are revoked for certain. What has begun is finished even if ctx ends,
// here and in RevokeOwner: the tokens must end.
func (a *Account) Revoke(ctx context.Context, ids ...string) ([]string, error) {
	tokens, err := a.all(ctx, ids, a.Get)
	if err != nil {
		return nil, err
	}
	return a.registry.revokeAll(context.WithoutCancel(ctx), a.by, tokens)
}

// RevokeOwner ends all tokens of an owner and returns the ids of those that were
// not revoked before. With an error they are those revoked so far.
func (a *Account) RevokeOwner(ctx context.Context, owner string) ([]string, error) {
	if _, err := a.sees(&owner); err != nil {
		return nil, err
	}
	return a.registry.endAll(ctx, owner, func(ctx context.Context, page []*token.Token) ([]string, error) {
		live := slices.DeleteFunc(page, func(t *token.Token) bool { return !t.RevokedAt.IsZero() })
		return a.registry.revokeAll(ctx, a.by, live)
	})
}

// endAll calls end with all of the owner's tokens, page by page, even if ctx is canceled,
// and returns the ids that it returns. That there were none is confirmed.
func (r *Registry) endAll(ctx context.Context, owner string, end func(context.Context, []*token.Token) ([]string, error)) (ended []string, err error) {
	if owner == "" {
		return nil, invalid("owner: say whose tokens")
	}
	ctx = context.WithoutCancel(ctx)
	err = r.all(ctx, store.Query{Owner: &owner}, func(page []*token.Token) error {
		ids, err := end(ctx, page)
		ended = append(ended, ids...)
		return err
	})
	if err == nil && len(ended) == 0 {
		err = r.confirm(ctx)
	}
	return ended, err
}

// confirm returns an error if the store may yet undo an earlier change. It is called
// before the answer that there is nothing to end, which has to be as lasting as ending
// it.
func (r *Registry) confirm(ctx context.Context) error {
	s, ok := r.store.(store.Shared)
	if !ok {
		return nil
	}
	if err := s.Confirm(ctx); err != nil {
		return fmt.Errorf("making sure that there is nothing to end: %w", err)
	}
	return nil
}

// orUnconfirmed returns err; where that is ErrNotFound and confirm fails, the error of
// confirm.
func (r *Registry) orUnconfirmed(ctx context.Context, err error) error {
	if errors.Is(err, ErrNotFound) {
		return cmp.Or(r.confirm(ctx), err)
	}
	return err
}

// revokeAll revokes as many of the tokens as the store allows, and returns the
// ids of those and the first error.
func (r *Registry) revokeAll(ctx context.Context, by Actor, tokens []*token.Token) (ids []string, err error) {
	// Changes that reach a store together share its wait for the disk. Those of large
	// tokens would make each other late.
	const together, short = 64, 16 << 10
	errs := make([]error, len(tokens))
	slots := make(chan struct{}, together)
	var all sync.WaitGroup
	for i, t := range tokens {
		n := min(1+t.Size()/short, together)
		for range n {
			slots <- struct{}{}
		}
		all.Go(func() {
			errs[i] = r.revoke(ctx, by, t.ID, "")
			for range n {
				<-slots
			}
		})
	}
	all.Wait()
	for i, t := range tokens {
		if errs[i] == nil {
			ids = append(ids, t.ID)
		} else if err == nil {
			err = errs[i]
		}
	}
	return ids, err
}

// revoke ends one token that was there a moment ago. If it isn't any more, it has
// ended, too.
func (r *Registry) revoke(ctx context.Context, by Actor, id, why string) error {
	_, err := r.change(ctx, by, Revoked, id, func(t *token.Token, now time.Time) (string, error) {
		if !t.RevokedAt.IsZero() {
			return "", store.ErrUnchanged
		}
		t.RevokedAt = now
		return why, nil
	})
	if errors.Is(err, ErrNotFound) {
		return r.confirm(ctx)
	}
	return err
}
