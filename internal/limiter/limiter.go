// Package limiter bounds how many unknown tokens are looked up: those that each address
// sends, and those of all addresses together.
package limiter

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// Total is how many unknown tokens of all addresses together the store is asked for: in a
// second, on average, and at once after a quiet while. More is a flood from
// countless addresses.
const Total = 1000

const (
	addresses = 1 << 16 // remembered; the least recent are forgotten
	shards    = 16
)

// ErrFlood is why the store isn't asked for more than Total.
var ErrFlood = errors.New("too many unknown tokens are being sent, from all addresses together")

// Limiter counts the unknown tokens that each address has sent, and all together.
// Its memory is bounded however many addresses there are. Safe for concurrent use.
type Limiter struct {
	shards [shards]shard
	total  *rate.Limiter // of what the store is asked for
}

type shard struct {
	mu     sync.Mutex
	limit  int // 0: none
	window time.Duration
	counts *simplelru.LRU[netip.Addr, count]
}

// count is how many unknown tokens an address has sent in the window that ends
// at until.
type count struct {
	n      int
	until  time.Time
	asking int           // lookups under way that may turn out to be of unknown tokens
	freed  chan struct{} // closed when one of them ends; nil: nobody waits
}

// New returns a Limiter. What it takes is as for Apply.
func New(limit int, window time.Duration) *Limiter {
	l := &Limiter{total: rate.NewLimiter(Total, Total)}
	for i := range l.shards {
		l.shards[i].counts, _ = simplelru.NewLRU(addresses/shards, forgotten) // fails for sizes below 1 only
	}
	l.Apply(limit, window)
	return l
}

// forgotten wakes those who wait for an address when it is evicted.
func forgotten(_ netip.Addr, c count) {
	if c.freed != nil {
		close(c.freed)
	}
}

// Apply sets how many unknown tokens an address may send in a window of time; 0: any
// number. Counts go on.
func (l *Limiter) Apply(limit int, window time.Duration) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.limit, s.window = limit, window
		s.mu.Unlock()
	}
}

// shard returns where an address is counted and as what: an IPv6 address with
// its /64, which one customer has all of.
func (l *Limiter) shard(from netip.Addr) (*shard, netip.Addr) {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		prefix, _ := from.Prefix(64) // fails for lengths over 128 only
		from = prefix.Addr()
	}
	b := from.As16()
	h := b[15] ^ b[14] ^ b[7] ^ b[6] ^ b[5]
	return &l.shards[h%shards], from
}

// Add counts a token that is known to be unknown. It returns how long the address is
// still refused, 0 if it isn't.
func (l *Limiter) Add(from netip.Addr, now time.Time) (retryAfter time.Duration) {
	s, key := l.shard(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == 0 {
		return 0
	}
	c := s.count(key, now)
	if c.n >= s.limit {
		return c.until.Sub(now)
	}
	c.n++
	s.counts.Add(key, c)
	return 0
}

// count returns the count of an address as it is now. The shard is locked.
func (s *shard) count(key netip.Addr, now time.Time) count {
	c, _ := s.counts.Get(key)
	if !now.Before(c.until) {
		c.n, c.until = 0, now.Add(s.window)
	}
	return c
}

// Enter asks whether the store may be asked for a token that isn't held. It may, and
// Leave must then be called with what came of it, unless the address is refused for some
// time still (retryAfter), all addresses together ask for too much (ErrFlood), or ctx has
// ended.
//
// As many lookups of an address are under way at a time as it may still send unknown
// tokens; the others wait for these, so that it can't send more of them by sending them
// at once.
func (l *Limiter) Enter(ctx context.Context, from netip.Addr, now time.Time) (retryAfter time.Duration, err error) {
	s, key := l.shard(from)
	for {
		s.mu.Lock()
		if s.limit == 0 {
			s.mu.Unlock()
			return 0, nil
		}
		c := s.count(key, now)
		if c.n >= s.limit {
			s.mu.Unlock()
			return c.until.Sub(now), nil
		}
		if c.n+c.asking < s.limit {
			if l.spare(now) {
				c.asking++
				s.counts.Add(key, c)
			} else {
				err = ErrFlood
			}
			s.mu.Unlock()
			return 0, err
		}
		if c.freed == nil {
			c.freed = make(chan struct{})
			s.counts.Add(key, c)
		}
		s.mu.Unlock()
		select {
		case <-c.freed:
			now = time.Now()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Leave ends what Enter has begun. unknown says that there is no such token.
func (l *Limiter) Leave(from netip.Addr, unknown bool) {
	s, key := l.shard(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if unknown && s.limit > 0 {
		l.spend()
	}
	c, ok := s.counts.Peek(key)
	if !ok {
		return // there was no room for it, or no limit
	}
	c.asking = max(c.asking-1, 0)
	if unknown {
		c.n++
	}
	if c.freed != nil {
		close(c.freed)
		c.freed = nil
	}
	s.counts.Add(key, c)
}

// spend counts a token that the store didn't know. More lookups may have been under way
// together than Total allows, since it shows only afterwards which of them are of unknown
// tokens. The excess is waited out, for a second at the longest.
func (l *Limiter) spend() {
	if now := time.Now(); l.total.TokensAt(now) > -Total {
		l.total.ReserveN(now, 1)
	}
}

// spare reports whether the store may be asked for one more unknown token.
func (l *Limiter) spare(now time.Time) bool { return l.total.TokensAt(now) >= 1 }
