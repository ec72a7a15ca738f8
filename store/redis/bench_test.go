package redis

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func zero(member string) redis.Z { return redis.Z{Member: member} }

// filled returns a store of n tokens, and its server.
func filled(b *testing.B, n int) (*Store, []*token.Token, *redistest.Server) {
	b.Helper()
	server := redistest.Start(b)
	s := open(b, Options{Addresses: []string{server.Addr}})
	tokens := make([]*token.Token, n)
	for i := range tokens {
		tokens[i] = newToken(fmt.Sprintf("t%07d", i))
		tokens[i].Grants = []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{token.All}}}
	}
	for some := range slices.Chunk(tokens, 5000) {
		create(b, s, some...)
	}
	return s, tokens, server
}

// Lookups one after the other, 64 at a time, and 64 at a time that are not
// batched, for comparison.
func BenchmarkFind(b *testing.B) {
	s, tokens, server := filled(b, 10_000)
	next := func(i uint64) token.Digest { return tokens[i*7919%uint64(len(tokens))].Digest }
	find := func(b *testing.B, d token.Digest) {
		if _, err := s.Find(b.Context(), d); err != nil {
			b.Error(err)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			find(b, next(i))
		}
	})
	parallel := func(f func(*testing.B, token.Digest)) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32) // on two processors 64
			var i atomic.Uint64
			before := reads(b, server)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					f(b, next(i.Add(1)))
				}
			})
			b.ReportMetric(float64(b.N)/float64(reads(b, server)-before), "lookups/batch")
		}
	}
	b.Run("64", parallel(find))
	b.Run("64 unbatched", parallel(func(b *testing.B, d token.Digest) {
		v, err := s.client.Get(b.Context(), s.keys.token(d)).Result()
		if err == nil {
			_, err = parseRecord(v)
		}
		if err != nil {
			b.Error(err)
		}
	}))
}

// Lookups through a cache that has no room, 64 at a time: what a request costs
// whose token isn't held.
func BenchmarkFetch(b *testing.B) {
	s, tokens, server := filled(b, 10_000)
	c := cache.New(s, cache.Options{Size: 64})
	defer c.Close()
	b.ReportAllocs()
	b.SetParallelism(32) // on two processors 64
	b.ResetTimer()
	var i atomic.Uint64
	before := reads(b, server)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d := tokens[i.Add(1)*7919%uint64(len(tokens))].Digest
			if _, known, err := c.Fetch(b.Context(), d, time.Now()); !known || err != nil {
				b.Errorf("Fetch = %v, %v", known, err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/float64(reads(b, server)-before), "lookups/batch")
}

// A change: a token is revoked, or brought back, and the watchers of another
// gateway are told. The percentiles are of the time from the call to that, and
// from the answer to that, which is mostly before.
func BenchmarkUpdate(b *testing.B) {
	s, tokens, _ := filled(b, 1000)
	other := open(b, Options{Addresses: []string{s.where[len("redis "):]}, KeyPrefix: s.keys.tokens[:len(s.keys.tokens)-len(":t:")]})
	told := make(chan time.Time, 1)
	defer other.Watch(func(store.Change) { told <- time.Now() })()
	var lags []time.Duration
	for i := 0; b.Loop(); i++ {
		began := time.Now()
		_, err := s.Update(b.Context(), tokens[i%len(tokens)].ID, func(t *token.Token) error { revoke(t); return nil })
		if err != nil {
			b.Fatal(err)
		}
		lags = append(lags, (<-told).Sub(began))
	}
	slices.Sort(lags)
	b.ReportMetric(float64(lags[len(lags)/2].Microseconds()), "p50-told-µs")
	b.ReportMetric(float64(lags[len(lags)*99/100].Microseconds()), "p99-told-µs")
}

// Check of a store in which all is well.
func BenchmarkCheck(b *testing.B) {
	const n = 20_000
	s, _, _ := filled(b, n)
	b.ReportAllocs()
	for b.Loop() {
		if problems, err := s.Check(b.Context(), false); err != nil || len(problems) > 0 {
			b.Fatalf("Check = %v, %v", problems, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/token")
}
