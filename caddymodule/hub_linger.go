package caddymodule

import (
	"fmt"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// When a configuration is replaced, Caddy cleans it up at once, but lets it end
// the requests it has. If its store was closed then, these would be refused or
// cut: it stays open until they have ended, but not for ever.
const (
	lingerAtLeast = time.Second // some are still on their way to the gate
	lingerAtMost  = 10 * time.Second
	lingerCheck   = 20 * time.Millisecond
)

// lingering are the stores that stay open although no configuration uses them.
// The process doesn't end before they are closed.
var lingering sync.WaitGroup

// leave gives back one use of the hub to the pool: at once, unless it is the last one
// and another configuration runs.
func (h *hub) leave(logger *zap.Logger) error {
	key, now := h.source.key, time.Now()
	h.left.Store(&now)
	if uses, _ := hubs.References(key); uses == 1 && h.opened.Load() != nil && configurationRuns() {
		lingering.Go(func() {
			h.linger()
			if _, err := hubs.Delete(key); err != nil {
				logger.Error("closing a store that is not used any more", zap.Error(err))
			}
		})
		return nil
	}
	_, err := hubs.Delete(key)
	if caddy.Exiting() {
		lingering.Wait()
	}
	if err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// configurationRuns reports whether a configuration runs; one that is being cleaned up doesn't.
func configurationRuns() bool { return caddy.ActiveContext().Context != nil }

// linger waits for the requests that are under way since it was left last.
func (h *hub) linger() {
	streams := h.opened.Load().streams
	endsByItself := func(st *stream) bool { return !st.lasting } // as far as can be told
	for ; configurationRuns(); time.Sleep(lingerCheck) {
		if lasted := time.Since(*h.left.Load()); lasted >= lingerAtMost || lasted >= lingerAtLeast && streams.count(endsByItself) == 0 {
			return
		}
	}
}
