package redis

import (
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func TestH4DamagedUse(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	if err := s.Create(t.Context(), &token.Token{ID: "a", Name: "a", Digest: token.Digest{1}, CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if err := s.client.HSet(t.Context(), s.keys.uses, "a", "garbage").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context(), "a"); err != nil {
		t.Error("Token:", err)
	}
	if _, _, err := s.Tokens(t.Context(), store.Query{}); err != nil {
		t.Error("Tokens:", err)
	}
	if _, err := s.Update(t.Context(), "a", func(t *token.Token) error { t.RevokedAt = time.Now(); return nil }); err != nil {
		t.Error("revoke:", err)
	}
	if p, err := s.Check(t.Context(), true); err != nil || len(p) != 1 || !p[0].Mended {
		t.Error("Check:", p, err)
	}
	if p, err := s.Check(t.Context(), true); err != nil || len(p) != 0 {
		t.Error("Check again:", p, err)
	}
}
