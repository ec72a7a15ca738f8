package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

// measureSize fills a Redis of its own, without persistence: only what the
// tokens take is to count.
func measureSize(ctx context.Context, b *testbed, out io.Writer) error {
	server, err := startRedis(ctx, b.dir)
	if err != nil {
		return err
	}
	defer server.stop()
	tokens, err := openStore(server)
	if err != nil {
		return err
	}
	defer tokens.Close()
	before, err := server.usedMemory(ctx)
	if err != nil {
		return err
	}
	if err := fill(ctx, tokens, 0, b.redisTokens); err != nil {
		return err
	}
	after, err := server.usedMemory(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Memory of Redis per token: %.0f bytes, with %d tokens of %d owners\n", float64(after-before)/float64(b.redisTokens), b.redisTokens, owners)
	return nil
}

// openStore opens the store that patgate has in a Redis. It may take its time.
func openStore(server *redisServer) (*redis.Store, error) {
	return redis.Open(redis.Options{Addresses: []string{server.addr}, Budget: 10 * time.Second})
}

// fillers is how many fill Redis at a time: while it works on what one has sent,
// the others prepare what comes next.
const fillers = 4

// fill creates the tokens like those of a workload that come after the first
// from ones, up to the n-th.
func fill(ctx context.Context, s store.Store, from, n int) error {
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
				if err := s.Create(ctx, tokens...); err != nil {
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
