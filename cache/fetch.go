package cache

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// maxReads is how often a Fetch begins again because what was being read has
// changed.
const maxReads = 8

var (
	errClosed  = errors.New("reading a token: the cache is closed")
	errChanges = errors.New("reading a token: it changes faster than it can be read")
)

// flight is a read of the store that is under way, and those who wait for it.
type flight struct {
	at     time.Duration // when it began
	since  *ownerChange  // the newest when it began
	done   chan struct{}
	result // to be read when done is closed
}

// result is how a read ended: with a token, or with none if entry is nil.
// Outdated, it must be made again.
type result struct {
	entry    *entry
	outdated bool
	err      error
}

// Fetch returns the token with digest d, and whether there is one, from the
// store if need be. Fetches of the same digest share a read. The read goes on
// when ctx ends, for others and for next time; Fetch returns ctx's error then.
//
// Any other error means that the store couldn't be read within the budget.
// Nothing is remembered of it, and a token that is still held serves instead
// for Options.MaxStale.
func (c *Cache) Fetch(ctx context.Context, d token.Digest, now time.Time) (subject *policy.Subject, known bool, err error) {
	subject, known, err = c.Confirm(ctx, d, now)
	if err != nil && ctx.Err() == nil {
		if subject := c.Stale(&d, now); subject != nil {
			return subject, true, nil
		}
	}
	return subject, known, err
}

// Stale returns the token with digest d if it is held and may serve although
// the store can't be read (Options.MaxStale), or nil. It never waits.
func (c *Cache) Stale(d *token.Digest, now time.Time) *policy.Subject {
	o, at := c.options.Load(), c.since(now)
	return c.shard(d).stale(d, at, c.heard(at, o), o)
}

// Confirm is Fetch, but for tokens that serve although the store can't be read:
// where Fetch returns one of these, it returns the error.
func (c *Cache) Confirm(ctx context.Context, d token.Digest, now time.Time) (subject *policy.Subject, known bool, err error) {
	at := c.since(now)
	s := c.shard(&d)
	for range maxReads {
		o := c.options.Load()
		s.mu.Lock()
		if subject, answer := s.lookup(&d, at, c.heard(at, o), o); answer == Held || answer == Unknown {
			s.mu.Unlock()
			return subject, answer == Held, nil
		}
		f := c.flight(s, &d, at)
		s.mu.Unlock()

		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
		}
		if f.err != nil {
			return nil, false, f.err
		}
		switch {
		case f.outdated:
		case f.entry != nil:
			return &f.entry.subject, true, nil
		default:
			return nil, false, nil
		}
	}
	return nil, false, errChanges
}

// flight returns the read of d that is under way, or starts one. The shard is
// locked.
func (c *Cache) flight(s *shard, d *token.Digest, at time.Duration) *flight {
	if f := s.flights[*d]; f != nil {
		s.stats.Coalesced++
		return f
	}
	f := &flight{at: at, since: c.owners.newest(), done: make(chan struct{})}
	if s.closed {
		s.end(d, f, result{err: errClosed})
		return f
	}
	s.flights[*d] = f
	digest := *d
	c.reads.Go(func() { c.read(s, &digest, f) })
	return f
}

// read reads d for all who wait for f.
func (c *Cache) read(s *shard, d *token.Digest, f *flight) {
	o := c.options.Load()
	ctx, cancel := context.WithTimeout(c.ctx, o.Budget)
	defer cancel()
	// A store that doesn't heed ctx keeps nobody waiting longer.
	stop := context.AfterFunc(ctx, func() {
		s.land(d, f, result{err: fmt.Errorf("reading a token: %w", context.Cause(ctx))})
	})
	defer stop()
	s.land(d, f, c.ask(ctx, d, f, o.Observe))
}

// ask asks the store for d. A panic becomes an error: it would end the process
// from here, where no server recovers it.
func (c *Cache) ask(ctx context.Context, d *token.Digest, f *flight, observe func(time.Duration, error)) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: fmt.Errorf("reading a token: panic: %v\n%s", p, debug.Stack())}
		}
	}()
	began := time.Now()
	found, err := c.store.Find(ctx, *d)
	if observe != nil {
		observe(time.Since(began), err)
	}
	switch {
	case err == nil:
		return c.take(d, &found, f)
	case errors.Is(err, store.ErrNotFound):
		return result{}
	}
	return result{err: fmt.Errorf("reading a token: %w", err)}
}
