// Package uses notes when tokens are used, and writes it to the store from time to time.
//
// A request asks whether to note its use, which is a look into a table in memory: the
// answer is yes once per token and interval. Uses are kept in memory, one for each
// token, and written to the store every few seconds. So a use costs a request next to
// nothing and the store one write per token and interval, and the last use of a token
// is known to within the interval.
package uses

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

const (
	flushEvery = 2 * time.Second
	room       = 1 << 18          // secrets whose last noted use is known
	maxPending = 1 << 17          // uses not written yet, at most
	batch      = 1000             // uses in one write
	budget     = 10 * time.Second // for writing all
)

// Noter notes the uses of tokens. Safe for concurrent use.
type Noter struct {
	store    store.Uses
	throttle *Throttle
	every    atomic.Int64 // a time.Duration
	failed   func(error)

	mu      sync.Mutex
	pending map[string]store.Use // by the token's id

	flushing chan struct{} // holds a value during a Flush: another one waits, so that all is written when it returns
	stop     chan struct{}
	done     chan struct{}
}

// New returns a Noter that writes to s. failed is called with the error if that fails. The
// uses are then kept for the next time.
func New(s store.Uses, failed func(error)) *Noter { return newNoter(s, flushEvery, failed) }

func newNoter(s store.Uses, flushEvery time.Duration, failed func(error)) *Noter {
	n := &Noter{
		store: s, throttle: NewThrottle(room), failed: failed, pending: map[string]store.Use{},
		flushing: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go n.run(flushEvery)
	return n
}

// SetEvery sets the interval in which a use of a token is noted once; 0, as at first: uses
// are not noted.
func (n *Noter) SetEvery(d time.Duration) { n.every.Store(int64(d)) }

// Due reports whether the caller is to Note the use, at now, of the token found by digest
// d. It allocates nothing and takes no lock.
func (n *Noter) Due(d *token.Digest, now time.Time) bool {
	every := time.Duration(n.every.Load())
	return every > 0 && n.throttle.Allow(d, now, every)
}

// Note notes a use. It doesn't wait for the store. If that has failed for so long that too
// many uses are pending, the use is dropped.
func (n *Noter) Note(u store.Use) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keep(u)
}

// keep adds a use to those pending. n is locked.
func (n *Noter) keep(u store.Use) {
	there, ok := n.pending[u.ID]
	if !ok && len(n.pending) >= maxPending || !u.At.After(there.At) {
		return
	}
	n.pending[u.ID] = u
}

func (n *Noter) run(flushEvery time.Duration) {
	defer close(n.done)
	ticks := time.Tick(flushEvery)
	for {
		select {
		case <-n.stop:
			n.flush()
			return
		case <-ticks:
		}
		n.flush()
	}
}

// flush is Flush for the goroutine of n.
func (n *Noter) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	if err := n.Flush(ctx); err != nil {
		n.failed(err)
	}
}

// Flush writes the uses noted so far to the store. Those that it can't write stay noted.
func (n *Noter) Flush(ctx context.Context) error {
	select {
	case n.flushing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-n.flushing }()
	n.mu.Lock()
	pending := n.pending
	n.pending = make(map[string]store.Use)
	n.mu.Unlock()
	left := slices.Collect(maps.Values(pending))
	var err error
	for len(left) > 0 && err == nil {
		some := left[:min(len(left), batch)]
		if err = n.store.NoteUses(ctx, some...); err == nil {
			left = left[len(some):]
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, u := range left {
		n.keep(u)
	}
	return err
}

// Close writes the uses noted so far, if it can. To be called once, before the store is
// closed.
func (n *Noter) Close() {
	close(n.stop)
	<-n.done
}
