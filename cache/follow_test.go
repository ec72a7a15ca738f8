package cache

import (
	"context"
	"testing"
	"time"
	"unsafe"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// shared is a memory that other processes change as well, and that was heard
// last at a time the test sets.
type shared struct {
	*memory
	store.Shared
	heard time.Time
	asOf  time.Time     // of what is found
	holds time.Duration // as the cache has said
}

func (s *shared) Heard() time.Time { return s.heard }

func (s *shared) Holds(d time.Duration) { s.holds = d }

func (s *shared) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	found, err := s.memory.Find(ctx, d)
	found.AsOf = s.asOf
	return found, err
}

func TestNothingHeldIsTrustedWhileTheStoreIsNotHeard(t *testing.T) {
	t.Parallel()
	const stale = 30 * time.Second
	for _, row := range []struct {
		heard time.Duration // before the request
		down  bool
		asks  bool
		want  policy.Reason
		fails bool
	}{
		{heard: 0, asks: false, want: policy.Forward},
		{heard: Silence - 1, asks: false, want: policy.Forward},
		{heard: Silence, asks: true, want: policy.Forward},
		{heard: Silence - 1, down: true, asks: false, want: policy.Forward},
		{heard: Silence, down: true, asks: true, want: policy.Forward},
		{heard: stale - 1, down: true, asks: true, want: policy.Forward},
		{heard: stale, down: true, asks: true, fails: true},
	} {
		m := &shared{memory: newMemory(tok("t")), heard: now}
		c := newCache(t, m, Options{TTL: time.Hour, MaxStale: stale})
		fetch(t, c, "t", now)
		if row.down {
			m.find = func(context.Context, int) error { return errDown }
		}
		before := m.finds()
		at := now.Add(row.heard)
		got, held := get(c, "t", at)
		var err error
		if !held {
			var s *policy.Subject
			var known bool
			s, known, err = c.Fetch(t.Context(), digest("t"), at)
			got = verdict(s, known)
		}
		if asked := m.finds() > before; asked != row.asks {
			t.Errorf("heard %v ago, down %v: asks the store: %v, want %v", row.heard, row.down, asked, row.asks)
		}
		if (err != nil) != row.fails || err == nil && got != row.want {
			t.Errorf("heard %v ago, down %v: %v, error %v; want %v, an error: %v", row.heard, row.down, got, err, row.want, row.fails)
		}
	}
}

// The computer's clock is set back by an hour, while the store isn't heard: held tokens
// serve no longer for it.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	before := time.Now()
	m := &shared{memory: newMemory(tok("t")), heard: before}
	c := newCache(t, m, Options{MaxStale: 30 * time.Second})
	fetch(t, c, "t", before)
	m.find = func(context.Context, int) error { return errDown }
	for after, serves := range map[time.Duration]bool{30*time.Second - 1: true, 30 * time.Second: false} {
		now := before.Add(after)
		wall := (*uint64)(unsafe.Pointer(&now)) // see time.Time: the seconds are above 30 bits of nanoseconds
		*wall -= 3600 << 30
		if got := now.Round(0).Sub(before.Round(0)); got != after-time.Hour {
			t.Fatalf("the clock was set back by %v, want an hour", after-got)
		}
		if _, _, err := c.Fetch(t.Context(), digest("t"), now); (err == nil) != serves {
			t.Errorf("%v after the store was heard: %v, want it served: %v", after, err, serves)
		}
	}
}

// A store that was never heard, as one that refuses from the beginning what this
// gateway writes, is asked each time.
func TestNothingHeldIsTrustedBeforeTheStoreIsHeard(t *testing.T) {
	t.Parallel()
	m := &shared{memory: newMemory(tok("t"))}
	c := newCache(t, m, Options{TTL: time.Hour})
	fetch(t, c, "t", now)
	m.commit(m.setTokens(tok("t", revoked))) // elsewhere
	if _, held := get(c, "t", now.Add(time.Second)); held {
		t.Error("a held token is trusted, though the store was never heard")
	}
	if got := fetch(t, c, "t", now.Add(Silence)); got != policy.TokenRevoked {
		t.Errorf("a token revoked by another process: %v, want %v", got, policy.TokenRevoked)
	}
}

// A token is read while the store isn't heard any more, with an owner's record
// that the store remembers from when it was. It serves no longer than that record
// may.
func TestStaleCountsFromTheOldestPart(t *testing.T) {
	t.Parallel()
	const stale = 30 * time.Second
	for _, row := range []struct {
		name string
		asOf time.Time
		good time.Duration
	}{
		{"read from the store", time.Time{}, stale + 500*time.Millisecond},
		{"read in part when it was heard", now, stale},
		{"true later than it was asked for", now.Add(time.Second), stale + 500*time.Millisecond},
	} {
		m := &shared{memory: newMemory(tok("t")), heard: now, asOf: row.asOf}
		c := newCache(t, m, Options{TTL: time.Hour, MaxStale: stale})
		fetch(t, c, "t", now.Add(500*time.Millisecond))
		m.find = func(context.Context, int) error { return errDown }
		if _, _, err := c.Fetch(t.Context(), digest("t"), now.Add(row.good-1)); err != nil {
			t.Errorf("%s: just before %v: %v", row.name, row.good, err)
		}
		if _, _, err := c.Fetch(t.Context(), digest("t"), now.Add(row.good)); err == nil {
			t.Errorf("%s: served after %v", row.name, row.good)
		}
	}
}

func TestUnknownIsAskedAgainWhileTheStoreIsNotHeard(t *testing.T) {
	t.Parallel()
	m := &shared{memory: newMemory(), heard: now}
	c := newCache(t, m, Options{NegativeTTL: time.Hour})
	fetch(t, c, "t", now)
	m.commit(m.setTokens(tok("t"))) // elsewhere, and not heard
	if got := fetch(t, c, "t", now.Add(Silence)); got != policy.Forward {
		t.Errorf("a token made by another process while the store isn't heard: %v, want %v", got, policy.Forward)
	}
}

// TestReset has changes missed in every way, and a reset after it. Another token
// of the same owner is the first to be read again, and brings the owner's record.
func TestReset(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		missed  func(*memory) func() store.Change
		was, is policy.Reason
	}{
		{"revoked", func(m *memory) func() store.Change { return m.setTokens(tok("t", revoked)) }, policy.Forward, policy.TokenRevoked},
		{"deleted", func(m *memory) func() store.Change { return m.removeToken("t") }, policy.Forward, policy.TokenUnknown},
		{"created", func(m *memory) func() store.Change { return m.setTokens(tok("new")) }, policy.TokenUnknown, policy.Forward},
		{"owner disabled", func(m *memory) func() store.Change { return m.setOwner(disabled("alice")) }, policy.Forward, policy.OwnerDisabled},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := &shared{memory: newMemory(tok("t"), tok("u")), heard: now}
			c := newCache(t, m, Options{})
			secret := "t"
			if row.was == policy.TokenUnknown {
				secret = "new"
			}
			for _, s := range []string{secret, "u"} {
				fetch(t, c, s, now)
			}
			m.commit(row.missed(m.memory))
			if got, ok := get(c, secret, now); !ok || got != row.was {
				t.Fatalf("before the reset: %v, answered %v", got, ok)
			}
			m.reset()
			if _, ok := get(c, "u", now); ok {
				t.Error("after the reset what was held is answered still")
			}
			fetch(t, c, "u", now)
			if _, ok := get(c, secret, now); ok {
				t.Error("after the reset, and after another token was read, what was held is answered still")
			}
			if got := fetch(t, c, secret, now); got != row.is {
				t.Errorf("after the reset: %v, want %v", got, row.is)
			}
		})
	}
}

// TestResetDisownsReads resets while a read is under way that has the old record,
// or the old record of the owner, in its hands.
func TestResetDisownsReads(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		missed func(*memory) func() store.Change
		want   policy.Reason
	}{
		{"revoked", func(m *memory) func() store.Change { return m.setTokens(tok("t", revoked)) }, policy.TokenRevoked},
		{"owner disabled", func(m *memory) func() store.Change { return m.setOwner(disabled("alice")) }, policy.OwnerDisabled},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := &shared{memory: newMemory(tok("t")), heard: now}
			has, goOn := make(chan struct{}), make(chan struct{})
			m.found = func(call int) {
				if call == 1 {
					close(has)
					<-goOn
				}
			}
			c := newCache(t, m, Options{})
			first := make(chan policy.Reason)
			go func() { first <- fetch(t, c, "t", now) }()
			<-has
			m.commit(row.missed(m.memory))
			m.reset()
			if got := fetch(t, c, "t", now); got != row.want {
				t.Errorf("a request after the reset: %v, want %v", got, row.want)
			}
			close(goOn)
			if got := <-first; got != row.want {
				t.Errorf("the request that waited: %v, want %v", got, row.want)
			}
			if got := fetch(t, c, "t", now); got != row.want {
				t.Errorf("a request after the old read ended: %v, want %v", got, row.want)
			}
		})
	}
}

// TestPositionsBeginAnew has the store's positions go back with a reset.
func TestPositionsBeginAnew(t *testing.T) {
	t.Parallel()
	m := &shared{memory: newMemory(tok("t")), heard: now}
	c := newCache(t, m, Options{})
	m.position = 1000
	m.change(m.setOwner(enabled("alice")))
	fetch(t, c, "t", now)
	m.position = 1
	m.commit(func() store.Change { m.owners["alice"] = disabled("alice"); return store.Change{} })
	m.reset()
	if got := fetch(t, c, "t", now); got != policy.OwnerDisabled {
		t.Errorf("after a reset to an earlier position: %v, want %v", got, policy.OwnerDisabled)
	}
}

// A store of many gateways is told for how long one that isn't heard of any more
// may still serve.
func TestStoreKnowsHowLongTokensServe(t *testing.T) {
	t.Parallel()
	m := &shared{memory: newMemory()}
	c := newCache(t, m, Options{})
	if m.holds != time.Minute {
		t.Errorf("by default: %v, want 1m", m.holds)
	}
	for _, row := range []struct{ maxStale, want time.Duration }{
		{5 * time.Minute, 5 * time.Minute}, {-1, Silence},
	} {
		c.Apply(Options{MaxStale: row.maxStale})
		if m.holds != row.want {
			t.Errorf("max_stale %v: %v, want %v", row.maxStale, m.holds, row.want)
		}
	}
}

// That a store isn't heard is noticed after Silence: held tokens serve for as long,
// whatever the options say, and the options in force say so.
func TestMaxStaleIsSilenceAtLeast(t *testing.T) {
	t.Parallel()
	o := Options{MaxStale: Silence / 10}
	for _, c := range []struct {
		store store.Store
		want  time.Duration
	}{
		{newMemory(), o.MaxStale},
		{&shared{memory: newMemory(), heard: time.Now()}, Silence},
	} {
		if got := newCache(t, c.store, o).Options().MaxStale; got != c.want {
			t.Errorf("in front of a %T: %v, want %v", c.store, got, c.want)
		}
	}
}
