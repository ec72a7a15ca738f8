package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

var errDown = errors.New("the disk is on fire")

// What is held says the same as the record.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	owner := func(change func(*token.Owner)) *token.Owner {
		o := enabled("alice")
		change(o)
		return o
	}
	retired := func(until time.Time) func(*token.Token) {
		return func(t *token.Token) {
			t.Retired = []token.RetiredSecret{{Digest: t.Digest, Until: until}}
			t.Digest = digest("the new secret")
		}
	}
	expires := func(at time.Time) func(*token.Token) { return func(t *token.Token) { t.ExpiresAt = at } }
	from := func(ranges ...string) func(*token.Token) {
		return func(t *token.Token) {
			for _, r := range ranges {
				t.AllowedIPs = append(t.AllowedIPs, netip.MustParsePrefix(r))
			}
		}
	}
	for _, row := range []struct {
		name  string
		token *token.Token
		owner *token.Owner
		want  policy.Reason
	}{
		{"a token", tok("t"), nil, policy.Forward},
		{"of nobody", tok("t", func(t *token.Token) { t.Owner = "" }), nil, policy.Forward},
		{"no token", nil, nil, policy.TokenUnknown},
		{"revoked", tok("t", revoked), nil, policy.TokenRevoked},
		{"expired just now", tok("t", expires(now)), nil, policy.TokenExpired},
		{"expires later", tok("t", expires(now.Add(1))), nil, policy.Forward},
		{"expires in 9999", tok("t", expires(time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC))), nil, policy.Forward},
		{"expired in 1970", tok("t", expires(time.Unix(0, 0))), nil, policy.TokenExpired},
		{"another scope", tok("t", powerless), nil, policy.ScopeMissing},
		{"no grants", tok("t", func(t *token.Token) { t.Grants = nil }), nil, policy.ScopeMissing},
		{"from here", tok("t", from("192.0.2.0/24", "10.0.0.0/8")), nil, policy.Forward},
		{"not from here", tok("t", from("192.0.2.0/24")), nil, policy.AddressNotAllowed},
		{"retired secret in its overlap", tok("t", retired(now.Add(1))), nil, policy.Forward},
		{"retired secret after it", tok("t", retired(now)), nil, policy.TokenRevoked},
		{"retired secret without overlap", tok("t", retired(time.Time{})), nil, policy.TokenRevoked},
		{"owner enabled", tok("t"), enabled("alice"), policy.Forward},
		{"owner disabled", tok("t"), disabled("alice"), policy.OwnerDisabled},
		{"owner may do nothing", tok("t"), owner(func(o *token.Owner) { o.Grants = nil }), policy.ScopeMissing},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			if row.token != nil {
				m.put(row.token)
			}
			if row.owner != nil {
				m.change(m.setOwner(row.owner))
			}
			c := newCache(t, m, Options{})
			if got, ok := get(c, "t", now); ok {
				t.Errorf("Get answers %v before anything was read", got)
			}
			wantHeld(t, c, "t", row.want)
			if got := fetch(t, c, "t", now); got != row.want {
				t.Errorf("Fetch again: %v, want %v", got, row.want)
			}
			if n := m.finds(); n != 1 {
				t.Errorf("%d reads of the store, want 1", n)
			}
		})
	}
}

// wantHeld checks what a secret is found to be, and that it is held then.
func wantHeld(t *testing.T, c *Cache, secret string, want policy.Reason) {
	t.Helper()
	if got := fetch(t, c, secret, now); got != want {
		t.Errorf("Fetch: %v, want %v", got, want)
	}
	if got, ok := get(c, secret, now); !ok || got != want {
		t.Errorf("Get after Fetch: %v, answered %v, want %v", got, ok, want)
	}
}

// By the time a change is acknowledged, Get answers nothing older.
func TestChangeReachesWhatIsHeld(t *testing.T) {
	t.Parallel()
	for _, k := range changes {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			k.before(m)
			c := newCache(t, m, Options{})
			for _, secret := range []string{"a", "b"} {
				fetch(t, c, secret, now)
			}
			if got, ok := get(c, "a", now); !ok || got != k.was {
				t.Fatalf("before the change: %v, answered %v, want %v", got, ok, k.was)
			}
			m.change(k.change(m))
			if got, ok := get(c, "a", now); ok {
				t.Errorf("Get right after the change answers %v, want that the store is asked", got)
			}
			wantHeld(t, c, "a", k.is)
			if got, ok := get(c, "b", now); !ok || got != policy.Forward && got != k.is {
				t.Errorf("another token: %v, answered %v, want it held still, or again", got, ok)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	t.Parallel()
	const ttl, negative = 30 * time.Second, 3 * time.Second
	for _, row := range []struct {
		secret string
		after  time.Duration
		want   Answer
	}{
		{"known", 0, Held},
		{"known", ttl - 1, Held},
		{"known", ttl, Lapsed},
		{"unknown", 0, Unknown},
		{"unknown", negative - 1, Unknown},
		{"unknown", negative, Absent},
	} {
		m := newMemory(tok("known"))
		c := newCache(t, m, Options{TTL: ttl, NegativeTTL: negative})
		fetch(t, c, row.secret, now)
		d := digest(row.secret)
		if _, got := c.Get(&d, now.Add(row.after)); got != row.want {
			t.Errorf("Get of the %s token after %v = %v, want %v", row.secret, row.after, got, row.want)
		}
		before := m.finds()
		fetch(t, c, row.secret, now.Add(row.after))
		if got, want := m.finds() > before, row.want == Absent || row.want == Lapsed; got != want {
			t.Errorf("Fetch of the %s token after %v reads the store: %v, want %v", row.secret, row.after, got, want)
		}
		if _, got := c.Get(&d, now.Add(row.after)); got == Absent || got == Lapsed {
			t.Errorf("Get of the %s token after it was read again = %v", row.secret, got)
		}
	}
}

func TestNegativeDurationsMeanNone(t *testing.T) {
	t.Parallel()
	c := newCache(t, newMemory(tok("known")), Options{TTL: -1, NegativeTTL: -1})
	for _, secret := range []string{"known", "unknown"} {
		fetch(t, c, secret, now)
		if got, ok := get(c, secret, now); ok {
			t.Errorf("Get of the %s token answers %v, want nothing held", secret, got)
		}
	}
}

// A record that changed without a word is taken over when it is read again.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	for _, k := range changes {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			k.before(m)
			c := newCache(t, m, Options{})
			fetch(t, c, "a", now)
			m.commit(k.change(m))
			later := now.Add(time.Hour)
			if got := fetch(t, c, "a", later); got != k.is {
				t.Errorf("Fetch after the TTL: %v, want %v", got, k.is)
			}
			if got, ok := get(c, "a", later); !ok || got != k.is {
				t.Errorf("Get after that: %v, answered %v, want %v", got, ok, k.is)
			}
			if got := c.Stats(); got.Held+got.Unknown != 1 {
				t.Errorf("%d held and %d unknown, want the one digest in one place", got.Held, got.Unknown)
			}
		})
	}
}

func TestStoreDown(t *testing.T) {
	t.Parallel()
	const ttl, maxStale = 30 * time.Second, 10 * time.Second
	for _, row := range []struct {
		name    string
		secret  string
		after   time.Duration
		change  func(*memory) func() store.Change
		options Options
		serves  bool
	}{
		{name: "within the TTL", secret: "t", after: ttl - 1, serves: true},
		{name: "within max stale", secret: "t", after: ttl + maxStale - 1, serves: true},
		{name: "after max stale", secret: "t", after: ttl + maxStale},
		{name: "without max stale", secret: "t", after: ttl, options: Options{MaxStale: -1}},
		{name: "token changed", secret: "t", change: func(m *memory) func() store.Change { return m.setTokens(tok("t", revoked)) }},
		{name: "owner changed", secret: "t", change: func(m *memory) func() store.Change { return m.setOwner(disabled("alice")) }},
		{name: "never held", secret: "other"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory(tok("t"))
			o := row.options
			o.TTL = ttl
			if o.MaxStale == 0 {
				o.MaxStale = maxStale
			}
			c := newCache(t, m, o)
			fetch(t, c, "t", now)
			m.find = func(context.Context, int) error { return errDown }
			if row.change != nil {
				m.change(row.change(m))
			}
			s, known, err := c.Fetch(t.Context(), digest(row.secret), now.Add(row.after))
			if row.serves {
				if v := verdict(s, known); err != nil || v != policy.Forward {
					t.Errorf("Fetch: %v, %v, want the held token", v, err)
				}
				return
			}
			if !errors.Is(err, errDown) || known {
				t.Errorf("Fetch: known %v, error %v, want %v", known, err, errDown)
			}
			if got, ok := get(c, row.secret, now.Add(row.after)); ok {
				t.Errorf("Get after the error answers %v: an error was remembered", got)
			}
		})
	}
}

func TestErrorIsNotRemembered(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	m.find = func(_ context.Context, call int) error {
		if call == 1 {
			return errDown
		}
		return nil
	}
	c := newCache(t, m, Options{})
	if _, _, err := c.Fetch(t.Context(), digest("t"), now); !errors.Is(err, errDown) {
		t.Fatalf("Fetch from a store that is down: %v, want %v", err, errDown)
	}
	if got := fetch(t, c, "t", now); got != policy.Forward {
		t.Errorf("Fetch a moment later: %v, want %v", got, policy.Forward)
	}
}

// fill has n tokens held and returns their secrets.
func fill(t testing.TB, c *Cache, m *memory, n int) []string {
	t.Helper()
	secrets := make([]string, n)
	tokens := make([]*token.Token, n)
	for i := range n {
		secrets[i] = fmt.Sprintf("t%d", i)
		tokens[i] = tok(secrets[i])
	}
	m.mu.Lock()
	for _, t := range tokens {
		m.tokens[t.Digest] = t
	}
	m.mu.Unlock()
	for _, secret := range secrets {
		if _, known, err := c.Fetch(t.Context(), digest(secret), now); !known || err != nil {
			t.Fatalf("Fetch(%s): known %v, %v", secret, known, err)
		}
	}
	return secrets
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	t.Parallel()
	m := newMemory()
	c := newCache(t, m, Options{Size: 3})
	secrets := fill(t, c, m, 3)
	get(c, secrets[0], now)
	m.put(tok("new"))
	fetch(t, c, "new", now)
	for secret, want := range map[string]bool{secrets[0]: true, secrets[1]: false, secrets[2]: true, "new": true} {
		if _, got := get(c, secret, now); got != want {
			t.Errorf("%s is held: %v, want %v", secret, got, want)
		}
	}
	if got := c.Stats().Evicted; got != 1 {
		t.Errorf("Evicted = %d, want 1", got)
	}
}

// Sizes are kept to, and no shard turns tokens out while others have room.
func TestSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 100, 1000, 20_000} {
		m := newMemory()
		c := newCache(t, m, Options{Size: size})
		fill(t, c, m, size)
		if got := c.Stats().Held; got > size || got < size*95/100 {
			t.Errorf("%d of %d tokens are held, want nearly all", got, size)
		}
		fill(t, c, m, size+size/2+1)
		if got := c.Stats().Held; got > size || got < size*99/100 {
			t.Errorf("%d tokens are held, want %d", got, size)
		}
	}
}

func TestApply(t *testing.T) {
	t.Parallel()
	m := newMemory()
	c := newCache(t, m, Options{Size: 1000, NegativeSize: 100})
	secrets := fill(t, c, m, 100)
	for i := range 50 {
		fetch(t, c, fmt.Sprintf("garbage %d", i), now)
	}
	for _, row := range []struct {
		name          string
		options       Options
		held, unknown int
	}{
		{"grow", Options{Size: 5000, NegativeSize: 500}, 100, 50},
		{"shrink", Options{Size: 10, NegativeSize: 5}, 10, 5},
		{"grow again", Options{}, 10, 5},
	} {
		c.Apply(row.options)
		if got := c.Stats(); got.Held != row.held || got.Unknown != row.unknown {
			t.Errorf("%s: %d held, %d unknown; want %d, %d", row.name, got.Held, got.Unknown, row.held, row.unknown)
		}
	}
	last := secrets[len(secrets)-1]
	if got, ok := get(c, last, now.Add(50*time.Second)); !ok || got != policy.Forward {
		t.Errorf("after Apply, within the TTL: %v, answered %v", got, ok)
	}
	c.Apply(Options{TTL: 50 * time.Second})
	if got, ok := get(c, last, now.Add(50*time.Second)); ok {
		t.Errorf("after Apply of a shorter TTL, Get answers %v", got)
	}
}

// Garbage pushes out garbage, never a token.
func TestFloodOfUnknownDigests(t *testing.T) {
	t.Parallel()
	const flood = 100_000
	m := newMemory()
	c := newCache(t, m, Options{Size: 1000, NegativeSize: 1000})
	secrets := fill(t, c, m, 900)
	for i := range flood {
		d := token.Digest{31: 1}
		binary.BigEndian.PutUint64(d[:], uint64(i)*0x9e3779b97f4a7c15)
		if _, known, err := c.Fetch(t.Context(), d, now); known || err != nil {
			t.Fatalf("Fetch of garbage: known %v, %v", known, err)
		}
	}
	for _, secret := range secrets {
		if _, ok := get(c, secret, now); !ok {
			t.Errorf("%s is no longer held", secret)
		}
	}
	if got := c.Stats().Unknown; got > 1000 {
		t.Errorf("%d unknown digests are remembered, want at most 1000", got)
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t"))
	var took []error
	c := newCache(t, m, Options{Observe: func(_ time.Duration, err error) { took = append(took, err) }})
	get(c, "t", now)            // a miss
	fetch(t, c, "t", now)       // found
	get(c, "t", now)            // a hit
	get(c, "t", now)            // a hit
	fetch(t, c, "garbage", now) // not found
	get(c, "garbage", now)      // a negative hit
	for _, secret := range []string{"t", "garbage", "other"} {
		d := digest(secret)
		c.Look(&d, now) // not counted
	}
	m.find = func(context.Context, int) error { return errDown }
	fetch(t, c, "t", now.Add(time.Minute)) // an error, and stale
	want := Stats{Held: 1, Unknown: 1, Hits: 2, NegativeHits: 1, Misses: 1, Found: 1, NotFound: 1, Errors: 1, Stale: 1}
	if got := c.Stats(); got != want {
		t.Errorf("Stats() =\n%+v, want\n%+v", got, want)
	}
	once := Stats{Held: 1, Unknown: 2, Hits: 3, NegativeHits: 4, Misses: 5, Found: 6, NotFound: 7, Errors: 8, Outdated: 9, Coalesced: 10, Stale: 11, Evicted: 12}
	twice := Stats{Held: 2, Unknown: 4, Hits: 6, NegativeHits: 8, Misses: 10, Found: 12, NotFound: 14, Errors: 16, Outdated: 18, Coalesced: 20, Stale: 22, Evicted: 24}
	if got := once.Plus(once); got != twice {
		t.Errorf("twice\n%+v is\n%+v, want\n%+v", once, got, twice)
	}
	if len(took) != 3 || took[0] != nil || !errors.Is(took[1], store.ErrNotFound) || !errors.Is(took[2], errDown) {
		t.Errorf("Observe was told %v, want nil, not found, and that the store is down", took)
	}
}

func TestShardCount(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1: 1, 1000: 1, 2048: 4, 100_000: 128, 1_000_000: 256} {
		if got := shardCount(Options{Size: size}.WithDefaults()); got != want {
			t.Errorf("%d shards for %d tokens, want %d", got, size, want)
		}
	}
}
