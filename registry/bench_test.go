package registry

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

const (
	benchTokens = 100_000
	benchOwners = 1_000
)

// fill makes the tokens of the benchmarks: 100 of each owner, some of them
// revoked, a third of them used.
func fill(b *testing.B, s store.Store) {
	b.Helper()
	now := time.Now().UTC()
	for from := 0; from < benchTokens; from += 1000 {
		var tokens []*token.Token
		var uses []store.Use
		for i := from; i < from+1000; i++ {
			t := &token.Token{
				ID: token.NewID(now.Add(time.Duration(i-benchTokens) * time.Minute)), Name: fmt.Sprintf("deploy %d", i*7919%benchTokens),
				Description: "pushes what the nightly build has made", Owner: fmt.Sprintf("owner-%03d", i%benchOwners),
				Grants:    []token.Grant{grant("1 2", "stories:read assets:read", "*")},
				CreatedAt: now.Add(time.Duration(i-benchTokens) * time.Minute), CreatedBy: "admin", ExpiresAt: now.Add(time.Duration(i%90) * day),
				Digest: sha256.Sum256(fmt.Append(nil, i)),
			}
			if i%10 == 0 {
				t.RevokedAt = now
			}
			tokens = append(tokens, t)
			if i%3 == 0 {
				uses = append(uses, store.Use{ID: t.ID, At: now.Add(-time.Duration(i) * time.Second), From: netip.MustParseAddr("192.0.2.1")})
			}
		}
		if err := s.Create(b.Context(), tokens...); err != nil {
			b.Fatal(err)
		}
		if err := s.NoteUses(b.Context(), uses...); err != nil {
			b.Fatal(err)
		}
	}
}

// Lists of 100,000 tokens of 1,000 owners: pages of 50, as the console shows them.
func BenchmarkList(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(*testing.B) (store.Store, error)
	}{
		{"embedded", func(b *testing.B) (store.Store, error) {
			return embedded.Open(filepath.Join(b.TempDir(), "tokens.db"))
		}},
		{"redis", func(b *testing.B) (store.Store, error) {
			return redis.Open(redis.Options{Addresses: []string{redistest.Start(b).Addr}, Budget: 10 * time.Second})
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s, err := kind.open(b)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			fill(b, s)
			r := New(s, usualRules(), Options{})
			owner := new("owner-777")
			for _, c := range []struct {
				name string
				q    Query
				want int
			}{
				{"all, newest first", Query{}, 50},
				{"all active", Query{Status: "active"}, 50},
				{"one owner's", Query{Owner: owner}, 50},
				{"one owner's by name", Query{Owner: owner, Sort: SortName}, 50},
				{"one owner's by last use", Query{Owner: owner, Sort: SortLastUsed}, 50},
				{"one owner's with a text", Query{Owner: owner, Text: "DEPLOY 9"}, -1},
				{"all with a rare text", Query{Text: "deploy 99999"}, 1},
				{"all by name", Query{Sort: SortName}, 50},
				{"all by last use", Query{Sort: SortLastUsed}, 50},
				{"all expiring within a day", Query{Expiring: "1d", Sort: SortExpires}, 50},
				{"all unused for a month", Query{Unused: "30d"}, 50},
			} {
				b.Run(c.name, func(b *testing.B) {
					b.ReportAllocs()
					c.q.Limit = 50
					for b.Loop() {
						tokens, _, err := r.Operator(cli).List(b.Context(), c.q)
						if err != nil || c.want >= 0 && len(tokens) != c.want {
							b.Fatalf("%d tokens, %v, want %d", len(tokens), err, c.want)
						}
					}
				})
			}
		})
	}
}
