package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// history is what became of one digest, or of one owner: its states by number,
// how many have been begun, and which is the last that was acknowledged. Whoever
// reads notes what was acknowledged before and what was begun after; the state
// read must be one of these.
type history struct {
	mu           sync.Mutex // held by the one who changes it
	begun        atomic.Int64
	acknowledged atomic.Int64
	states       [1 << 16]atomic.Bool // there is a token; the owner is enabled
}

// change makes the next state; store is to make it so and is told its number.
func (h *history) change(state bool, store func(n int64)) {
	n := h.begun.Load() + 1
	h.states[n].Store(state)
	h.begun.Store(n)
	store(n)
	h.acknowledged.Store(n)
}

// might reports whether state was that of one of the numbers from first to the
// last begun.
func (h *history) might(state bool, first int64) bool {
	for n := first; n <= h.begun.Load(); n++ {
		if h.states[n].Load() == state {
			return true
		}
	}
	return false
}

// Tokens and owners change at random while others look: a Get or a Fetch that
// begins after a change was acknowledged never shows what was before. A token
// carries the number of its state in the time it expires.
func TestNothingOutlivesAChange(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"room for all":      {},
		"room for few":      {Size: 5, NegativeSize: 5},
		"read every time":   {TTL: -1, NegativeTTL: -1},
		"store often fails": {TTL: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{T: t, m: newMemory()}
			// Let others overtake a read.
			w.m.found = func(int) {
				for range rand.IntN(4) {
					runtime.Gosched()
				}
			}
			if name == "store often fails" {
				w.m.find = func(context.Context, int) error {
					if rand.IntN(4) == 0 {
						return errDown
					}
					return nil
				}
			}
			w.c = newCache(t, w.m, o)
			w.run()
		})
	}
}

type world struct {
	*testing.T
	m *memory
	c *Cache

	digests [16]history
	owners  [3]history
}

func (w *world) run() {
	const readers, writers, each = 6, 3, 20_000
	for i := range w.owners {
		w.owners[i].states[0].Store(true) // there is no record, which stops nothing
	}
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for range readers {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					w.read()
				}
			}
		})
	}
	for range writers {
		writing.Go(func() {
			for range each {
				if rand.IntN(5) == 0 {
					w.changeOwner()
				} else {
					w.changeToken()
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	if s := w.c.Stats(); s.Hits+s.Misses == 0 || s.Found == 0 {
		w.Errorf("nothing was looked at: %+v", s)
	}
}

func tokenID(i int) string       { return fmt.Sprintf("t%d", i) }
func ownerOf(i int) int          { return i % 3 }
func ownerID(i int) string       { return fmt.Sprintf("o%d", i) }
func numbered(n int64) time.Time { return now.Add(time.Duration(n) * time.Second) }
func number(s int64) int64       { return (s - now.UnixNano()) / int64(time.Second) }

// changeToken makes, revokes, deletes or regenerates a token.
func (w *world) changeToken() {
	i := rand.IntN(len(w.digests))
	h := &w.digests[i]
	h.mu.Lock()
	defer h.mu.Unlock()
	switch rand.IntN(6) {
	case 0, 1:
		h.change(false, func(int64) { w.m.change(w.m.removeToken(tokenID(i))) })
		return
	case 2:
		h.change(false, func(n int64) {
			w.m.put(tok(tokenID(i), func(t *token.Token) { t.Digest = digest(fmt.Sprint(t.ID, " again ", n)) }))
		})
		return
	}
	h.change(true, func(n int64) {
		w.m.put(tok(tokenID(i), func(t *token.Token) {
			t.Owner = ownerID(ownerOf(i))
			t.ExpiresAt = numbered(n)
			if rand.IntN(2) == 0 {
				t.RevokedAt = now
			}
		}))
	})
}

func (w *world) changeOwner() {
	i := rand.IntN(len(w.owners))
	h := &w.owners[i]
	h.mu.Lock()
	defer h.mu.Unlock()
	switch rand.IntN(3) {
	case 0:
		h.change(false, func(int64) { w.m.change(w.m.setOwner(disabled(ownerID(i)))) })
	case 1:
		h.change(true, func(int64) { w.m.change(w.m.setOwner(enabled(ownerID(i)))) })
	default:
		h.change(true, func(int64) { w.m.change(w.m.removeOwner(ownerID(i))) })
	}
}

// read looks at a token and checks it against the histories.
func (w *world) read() {
	i := rand.IntN(len(w.digests))
	h, owner := &w.digests[i], &w.owners[ownerOf(i)]
	first, firstOfOwner := h.acknowledged.Load(), owner.acknowledged.Load()
	d := digest(tokenID(i))
	s, answer := w.c.Get(&d, now)
	known := answer == Held
	how := "Get"
	if answer == Absent || answer == Lapsed {
		var err error
		how = "Fetch"
		s, known, err = w.c.Fetch(w.Context(), d, now)
		switch {
		case errors.Is(err, errDown), errors.Is(err, errChanges):
			return
		case err != nil:
			w.Errorf("Fetch: %v", err)
			return
		}
	}
	if !known {
		if !h.might(false, first) {
			w.Errorf("%s: unknown, but there has been a token since state %d", how, first)
		}
		return
	}
	if n, last := number(s.Expires), h.begun.Load(); n < first || n > last {
		w.Errorf("%s: the token is in state %d, want %d to %d", how, n, first, last)
	}
	alive := *s
	alive.Expires, alive.Revoked = 0, false
	is := verdict(&alive, true) == policy.Forward
	if !owner.might(is, firstOfOwner) {
		w.Errorf("%s: the owner is enabled: %v, which it hasn't been since state %d", how, is, firstOfOwner)
	}
}

var _ store.Store = (*memory)(nil)
