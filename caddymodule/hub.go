package caddymodule

import (
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/store"
)

// hubs are the stores in use with what is held in memory of each, by the
// identity of the store. A new configuration that uses the same store finds it
// open and the memory warm.
var hubs = caddy.NewUsagePool()

// hub is a store that is opened when the first configuration that uses it starts,
// or by a request that comes before that: Caddy starts its apps in any order.
type hub struct {
	source source

	mu     sync.Mutex
	opened atomic.Pointer[tokens]
}

// tokens is an open store and what is held in memory for it.
type tokens struct {
	store   store.Store
	cache   *cache.Cache
	limiter *limiter
}

func newHub(s source) *hub { return &hub{source: s} }

// open opens the store unless it is open.
func (h *hub) open() (*tokens, error) {
	if t := h.opened.Load(); t != nil {
		return t, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.opened.Load(); t != nil {
		return t, nil
	}
	s, err := h.source.open()
	if err != nil {
		return nil, err
	}
	t := &tokens{store: s, cache: cache.New(s, cache.Options{}), limiter: newLimiter()}
	h.opened.Store(t)
	return t, nil
}

// Destruct closes the store when no configuration uses it any more.
func (h *hub) Destruct() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.opened.Load()
	if t == nil {
		return nil
	}
	t.cache.Close()
	return t.store.Close()
}
