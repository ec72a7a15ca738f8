package cache_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/token"
)

// Get answers from memory. What it doesn't hold, Fetch reads from the store. A
// change of the store is in force here by the time the store has acknowledged it.
func Example() {
	dir, err := os.MkdirTemp("", "patgate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := embedded.Open(filepath.Join(dir, "tokens.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	c := cache.New(s, cache.Options{TTL: time.Minute})
	defer c.Close() // before the store

	ctx, now := context.Background(), time.Now()
	digest := token.NewHasher("").Digest("pat_…") // of the secret that a client sends
	if err := s.Create(ctx, &token.Token{ID: "t1", Name: "ci", Digest: digest, CreatedAt: now}); err != nil {
		fmt.Println(err)
		return
	}

	_, answer := c.Get(&digest, now)
	fmt.Println("held at first:", answer == cache.Held)
	subject, known, err := c.Fetch(ctx, digest, now)
	fmt.Println("fetched:", known, err, "revoked:", subject.Revoked)
	_, answer = c.Get(&digest, now)
	fmt.Println("held then:", answer == cache.Held)

	_, err = s.Update(ctx, "t1", func(t *token.Token) error { t.RevokedAt = now; return nil })
	fmt.Println("revoked in the store:", err)
	subject, known, err = c.Fetch(ctx, digest, now)
	fmt.Println("fetched:", known, err, "revoked:", subject.Revoked)
	// Output:
	// held at first: false
	// fetched: true <nil> revoked: false
	// held then: true
	// revoked in the store: <nil>
	// fetched: true <nil> revoked: true
}
