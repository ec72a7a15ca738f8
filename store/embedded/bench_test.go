package embedded

import (
	"fmt"
	"testing"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// filled returns a store of n tokens.
func filled(b *testing.B, n int) (*Store, []*token.Token) {
	b.Helper()
	s := open(b)
	tokens := make([]*token.Token, n)
	for i := range tokens {
		tokens[i] = newToken(fmt.Sprintf("t%07d", i))
		tokens[i].Digest = token.NewHasher("").Digest(tokens[i].ID)
		tokens[i].Grants = []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{token.All}}}
	}
	if err := s.Create(b.Context(), tokens...); err != nil {
		b.Fatalf("Create: %v", err)
	}
	return s, tokens
}

// A lookup of a token that isn't held in memory.
func BenchmarkFind(b *testing.B) {
	s, tokens := filled(b, 100_000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := s.Find(b.Context(), tokens[i*7919%len(tokens)].Digest); err != nil {
			b.Fatal(err)
		}
	}
}

// Changes that come one after the other, and 64 at a time: what sharing the wait
// for the disk is worth.
func BenchmarkUpdate(b *testing.B) {
	change := func(t *token.Token) error { t.Name += "x"; t.Name = t.Name[len(t.Name)/2:]; return nil }
	b.Run("alone", func(b *testing.B) {
		s, tokens := filled(b, 10_000)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := s.Update(b.Context(), tokens[i*7919%len(tokens)].ID, change); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("together", func(b *testing.B) {
		s, tokens := filled(b, 10_000)
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := s.Update(b.Context(), tokens[i*7919%len(tokens)].ID, change); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// The first page of a list, of many tokens.
func BenchmarkList(b *testing.B) {
	s, _ := filled(b, 100_000)
	alice := "alice"
	b.ReportAllocs()
	for b.Loop() {
		if page, _, err := s.Tokens(b.Context(), store.Query{Owner: &alice, Limit: 50}); err != nil || len(page) != 50 {
			b.Fatal(len(page), err)
		}
	}
}
