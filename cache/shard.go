package cache

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// shard is the part of the cache that some of the digests are in.
type shard struct {
	mu      sync.Mutex
	held    heldTokens
	unknown *simplelru.LRU[token.Digest, time.Duration] // since when
	flights map[token.Digest]*flight
	closed  bool
	stats   Stats
	glances atomic.Uint64 // hits that took no lock

	_ [64]byte // so that no two shards share a cache line
}

func (s *shard) init(size, negativeSize int) {
	s.held.init(size)
	s.unknown = newLRU[token.Digest, time.Duration](negativeSize, nil)
	s.flights = map[token.Digest]*flight{}
}

// lookup returns what is known of d at a time. The shard is locked.
func (s *shard) lookup(d *token.Digest, at time.Duration, h hearing, o *Options) (*policy.Subject, Answer) {
	if e := s.held.get(d); e != nil {
		if e.serves(at, h, o) {
			return &e.subject, Held
		}
		return nil, Lapsed
	}
	if read, ok := s.unknown.Get(*d); ok && h.trusted && at-read < o.NegativeTTL {
		return nil, Unknown
	}
	return nil, Absent
}

// stale returns the token with digest d, or nil, if it is held and, now that the
// store can't be read, may serve past its TTL. An owner whose record has changed
// stops it even then.
func (s *shard) stale(d *token.Digest, at time.Duration, h hearing, o *Options) *policy.Subject {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.held.peek(d)
	if e == nil {
		return nil
	}
	// Changes by other processes are known up to when the store was heard, or the
	// token read. Without other processes a token is good for its TTL.
	good := max(e.read, h.last)
	if h.all {
		good = e.read + o.TTL
	}
	if at-good >= o.MaxStale || e.subject.Owner.Stale.Load() {
		return nil
	}
	s.stats.Stale++
	return &e.subject
}

// land ends f with the result of its read, and holds that, unless f has ended before.
func (s *shard) land(f *flight, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[f.digest] != f {
		return
	}
	switch {
	case r.err != nil:
		s.stats.Errors++
	case r.outdated, r.entry != nil && r.entry.subject.Owner.Stale.Load():
		s.stats.Outdated++
		r = result{outdated: true}
	case r.entry != nil:
		s.stats.Found++
		s.unknown.Remove(f.digest)
		if s.held.add(r.entry) {
			s.stats.Evicted++
		}
	default:
		s.stats.NotFound++
		s.held.remove(&f.digest)
		s.unknown.Add(f.digest, f.at)
	}
	s.end(f, r)
}

// forget drops what is known of d and disowns the read of it that is under way.
func (s *shard) forget(d *token.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held.remove(d)
	s.unknown.Remove(*d)
	if f := s.flights[*d]; f != nil {
		s.stats.Outdated++
		s.end(f, result{outdated: true})
	}
}

// reset drops everything and disowns the reads that are under way.
func (s *shard) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Outdated += uint64(len(s.flights))
	s.clear(result{outdated: true})
}

// end takes f off the shard and releases its waiters. A flight is taken off and ended in
// one step, so that it is ended once. The shard is locked.
func (s *shard) end(f *flight, r result) {
	delete(s.flights, f.digest)
	f.result = r
	close(f.done)
}

func (s *shard) figures() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.stats
	f.Hits += s.glances.Load()
	f.Held, f.Unknown = s.held.lru.Len(), s.unknown.Len()
	return f
}

func (s *shard) resize(size, negativeSize int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Evicted += uint64(s.held.resize(size))
	s.unknown.Resize(negativeSize)
}

// close drops everything for good: nothing is read or held any more.
func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.clear(result{err: errClosed})
}

// clear drops everything, and ends the reads that are under way. The shard is locked.
func (s *shard) clear(r result) {
	s.held.lru.Purge()
	s.unknown.Purge()
	for _, f := range s.flights {
		s.end(f, r)
	}
}
