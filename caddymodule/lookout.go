package caddymodule

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// lookout keeps an eye on a store: whether its changes are heard and, while they
// aren't, whether it can be asked; and whether a part of it is missing. Requests don't
// need it; operators and load balancers do.
type lookout struct {
	store store.Store
	whole struct { // what reach has found
		err error
		at  time.Time
	}
	seen    atomic.Pointer[sight]
	stop    context.CancelFunc
	running sync.WaitGroup
}

// sight is what the lookout sees.
type sight struct {
	heard bool  // changes are; of a store that no other process changes, it can be asked
	err   error // why the store can't be asked or, heard, not all of it can be used
	since time.Time
}

// lookoutInterval is how often it looks: several times while a store may be
// silent before what is held isn't trusted any more.
const lookoutInterval = cache.Silence / 4

// askBudget is how long it waits for an answer.
const askBudget = time.Second

var errNotYet = errors.New("the store was not heard yet")

// newLookout starts a lookout.
func newLookout(s store.Store) *lookout {
	l := &lookout{store: s}
	if _, shared := s.(store.Shared); shared {
		l.seen.Store(&sight{err: errNotYet, since: time.Now()})
	} else {
		l.seen.Store(&sight{heard: true, since: time.Now()})
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.running.Go(func() { l.keepLooking(ctx) })
	return l
}

func (l *lookout) keepLooking(ctx context.Context) {
	ticker := time.NewTicker(lookoutInterval)
	defer ticker.Stop()
	for {
		l.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *lookout) look(ctx context.Context) {
	now := sight{since: time.Now()}
	if shared, ok := l.store.(store.Shared); ok {
		last := shared.Heard()
		if now.heard = time.Since(last) < cache.Silence; !now.heard {
			now.err = l.ask(ctx)
			if !last.IsZero() {
				now.since = last
			}
		}
	} else {
		now.heard = true
	}
	if now.heard {
		now.err = l.reach(ctx)
		now.heard = !errors.Is(now.err, store.ErrUnreadable)
	}
	if ctx.Err() != nil {
		return
	}
	before := l.seen.Load()
	if before.heard == now.heard && (before.err == nil) == (now.err == nil) {
		now.since = before.since
	}
	l.seen.Store(&now)
}

// reach finds out whether all of the store can be used.
func (l *lookout) reach(ctx context.Context) error {
	if now := time.Now(); now.Sub(l.whole.at) >= reachInterval {
		ctx, cancel := context.WithTimeout(ctx, askBudget)
		defer cancel()
		l.whole.err, l.whole.at = l.store.Reach(ctx), now
	}
	return l.whole.err
}

// reachInterval is how often each part of a store is looked for.
const reachInterval = time.Second

// ask finds out whether the store can be asked: it has no such token.
func (l *lookout) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	if _, err := l.store.Find(ctx, token.Digest{}); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// close ends the lookout, before the store is closed.
func (l *lookout) close() {
	l.stop()
	l.running.Wait()
}
