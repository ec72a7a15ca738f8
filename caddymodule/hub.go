package caddymodule

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/internal/limiter"
	"github.com/patgate/patgate/store"
)

// hubs are the stores in use, each with its cache, by the identity of the store. A new
// configuration that uses the same store finds it open and the cache warm.
var hubs = caddy.NewUsagePool()

// hub is a store that is opened when the first configuration that uses it starts,
// or by a request that comes before that: Caddy starts its apps in any order.
type hub struct {
	source     source
	report     *report
	rejections *rejections

	mu     sync.Mutex
	opened atomic.Pointer[openStore]
	users  []*App                    // the configurations that use it, the oldest first
	left   atomic.Pointer[time.Time] // when a configuration last gave it back
}

// openStore is an open store, with its cache and what else lives as long as it is open.
type openStore struct {
	store      store.Store
	cache      *cache.Cache
	limiter    *limiter.Limiter
	monitor    *monitor
	streams    *streams
	background *background
	pepper     atomic.Pointer[pepperChange] // nil: as it was
}

func newHub(s source) *hub {
	return &hub{source: s, report: newReport(), rejections: newRejections()}
}

// open opens the store for a configuration that uses it, unless it is open.
func (h *hub) open(a *App) (*openStore, error) {
	if t := h.opened.Load(); t != nil {
		return t, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.opened.Load(); t != nil {
		return t, nil
	}
	if h.source.file != "" {
		sayEmpty(h.source.file)
	}
	s, err := h.source.open()
	if err != nil {
		return nil, err
	}
	limit := a.UnknownTokenLimit
	t := &openStore{store: s, limiter: limiter.New(limit.tokens(), time.Duration(limit.Window)), monitor: newMonitor(s, slog.New(storeLog{})), streams: newStreams(), background: newBackground(s, &a.Events)}
	t.cache = cache.New(s, a.cacheOptions(t.streams.hear))
	t.streams.watch(t.cache)
	h.opened.Store(t)
	return t, nil
}

// use opens the store for a configuration. Its settings take effect when no older
// configuration uses the hub any more: Caddy starts a new configuration before it stops the
// old one, and if another app fails to start, the new one must leave no trace.
func (h *hub) use(a *App) error {
	t, err := h.open(a)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users = append(h.users, a); len(h.users) == 1 {
		t.apply(a)
	}
	return nil
}

// used reports whether a configuration uses the hub.
func (h *hub) used() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.users) > 0
}

// sayEmpty logs that the store's file doesn't exist yet, or is empty: every token will be
// unknown. An empty file may be what a failed copy has left.
func sayEmpty(file string) {
	log := caddy.Log().Named("patgate.store")
	switch info, err := os.Stat(file); {
	case errors.Is(err, fs.ErrNotExist):
		log.Info("there is no token store here yet: an empty one is made", zap.String("file", file))
	case err == nil && info.Mode().IsRegular() && info.Size() == 0:
		log.Warn("the token store's file is empty: a new store is made in it, and every token is unknown; "+
			"if a backup should be here, stop the server and restore it again", zap.String("file", file))
	}
}

// release ends the use by a configuration, if there was one.
func (h *hub) release(a *App) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.users, a)
	if i < 0 {
		return
	}
	if h.users = slices.Delete(h.users, i, i+1); i == 0 && len(h.users) > 0 {
		h.opened.Load().apply(h.users[0])
	}
}

// apply puts a configuration's settings in force.
func (t *openStore) apply(a *App) {
	t.cache.Apply(a.cacheOptions(t.streams.hear))
	t.limiter.Apply(a.UnknownTokenLimit.tokens(), time.Duration(a.UnknownTokenLimit.Window))
	t.background.apply(a)
	go a.comparePepper(a.ctx, t)
}

// Destruct closes the store when no configuration uses it any more.
func (h *hub) Destruct() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.opened.Load()
	if t == nil {
		return nil
	}
	t.monitor.close()
	t.streams.close()
	t.background.close()
	t.cache.Close()
	return t.store.Close()
}
