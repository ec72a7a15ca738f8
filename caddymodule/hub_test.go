package caddymodule

import (
	"context"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// plentiful is a store that has a token for every secret.
type plentiful struct{ store.Store }

func (plentiful) Find(_ context.Context, d token.Digest) (store.Found, error) {
	return store.Found{Token: &token.Token{ID: token.NewID(time.Now()), Digest: d}, Current: true}, nil
}

func (plentiful) Watch(func(store.Change)) func() { return func() {} }

func (plentiful) PruneEvents(context.Context, time.Duration, int) error { return nil }

func (plentiful) NoteUses(context.Context, ...store.Use) error { return nil }

func (plentiful) Reach(context.Context) error { return nil }

func (plentiful) Mark(context.Context, string, []byte) ([]byte, error) { return nil, nil }

func (plentiful) Close() error { return nil }

// A cache of a certain size has room for so many tokens, whichever they are.
func TestCacheHasItsSize(t *testing.T) {
	const size = 1000
	app := &App{rules: registry.Rules{Hasher: token.NewHasher("")}}
	app.Cache.Size = size
	app.hub = newHub(source{open: func() (store.Store, error) { return plentiful{}, nil }})
	h := app.hub
	if err := h.use(app); err != nil {
		t.Fatal(err)
	}
	defer h.Destruct()
	c := h.opened.Load().cache
	for i := range size {
		if _, known, err := c.Fetch(t.Context(), token.NewHasher("").Digest(strconv.Itoa(i)), time.Now()); err != nil || !known {
			t.Fatal(known, err)
		}
	}
	if n := c.Stats(); n.Held != size {
		t.Errorf("%d of %d tokens are held, %d were pushed out", n.Held, size, n.Evicted)
	}
}

// A request that comes before its configuration starts opens the store with the settings
// of that.
func TestStoreIsOpenedAsConfigured(t *testing.T) {
	app := newApp()
	app.UnknownTokenLimit.Tokens, app.Cache.Size = 1, 7
	app.hub = newHub(source{open: func() (store.Store, error) { return plentiful{}, nil }})
	opened, err := app.open()
	if err != nil {
		t.Fatal(err)
	}
	defer app.hub.Destruct()
	if n := opened.cache.Options().Size; n != 7 {
		t.Errorf("there is room for %d tokens, want 7", n)
	}
	now, from := time.Now(), netip.MustParseAddr("192.0.2.1")
	if first, second := opened.limiter.Add(from, now), opened.limiter.Add(from, now); first != 0 || second == 0 {
		t.Errorf("an address waits for %s after one unknown token and for %s after two, want it to wait after two", first, second)
	}
}
