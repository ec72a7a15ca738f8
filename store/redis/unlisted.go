package redis

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/token"
)

// errUnlisted is why some tokens can't be managed.
var errUnlisted = errors.New("REDIS HAS LOST A LIST OF TOKENS: tokens serve that are not on it, and can't be revoked by their id, or by their owner. Does Redis evict keys? " +
	"Let patgate store check --repair put them back")

// served is a sample of the tokens that were found lately, to look whether they are listed.
type served struct {
	wanted atomic.Int32 // so many more
	mu     sync.Mutex
	tokens []*token.Token
}

func (v *served) add(t *token.Token) {
	if v.wanted.Load() <= 0 || v.wanted.Add(-1) < 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.tokens = append(v.tokens, t)
}

// take returns the sample, and begins another one of so many tokens.
func (v *served) take(n int32) []*token.Token {
	v.mu.Lock()
	defer v.mu.Unlock()
	sample := v.tokens
	v.tokens = nil
	v.wanted.Store(n)
	return sample
}

// lookForUnlisted looks whether tokens that were found are on the lists, and tells if not.
func (s *Store) lookForUnlisted(ctx context.Context) error {
	for _, t := range s.served.take(sweepStep) {
		is, err := s.isListed(ctx, t)
		if err != nil {
			return err
		}
		if is {
			continue
		}
		// It may have changed since it was found: then it is found otherwise now.
		r, err := s.find(ctx, t.Digest)
		if err == nil && r.token.ID == t.ID && r.token.Digest == t.Digest && r.token.Owner == t.Owner && s.stats.losses.add("the lists of tokens", errUnlisted) {
			s.log.Error(errUnlisted.Error(), "store", s.where, "token", t.ID, "owner", t.Owner)
		}
	}
	return nil
}

// isListed reports whether a token is in the index of ids, and in that of its owner.
func (s *Store) isListed(ctx context.Context, t *token.Token) (bool, error) {
	byID := redis.NewFloatCmd(noContext, "zscore", s.keys.ids, idEntry(t.ID, t.Digest))
	byOwner := redis.NewFloatCmd(noContext, "zscore", s.keys.own(t.Owner), t.ID)
	if err := s.send(ctx, byID, byOwner); err != nil {
		return false, err
	}
	return byID.Err() == nil && byOwner.Err() == nil, nil
}
