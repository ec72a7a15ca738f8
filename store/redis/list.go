package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Token implements store.Store. If Redis has lost a change, Token returns the record that
// Redis has: it is for those who manage tokens, who can't revoke one that they can't read.
// Requests are judged by Find.
func (s *Store) Token(ctx context.Context, id string) (*token.Token, error) {
	r, err := s.byID(ctx, id, s.look)
	switch {
	case err != nil:
		return nil, s.at(err)
	case !r.live():
		return nil, fmt.Errorf("token %q: %w", id, store.ErrNotFound)
	}
	if err := s.withUses(ctx, r.token); err != nil {
		return nil, s.reading(fmt.Sprintf("the last use of token %q", id), err)
	}
	return r.token, nil
}

// Tokens implements store.Store, with records as in Token. The cursor is the id of
// the last token listed.
func (s *Store) Tokens(ctx context.Context, q store.Query) (tokens []*token.Token, next string, err error) {
	before, size := q.Cursor, 0
	var lost []string
	// tell reports those on this page, which ends at an id. The next page reports the others.
	tell := func(end string) {
		for _, id := range lost {
			if q.Lost != nil && id > end { // the list has the greatest first
				q.Lost(id)
			}
		}
		lost = nil
	}
	for {
		page, last, err := s.tokensPage(ctx, q.Owner, before, func(id string) { lost = append(lost, id) })
		if err != nil {
			return nil, "", s.reading("a list of tokens", err)
		}
		for _, t := range page {
			if !q.Selects(t) {
				continue
			}
			if q.Full(len(tokens), size) {
				next = tokens[len(tokens)-1].ID
				tell(next)
				return tokens, next, nil
			}
			tokens, size = append(tokens, t), size+t.Size()
		}
		tell("")
		if last == "" {
			return tokens, "", nil
		}
		before = last
	}
}

// tokensPage reads the next tokens, of all or of an owner, whose ids are before an
// id; "" for the first. last is the id of the last one, "" when there are no more. lost is
// called with the ids of those whose records are lost.
func (s *Store) tokensPage(ctx context.Context, owner *string, before string, lost func(id string)) (all []*token.Token, last string, err error) {
	ids, where, err := s.idsPage(ctx, owner, before, step)
	if err != nil {
		return nil, "", err
	}
	var digests []token.Digest
	for _, d := range where {
		if d != nil {
			digests = append(digests, *d)
		}
	}
	records, _, err := s.readFirst(ctx, digests, s.look)
	if err != nil {
		return nil, "", err
	}
	if len(ids) == step {
		last = ids[step-1]
	}
	for i, id := range ids {
		if where[i] == nil {
			continue
		}
		r, read := records[*where[i]]
		if !read { // this one and those after it are for the next page
			last = ids[i-1]
			break
		}
		if !r.live() || r.token.ID != id { // changed between the reads
			r, err = s.byID(ctx, id, s.look)
			switch {
			case errors.Is(err, errIndex): // of which a list must not fail: Check mends it
				lost(id)
			case err != nil:
				return nil, "", err
			}
		}
		if r.live() { // else it is gone
			all = append(all, r.token)
		}
	}
	return all, last, s.withUses(ctx, all...)
}

// idsPage reads the next n ids for tokensPage, and where the tokens are; nil: nowhere, by now.
func (s *Store) idsPage(ctx context.Context, owner *string, before string, n int) (ids []string, where []*token.Digest, err error) {
	index, end := s.keys.ids, "("+before+"\x00"
	if owner != nil {
		index, end = s.keys.own(*owner), "("+before
	}
	if before == "" {
		end = "+"
	}
	cmd := redis.NewStringSliceCmd(noContext, "zrevrangebylex", index, end, "-", "limit", 0, n)
	if err := s.send(ctx, cmd); err != nil {
		return nil, nil, err
	}
	ids = cmd.Val()
	if owner != nil {
		where, err = s.whereAre(ctx, ids...)
		return ids, where, err
	}
	for i, e := range ids {
		id, d, ok := splitIDEntry(e)
		if !ok {
			return nil, nil, errValue
		}
		ids[i], where = id, append(where, &d)
	}
	return ids, where, nil
}
