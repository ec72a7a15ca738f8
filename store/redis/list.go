package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Tokens implements store.Store, with records as in Token. The cursor is the id of
// the last token listed.
func (s *Store) Tokens(ctx context.Context, q store.Query) (tokens []*token.Token, next string, err error) {
	before := q.Cursor
	for {
		page, err := s.page(ctx, q.Owner, before)
		if err != nil {
			return nil, "", s.reading("a list of tokens", err)
		}
		for _, t := range page.tokens {
			if !q.Selects(t) {
				continue
			}
			if q.Limit > 0 && len(tokens) == q.Limit {
				return tokens, tokens[len(tokens)-1].ID, nil
			}
			tokens = append(tokens, t)
		}
		if page.last == "" {
			return tokens, "", nil
		}
		before = page.last
	}
}

// page is a piece of the list of all tokens, or of an owner's.
type page struct {
	tokens []*token.Token
	last   string // id of the last one; "" when there are no more
}

// page reads the next tokens whose ids are before an id, "" for the first.
func (s *Store) page(ctx context.Context, owner *string, before string) (p page, err error) {
	index, end := s.keys.ids, "("+before+"\x00"
	if owner != nil {
		index, end = s.keys.own(*owner), "("+before
	}
	if before == "" {
		end = "+"
	}
	cmd := redis.NewStringSliceCmd(noContext, "zrevrangebylex", index, end, "-", "limit", 0, step)
	if err := s.send(ctx, unsafe, keyed{index, cmd}); err != nil {
		return page{}, err
	}
	ids, where := cmd.Val(), make([]*token.Digest, len(cmd.Val()))
	if owner != nil {
		if where, err = s.whereAre(ctx, ids...); err != nil {
			return page{}, err
		}
	} else {
		for i, e := range ids {
			id, d, ok := splitIDEntry(e)
			if !ok {
				return page{}, errValue
			}
			ids[i], where[i] = id, &d
		}
	}
	var digests []token.Digest
	for _, d := range where {
		if d != nil {
			digests = append(digests, *d)
		}
	}
	records, err := s.readAll(ctx, digests, s.look)
	if err != nil {
		return page{}, err
	}
	for i, id := range ids {
		if where[i] == nil {
			continue
		}
		r := records[*where[i]]
		if !r.live() || r.token.ID != id { // changed between the reads
			r, err = s.byID(ctx, id, s.look)
			if err != nil && !errors.Is(err, errIndex) { // of which a list must not fail: Check mends it
				return page{}, err
			}
		}
		if r.live() { // else it is gone
			p.tokens = append(p.tokens, r.token)
		}
	}
	if len(ids) == step {
		p.last = ids[step-1]
	}
	return p, s.withUses(ctx, p.tokens...)
}
