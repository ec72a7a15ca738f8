package caddymodule

import (
	"cmp"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	limiterAddresses = 1 << 16 // addresses remembered; the least recent are forgotten
	limiterShards    = 16
)

// limiter counts the unknown tokens that each address has sent. Its memory is
// bounded however many addresses there are.
type limiter struct {
	shards [limiterShards]limiterShard
}

type limiterShard struct {
	mu     sync.Mutex
	limit  int // 0: none
	window time.Duration
	counts *simplelru.LRU[netip.Addr, count]
}

// count is how many unknown tokens an address has sent in the window that ends
// at until, in Unix nanoseconds.
type count struct {
	n     int
	until int64
}

func newLimiter() *limiter {
	l := &limiter{}
	for i := range l.shards {
		l.shards[i].counts, _ = simplelru.NewLRU[netip.Addr, count](limiterAddresses/limiterShards, nil) // fails for sizes below 1 only
	}
	l.apply(LimitConfig{})
	return l
}

// apply puts a configuration in force. Counts go on.
func (l *limiter) apply(c LimitConfig) {
	limit := cmp.Or(c.Tokens, 20)
	if c.Off {
		limit = 0
	}
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.limit, s.window = limit, cmp.Or(time.Duration(c.Window), time.Minute)
		s.mu.Unlock()
	}
}

// shard returns where an address is counted and as what: an IPv6 address with
// its /64, which one customer has all of.
func (l *limiter) shard(from netip.Addr) (*limiterShard, netip.Addr) {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		prefix, _ := from.Prefix(64) // fails for lengths over 128 only
		from = prefix.Addr()
	}
	b := from.As16()
	h := b[15] ^ b[14] ^ b[7] ^ b[6] ^ b[5]
	return &l.shards[h%limiterShards], from
}

// blocked says how long the address is still refused, 0 if it isn't.
func (l *limiter) blocked(from netip.Addr, now time.Time) time.Duration {
	s, key := l.shard(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.counts.Peek(key)
	if !ok || s.limit == 0 || c.n < s.limit || now.UnixNano() >= c.until {
		return 0
	}
	return time.Duration(c.until - now.UnixNano())
}

// add counts an unknown token.
func (l *limiter) add(from netip.Addr, now time.Time) {
	s, key := l.shard(from)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit == 0 {
		return
	}
	c, ok := s.counts.Get(key)
	if !ok || now.UnixNano() >= c.until {
		c = count{until: now.Add(s.window).UnixNano()}
	}
	c.n++
	s.counts.Add(key, c)
}
