package cache

import (
	"context"
	"crypto/sha256"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// memory is the part of a store that a cache uses, in memory. The rest of
// store.Store panics.
type memory struct {
	store.Store

	// find, if set, stands before every Find; call counts from 1. It returns
	// the error the Find is to fail with, and it may wait.
	find func(ctx context.Context, call int) error
	// found, if set, is called at the end of every Find that has read what it returns.
	found func(call int)

	writing sync.Mutex // held from a change until its watchers know

	mu       sync.Mutex
	calls    int
	position store.Position
	tokens   map[token.Digest]*token.Token // by every digest
	owners   map[string]*token.Owner
	watchers map[int]func(store.Change)
}

func newMemory(tokens ...*token.Token) *memory {
	m := &memory{tokens: map[token.Digest]*token.Token{}, owners: map[string]*token.Owner{}, watchers: map[int]func(store.Change){}}
	m.put(tokens...)
	return m
}

func (m *memory) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	m.mu.Lock()
	m.calls++
	call := m.calls
	m.mu.Unlock()
	if m.find != nil {
		if err := m.find(ctx, call); err != nil {
			return store.Found{}, err
		}
	}
	found, err := m.read(d)
	if m.found != nil {
		m.found(call)
	}
	return found, err
}

func (m *memory) read(d token.Digest) (store.Found, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tokens[d]
	if !ok {
		return store.Found{}, store.ErrNotFound
	}
	found := store.Found{Token: t.Clone(), Current: d == t.Digest, Position: m.position}
	for _, r := range t.Retired {
		if r.Digest == d {
			found.Until = r.Until
		}
	}
	if o := m.owners[t.Owner]; o != nil {
		found.Owner = o.Clone()
	}
	return found, nil
}

func (m *memory) Watch(f func(store.Change)) (stop func()) {
	m.writing.Lock()
	defer m.writing.Unlock()
	n := len(m.watchers)
	m.watchers[n] = f
	return func() {
		m.writing.Lock()
		defer m.writing.Unlock()
		delete(m.watchers, n)
	}
}

// finds returns how often Find was called.
func (m *memory) finds() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// change stores a change and tells the watchers, as a store does.
func (m *memory) change(commit func() store.Change) {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.notify(m.commit(commit))
}

// commit stores a change: from here on it is found.
func (m *memory) commit(commit func() store.Change) store.Change {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.position++
	c := commit()
	c.Position = m.position
	return c
}

// notify tells the watchers of a change: from here on it is acknowledged.
func (m *memory) notify(c store.Change) {
	for _, f := range m.watchers {
		f(c)
	}
}

// reset tells the watchers that changes may have been missed.
func (m *memory) reset() {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.notify(store.Change{Reset: true})
}

// The changes that commit takes.

func (m *memory) setTokens(tokens ...*token.Token) func() store.Change {
	return func() (c store.Change) {
		for _, t := range tokens {
			for d, old := range m.tokens {
				if old.ID == t.ID {
					c.Digests = append(c.Digests, d)
					delete(m.tokens, d)
				}
			}
			for _, d := range t.Digests() {
				c.Digests = append(c.Digests, d)
				m.tokens[d] = t
			}
		}
		return c
	}
}

func (m *memory) removeToken(id string) func() store.Change {
	return func() (c store.Change) {
		for d, t := range m.tokens {
			if t.ID == id {
				c.Digests = append(c.Digests, d)
			}
		}
		maps.DeleteFunc(m.tokens, func(d token.Digest, _ *token.Token) bool { return slices.Contains(c.Digests, d) })
		return c
	}
}

func (m *memory) setOwner(o *token.Owner) func() store.Change {
	return func() store.Change {
		m.owners[o.ID] = o
		return store.Change{Owners: []string{o.ID}}
	}
}

func (m *memory) removeOwner(id string) func() store.Change {
	return func() store.Change {
		delete(m.owners, id)
		return store.Change{Owners: []string{id}}
	}
}

func (m *memory) put(tokens ...*token.Token) { m.change(m.setTokens(tokens...)) }

// digest returns the digest of a secret.
func digest(secret string) token.Digest { return sha256.Sum256([]byte(secret)) }

// tok returns a token of alice's that may read. Its secret is its id.
func tok(id string, change ...func(*token.Token)) *token.Token {
	t := &token.Token{ID: id, Name: "t", Owner: "alice", Digest: digest(id), Grants: []token.Grant{
		{Spaces: []string{"*"}, Scopes: []string{"read"}, Resources: []string{"*"}},
	}}
	for _, f := range change {
		f(t)
	}
	return t
}

func revoked(t *token.Token)   { t.RevokedAt = now }
func powerless(t *token.Token) { t.Grants[0].Scopes = []string{"write"} }

// replaced gives the token another secret, without an overlap.
func replaced(t *token.Token) {
	t.Retired = []token.RetiredSecret{{Digest: t.Digest, Until: now}}
	t.Digest = digest(t.ID + " again")
}

func enabled(id string) *token.Owner {
	return &token.Owner{ID: id, Enabled: true, Grants: []token.Grant{token.Full()}}
}

func disabled(id string) *token.Owner {
	o := enabled(id)
	o.Enabled = false
	return o
}

// now is the time of tests that have no other: later than their caches are made, as
// it is in a gateway.
var now = time.Now().Add(time.Hour)

// verdict returns what a request that needs the scope read is answered, given
// what the cache answered.
func verdict(s *policy.Subject, known bool) policy.Reason {
	if !known {
		return policy.TokenUnknown
	}
	var m policy.Match
	readPolicy.Match(&policy.Request{Method: "GET", Path: "/", Header: http.Header{"Authorization": {"Bearer x"}}}, &m)
	if !m.NeedsDecision() {
		panic(m.Detail)
	}
	return m.Decide(s, now, netip.MustParseAddr("10.0.0.1"))
}

var readPolicy = func() *policy.Policy {
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		panic(err)
	}
	p, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/*", Require: "read"}, {Methods: []string{"GET"}, Pattern: "/", Require: "read"}}}, catalog)
	if err != nil {
		panic(err)
	}
	return p
}()

// get returns the verdict on what is held under the digest of secret at a time;
// ok is false when the store must be asked.
func get(c *Cache, secret string, at time.Time) (v policy.Reason, ok bool) {
	d := digest(secret)
	if s := c.Glance(&d, at); s != nil {
		return verdict(s, true), true
	}
	s, answer := c.Get(&d, at)
	return verdict(s, answer == Held), answer == Held || answer == Unknown
}

// fetch returns the verdict on what Fetch answers.
func fetch(t *testing.T, c *Cache, secret string, at time.Time) policy.Reason {
	t.Helper()
	s, known, err := c.Fetch(t.Context(), digest(secret), at)
	if err != nil {
		t.Fatalf("Fetch(%s): %v", secret, err)
	}
	return verdict(s, known)
}

// newCache returns a cache that is closed at the test's end.
func newCache(t testing.TB, s store.Store, o Options) *Cache {
	c := New(s, o)
	t.Cleanup(c.Close)
	return c
}
