package uses

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func digest(i int) *token.Digest {
	d := token.Digest(sha256.Sum256(fmt.Append(nil, i)))
	return &d
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	const every = 10 * time.Minute
	throttle := NewThrottle(100)
	now := time.Now()
	for _, c := range []struct {
		name   string
		secret int
		after  time.Duration // since the throttle was made
		want   bool
	}{
		{"the first time", 1, 0, true},
		{"at once again", 1, 0, false},
		{"another secret", 2, 0, true},
		{"a moment before its time", 1, every - time.Second, false},
		{"in time", 1, every, true},
		{"it counts from then", 1, every + time.Minute, false},
		{"the other one", 2, every + time.Minute, true},
		{"with a clock that goes backwards", 1, time.Minute, false},
		{"months later", 1, 100 * 24 * time.Hour, true},
	} {
		if got := throttle.Allow(digest(c.secret), now.Add(c.after), every); got != c.want {
			t.Errorf("%s: Allow = %v, want %v", c.name, got, c.want)
		}
	}
}

// A slot that nothing stands in is no secret's, whatever its digest is.
func TestThrottleIsEmptyAtFirst(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(100)
	for _, want := range []bool{true, false} {
		if got := throttle.Allow(new(token.Digest), throttle.start, time.Hour); got != want {
			t.Errorf("Allow of a digest of zeros = %v, want %v", got, want)
		}
	}
}

// With as many secrets as it is made for, hardly one passes twice.
func TestThrottleHasRoom(t *testing.T) {
	t.Parallel()
	const n = 20000
	throttle := NewThrottle(2 * n)
	twice := 0
	for round := range 2 {
		for i := range n {
			if passed := throttle.Allow(digest(i), throttle.start, time.Hour); round == 0 && !passed {
				t.Errorf("secret %d doesn't pass the first time", i)
			} else if round == 1 && passed {
				twice++
			}
		}
	}
	if twice > n/50 {
		t.Errorf("%d of %d secrets pass twice, want at most %d", twice, n, n/50)
	}
}

func TestThrottleConcurrently(t *testing.T) {
	t.Parallel()
	throttle := NewThrottle(100)
	var passed atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 1000 {
				if throttle.Allow(digest(1), throttle.start, time.Hour) {
					passed.Add(1)
				}
			}
		})
	}
	all.Wait()
	// Each of those that are there at the very first moment may find a free slot
	// of its own; afterwards none does.
	if n := passed.Load(); n < 1 || n > 16 {
		t.Errorf("%d pass, want one, or a few", n)
	}
}

func BenchmarkAllow(b *testing.B) {
	b.ReportAllocs()
	throttle := NewThrottle(room)
	digests := make([]token.Digest, 1<<16)
	for i := range digests {
		digests[i] = *digest(i)
	}
	now := time.Now()
	b.RunParallel(func(p *testing.PB) {
		for i := 0; p.Next(); i++ {
			throttle.Allow(&digests[i&(len(digests)-1)], now, time.Hour)
		}
	})
}
