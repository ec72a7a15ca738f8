package caddymodule

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// monitor keeps an eye on a store: whether its changes are heard and, while they
// aren't, whether it can be asked; and whether a part of it is missing. It logs when that
// begins and when it is over: perhaps nobody asks or changes anything for hours. Requests
// don't need it; operators and load balancers do.
type monitor struct {
	store store.Store
	log   *slog.Logger
	whole struct { // what reach has found
		err error
		at  time.Time
	}
	seen    atomic.Pointer[observation]
	stop    context.CancelFunc
	running sync.WaitGroup
}

// observation is what the monitor sees.
type observation struct {
	heard bool  // changes are; of a store that no other process changes, it can be asked
	err   error // why the store can't be asked or, heard, not all of it can be used
	since time.Time
}

// monitorInterval is how often it looks: several times while a store may be
// silent before what is held isn't trusted any more.
const monitorInterval = cache.Silence / 4

// askBudget is how long it waits for an answer.
const askBudget = time.Second

var errNotYet = errors.New("the store was not heard yet")

// newMonitor starts a monitor.
func newMonitor(s store.Store, log *slog.Logger) *monitor {
	m := &monitor{store: s, log: log}
	if _, shared := s.(store.Shared); shared {
		m.seen.Store(&observation{err: errNotYet, since: time.Now()})
	} else {
		m.seen.Store(&observation{heard: true, since: time.Now()})
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.running.Go(func() { m.keepLooking(ctx) })
	return m
}

func (m *monitor) keepLooking(ctx context.Context) {
	ticker := time.NewTicker(monitorInterval)
	defer ticker.Stop()
	for {
		m.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (m *monitor) look(ctx context.Context) {
	now := observation{since: time.Now()}
	if shared, ok := m.store.(store.Shared); ok {
		last := shared.Heard()
		if now.heard = time.Since(last) < cache.Silence; !now.heard {
			now.err = m.ask(ctx)
			if !last.IsZero() {
				now.since = last
			}
		}
	} else {
		now.heard = true
	}
	if now.heard {
		now.err = m.reach(ctx)
		now.heard = !errors.Is(now.err, store.ErrUnreadable)
	}
	if ctx.Err() != nil {
		return
	}
	before := m.seen.Load()
	if before.heard == now.heard && (before.err == nil) == (now.err == nil) {
		now.since = before.since
	} else {
		m.say(before, &now)
	}
	m.seen.Store(&now)
}

// say logs what has changed. That changes aren't heard, the store says itself.
func (m *monitor) say(before, now *observation) {
	switch {
	case now.err != nil && now.heard:
		m.log.Error("not all of the token store can be used", "error", now.err)
	case now.err != nil:
		m.log.Error("the token store can't be asked: held tokens serve for a while, others are answered 503", "error", now.err)
	case before.err != nil && !errors.Is(before.err, errNotYet):
		m.log.Info("the token store can be used again")
	}
}

// reach finds out whether all of the store can be used.
func (m *monitor) reach(ctx context.Context) error {
	if now := time.Now(); now.Sub(m.whole.at) >= reachInterval {
		ctx, cancel := context.WithTimeout(ctx, askBudget)
		defer cancel()
		m.whole.err, m.whole.at = m.store.Reach(ctx), now
	}
	return m.whole.err
}

// reachInterval is how often each part of a store is looked for.
const reachInterval = time.Second

// ask finds out whether the store can be asked: it has no such token.
func (m *monitor) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	if _, err := m.store.Find(ctx, token.Digest{}); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// close ends the monitor, before the store is closed.
func (m *monitor) close() {
	m.stop()
	m.running.Wait()
}
