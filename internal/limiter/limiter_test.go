package limiter

import (
	"context"
	"errors"
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

// An IPv6 address is counted with its /64, and an IPv4 address as what it is, however it is
// written.
func TestLimiterAddresses(t *testing.T) {
	for _, row := range []struct {
		sent, other string
		same        bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"2001:db8::1", "2001:db8::ffff:0:0:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		l, now := New(1, time.Minute), time.Unix(1, 0)
		l.Add(netip.MustParseAddr(row.sent), now)
		if refused := l.Add(netip.MustParseAddr(row.other), now) > 0; refused != row.same {
			t.Errorf("after a token from %s, one from %s is refused: %v", row.sent, row.other, refused)
		}
	}
}

// An address can't send more unknown tokens by sending them at once: those that it still may
// send are looked up, and the others wait for what comes of these.
func TestLimiterAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, from := New(3, time.Minute), netip.MustParseAddr("192.0.2.1")
		asked, refused := 0, 0
		enter := func() {
			switch wait, err := l.Enter(t.Context(), from, time.Now()); {
			case err != nil:
				t.Error(err)
			case wait > 0:
				refused++
			default:
				asked++
			}
		}
		for range 5 {
			go enter()
			synctest.Wait()
		}
		for _, step := range []struct {
			comes          string // of a lookup
			asked, refused int    // of those that came, by then
		}{
			{"", 3, 0},
			{"known", 4, 0}, // makes room for another
			{"unknown", 4, 0},
			{"unknown", 4, 0},
			{"unknown", 4, 1}, // the last that it may send
		} {
			if step.comes != "" {
				time.Sleep(time.Second)
				l.Leave(from, step.comes == "unknown")
				synctest.Wait()
			}
			if asked != step.asked || refused != step.refused {
				t.Errorf("%d are looked up and %d refused, want %d and %d", asked, refused, step.asked, step.refused)
			}
		}
		if wait, err := l.Enter(t.Context(), from, time.Now()); wait != 56*time.Second || err != nil {
			t.Errorf("then it is refused for %s, %v, want what is left of the minute since the first", wait, err)
		}
		time.Sleep(56 * time.Second)
		if wait, err := l.Enter(t.Context(), from, time.Now()); wait != 0 || err != nil {
			t.Errorf("after the minute it is refused for %s, %v", wait, err)
		}
	})
}

// Who waits for an address is let go if it gives up, or if the address is forgotten.
func TestLimiterLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, from := New(1, time.Minute), netip.MustParseAddr("10.0.0.0")
		l.Enter(t.Context(), from, time.Now())
		ctx, giveUp := context.WithCancel(t.Context())
		var gaveUp, forgotten error = nil, errors.New("still waits")
		go func() { _, gaveUp = l.Enter(ctx, from, time.Now()) }()
		go func() { _, forgotten = l.Enter(t.Context(), from, time.Now()) }()
		synctest.Wait()
		giveUp()
		synctest.Wait()
		if !errors.Is(gaveUp, context.Canceled) || forgotten == nil {
			t.Fatalf("who gives up gets %v, who doesn't %v", gaveUp, forgotten)
		}
		for i := range addresses {
			l.Add(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).Next(), time.Now())
		}
		synctest.Wait()
		if forgotten != nil {
			t.Errorf("who waits for an address that is forgotten gets %v", forgotten)
		}
	})
}

// Without a limit nobody waits, and nothing is counted.
func TestLimiterOff(t *testing.T) {
	l, from, now := New(0, time.Minute), netip.MustParseAddr("192.0.2.1"), time.Unix(1, 0)
	for range 3 {
		if wait := l.Add(from, now); wait != 0 {
			t.Errorf("without a limit it is refused for %s", wait)
		}
		if wait, err := l.Enter(t.Context(), from, now); wait != 0 || err != nil {
			t.Errorf("without a limit it is refused for %s, %v", wait, err)
		}
	}
	l.Leave(from, true)
	l.Apply(1, time.Minute)
	if wait := l.Add(from, now); wait != 0 {
		t.Errorf("for what came before the limit it is refused for %s", wait)
	}
}
