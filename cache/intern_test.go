package cache

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// subject returns the token with this secret.
func subject(t *testing.T, c *Cache, secret string) *policy.Subject {
	t.Helper()
	s, known, err := c.Fetch(t.Context(), digest(secret), now)
	if err != nil || !known {
		t.Fatalf("Fetch(%s): known %v, %v", secret, known, err)
	}
	return s
}

func TestWhatRepeatsIsShared(t *testing.T) {
	t.Parallel()
	from := func(r string) func(*token.Token) {
		return func(t *token.Token) { t.AllowedIPs = []netip.Prefix{netip.MustParsePrefix(r)} }
	}
	owner := func(name string) func(*token.Token) { return func(t *token.Token) { t.Owner = name } }
	m := newMemory(
		tok("a", from("10.0.0.0/8")),
		tok("like a", from("10.0.0.0/8")),
		tok("other", from("10.0.0.0/9"), owner("bob"), powerless),
	)
	c := newCache(t, m, Options{})
	a, like, other := subject(t, c, "a"), subject(t, c, "like a"), subject(t, c, "other")
	for _, row := range []struct {
		what                     string
		sharedAlike, sharedOther bool
	}{
		{"owner", a.Owner == like.Owner, a.Owner == other.Owner},
		{"grants", a.Grants == like.Grants, a.Grants == other.Grants},
		{"allowed ranges", a.Allowed == like.Allowed, a.Allowed == other.Allowed},
	} {
		if !row.sharedAlike || row.sharedOther {
			t.Errorf("%s: shared with a token that has the same: %v, that has others: %v; want true, false", row.what, row.sharedAlike, row.sharedOther)
		}
	}
}

func TestGrantsKey(t *testing.T) {
	t.Parallel()
	grants := func(g ...token.Grant) []token.Grant { return g }
	different := map[string][]token.Grant{
		"none":                     nil,
		"one that is empty":        grants(token.Grant{}),
		"two that are empty":       grants(token.Grant{}, token.Grant{}),
		"a space":                  grants(token.Grant{Spaces: []string{"a"}}),
		"a scope":                  grants(token.Grant{Scopes: []string{"a"}}),
		"a resource":               grants(token.Grant{Resources: []string{"a"}}),
		"two spaces":               grants(token.Grant{Spaces: []string{"a", "b"}}),
		"one with both names":      grants(token.Grant{Spaces: []string{"ab"}}),
		"one with a number before": grants(token.Grant{Spaces: []string{"a\x01b"}}),
		"in two grants":            grants(token.Grant{Spaces: []string{"a"}}, token.Grant{Spaces: []string{"b"}}),
	}
	seen := map[internKey]string{}
	for name, g := range different {
		key := grantsKey(g)
		if other, dup := seen[key]; dup {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[key] = name
		if grantsKey(token.CloneGrants(g)) != key {
			t.Errorf("%s has two keys", name)
		}
	}
}

// What no token holds is garbage, and the tables know nothing of it.
func TestUnusedIsCollected(t *testing.T) {
	t.Parallel()
	m := newMemory(tok("t", func(t *token.Token) { t.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }))
	c := newCache(t, m, Options{})
	s := subject(t, c, "t")
	m.change(m.removeToken("t"))

	// One that is still in use elsewhere stays the only one.
	runtime.GC()
	m.put(tok("t"))
	if again := subject(t, c, "t"); again.Owner != s.Owner {
		t.Error("there are two owners of one name")
	}
	runtime.KeepAlive(s)
	m.change(m.removeToken("t"))

	left := func() int {
		c.owners.mu.Lock()
		defer c.owners.mu.Unlock()
		c.grants.mu.Lock()
		defer c.grants.mu.Unlock()
		c.allowed.mu.Lock()
		defer c.allowed.mu.Unlock()
		return len(c.owners.byName) + len(c.grants.byKey) + len(c.allowed.byKey)
	}
	for deadline := time.Now().Add(time.Minute); left() > 0; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatalf("%d owners, grants and ranges are known, want none", left())
		}
	}
}

// A value that is made again before the old one's end has been noticed is not
// forgotten with it.
func TestDropOfWhatWasMadeAgain(t *testing.T) {
	t.Parallel()
	values := newInterned[policy.Grants]()
	v := values.get(internKey{}, func() *policy.Grants { return policy.NewGrants(nil) })
	values.drop(internKey{})
	if got := values.get(internKey{}, func() *policy.Grants { return policy.NewGrants(nil) }); got != v {
		t.Error("grants in use were made twice")
	}
	runtime.KeepAlive(v)

	all := newOwners()
	p, _ := all.take("alice", nil, 1, all.newest())
	all.drop(&owner{name: "alice"})
	if got, _ := all.take("alice", nil, 1, all.newest()); got != p {
		t.Error("an owner in use was made twice")
	}
	runtime.KeepAlive(p)
}

// Records of one owner may come in any order.
func TestNewestRecordOfOwnerWins(t *testing.T) {
	t.Parallel()
	type event struct {
		read    *token.Owner // nil: a change
		at      store.Position
		stale   bool // what is known of alice then
		enabled bool
	}
	for name, events := range map[string][]event{
		"a newer record":                 {{enabled("alice"), 1, false, true}, {disabled("alice"), 2, false, false}},
		"an older record":                {{disabled("alice"), 2, false, false}, {enabled("alice"), 1, false, false}},
		"there and back":                 {{enabled("alice"), 1, false, true}, {disabled("alice"), 2, false, false}, {enabled("alice"), 3, false, true}},
		"read after a change":            {{enabled("alice"), 1, false, true}, {nil, 2, true, true}, {disabled("alice"), 2, false, false}},
		"a store that lags behind":       {{enabled("alice"), 1, false, true}, {nil, 3, true, true}, {enabled("alice"), 2, true, true}, {disabled("alice"), 3, false, false}},
		"a change heard of when read":    {{disabled("alice"), 3, false, false}, {nil, 2, true, false}, {disabled("alice"), 3, false, false}},
		"the same record, read later on": {{enabled("alice"), 1, false, true}, {enabled("alice"), 5, false, true}, {disabled("alice"), 4, false, true}},
	} {
		all := newOwners()
		var p *policy.Owner
		for i, e := range events {
			if e.read == nil {
				all.changed([]string{"alice"}, e.at)
			} else {
				p, _ = all.take("alice", e.read, e.at, all.newest())
			}
			s := &policy.Subject{Owner: p, Grants: policy.NewGrants([]token.Grant{token.Full()})}
			if got := verdict(s, true) == policy.Forward; got != e.enabled || p.Stale.Load() != e.stale {
				t.Errorf("%s: after event %d: enabled %v, stale %v; want %v, %v", name, i+1, got, p.Stale.Load(), e.enabled, e.stale)
			}
		}
	}
}
