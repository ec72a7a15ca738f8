package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

// storage is a Redis without persistence, and the store in it.
type storage struct {
	server *redisServer
	tokens *redis.Store
	empty  float64 // bytes it needs for itself
}

func startStorage(ctx context.Context, dir string) (*storage, error) {
	server, err := startRedis(ctx, dir)
	if err != nil {
		return nil, err
	}
	tokens, err := redis.Open(redis.Options{Addresses: []string{server.addr}, Budget: 10 * time.Second}) // it may take its time
	if err != nil {
		server.stop()
		return nil, err
	}
	s := &storage{server: server, tokens: tokens}
	if s.empty, err = server.usedMemory(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *storage) stop() {
	s.tokens.Close()
	s.server.stop()
}

// fillers is how many fill Redis at a time: while it works on what one has sent,
// the others prepare what comes next.
const fillers = 4

// fill creates the tokens like those of a workload that come after the first
// from ones, up to the n-th.
func (s *storage) fill(ctx context.Context, from, n int) error {
	const batch = 100 // Redis does more for each token of a large one
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := int64(from)
	var running sync.WaitGroup
	for range fillers {
		running.Go(func() {
			for ctx.Err() == nil {
				first := int(atomic.AddInt64(&next, batch)) - batch
				if first >= n {
					return
				}
				progress("filling Redis: %d of %d tokens", first, n)
				tokens := make([]*token.Token, 0, batch)
				for i := first; i < min(first+batch, n); i++ {
					tokens = append(tokens, newToken(i))
				}
				if err := s.tokens.Create(ctx, tokens...); err != nil {
					stop(fmt.Errorf("filling Redis: %w", err))
				}
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// newToken returns the i-th token, which may read everything in one space.
func newToken(i int) *token.Token {
	now := time.Now()
	return &token.Token{
		ID: token.NewID(now), Name: fmt.Sprint("bench ", i), Owner: fmt.Sprint("owner-", i%owners), Digest: digest(i), Hint: "pat_0123", CreatedAt: now,
		Grants: []token.Grant{{Spaces: []string{space(i)}, Scopes: []string{"*:read"}, Resources: []string{token.All}}},
	}
}

// digest is that of the i-th token.
func digest(i int) token.Digest { return sha256.Sum256(strconv.AppendInt(nil, int64(i), 10)) }
