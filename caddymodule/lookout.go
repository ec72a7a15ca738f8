package caddymodule

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// lookout keeps an eye on a store: whether its changes are heard and, while they
// aren't, whether it can be asked. Requests don't need it; operators and load
// balancers do.
type lookout struct {
	store store.Store
	seen  atomic.Pointer[sight]
	stop  context.CancelFunc
	ended chan struct{}
}

// sight is what the lookout sees.
type sight struct {
	heard bool
	err   error // why the store can't be asked or, heard, a part of it; nil: it can, or needn't
	since time.Time
}

// lookoutInterval is how often it looks: several times while a store may be
// silent before what is held isn't trusted any more.
const lookoutInterval = cache.DefaultSilence / 4

// askBudget is how long it waits for an answer.
const askBudget = time.Second

var errNotYet = errors.New("the store was not heard yet")

// watch starts a lookout. A store that no other process changes needs none: it
// is heard as long as it is open.
func watch(s store.Store) *lookout {
	l := &lookout{store: s, ended: make(chan struct{})}
	follower, ok := s.(store.Follower)
	if !ok {
		l.stop = func() {}
		l.seen.Store(&sight{heard: true, since: time.Now()})
		close(l.ended)
		return l
	}
	l.seen.Store(&sight{err: errNotYet, since: time.Now()})
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go func() {
		defer close(l.ended)
		l.keepLooking(ctx, follower)
	}()
	return l
}

func (l *lookout) keepLooking(ctx context.Context, f store.Follower) {
	ticker := time.NewTicker(lookoutInterval)
	defer ticker.Stop()
	for {
		l.look(ctx, f)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *lookout) look(ctx context.Context, f store.Follower) {
	now := sight{since: time.Now()}
	last := f.Heard()
	now.heard = time.Since(last) < cache.DefaultSilence
	if now.err = l.ask(ctx, now.heard); ctx.Err() != nil {
		return
	}
	if !now.heard && !last.IsZero() {
		now.since = last
	}
	before := l.seen.Load()
	if before.heard == now.heard && (before.err == nil) == (now.err == nil) {
		now.since = before.since
	}
	l.seen.Store(&now)
}

// ask finds out whether the store can be asked: it has no such token. Where its
// changes are heard it can, but perhaps not all of it.
func (l *lookout) ask(ctx context.Context, heard bool) error {
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	if heard {
		if spread, ok := l.store.(store.Spread); ok {
			return spread.Reach(ctx)
		}
		return nil
	}
	if _, err := l.store.Find(ctx, token.Digest{}); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// close ends the lookout, before the store is closed.
func (l *lookout) close() {
	l.stop()
	<-l.ended
}
