package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"
	"time"

	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

// measureSize fills a Redis of its own, without persistence: only what the
// tokens take is to count.
func (b *redisBench) measureSize(ctx context.Context) error {
	server, err := startRedis(ctx, filepath.Join(b.dir, "redis-size"))
	if err != nil {
		return err
	}
	defer server.stop()
	before, err := server.usedMemory(ctx)
	if err != nil {
		return err
	}
	if err := fill(ctx, server, b.redisTokens); err != nil {
		return err
	}
	after, err := server.usedMemory(ctx)
	if err != nil {
		return err
	}
	b.size = float64(after-before) / float64(b.redisTokens)
	return nil
}

// fill creates n tokens like those of a workload.
func fill(ctx context.Context, server *redisServer, n int) (err error) {
	s, err := redis.Open(redis.Options{Addresses: []string{server.addr}, Budget: 10 * time.Second})
	if err != nil {
		return err
	}
	defer s.Close()
	const batch = 2000
	for from := 0; from < n; from += batch {
		progress("filling Redis: %d of %d tokens", from, n)
		var tokens []*token.Token
		for i := from; i < min(from+batch, n); i++ {
			tokens = append(tokens, newToken(i))
		}
		if err := s.Create(ctx, tokens...); err != nil {
			return fmt.Errorf("creating tokens: %w", err)
		}
	}
	return nil
}

// newToken returns the i-th token, which may read everything in one space.
func newToken(i int) *token.Token {
	now := time.Now()
	t := &token.Token{
		ID: token.NewID(now), Name: fmt.Sprint("bench ", i), Owner: fmt.Sprint("owner-", i%owners), Hint: "pat_0123", CreatedAt: now,
		Grants: []token.Grant{{Spaces: []string{space(i)}, Scopes: []string{"*:read"}, Resources: []string{token.All}}},
	}
	rand.Read(t.Digest[:])
	return t
}
