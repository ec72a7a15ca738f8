package caddymodule

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds what is configured once for the whole server: where tokens are kept, how
// they are held in memory, what new ones look like, and the catalog of scopes. If it is
// left out, the defaults hold.
type App struct {
	// Where tokens are kept.
	Store StoreConfig `json:"store,omitzero"`
	// How tokens are held in memory.
	Cache CacheConfig `json:"cache,omitzero"`
	// What new tokens look like and how long they live.
	Token TokenConfig `json:"token,omitzero"`
	// How many unknown tokens an address may send.
	UnknownTokenLimit LimitConfig `json:"unknown_token_limit,omitzero"`
	// How often a token's last use is recorded, at most: a duration of at least 1s, or
	// "off". Default: "10m".
	LastUsed string `json:"last_used,omitempty"`
	// How long the audit trail is kept.
	Events EventsConfig `json:"events,omitzero"`
	// Whether the grants of an existing token can't be changed.
	GrantsImmutable bool `json:"grants_immutable,omitempty"`
	// The catalog of scopes. If there is one, there are no other scopes.
	// Default: any scope may be granted.
	Scopes []policy.Scope `json:"scopes,omitempty"`

	ctx     caddy.Context // ends with the configuration
	logger  *zap.Logger
	audit   *zap.Logger
	catalog *policy.Catalog
	rules   registry.Rules

	lastUsed time.Duration // as uses.Noter.SetEvery takes it
	hub      *hub
	attached bool // to the hub, whose use Cleanup gives back

	mu    sync.Mutex
	gates []*Handler

	complaints rate.Sometimes // about the store
}

// CacheConfig says how tokens are held in memory.
type CacheConfig struct {
	// How many tokens are held, at about 300 bytes each; at most 100000000.
	// Default: 100000.
	Size int `json:"size,omitempty"`
	// When a held token is read from the store again. Default: "60s".
	TTL Duration `json:"ttl,omitempty"`
	// How many digests are cached as unknown, apart from the tokens; at most
	// 100000000. Default: 10000.
	NegativeSize int `json:"negative_size,omitempty"`
	// How long they are cached. Default: "5s".
	NegativeTTL Duration `json:"negative_ttl,omitempty"`
	// How long held tokens still serve when the store can't be asked. With Redis at
	// least 1s. Default: "60s".
	MaxStale Duration `json:"max_stale,omitempty"`
}

// TokenConfig says what new tokens look like and how long they live.
type TokenConfig struct {
	// What the secrets that patgate makes begin with: letters and digits, and "_" between
	// them. Default: "pat".
	Prefix string `json:"prefix,omitempty"`
	// The lifetime of a token that is made without one: a duration; "none", too, if
	// "max_lifetime" is "none". Default: "90d", or "max_lifetime" if that is shorter.
	DefaultLifetime string `json:"default_lifetime,omitempty"`
	// The longest lifetime of a token: a duration; "none" also allows tokens that
	// never expire. Default: "366d".
	MaxLifetime string `json:"max_lifetime,omitempty"`
	// The key under which digests are HMAC-SHA-256; at least 16 characters. Write a
	// placeholder such as "{env.PATGATE_PEPPER}". With another pepper, all tokens are
	// unknown. Default: none: digests are SHA-256.
	Pepper *string `json:"pepper,omitempty"`
}

// EventsConfig says how long the audit trail is kept.
type EventsConfig struct {
	// How long an event is kept. If no new ones are recorded, the last ones stay
	// longer. Default: "90d".
	Keep Duration `json:"keep,omitempty"`
	// How many events are kept, at most 100000000; the oldest are deleted first.
	// Default: 200000.
	Max int `json:"max,omitempty"`
}

// LimitConfig says how many unknown tokens an address may send.
type LimitConfig struct {
	// Whether there is no limit, whatever the other fields say.
	Off bool `json:"off,omitempty"`
	// How many unknown tokens an address (in IPv6, a /64) may send in the window.
	// Further ones are answered 429; held tokens still serve. Default: 20.
	Tokens int `json:"tokens,omitempty"`
	// The time in which they are counted. Default: "60s".
	Window Duration `json:"window,omitempty"`
}

// tokens returns how many there may be in the window; 0: any number.
func (c *LimitConfig) tokens() int {
	if c.Off {
		return 0
	}
	return c.Tokens
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "patgate", New: func() caddy.Module { return newApp() }}
}

// newApp returns an App with the defaults of its numbers and durations, so that a 0 is one
// that was configured.
func newApp() *App {
	o := cache.Options{}.WithDefaults()
	return &App{
		Cache: CacheConfig{
			Size: o.Size, TTL: Duration(o.TTL),
			NegativeSize: o.NegativeSize, NegativeTTL: Duration(o.NegativeTTL),
			MaxStale: Duration(o.MaxStale),
		},
		UnknownTokenLimit: LimitConfig{Tokens: 20, Window: Duration(time.Minute)},
		Events:            EventsConfig{Keep: Duration(90 * 24 * time.Hour), Max: 200_000},
		complaints:        rate.Sometimes{Interval: time.Minute},
	}
}

// Provision checks the configuration and attaches to the store and cache of its
// predecessor, if that uses the same store. It opens nothing: Start does.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger = ctx, ctx.Logger()
	a.audit = a.logger.Named("audit")
	// Before anything can fail: Caddy's admin endpoint goes on with the registry of a
	// configuration that failed to load.
	if err := registerMetrics(ctx.GetMetricsRegistry()); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	err := a.check()
	if err != nil {
		return err
	}
	if a.rules.Hasher, err = a.Token.hasher(); err != nil {
		return err
	}
	if written := a.plainSecrets(); len(written) > 0 {
		a.logger.Warn(plainSecret, zap.Strings("options", written))
	}
	where, err := a.Store.source()
	if err != nil {
		return err
	}
	shared, _, err := hubs.LoadOrNew(where.key, func() (caddy.Destructor, error) { return newHub(where), nil })
	if err != nil {
		return fmt.Errorf("attaching to the store: %w", err)
	}
	a.hub, a.attached = shared.(*hub), true
	return nil
}

// cacheOptions returns the cache's options as configured. changed is told of changes.
func (a *App) cacheOptions(changed func(store.Change)) cache.Options {
	return cache.Options{
		Size: a.Cache.Size, TTL: time.Duration(a.Cache.TTL),
		NegativeSize: a.Cache.NegativeSize, NegativeTTL: time.Duration(a.Cache.NegativeTTL),
		MaxStale: time.Duration(a.Cache.MaxStale), Observe: observeLookup, Changed: changed,
	}
}

// Start opens the store and puts this configuration's settings in force.
func (a *App) Start() error {
	return a.hub.use(a)
}

// Stop does nothing: the store closes when no configuration uses it any more.
func (a *App) Stop() error { return nil }

// Cleanup lets go of the store. Requests that this configuration still serves,
// while its successor runs, find it open: if that uses another, for some time.
func (a *App) Cleanup() error {
	if !a.attached {
		return nil
	}
	a.attached = false
	a.hub.release(a)
	return a.hub.leave(a.logger)
}

// appOf returns the app of the configuration that a module is provisioned for.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("patgate")
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// addGate makes a gate known to the app. Gates are provisioned after it.
func (a *App) addGate(h *Handler) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gates = append(a.gates, h)
}

// allGates returns the gates of the configuration.
func (a *App) allGates() []*Handler {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.gates)
}

// open returns the store, and opens it unless it is open.
func (a *App) open() (*openStore, error) { return a.hub.open(a) }

// registry returns what manages tokens under this configuration's rules. The uses that this
// gateway has noted are stored first, so that they are read, too.
func (a *App) registry() (*registry.Registry, error) {
	opened, err := a.open()
	if err != nil {
		return nil, err
	}
	opened.background.settle()
	return registry.New(opened.store, a.rulesInForce(), registry.Options{Audit: a.logEvent}), nil
}

// rulesInForce returns this configuration's rules, with what follows from its
// gates.
func (a *App) rulesInForce() registry.Rules {
	rules := a.rules
	rules.Spaces = a.catalog.Spaces()
	return rules
}

// logEvent writes the audit line of a change.
func (a *App) logEvent(e registry.Event) {
	a.audit.Info(string(e.Action),
		zap.String("actor", e.Actor), zap.String("actor_kind", string(e.ActorKind)), zap.String("address", e.Address),
		zap.String("token_id", e.TokenID), zap.String("token_name", e.TokenName),
		zap.String("owner", e.Owner), zap.String("detail", e.Summary()))
}

// storeFailed logs that the store can't be asked, at most once a minute: an outage may last.
func (a *App) storeFailed(err error) {
	a.complaints.Do(func() {
		a.logger.Error("the token store can't be asked: tokens not held in memory are answered 503", zap.Error(err))
	})
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
