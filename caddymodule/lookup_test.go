package caddymodule

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// meanwhile is a store that does something before it answers a lookup.
type meanwhile struct {
	store.Store
	do func()
}

func (m *meanwhile) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	m.do()
	return m.Store.Find(ctx, d)
}

// A token that expires while the store is asked for it has expired.
func TestExpiredMeanwhile(t *testing.T) {
	where, err := (&StoreConfig{File: filepath.Join(t.TempDir(), "tokens.db")}).source()
	if err != nil {
		t.Fatal(err)
	}
	m := new(meanwhile)
	g := startGated(t, func() (s store.Store, err error) {
		m.Store, err = where.open()
		return m, err
	})
	r, err := g.app.registry()
	if err != nil {
		t.Fatal(err)
	}
	made, secret, err := r.Operator(registry.Actor{}).Create(t.Context(), registry.NewToken{Name: "t", Full: true, Lifetime: registry.Lifetime{ExpiresIn: new("1s")}})
	if err != nil {
		t.Fatal(err)
	}
	m.do = func() { time.Sleep(time.Until(made.ExpiresAt)) }
	if w := g.get(secret); w.Code != 401 || !strings.Contains(w.Body.String(), "token_expired") {
		t.Errorf("%d %s, want 401 token_expired", w.Code, w.Body)
	}
}
