package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/store"
)

func init() {
	caddy.RegisterModule(Health{})
}

// The states of a gateway, from the best to the worst.
const (
	healthOK          = "ok"          // changes are heard: held tokens serve, others are asked for
	healthDegraded    = "degraded"    // changes are not heard: every token is asked for
	healthPartial     = "partial"     // a part of the store can't be asked, or it takes no changes
	healthStale       = "stale"       // the store can't be asked: held tokens serve, for max_stale
	healthUnavailable = "unavailable" // the store can't be asked, and no token serves
)

// healths are all of them.
var healths = []string{healthOK, healthDegraded, healthPartial, healthStale, healthUnavailable}

// health is how well a gateway can serve.
type health struct {
	Status string    `json:"status"`
	Since  time.Time `json:"since"`
	// HeldUntil is when tokens that are held stop serving; null while the store
	// is heard, or can be asked.
	HeldUntil *time.Time `json:"held_until"`
}

// health works out how well requests can be served.
func (t *openStore) health(now time.Time) health {
	seen := t.monitor.seen.Load()
	h := health{Status: healthOK, Since: wireTime(seen.since)}
	switch {
	case seen.heard && seen.err != nil:
		h.Status = healthPartial
	case seen.heard:
	case seen.err == nil:
		h.Status = healthDegraded
	default:
		h.Status = healthUnavailable
		if until := t.heldUntil(seen); !until.IsZero() {
			until = wireTime(until)
			h.HeldUntil = &until
			if now.Before(until) {
				h.Status = healthStale
			}
		}
	}
	return h
}

// heldUntil returns when tokens that are held cease to serve, now that the store can't
// be asked; zero: they never did.
func (t *openStore) heldUntil(seen *observation) time.Time {
	o := t.cache.Options()
	stale := max(o.MaxStale, 0)
	shared, ok := t.store.(store.Shared)
	if !ok { // what no other process changes is as good as when it was read
		return seen.since.Add(o.TTL + stale)
	}
	last := shared.Heard()
	if last.IsZero() {
		return last
	}
	return last.Add(stale)
}

// Health answers the probes of load balancers and orchestrators: with 200 while tokens can
// be served, with 503 while none can, and with a JSON object. It doesn't ask the store, so
// that probes, whoever sends them, cost next to nothing.
type Health struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (Health) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.patgate_health", New: func() caddy.Module { return new(Health) }}
}

// Provision finds the app.
func (h *Health) Provision(ctx caddy.Context) (err error) {
	h.app, err = appOf(ctx)
	return err
}

// ServeHTTP answers a probe.
func (h *Health) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	now := time.Now()
	answer := health{Status: healthUnavailable, Since: wireTime(now)}
	if t, err := h.app.open(); err == nil {
		answer = t.health(now)
	}
	status := http.StatusOK
	if answer.Status == healthUnavailable {
		status = http.StatusServiceUnavailable
	}
	return rest.Answer(w, "application/json", status, answer)
}

var (
	_ caddy.Provisioner           = (*Health)(nil)
	_ caddyhttp.MiddlewareHandler = (*Health)(nil)
)
