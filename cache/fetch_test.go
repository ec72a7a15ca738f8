package cache

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patgate/patgate/policy"
)

// answer is what a Fetch in the background came to.
type answer struct {
	verdict policy.Reason
	err     error
	done    bool
}

// fetchAside runs a Fetch in the background. The answer may be read after
// synctest.Wait.
func fetchAside(ctx context.Context, c *Cache, secret string, at time.Time) *answer {
	a := new(answer)
	go func() {
		s, known, err := c.Fetch(ctx, digest(secret), at)
		a.verdict, a.err, a.done = verdict(s, known), err, true
	}()
	return a
}

// stall has every Find wait until the channel it returns is closed, or until
// its context ends.
func stall(m *memory) chan struct{} {
	release := make(chan struct{})
	m.find = func(ctx context.Context, _ int) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return release
}

func TestFetchesOfOneDigestShareARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(tok("t"))
		release := stall(m)
		c := newCache(t, m, Options{})
		var answers [64]*answer
		for i := range answers {
			answers[i] = fetchAside(t.Context(), c, "t", now)
		}
		synctest.Wait()
		close(release)
		synctest.Wait()
		for _, a := range answers {
			if !a.done || a.err != nil || a.verdict != policy.Forward {
				t.Errorf("Fetch: %+v, want %v", *a, policy.Forward)
			}
		}
		if got := m.finds(); got != 1 {
			t.Errorf("%d reads of the store, want 1", got)
		}
		if got := c.Stats().Coalesced; got != 63 {
			t.Errorf("Coalesced = %d, want 63", got)
		}
	})
}

// One who gives up leaves the read to the others and to next time. (Where a store
// need not be waited for, that may be the first: see TestAsync.)
func TestReadOutlivesWhoWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(tok("t"))
		release := stall(m)
		c := newCache(t, m, Options{})
		first := fetchAside(t.Context(), c, "t", now)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		second := fetchAside(ctx, c, "t", now)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !second.done || !errors.Is(second.err, context.Canceled) {
			t.Errorf("the Fetch given up: %+v, want %v", *second, context.Canceled)
		}
		if first.done {
			t.Errorf("the other Fetch ended with it: %+v", *first)
		}
		close(release)
		synctest.Wait()
		if !first.done || first.verdict != policy.Forward {
			t.Errorf("the other Fetch: %+v, want %v", *first, policy.Forward)
		}
		if got, ok := get(c, "t", now); !ok || got != policy.Forward {
			t.Errorf("Get afterwards: %v, answered %v", got, ok)
		}
	})
}

func TestPanicOfTheStore(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	m.find = func(context.Context, int) error { panic("no such page") }
	c := newCache(t, m, Options{})
	if _, known, err := c.Fetch(t.Context(), digest("t"), now); known || err == nil || !strings.Contains(err.Error(), "no such page") {
		t.Errorf("Fetch: known %v, error %v, want the panic as an error", known, err)
	}
	m.find = nil
	if got := fetch(t, c, "t", now); got != policy.Forward {
		t.Errorf("Fetch afterwards: %v, want %v", got, policy.Forward)
	}
}

// A token that changes during every read of it is given up at last.
func TestChangesFasterThanItIsRead(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	m.found = func(int) { m.put(tok("t")) }
	c := newCache(t, m, Options{})
	if _, known, err := c.Fetch(t.Context(), digest("t"), now); known || !errors.Is(err, errChanges) {
		t.Errorf("Fetch: known %v, error %v, want %v", known, err, errChanges)
	}
	if got := m.finds(); got != maxReads {
		t.Errorf("%d reads of the store, want %d", got, maxReads)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(tok("held"), tok("t"))
		c := New(m, Options{})
		fetch(t, c, "held", now)
		stall(m)
		waiting := fetchAside(t.Context(), c, "t", now)
		synctest.Wait()
		c.Close()
		synctest.Wait()
		if !waiting.done || !errors.Is(waiting.err, errClosed) {
			t.Errorf("the Fetch that waited: %+v, want %v", *waiting, errClosed)
		}
		if got, ok := get(c, "held", now); ok {
			t.Errorf("Get answers %v from a cache that hears of no change", got)
		}
		if _, _, err := c.Fetch(t.Context(), digest("held"), now); !errors.Is(err, errClosed) {
			t.Errorf("Fetch: %v, want %v", err, errClosed)
		}
		if got := len(m.watchers); got != 0 {
			t.Errorf("%d watchers are left", got)
		}
		// synctest.Test fails if a goroutine is left.
	})
}

// The store may be closed after the cache, and not before its reads have ended.
func TestCloseWaitsForReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(tok("t"))
		release := make(chan struct{})
		m.find = func(context.Context, int) error { <-release; return nil }
		waitsForRead(t, New(m, Options{}), release)
	})
}

// waitsForRead closes a cache whose store reads until release is closed: Close returns
// when the read has ended. It is called within a bubble of synctest.
func waitsForRead(t *testing.T, c *Cache, release chan struct{}) {
	t.Helper()
	fetchAside(t.Context(), c, "unheard", now)
	synctest.Wait()
	closed := false
	go func() { c.Close(); closed = true }()
	synctest.Wait()
	if closed {
		t.Error("Close returned during a read")
	}
	close(release)
	synctest.Wait()
	if !closed {
		t.Error("Close didn't return after the read")
	}
}

func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	c := New(m, Options{TTL: -1})
	var load sync.WaitGroup
	closing := make(chan struct{})
	for range 4 {
		load.Go(func() {
			for {
				_, _, err := c.Fetch(t.Context(), digest("t"), now)
				if err == nil {
					continue
				}
				if !errors.Is(err, errClosed) {
					t.Errorf("Fetch while the cache closes: %v, want %v", err, errClosed)
				}
				<-closing
				return
			}
		})
	}
	for m.finds() < 100 {
		time.Sleep(time.Millisecond)
	}
	c.Close()
	close(closing)
	load.Wait()
	if got := c.Stats().Held; got != 0 {
		t.Errorf("%d tokens are held after Close", got)
	}
}
