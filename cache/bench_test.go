package cache

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// endless is a store that has a token for every digest: those of a number of
// owners, with a number of different grants.
type endless struct {
	store.Store
	owners, grants uint64
}

func (s *endless) Watch(func(store.Change)) (stop func()) { return func() {} }

func (s *endless) Find(_ context.Context, d token.Digest) (store.Found, error) {
	n := binary.BigEndian.Uint64(d[8:])
	return store.Found{Current: true, Position: 1, Token: &token.Token{
		ID:        fmt.Sprintf("%026d", n),
		Owner:     fmt.Sprintf("owner-%d", n%s.owners),
		ExpiresAt: now,
		Digest:    d,
		Grants: []token.Grant{{
			Spaces:    []string{fmt.Sprintf("space-%d", n%s.grants)},
			Scopes:    []string{"stories:read", "stories:write"},
			Resources: []string{token.All},
		}},
	}}, nil
}

// digests returns n digests that spread as real ones do.
func digests(n int) []token.Digest {
	ds := make([]token.Digest, n)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range ds {
		for j := 0; j < len(ds[i]); j += 8 {
			binary.BigEndian.PutUint64(ds[i][j:], rnd.Uint64())
		}
		binary.BigEndian.PutUint64(ds[i][8:], uint64(i))
	}
	return ds
}

// held returns a cache that holds the tokens with these digests, to be closed.
func held(b *testing.B, ds []token.Digest, s *endless) *Cache {
	b.Helper()
	c := New(s, Options{Size: len(ds) * 5 / 4, TTL: time.Hour})
	for i := range ds {
		if _, known, err := c.Fetch(context.Background(), ds[i], now); !known || err != nil {
			b.Fatal(known, err)
		}
	}
	return c
}

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1, 10_000, 100_000} {
		ds := digests(n)
		c := held(b, ds, &endless{owners: 1000, grants: 100})
		defer c.Close()
		order := make([]uint32, 1<<20)
		for i := range order {
			order[i] = rand.Uint32N(uint32(n))
		}
		b.Run(fmt.Sprintf("tokens=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				if _, answer := c.Get(&ds[order[i&(len(order)-1)]], now); answer != Held {
					b.Fatal(answer)
				}
			}
		})
		b.Run(fmt.Sprintf("tokens=%d/parallel", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := rand.IntN(len(order)); pb.Next(); i++ {
					if _, answer := c.Get(&ds[order[i&(len(order)-1)]], now); answer != Held {
						b.Error(answer)
						return
					}
				}
			})
		})
	}
}

func BenchmarkGetUnknown(b *testing.B) {
	c := newCache(b, newMemory(), Options{})
	d := digest("garbage")
	if _, known, err := c.Fetch(b.Context(), d, now); known || err != nil {
		b.Fatal(known, err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, answer := c.Get(&d, now); answer != Unknown {
			b.Fatal(answer)
		}
	}
}

// A miss: the store is read, and another token is pushed out.
func BenchmarkFetch(b *testing.B) {
	ds := digests(100_000)
	c := newCache(b, &endless{owners: 1000, grants: 100}, Options{Size: 1000})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if _, known, err := c.Fetch(b.Context(), ds[i%len(ds)], now); !known || err != nil {
			b.Fatal(known, err)
		}
	}
}

// What held tokens cost: bytes each, everything included, and the time of a
// full garbage collection with them and without.
func BenchmarkMemory(b *testing.B) {
	for _, row := range []struct {
		name   string
		tokens int
		store  endless
	}{
		{"tokens=10000", 10_000, endless{owners: 100, grants: 100}},
		{"tokens=1000000", 1_000_000, endless{owners: 10_000, grants: 1000}},
		{"tokens=1000000/owner=each", 1_000_000, endless{owners: 1_000_000, grants: 1000}},
	} {
		b.Run(row.name, func(b *testing.B) {
			ds := digests(row.tokens)
			for b.Loop() {
				bytes, gc := collect()
				c := held(b, ds, &row.store)
				if got := c.Stats().Held; got != row.tokens {
					b.Fatalf("%d tokens are held, want %d", got, row.tokens)
				}
				bytesHeld, gcHeld := collect()
				b.ReportMetric(float64(bytesHeld-bytes)/float64(row.tokens), "B/token")
				b.ReportMetric(float64(gcHeld.Microseconds())/1000, "ms/gc")
				b.ReportMetric(float64(gc.Microseconds())/1000, "ms/gc-without")
				c.Close()
			}
		})
	}
}

// collect collects garbage and returns what is left, and how long a collection
// takes.
func collect() (heap uint64, took time.Duration) {
	runtime.GC()
	runtime.GC() // the cleanups that the first has found to do
	times := make([]time.Duration, 5)
	for i := range times {
		began := time.Now()
		runtime.GC()
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, times[len(times)/2]
}
