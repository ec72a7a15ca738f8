package caddymodule

import (
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
)

// serverStatus is the answer to a question for the status.
type serverStatus struct {
	Version    versions        `json:"version"`
	Health     health          `json:"health"`
	Store      storeStatus     `json:"store"`
	Feed       *feedStatus     `json:"feed"` // null: no other process changes the store
	Cache      cacheStatus     `json:"cache"`
	Rejections rejectionStatus `json:"rejections"`
	// Reporting is how many routes are in report mode; what no route of a gate matches
	// counts as one.
	Reporting int `json:"reporting_routes"`
	// PepperChanged is since when the store is used with another pepper than before, as
	// far as this process knows; absent: it isn't.
	PepperChanged *time.Time `json:"pepper_changed_at,omitempty"`
}

// storeStatus is the state of the store. Where it can't be asked, it says only
// why, and which it is.
type storeStatus struct {
	store.Status
	Error string `json:"error,omitempty"`
}

// feedStatus says how well the changes of other gateways are heard.
type feedStatus struct {
	// Heard is whether what is held is trusted without asking the store.
	Heard bool `json:"heard"`
	// Last is a time up to which every change has been taken in; null: none was
	// heard yet.
	Last *time.Time `json:"heard_at"`
	// Error is why they aren't heard, as far as that is known.
	Error string `json:"error,omitempty"`
}

// feedStatusOf returns how well the store is heard, and if it isn't, why, or nil.
func feedStatusOf(s store.Store, why string) *feedStatus {
	shared, ok := s.(store.Shared)
	if !ok {
		return nil
	}
	last := shared.Heard()
	if last.IsZero() {
		return &feedStatus{Error: why}
	}
	heard := time.Since(last) < cache.Silence
	if heard {
		why = ""
	}
	last = wireTime(last)
	return &feedStatus{Heard: heard, Last: &last, Error: why}
}

// wireTime returns t as answers have it.
func wireTime(t time.Time) time.Time { return t.UTC().Round(time.Millisecond) }

// versions are those of what this program is built of.
type versions struct {
	Patgate string `json:"patgate"`
	Caddy   string `json:"caddy"`
}

// cacheStatus is how the cache is set up, what it holds, and what it has done
// since the store was opened.
type cacheStatus struct {
	Size     int    `json:"size"`      // tokens there is room for
	TTL      string `json:"ttl"`       // after which a held token is read again
	MaxStale string `json:"max_stale"` // for which held tokens serve while the store can't be asked

	Tokens       int    `json:"tokens"`        // held
	Unknown      int    `json:"unknown"`       // digests remembered as unknown
	Hits         uint64 `json:"hits"`          // lookups that found a token held
	NegativeHits uint64 `json:"negative_hits"` // lookups that found a digest remembered as unknown
	Misses       uint64 `json:"misses"`        // lookups that found neither
	StoreReads   uint64 `json:"store_reads"`
	StoreErrors  uint64 `json:"store_errors"` // reads that failed
	Coalesced    uint64 `json:"coalesced"`    // misses that waited for the read of another
	Stale        uint64 `json:"stale"`        // lookups served by a held token because the store could not be read
	Evicted      uint64 `json:"evicted"`      // held tokens pushed out for want of room
}

func cacheStatusOf(c *cache.Cache) cacheStatus {
	s, o := c.Stats(), c.Options()
	return cacheStatus{
		Size: o.Size, TTL: registry.FormatDuration(o.TTL), MaxStale: registry.FormatDuration(o.MaxStale),
		Tokens: s.Held, Unknown: s.Unknown, Hits: s.Hits, NegativeHits: s.NegativeHits, Misses: s.Misses,
		StoreReads: s.Found + s.NotFound + s.Errors + s.Outdated, StoreErrors: s.Errors,
		Coalesced: s.Coalesced, Stale: s.Stale, Evicted: s.Evicted,
	}
}

// showStatus answers also when the store can't be asked: that is when it is
// wanted most.
func showStatus(c *adminCall) (any, error) {
	var s storeStatus
	var err error
	if s.Status, err = c.askStatus(); err != nil {
		s.Error = err.Error()
	} else if seen := c.opened.monitor.seen.Load(); seen.err != nil {
		s.Error = seen.err.Error() // of a part of it, or of a moment ago
	}
	caddyVersion, _ := caddy.Version()
	return serverStatus{
		Version:    versions{Patgate: Version(), Caddy: caddyVersion},
		Health:     c.opened.health(time.Now()),
		Store:      s,
		Feed:       feedStatusOf(c.opened.store, s.Unheard),
		Cache:      cacheStatusOf(c.opened.cache),
		Rejections: c.app.hub.rejections.status(),
		Reporting:  c.app.reporting(),

		PepperChanged: c.opened.pepperChanged(),
	}, nil
}

// reporting returns how many routes of all gates are in report mode, defaults included.
func (a *App) reporting() (n int) {
	for _, gate := range a.allGates() {
		n += gate.policy.Reporting()
	}
	return n
}

// askStatus returns the state of the store with the gateways that serve from
// it. A store that lists none is used by this process only.
func (c *adminCall) askStatus() (store.Status, error) {
	status, err := c.opened.store.Status(c.R.Context())
	if err != nil || len(status.Gateways) > 0 {
		return status, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "this one"
	}
	status.Gateways = []store.Gateway{{Name: name, Follows: status.Position, LastSeen: time.Now().UTC().Truncate(time.Millisecond)}}
	return status, nil
}
