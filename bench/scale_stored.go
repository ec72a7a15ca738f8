package main

import (
	"context"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"slices"
	"time"

	"github.com/patgate/patgate/store"
)

// fewTokens is what more tokens are compared with.
const fewTokens = 1000

// storedCost is what so many tokens in Redis cost.
type storedCost struct {
	tokens int
	filled time.Duration // how long it took, from none on
	bytes  float64       // of Redis, per token, without the feed
	feed   int64         // bytes of it that are the feed of changes
	// To find one of them, and one of fewTokens in another Redis meanwhile.
	find, findFew []time.Duration
	page          []time.Duration // to list 100 of them
}

// measureStored fills a Redis step by step, and asks it in between, beside one that
// has few tokens: the machine may be slower at one time than at another.
func measureStored(ctx context.Context, b *testbed, out io.Writer) error {
	few, err := startStorage(ctx, b.dir)
	if err != nil {
		return err
	}
	defer few.stop()
	if err := few.fill(ctx, 0, fewTokens); err != nil {
		return err
	}
	many, err := startStorage(ctx, b.dir)
	if err != nil {
		return err
	}
	defer many.stop()
	rounds := 100
	if b.quick {
		rounds = 1
	}
	var costs []storedCost
	var filling time.Duration
	for stored, n := 0, fewTokens; stored < b.redisTokens; n *= 10 {
		n = min(n, b.redisTokens)
		began := time.Now()
		if err := many.fill(ctx, stored, n); err != nil {
			return err
		}
		stored, filling = n, filling+time.Since(began)
		cost := storedCost{tokens: n, filled: filling}
		if err := cost.measure(ctx, many, few, rounds); err != nil {
			return err
		}
		costs = append(costs, cost)
	}
	printStored(out, costs)
	return nil
}

// measure asks both servers in turn, in so many rounds.
func (c *storedCost) measure(ctx context.Context, many, few *storage, rounds int) (err error) {
	progress("%d tokens in Redis", c.tokens)
	used, err := many.server.usedMemory(ctx)
	if err != nil {
		return err
	}
	if c.feed, err = many.server.client.MemoryUsage(ctx, "{patgate}:feed", 0).Result(); err != nil {
		return err
	}
	c.bytes = (used - many.empty - float64(c.feed)) / float64(c.tokens)
	const each = 200
	for range rounds {
		if c.find, err = many.find(ctx, c.find, each, c.tokens); err != nil {
			return err
		}
		if c.findFew, err = few.find(ctx, c.findFew, each, min(c.tokens, fewTokens)); err != nil {
			return err
		}
	}
	for range 20 {
		began := time.Now()
		if _, _, err := many.tokens.Tokens(ctx, store.Query{Limit: 100, Now: began}); err != nil {
			return err
		}
		c.page = append(c.page, time.Since(began))
	}
	for _, times := range [][]time.Duration{c.find, c.findFew, c.page} {
		slices.Sort(times)
	}
	return nil
}

// find looks some of the first n tokens up, one after the other, and appends how
// long each took.
func (s *storage) find(ctx context.Context, took []time.Duration, some, n int) ([]time.Duration, error) {
	for range some {
		d := digest(mrand.IntN(n))
		began := time.Now()
		if _, err := s.tokens.Find(ctx, d); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func printStored(out io.Writer, costs []storedCost) {
	w := newTable(out)
	fmt.Fprintf(w, "tokens in Redis\tfilled within\tbytes each\tfeed, MB\tlookup p50\tp99\tto those among %d: p50\tp99\tlist 100, p50\n", fewTokens)
	for _, c := range costs {
		fmt.Fprintf(w, "%d\t%s\t%.0f\t%.1f\t%s\t%s\t%.2f\t%.2f\t%s\n", c.tokens, c.filled.Round(100*time.Millisecond), c.bytes, float64(c.feed)/1e6,
			micros(c.find, 50), micros(c.find, 99), ratio(c.find, c.findFew, 50), ratio(c.find, c.findFew, 99), micros(c.page, 50))
	}
	w.Flush()
	fmt.Fprintln(out)
}
