package cache

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// asyncMemory is a memory that need not be waited for.
type asyncMemory struct {
	*memory
	atOnce bool // done is called before FindAsync returns
}

func (m asyncMemory) FindAsync(d token.Digest, done func(store.Found, error)) {
	if m.atOnce {
		done(m.Find(context.Background(), d))
		return
	}
	go func() { done(m.Find(context.Background(), d)) }()
}

// From a store that need not be waited for, a cache reads as from any other.
func TestAsync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(tok("t"))
		release := stall(m)
		var observed atomic.Int32
		c := New(asyncMemory{memory: m}, Options{Observe: func(time.Duration, error) { observed.Add(1) }})
		ctx, cancel := context.WithCancel(t.Context())
		first, second := fetchAside(ctx, c, "t", now), fetchAside(t.Context(), c, "t", now)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !first.done || !errors.Is(first.err, context.Canceled) || second.done {
			t.Errorf("the Fetch given up: %+v, the other: %+v", *first, *second)
		}
		m.put(tok("t", revoked)) // overtakes the read
		synctest.Wait()
		close(release)
		synctest.Wait()
		if !second.done || second.verdict != policy.TokenRevoked {
			t.Errorf("Fetch: %+v, want %v", *second, policy.TokenRevoked)
		}
		if got, ok := get(c, "t", now); !ok || got != policy.TokenRevoked {
			t.Errorf("Get afterwards: %v, answered %v", got, ok)
		}
		if m.finds() != 2 || observed.Load() != 2 {
			t.Errorf("%d reads, %d observed, want 2", m.finds(), observed.Load())
		}
		release = make(chan struct{})
		m.find = func(context.Context, int) error { <-release; return nil }
		waitsForRead(t, c, release)
	})
}

func TestAsyncAtOnce(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	c := newCache(t, asyncMemory{m, true}, Options{TTL: -1})
	if got := fetch(t, c, "t", now); got != policy.Forward {
		t.Errorf("Fetch: %v, want %v", got, policy.Forward)
	}
	if got := fetch(t, c, "unknown", now); got != policy.TokenUnknown {
		t.Errorf("Fetch: %v, want %v", got, policy.TokenUnknown)
	}
	c.options.Load().Observe = func(time.Duration, error) { panic("at the top of the store") }
	if _, known, err := c.Fetch(t.Context(), digest("another"), now); known || err == nil || !strings.Contains(err.Error(), "at the top of the store") {
		t.Errorf("Fetch: known %v, error %v, want the panic as an error", known, err)
	}
}
