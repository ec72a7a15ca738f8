// Package cache answers, fast, what the token behind a digest may do.
//
// It keeps what tokens are, never a verdict, in three tiers: tokens held in
// memory (an LRU), digests remembered as unknown (an LRU of their own, so that
// a flood of garbage pushes out no token), and the store, which is read once
// however many callers wait for the same digest.
//
// What is held never outlives a change. The cache watches the store, and by the
// time a change is acknowledged
//
//   - nothing is held under the digests of the tokens changed,
//   - nothing is answered with the record of an owner changed until that has
//     been read again,
//   - the reads of any of these that were under way are disowned: what they
//     bring is neither held nor given to anyone; who waits for it reads again.
//
// The last point is what a cache usually gets wrong: a slow read that began
// before a revocation ends after it, and puts the old record back.
package cache

import (
	"cmp"
	"context"
	"math"
	"math/bits"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Options are a cache's settings. Zero means the default; a negative TTL,
// NegativeTTL or MaxStale means none.
type Options struct {
	Size         int           // tokens held; 100,000
	TTL          time.Duration // a token held for so long is read again; 60 s
	NegativeSize int           // digests remembered as unknown; 10,000
	NegativeTTL  time.Duration // an unknown digest is looked up again after this; 5 s
	// MaxStale is how long a held token still serves while the store can't be
	// read; 60 s. It begins at the end of the token's TTL. With a store that other
	// processes change (store.Shared) it begins when the store was last heard, or
	// the token read if that was later, and is Silence at least.
	MaxStale time.Duration
	// Observe, if set, is told how long each read of the store took and what
	// it returned: nil, store.ErrNotFound, or that the store couldn't be asked.
	Observe func(took time.Duration, err error)
	// Changed, if set, is called for every change of the store, once no answer of
	// the cache can be older than it. The rules of store.Store.Watch hold for it.
	Changed func(store.Change)
}

// Silence is how long a store that other processes change (store.Shared) may be silent
// before no held token is trusted without asking it. While it can't be asked either,
// held tokens serve for Options.MaxStale since it was heard, or since they were read.
const Silence = time.Second

// WithDefaults returns the options with the defaults in place of zeros.
func (o Options) WithDefaults() Options {
	o.Size = cmp.Or(o.Size, 100_000)
	o.TTL = cmp.Or(o.TTL, time.Minute)
	o.NegativeSize = cmp.Or(o.NegativeSize, 10_000)
	o.NegativeTTL = cmp.Or(o.NegativeTTL, 5*time.Second)
	o.MaxStale = cmp.Or(o.MaxStale, time.Minute)
	return o
}

// Cache holds tokens in front of a store. Safe for concurrent use.
type Cache struct {
	store   store.Store
	shared  store.Shared // the store, if other processes change it
	async   store.Async  // the store, if it need not be waited for
	unwatch func()
	options atomic.Pointer[Options]
	start   time.Time
	shards  []shard // a power of two of them
	owners  *owners
	grants  *interned[policy.Grants]
	allowed *interned[[]netip.Prefix]

	ctx   context.Context // of the reads of the store; ends with Close
	stop  context.CancelFunc
	reads sync.WaitGroup
}

// New returns a cache in front of s and starts watching s.
func New(s store.Store, o Options) *Cache {
	c := &Cache{
		store:   s,
		start:   time.Now(),
		owners:  newOwners(),
		grants:  newInterned[policy.Grants](),
		allowed: newInterned[[]netip.Prefix](),
	}
	c.shared, _ = s.(store.Shared)
	c.async, _ = s.(store.Async)
	opts := c.inForce(o)
	c.shards = make([]shard, shardCount(*opts))
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.options.Store(opts)
	for i := range c.shards {
		c.shards[i].init(share(opts.Size, i, len(c.shards)), share(opts.NegativeSize, i, len(c.shards)))
	}
	c.tellHolds(opts)
	c.unwatch = s.Watch(c.changed)
	return c
}

// inForce returns the options that result from o.
func (c *Cache) inForce(o Options) *Options {
	opts := o.WithDefaults()
	if c.shared != nil { // its silence isn't noticed sooner
		opts.MaxStale = max(opts.MaxStale, Silence)
	}
	return &opts
}

// tellHolds tells a store of many gateways how long this one may serve what it
// holds without hearing of changes.
func (c *Cache) tellHolds(o *Options) {
	if c.shared != nil {
		c.shared.Holds(o.MaxStale)
	}
}

// Apply takes over new options and keeps what is held, as far as it has room.
// What is held already is subject to the new durations. Not to be called twice
// at the same time.
func (c *Cache) Apply(o Options) {
	opts := c.inForce(o)
	c.options.Store(opts)
	c.tellHolds(opts)
	for i := range c.shards {
		c.shards[i].resize(share(opts.Size, i, len(c.shards)), share(opts.NegativeSize, i, len(c.shards)))
	}
}

// Options returns the options in force, with no zeros left.
func (c *Cache) Options() Options { return *c.options.Load() }

// Close stops watching the store, drops everything held, and returns when the
// reads under way have ended; then the store may be closed. After it, Get holds
// nothing and Fetch fails. To be called once.
func (c *Cache) Close() {
	for i := range c.shards {
		c.shards[i].close()
	}
	c.unwatch()
	c.stop()
	c.reads.Wait()
}

// Answer is what the cache knows of a digest.
type Answer uint8

// The answers of Get.
const (
	Absent  Answer = iota // nothing: Fetch must be asked
	Lapsed                // the token is held, but must be read again: Fetch must be asked
	Held                  // the token is held
	Unknown               // a moment ago no token had this digest
)

// Glance is Get without a lock. It returns nil also for held tokens that haven't been
// asked for lately, and counts only those it returns.
func (c *Cache) Glance(d *token.Digest, now time.Time) *policy.Subject {
	o, at, s := c.options.Load(), c.since(now), c.shard(d)
	if e := s.held.glance(d); e != nil && e.serves(at, c.heard(at), o) {
		s.glances.Add(1)
		return &e.subject
	}
	return nil
}

// Get returns the token with digest d if it is held at now. It never waits for
// the store and allocates nothing. The subject is shared, and doesn't change.
func (c *Cache) Get(d *token.Digest, now time.Time) (*policy.Subject, Answer) {
	return c.look(d, now, (*Stats).count)
}

// Look is Get for other purposes than a request: it isn't counted.
func (c *Cache) Look(d *token.Digest, now time.Time) (*policy.Subject, Answer) {
	return c.look(d, now, func(*Stats, Answer) {})
}

func (c *Cache) look(d *token.Digest, now time.Time, count func(*Stats, Answer)) (*policy.Subject, Answer) {
	o, at := c.options.Load(), c.since(now)
	h, s := c.heard(at), c.shard(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	subject, answer := s.lookup(d, at, h, o)
	count(&s.stats, answer)
	return subject, answer
}

// changed is called by the store for every change, before the change is
// acknowledged.
func (c *Cache) changed(change store.Change) {
	c.forget(change)
	if told := c.options.Load().Changed; told != nil {
		told(change)
	}
}

// forget drops what a change has made untrue.
func (c *Cache) forget(change store.Change) {
	if change.Reset {
		c.owners.reset()
		for i := range c.shards {
			c.shards[i].reset()
		}
		return
	}
	c.owners.changed(change.Owners, change.Position)
	for i := range change.Digests {
		d := &change.Digests[i]
		c.shard(d).forget(d)
	}
}

// heard says how well the store is heard at a time.
func (c *Cache) heard(at time.Duration) hearing {
	if c.shared == nil {
		return hearing{all: true, trusted: true}
	}
	last := c.since(c.shared.Heard())
	return hearing{last: last, trusted: at-last < Silence}
}

// hearing is how well a store is heard that other processes change.
type hearing struct {
	all     bool          // no other process changes it
	trusted bool          // what is held may be used without asking
	last    time.Duration // when it was heard last
}

// serves reports whether e may be used at a time without asking the store.
func (e *entry) serves(at time.Duration, h hearing, o *Options) bool {
	return h.trusted && at-e.read < o.TTL && !e.subject.Owner.Stale.Load()
}

// since returns now in the form in which the cache keeps times. If now has a monotonic
// clock reading, that is used: setting the wall clock back makes no token last longer.
func (c *Cache) since(now time.Time) time.Duration { return max(now.Sub(c.start), never) }

// never is the zero time: it is before every real time, but not so far that
// subtracting it overflows.
const never = math.MinInt64 / 2

// shard returns the shard of d. Digests are uniform, so that any byte will do.
func (c *Cache) shard(d *token.Digest) *shard {
	return &c.shards[int(d[0])&(len(c.shards)-1)]
}

// shardCount returns the number of shards, each with a lock of its own, which
// doesn't change later. A small cache has fewer: shards fill unevenly, and a small
// one would evict tokens while others have room.
func shardCount(o Options) int {
	n := max(min(o.Size/512, o.NegativeSize/32, 256), 1)
	return 1 << (bits.Len(uint(n)) - 1)
}

// share returns shard i's part of total, of n shards.
func share(total, i, n int) int {
	part := total / n
	if i < total%n {
		part++
	}
	return max(part, 1)
}
