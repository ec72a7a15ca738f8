package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, tokens ...*token.Token) error {
	return s.at(s.retry(ctx, func() (*change, error) { return s.creation(ctx, tokens) }))
}

// creation returns the change that adds tokens.
func (s *Store) creation(ctx context.Context, tokens []*token.Token) (*change, error) {
	ids := make([]string, len(tokens))
	for i, t := range tokens {
		ids[i] = t.ID
	}
	taken, err := s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	digests, err := newDigests(tokens, taken)
	if err != nil {
		return nil, err
	}
	there, err := s.settleAll(ctx, digests)
	if err != nil {
		return nil, err
	}
	c := s.changeOf(there)
	for _, t := range tokens {
		for _, d := range t.Digests() {
			if there[d].raw != "" {
				return nil, &store.ExistsError{ID: t.ID, By: "secret"}
			}
			v := pointerValue(c.version, t.Digest)
			if d == t.Digest {
				v = liveValue(c.version, t)
			}
			c.set(d, "", v)
		}
		c.add(s.keys.ids, idEntry(t.ID, t.Digest))
		c.add(s.keys.own(t.Owner), t.ID)
	}
	c.free = ids
	return c, nil
}

// newDigests returns the digests of tokens to be made. taken is where their ids are; no two
// may have an id or a digest in common.
func newDigests(tokens []*token.Token, taken []*token.Digest) (digests []token.Digest, err error) {
	ids, seen := map[string]bool{}, map[token.Digest]bool{}
	for i, t := range tokens {
		if taken[i] != nil || ids[t.ID] {
			return nil, &store.ExistsError{ID: t.ID, By: "id"}
		}
		ids[t.ID] = true
		for _, d := range t.Digests() {
			if seen[d] {
				return nil, &store.ExistsError{ID: t.ID, By: "secret"}
			}
			seen[d] = true
			digests = append(digests, d)
		}
	}
	return digests, nil
}

// Update implements store.Store.
func (s *Store) Update(ctx context.Context, id string, f func(*token.Token) error) (after *token.Token, err error) {
	var refused error
	err = s.retry(ctx, func() (*change, error) {
		before, err := s.byID(ctx, id, s.settle)
		switch {
		case err != nil:
			return nil, err
		case !before.live():
			return nil, fmt.Errorf("token %q: %w", id, store.ErrNotFound)
		}
		given := before.token.Clone()
		switch refused = f(given); {
		case before.lost && errors.Is(refused, store.ErrUnchanged):
			given = before.token // is stored again, as the newest
		case refused != nil:
			return nil, refused
		case given.ID != id:
			return nil, fmt.Errorf("token %q: its id can't be changed", id)
		}
		if before.lost && given.RevokedAt.IsZero() {
			return nil, s.lost(fmt.Sprintf("token %q", id), endIt)
		}
		c, err := s.replacement(ctx, before, given)
		if err != nil {
			return nil, err
		}
		stored, err := token.Decode(given.Encode(nil)) // shares nothing with what was given
		after = stored
		return c, err
	})
	if refused != nil && (err == nil || errors.Is(err, refused)) {
		return nil, cmp.Or(s.at(s.Confirm(ctx)), refused)
	}
	if err != nil {
		return nil, s.at(s.orUnconfirmed(ctx, err))
	}
	_ = s.withUses(ctx, after) // the change is made, whether they can be read or not
	return after, nil
}

// replacement returns the change that puts after in place of before.
func (s *Store) replacement(ctx context.Context, before record, after *token.Token) (*change, error) {
	was, is := before.token.Digests(), after.Digests()
	all := slices.Clone(was)
	for i, d := range is {
		if slices.Contains(is[:i], d) {
			return nil, &store.ExistsError{ID: after.ID, By: "secret"}
		}
		if !slices.Contains(all, d) {
			all = append(all, d)
		}
	}
	there, err := s.settleAll(ctx, all)
	if err != nil {
		return nil, err
	}
	if there[before.token.Digest].raw != before.raw {
		return nil, errConflict
	}
	c := s.changeOf(there)
	for _, d := range all {
		r := there[d]
		mine := d == before.token.Digest || slices.Contains(was, d) && r.pointer() && r.target == before.token.Digest
		switch {
		case r.raw != "" && !mine:
			if slices.Contains(is, d) {
				return nil, &store.ExistsError{ID: after.ID, By: "secret"}
			}
			// A secret that is somebody else's by now: left alone.
		case d == after.Digest:
			c.set(d, r.raw, liveValue(c.version, after))
		case !slices.Contains(is, d):
			c.set(d, r.raw, "")
		case r.pointer() && r.target == after.Digest:
			c.what = append(c.what, touched{digest: d, version: r.version})
		default:
			c.set(d, r.raw, pointerValue(c.version, after.Digest))
		}
	}
	if before.token.Digest != after.Digest {
		c.remove(s.keys.ids, idEntry(after.ID, before.token.Digest))
		c.add(s.keys.ids, idEntry(after.ID, after.Digest))
	}
	if before.token.Owner != after.Owner {
		c.remove(s.keys.own(before.token.Owner), after.ID)
		c.add(s.keys.own(after.Owner), after.ID)
	}
	return c, nil
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, ids ...string) error {
	err := s.retry(ctx, func() (*change, error) { return s.deletion(ctx, ids) })
	return s.at(s.orUnconfirmed(ctx, err))
}

// deletion returns the change that removes tokens.
func (s *Store) deletion(ctx context.Context, ids []string) (*change, error) {
	where, err := s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	var digests []token.Digest
	seen := map[string]bool{}
	for i, id := range ids {
		if where[i] == nil || seen[id] {
			return nil, fmt.Errorf("token %q: %w", id, store.ErrNotFound)
		}
		seen[id] = true
		digests = append(digests, *where[i])
	}
	there, err := s.settleAll(ctx, digests)
	if err != nil {
		return nil, err
	}
	var retired []token.Digest
	for i, id := range ids {
		r := there[digests[i]]
		if !r.live() || r.token.ID != id {
			return nil, errConflict
		}
		for _, d := range r.token.Retired {
			retired = append(retired, d.Digest)
		}
	}
	pointers, err := s.settleAll(ctx, retired)
	if err != nil {
		return nil, err
	}
	c := s.changeOf(there, pointers)
	for i, id := range ids {
		t := there[digests[i]].token
		c.set(t.Digest, there[t.Digest].raw, "")
		for _, r := range t.Retired {
			if p := pointers[r.Digest]; p.pointer() && p.target == t.Digest {
				c.set(r.Digest, p.raw, "")
			}
		}
		c.remove(s.keys.ids, idEntry(id, t.Digest))
		c.remove(s.keys.own(t.Owner), id)
		c.removeUse(s.keys.uses, id)
	}
	return c, nil
}
