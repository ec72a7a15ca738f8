package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// latencies counts how long answers took, in buckets that are 6 % wide at most.
// One goroutine adds, others may look.
type latencies struct {
	counts [latencyBuckets]atomic.Uint32
}

const (
	latencyStep    = time.Microsecond // below it all is alike
	latencyHalves  = 16               // buckets for each doubling
	latencyBuckets = 26 * latencyHalves
)

func (l *latencies) add(d time.Duration) { l.counts[bucketOf(d)].Add(1) }

// bucketOf returns the bucket of a duration: 16 of one step each, then 16 for
// each doubling.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0) / latencyStep)
	if n < latencyHalves {
		return int(n)
	}
	shift := bits.Len64(n) - 5
	return min(latencyHalves*(shift+1)+int(n>>shift)-latencyHalves, latencyBuckets-1)
}

// bucketEnd returns the longest duration that a bucket counts.
func bucketEnd(i int) time.Duration {
	if i < latencyHalves {
		return time.Duration(i+1) * latencyStep
	}
	shift := i/latencyHalves - 1
	return time.Duration(i%latencyHalves+latencyHalves+1) << shift * latencyStep
}

// spread is a sum of latencies.
type spread [latencyBuckets]uint64

// took returns how long all answers so far took.
func (l *load) took() (s spread) {
	for i := range l.times {
		for b := range l.times[i].counts {
			s[b] += uint64(l.times[i].counts[b].Load())
		}
	}
	return s
}

// since returns what has been added since an earlier spread.
func (s spread) since(before spread) spread {
	for i := range s {
		s[i] -= before[i]
	}
	return s
}

func (s *spread) add(more spread) {
	for i, n := range more {
		s[i] += n
	}
}

// total returns how many latencies there are.
func (s *spread) total() (n uint64) {
	for _, count := range s {
		n += count
	}
	return n
}

// quantile returns the duration that this share of the answers didn't exceed.
func (s *spread) quantile(share float64) time.Duration {
	total, seen := s.total(), uint64(0)
	for i, n := range s {
		if seen += n; n > 0 && float64(seen) >= share*float64(total) {
			return bucketEnd(i)
		}
	}
	return 0
}
