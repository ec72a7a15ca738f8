package embedded

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Find implements store.Store.
func (s *Store) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	var found store.Found
	err := s.view(ctx, func(tx tx) (err error) {
		id := tx.digests().Get(d[:])
		if id == nil {
			return store.ErrNotFound
		}
		raw := tx.tokens().Get(id)
		if raw == nil {
			return fmt.Errorf("token %q has a digest, but isn't there", id)
		}
		if found.Token, err = token.Decode(raw); err != nil {
			return fmt.Errorf("token %q: %w", id, err)
		}
		found.Current = found.Token.Digest == d
		if !found.Current {
			var retired bool
			if found.Until, retired = found.Token.RetiredUntil(d); !retired {
				return fmt.Errorf("token %q is found by a digest it doesn't have", id)
			}
		}
		if raw := tx.owners().Get([]byte(found.Token.Owner)); raw != nil {
			if found.Owner, err = token.DecodeOwner(raw); err != nil {
				return fmt.Errorf("owner %q: %w", found.Token.Owner, err)
			}
		}
		found.Position = tx.position()
		return nil
	})
	if err != nil {
		return store.Found{}, err
	}
	return found, nil
}

// Token implements store.Store.
func (s *Store) Token(ctx context.Context, id string) (t *token.Token, err error) {
	err = s.view(ctx, func(tx tx) (err error) {
		t, err = tx.token([]byte(id))
		return err
	})
	return t, err
}

// Tokens implements store.Store. The cursor is the id of the last token looked at.
func (s *Store) Tokens(ctx context.Context, q store.Query) (tokens []*token.Token, next string, err error) {
	// Ids are walked backward, in the index of one owner if q names one.
	bucket, prefix := bucketTokens, []byte(nil)
	if q.Owner != nil {
		bucket, prefix = bucketByOwner, ownerPrefix(*q.Owner)
	}
	before := append(bytes.Clone(prefix), q.Cursor...)
	if q.Cursor == "" {
		before = append(before, 0xff) // after every id
	}
	size := 0
	var last []byte // not t.ID, which another key may have where the file is damaged
	err = s.walk(ctx, bucket, prefix, before, true, func(tx tx, id []byte) (more bool, err error) {
		t, err := tx.token(id)
		if err != nil {
			return false, err
		}
		if q.Selects(t) {
			if q.Full(len(tokens), size) {
				next = string(last)
				return false, nil
			}
			tokens, size = append(tokens, t), size+t.Size()
		}
		last = append(last[:0], id...)
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	return tokens, next, nil
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, tokens ...*token.Token) error {
	return s.write(ctx, func(tx tx, what *store.Change) error {
		for _, t := range tokens {
			if tx.tokens().Get([]byte(t.ID)) != nil {
				return &store.ExistsError{ID: t.ID, By: "id"}
			}
			if err := tx.putToken(nil, t); err != nil {
				return fmt.Errorf("storing token %q: %w", t.ID, err)
			}
			what.Digests = append(what.Digests, t.Digests()...)
		}
		return nil
	})
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id string, change func(*token.Token) error) (*token.Token, error) {
	var after *token.Token
	err := s.write(ctx, func(tx tx, what *store.Change) error {
		before, err := tx.token([]byte(id))
		if err != nil {
			return refusal{err}
		}
		given := before.Clone()
		if err := call(func() error { return change(given) }); err != nil {
			return refusal{err}
		}
		if given.ID != id {
			return refusal{fmt.Errorf("token %q: its id can't be changed", id)}
		}
		if err := tx.putToken(before, given); err != nil {
			return fmt.Errorf("storing token %q: %w", id, err)
		}
		what.Digests = before.Digests()
		for _, d := range given.Digests() {
			if !slices.Contains(what.Digests, d) {
				what.Digests = append(what.Digests, d)
			}
		}
		after, err = tx.token([]byte(id)) // what is stored, sharing nothing with what was given
		return err
	})
	if err != nil {
		return nil, err
	}
	return after, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, ids ...string) error {
	return s.write(ctx, func(tx tx, what *store.Change) error {
		for _, id := range ids {
			t, err := tx.token([]byte(id))
			if err != nil {
				return err
			}
			if err := tx.removeToken(t); err != nil {
				return fmt.Errorf("removing token %q: %w", id, err)
			}
			what.Digests = append(what.Digests, t.Digests()...)
		}
		return nil
	})
}
