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

// maxReads bounds the reads of one Fetch, which reads again if the token changes
// meanwhile.
const maxReads = 8

var (
	errClosed  = errors.New("reading a token: the cache is closed")
	errChanges = errors.New("reading a token: it changes faster than it can be read")
)

// flight is a read of the store that is under way, shared by all callers that wait for it.
type flight struct {
	digest token.Digest
	at     time.Duration // when it was asked for
	began  time.Time     // when the store was asked
	since  *ownerChange  // the newest change when it was asked for
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
// when ctx ends, for others and for next time; Fetch returns ctx's error then, if
// it need not wait for the store (store.Async) or waits for another's read.
//
// Any other error means that the store couldn't be read. It is not remembered, and a
// token that is still held is returned instead for Options.MaxStale.
func (c *Cache) Fetch(ctx context.Context, d token.Digest, now time.Time) (subject *policy.Subject, known bool, err error) {
	subject, known, err = c.FetchFresh(ctx, d, now)
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
	return c.shard(d).stale(d, at, c.heard(at), o)
}

// FetchFresh is Fetch without such tokens: if the store can't be read, it returns the
// error.
func (c *Cache) FetchFresh(ctx context.Context, d token.Digest, now time.Time) (subject *policy.Subject, known bool, err error) {
	at := c.since(now)
	s := c.shard(&d)
	for range maxReads {
		o := c.options.Load()
		s.mu.Lock()
		if subject, answer := s.lookup(&d, at, c.heard(at), o); answer == Held || answer == Unknown {
			s.mu.Unlock()
			return subject, answer == Held, nil
		}
		f, first := c.flight(s, &d, at)
		s.mu.Unlock()
		if first {
			c.begin(s, f)
		}
		if err := f.wait(ctx); err != nil {
			return nil, false, err
		}
		switch {
		case f.err != nil:
			return nil, false, f.err
		case f.entry != nil:
			return &f.entry.subject, true, nil
		case !f.outdated:
			return nil, false, nil
		}
	}
	return nil, false, errChanges
}

// wait returns when f has ended or, with an error, when ctx has and f hasn't.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-f.done:
		return nil
	default:
		return fmt.Errorf("waiting for a token: %w", context.Cause(ctx))
	}
}

// flight returns the read of d that is under way. If there is none, it returns a new
// one, and first is true: the caller begins it. The shard is locked.
func (c *Cache) flight(s *shard, d *token.Digest, at time.Duration) (f *flight, first bool) {
	if f := s.flights[*d]; f != nil {
		s.stats.Coalesced++
		return f, false
	}
	f = &flight{digest: *d, at: at, since: c.owners.newest(), done: make(chan struct{})}
	if s.closed {
		s.end(f, result{err: errClosed})
		return f, false
	}
	s.flights[*d] = f
	c.reads.Add(1)
	return f, true
}

// begin reads for all callers that wait for f. It returns before the read has ended only
// with a store.Async: handing a read to a goroutine costs more than reading a file does.
func (c *Cache) begin(s *shard, f *flight) {
	f.began = time.Now()
	if c.async != nil {
		c.async.FindAsync(f.digest, func(found store.Found, err error) {
			defer c.reads.Done()
			s.land(f, c.outcome(f, &found, err))
		})
		return
	}
	defer c.reads.Done()
	s.land(f, c.ask(f))
}

// ask asks the store and waits for it.
func (c *Cache) ask(f *flight) (r result) {
	defer recovered(&r)
	found, err := c.store.Find(c.ctx, f.digest)
	return c.outcome(f, &found, err)
}

// outcome returns the result of the read f.
func (c *Cache) outcome(f *flight, found *store.Found, err error) (r result) {
	defer recovered(&r)
	if observe := c.options.Load().Observe; observe != nil {
		observe(time.Since(f.began), err)
	}
	switch {
	case err == nil:
		return c.take(f, found)
	case errors.Is(err, store.ErrNotFound):
		return result{}
	}
	return result{err: fmt.Errorf("reading a token: %w", err)}
}

// recovered, deferred, turns a panic into an error: others wait for the read, and in a
// goroutine of the store the panic would end the process.
func recovered(r *result) {
	if p := recover(); p != nil {
		*r = result{err: fmt.Errorf("reading a token: panic: %v\n%s", p, debug.Stack())}
	}
}
