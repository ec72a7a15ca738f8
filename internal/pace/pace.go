// Package pace bounds how often each of many may do something: so often at once, after a
// quiet while, and from then on once in a time.
package pace

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// kept is how many are counted; the least recent are forgotten.
const kept = 10_000

// Pace counts what each has done. Safe for concurrent use.
type Pace struct {
	every  time.Duration
	burst  int
	counts *lru.Cache[string, *rate.Limiter]
}

// New returns a Pace that lets each do something so often at once, and then once in each
// time.
func New(burst int, every time.Duration) *Pace {
	counts, err := lru.New[string, *rate.Limiter](kept)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Pace{every, burst, counts}
}

// Allow reports whether somebody may do it once more, and counts it.
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
