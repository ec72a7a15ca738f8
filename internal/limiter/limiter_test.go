package limiter

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// unknown has so many addresses send an unknown token each, one after the other,
// and returns for how many of them the store is asked.
func (l *Limiter) unknown(t *testing.T, addresses int) (asked int) {
	t.Helper()
	for i := range addresses {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		switch wait, err := l.Enter(t.Context(), from, time.Now()); {
		case err == nil && wait == 0:
			l.Leave(from, true)
			asked++
		case err != ErrFlood:
			t.Fatalf("address %s is refused for %s, %v", from, wait, err)
		}
	}
	return asked
}

// All addresses together have the store asked so often a second.
func TestLimiterTotal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1000, time.Minute)
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{0, Total}, {100 * time.Millisecond, Total / 10}, {time.Hour, Total}} {
			time.Sleep(c.after)
			if got := l.unknown(t, 2*Total); got != c.want {
				t.Errorf("after %s the store is asked for %d unknown tokens, want %d", c.after, got, c.want)
			}
		}
	})
}

// What came while there was no limit, or all at once, isn't held against those who
// come later.
func TestLimiterForgives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(0, time.Minute)
		l.unknown(t, 100*Total)
		l.Apply(20, time.Minute)
		if got := l.unknown(t, 10); got != 10 {
			t.Errorf("after a flood without a limit the store is asked for %d of 10 tokens", got)
		}
		from := netip.MustParseAddr("192.0.2.1")
		for range 100 * Total {
			l.Leave(from, true)
		}
		time.Sleep(1100 * time.Millisecond)
		if got := l.unknown(t, 10); got != 10 {
			t.Errorf("a second after a flood at once the store is asked for %d of 10 tokens", got)
		}
	})
}

// An address is refused for its window, and no longer: what is left of it is what it is told
// to wait.
func TestLimiterWindowEnds(t *testing.T) {
	l, from, start := New(1, time.Minute), netip.MustParseAddr("192.0.2.1"), time.Unix(1, 0)
	for _, row := range []struct{ at, refused time.Duration }{
		{0, 0}, {0, time.Minute}, {time.Minute - 1, 1}, {time.Minute, 0}, {time.Minute, time.Minute},
	} {
		if got := l.Add(from, start.Add(row.at)); got != row.refused {
			t.Errorf("after %s it is refused for %s, want %s", row.at, got, row.refused)
		}
	}
}
