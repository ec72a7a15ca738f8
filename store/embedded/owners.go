package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Owner implements store.Store.
func (s *Store) Owner(ctx context.Context, id string) (o *token.Owner, err error) {
	err = s.view(ctx, func(tx tx) (err error) {
		o, err = tx.owner([]byte(id))
		return err
	})
	return o, err
}

// Owners implements store.Store.
func (s *Store) Owners(ctx context.Context, after string, limit int) (owners []*token.Owner, next string, err error) {
	err = s.walk(ctx, bucketOwners, nil, []byte(after), false, func(tx tx, id []byte) (more bool, err error) {
		if limit > 0 && len(owners) == limit {
			next = after
			return false, nil
		}
		o, err := tx.owner(id)
		if err != nil {
			return false, err
		}
		owners = append(owners, o)
		after = string(id) // not o.ID, which another key may have where the file is damaged
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	return owners, next, nil
}

// UpdateOwner implements store.Store.
func (s *Store) UpdateOwner(ctx context.Context, id string, change func(*token.Owner) (*token.Owner, error)) (*token.Owner, error) {
	var after *token.Owner
	err := s.write(ctx, func(tx tx, what *store.Change) error {
		before, err := tx.owner([]byte(id))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return refusal{err}
		}
		var given *token.Owner
		if err := call(func() (err error) { given, err = change(before); return err }); err != nil {
			return refusal{err}
		}
		if given == nil || given.ID != id {
			return refusal{fmt.Errorf("owner %q: its id can't be changed", id)}
		}
		if err := tx.owners().Put([]byte(id), given.Encode(nil)); err != nil {
			return fmt.Errorf("storing owner %q: %w", id, err)
		}
		if before == nil {
			if err := tx.count(keyOwners, 1); err != nil {
				return err
			}
		}
		what.Owners = []string{id}
		after, err = tx.owner([]byte(id)) // what is stored, sharing nothing with what was given
		return err
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// DeleteOwner implements store.Store.
func (s *Store) DeleteOwner(ctx context.Context, id string) error {
	return s.write(ctx, func(tx tx, what *store.Change) error {
		if tx.owners().Get([]byte(id)) == nil {
			return refusal{fmt.Errorf("owner %q: %w", id, store.ErrNotFound)}
		}
		if err := tx.owners().Delete([]byte(id)); err != nil {
			return fmt.Errorf("removing owner %q: %w", id, err)
		}
		what.Owners = []string{id}
		return tx.count(keyOwners, -1)
	})
}
