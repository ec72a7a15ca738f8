//go:build linux

package main

import (
	"testing"
	"time"
)

func TestLatencies(t *testing.T) {
	t.Parallel()
	for _, d := range []time.Duration{0, time.Microsecond, 15 * time.Microsecond, 16 * time.Microsecond, 33 * time.Microsecond,
		time.Millisecond, 7 * time.Millisecond, time.Second, 20 * time.Second} {
		end := bucketEnd(bucketOf(d))
		if end < d || float64(end) > float64(d)*1.0625+float64(latencyStep) {
			t.Errorf("%s is counted as up to %s", d, end)
		}
	}
	if got := bucketOf(time.Hour); got != latencyBuckets-1 {
		t.Errorf("an hour is in bucket %d of %d", got, latencyBuckets)
	}
	l := load{times: make([]latencies, 2)}
	l.times[0].add(time.Second)
	before := l.took()
	for i := range 1000 {
		l.times[i%2].add(time.Duration(i) * time.Millisecond)
	}
	s := l.took().since(before)
	for share, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: 999 * time.Millisecond} {
		if got := s.quantile(share); got < want || float64(got) > 1.07*float64(want) {
			t.Errorf("quantile(%v) = %s, want about %s", share, got, want)
		}
	}
	if got := new(spread).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %s", got)
	}
}
