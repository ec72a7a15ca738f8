// Package pace limits the rate at which each of many may do something, by a token bucket
// for each: a burst at once, then one per interval.
package pace

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// kept is how many are counted; the least recent are forgotten.
const kept = 10_000

// Pace holds the buckets, those of the 10,000 who were seen last. Safe for concurrent
// use.
type Pace struct {
	every  time.Duration
	burst  int
	counts *lru.Cache[string, *rate.Limiter]
}

// New returns a Pace that allows each of them burst times at once, and then once every
// interval.
func New(burst int, every time.Duration) *Pace {
	counts, err := lru.New[string, *rate.Limiter](kept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Pace{every, burst, counts}
}

// Allow reports whether who may do it once more at now, and counts it if so.
func (p *Pace) Allow(who string, now time.Time) bool {
	l, known := p.counts.Get(who)
	if !known {
		l = rate.NewLimiter(rate.Every(p.every), p.burst)
		if other, known, _ := p.counts.PeekOrAdd(who, l); known {
			l = other
		}
	}
	return l.AllowN(now, 1)
}
