package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
	"github.com/patgate/patgate/uses"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App holds what is configured once for the whole server: where tokens are
// kept, how they are cached, what new ones look like, and the catalog of scopes.
// Without a configuration its defaults hold.
type App struct {
	// Store says where tokens are kept. Default: the embedded store.
	Store StoreConfig `json:"store,omitzero"`
	// Cache says how tokens are held in memory.
	Cache CacheConfig `json:"cache,omitzero"`
	// Token says what new tokens look like and how long they live.
	Token TokenConfig `json:"token,omitzero"`
	// UnknownTokenLimit bounds how many unknown tokens an address may send.
	UnknownTokenLimit LimitConfig `json:"unknown_token_limit,omitzero"`
	// LastUsed is the interval in which a token's use is noted once, such as 10m; "off":
	// uses are not noted at all. Default: 10m.
	LastUsed string `json:"last_used,omitempty"`
	// Events says how long the audit trail is kept.
	Events EventsConfig `json:"events,omitzero"`
	// GrantsImmutable says that a token's grants can't be changed once it is made.
	GrantsImmutable bool `json:"grants_immutable,omitempty"`
	// Scopes is the catalog. It is optional, but where it is given, there are no
	// other scopes.
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

// CacheConfig says how tokens are held in memory. In Caddy's JSON, what isn't given means
// the default, and 0 is refused.
type CacheConfig struct {
	Size         int            `json:"size,omitempty"`          // tokens held; default 100000
	TTL          caddy.Duration `json:"ttl,omitempty"`           // a held token is read again after this; default 60s
	NegativeSize int            `json:"negative_size,omitempty"` // unknown digests remembered; default 10000
	NegativeTTL  caddy.Duration `json:"negative_ttl,omitempty"`  // for so long; default 5s
	MaxStale     caddy.Duration `json:"max_stale,omitempty"`     // how long held tokens serve while the store can't be asked; default 60s
}

// TokenConfig says what new tokens look like and how long they live.
type TokenConfig struct {
	// Prefix begins the secrets patgate makes. Default: pat.
	Prefix string `json:"prefix,omitempty"`
	// DefaultLifetime is a new token's lifetime if none is asked for. Default: 90d.
	DefaultLifetime string `json:"default_lifetime,omitempty"`
	// MaxLifetime bounds the lifetimes that can be asked for; "none" lifts the
	// bound and allows tokens that never expire. Default: 366d.
	MaxLifetime string `json:"max_lifetime,omitempty"`
	// Pepper is a secret under which digests are made, so that the store alone
	// doesn't tell whether a guess is right. It may be a placeholder such as
	// {env.PATGATE_PEPPER}. Changing it makes all tokens unknown. Default: none.
	Pepper string `json:"pepper,omitempty"`
}

// EventsConfig says how long the audit trail is kept.
type EventsConfig struct {
	// Keep is how long an event is kept. Default: 90d.
	Keep caddy.Duration `json:"keep,omitempty"`
	// Max is how many events are kept, at most; the oldest go first. Default:
	// 200000.
	Max int `json:"max,omitempty"`
}

func (c *EventsConfig) age() time.Duration {
	return cmp.Or(time.Duration(c.Keep), 90*24*time.Hour)
}

func (c *EventsConfig) count() int { return cmp.Or(c.Max, 200_000) }

// LimitConfig bounds the unknown tokens of an address.
type LimitConfig struct {
	// Off lifts the limit.
	Off bool `json:"off,omitempty"`
	// Tokens is how many unknown tokens an address may send in the window; an
	// IPv6 address counts with its /64. Default: 20.
	Tokens int `json:"tokens,omitempty"`
	// Window is the time in which they are counted. Default: 60s.
	Window caddy.Duration `json:"window,omitempty"`
}

// tokens returns how many there may be in the window; 0: any number.
func (c *LimitConfig) tokens() int {
	if c.Off {
		return 0
	}
	return cmp.Or(c.Tokens, 20)
}

func (c *LimitConfig) window() time.Duration {
	return cmp.Or(time.Duration(c.Window), time.Minute)
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "patgate", New: func() caddy.Module { return newApp() }}
}

// newApp returns an App with the defaults of the cache, so that a 0 in it is one that was
// configured.
func newApp() *App {
	o := cache.Options{}.WithDefaults()
	return &App{
		Cache: CacheConfig{
			Size: o.Size, TTL: caddy.Duration(o.TTL),
			NegativeSize: o.NegativeSize, NegativeTTL: caddy.Duration(o.NegativeTTL),
			MaxStale: caddy.Duration(o.MaxStale),
		},
		complaints: rate.Sometimes{Interval: time.Minute},
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

// check finds mistakes in the configuration, and prepares what needs nothing else.
func (a *App) check() (err error) {
	if a.catalog, err = policy.NewCatalog(a.Scopes); err != nil {
		return err
	}
	if err := a.checkBounds(); err != nil {
		return err
	}
	if err := a.Store.check(); err != nil {
		return err
	}
	if a.lastUsed, err = lastUsed(a.LastUsed); err != nil {
		return err
	}
	a.rules, err = a.makeRules()
	return err
}

// plainSecret is said of secrets that are written out in a configuration.
const plainSecret = "a secret is written out in the configuration, where everybody finds it who may read that, also by Caddy's admin endpoint: write {env.NAME} or {file.PATH} for it"

// plainSecrets names the options whose secrets are written out. ({$NAME} is, too, for
// Caddy replaces it when it reads the file.)
func (a *App) plainSecrets() (options []string) {
	secrets := []struct{ option, text string }{{"token pepper", a.Token.Pepper}}
	if r := a.Store.Redis; r != nil {
		secrets = append(secrets, []struct{ option, text string }{
			{"store redis", passwordIn(r.URL)}, {"store redis password", r.Password}, {"store redis sentinel_password", r.SentinelPassword},
		}...)
	}
	for _, s := range secrets {
		if s.text != "" && !strings.Contains(s.text, "{") {
			options = append(options, s.option)
		}
	}
	return options
}

// passwordIn returns the password in the text of a URL, which placeholders may keep from
// being one.
func passwordIn(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	userinfo := rest[:max(0, strings.LastIndex(rest, "@"))]
	_, password, _ := strings.Cut(userinfo, ":")
	return password
}

// checkBounds refuses numbers and durations that can't be meant.
func (a *App) checkBounds() error {
	for _, of := range []struct {
		name string
		n    int
	}{{"size", a.Cache.Size}, {"negative_size", a.Cache.NegativeSize}} {
		if of.n <= 0 || of.n > maxNumber {
			return fmt.Errorf("cache %s: want a number from 1 to %d, got %d", of.name, maxNumber, of.n)
		}
	}
	for _, of := range []struct {
		name string
		d    time.Duration
	}{
		{"cache ttl", time.Duration(a.Cache.TTL)}, {"cache negative_ttl", time.Duration(a.Cache.NegativeTTL)}, {"cache max_stale", time.Duration(a.Cache.MaxStale)},
		{"unknown_token_limit window", a.UnknownTokenLimit.window()}, {"events keep", a.Events.age()},
	} {
		if of.d < minDuration {
			return fmt.Errorf("%s %q: %s", of.name, of.d, wantDuration)
		}
	}
	if a.UnknownTokenLimit.Tokens < 0 || a.Events.Max < 0 {
		return errors.New("unknown_token_limit tokens, events max: want a positive number")
	}
	return nil
}

// defaultPrefix is what patgate's secrets begin with unless the configuration says
// something else.
const defaultPrefix = "pat"

// makeRules returns the rules for new tokens, except how digests are made.
func (a *App) makeRules() (rules registry.Rules, err error) {
	rules.Prefix = cmp.Or(a.Token.Prefix, defaultPrefix)
	if err := token.ValidPrefix(rules.Prefix); err != nil {
		return rules, fmt.Errorf("token %w", err)
	}
	if rules.DefaultLifetime, rules.MaxLifetime, err = a.Token.lifetimes(); err != nil {
		return rules, err
	}
	if a.catalog.Complete() {
		rules.Scopes = a.catalog.Names()
		rules.ImpliedBy = a.catalog.ImpliedBy()
	}
	rules.GrantsImmutable = a.GrantsImmutable
	return rules, nil
}

// lastUsed parses the option last_used, and returns what uses.Noter.SetEvery takes.
func lastUsed(text string) (time.Duration, error) {
	switch text {
	case "":
		return uses.DefaultEvery, nil
	case "off":
		return -1, nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("last_used %q: want a duration of at least 1s, such as 10m, or off", text)
	}
	return d, nil
}

// lifetimes returns the default lifetime and the longest, 0 for none.
func (c *TokenConfig) lifetimes() (usual, longest time.Duration, err error) {
	maxLifetime := cmp.Or(c.MaxLifetime, "366d")
	if longest, err = lifetime("max_lifetime", maxLifetime); err != nil {
		return 0, 0, err
	}
	if usual, err = lifetime("default_lifetime", cmp.Or(c.DefaultLifetime, "90d")); err != nil {
		return 0, 0, err
	}
	switch {
	case longest == 0:
	case usual == 0, c.DefaultLifetime != "" && usual > longest:
		return 0, 0, fmt.Errorf("token default_lifetime %s: more than max_lifetime (%s) allows", c.DefaultLifetime, maxLifetime)
	default:
		usual = min(usual, longest)
	}
	return usual, longest, nil
}

// lifetime reads a duration or none, which is 0.
func lifetime(what, text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("token %s %q: want a duration such as 90d, or none", what, text)
	}
	return d, nil
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
	tokens, err := a.open()
	if err != nil {
		return nil, err
	}
	tokens.keeper.settle()
	return registry.New(tokens.store, a.rulesInForce(), registry.Options{Audit: a.logEvent}), nil
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
