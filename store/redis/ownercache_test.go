package redis

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// An owner's record that was read before a change isn't kept after it.
func TestOwnersDontOverlap(t *testing.T) {
	t.Parallel()
	var o ownerCache
	old, new := &token.Owner{ID: "a", Enabled: true}, &token.Owner{ID: "a"}
	if _, known := o.get("a"); known {
		t.Error("an owner is known before anything was")
	}
	changes := o.changed()
	o.drop("a")
	o.put("a", old, changes)
	if _, known := o.get("a"); known {
		t.Error("a record is kept that was read before a change")
	}
	o.put("a", new, o.changed())
	if got, known := o.get("a"); !known || got.Enabled {
		t.Errorf("get = %+v, %v, want the new record", got, known)
	}
	changes = o.changed()
	o.dropAll(false)
	o.put("b", nil, changes)
	for _, name := range []string{"a", "b"} {
		if _, known := o.get(name); known {
			t.Errorf("owner %q is kept after a reset", name)
		}
	}
}

// In a Cluster the records of owners may be lost, and their tokens be on other servers: who
// was disabled stays so.
func TestOwnersAreLost(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 0)
	o := Options{Addresses: c.Addrs, Cluster: true, KeyPrefix: "lost"}
	setup := open(t, o)
	slot := func(key string) int { return int(c.Masters[0].Do("cluster", "keyslot", key).(int64)) }
	owners, id := c.Owner(t, slot(setup.keys.head)), ""
	for i := 0; id == "" || c.Owner(t, slot(setup.keys.token(digest(id)))) == owners; i++ {
		id = fmt.Sprint("t", i)
	}
	create(t, setup, newToken(id))
	putOwner(t, setup, &token.Owner{ID: "alice"})
	s, other := open(t, o), open(t, o) // they have heard of no change of the owner
	all := []*Store{s, other}
	for _, s := range all {
		if f, err := s.Find(t.Context(), digest(id)); err != nil || f.Owner == nil || f.Owner.Enabled {
			t.Fatalf("Find = %+v, %v, want a disabled owner", f.Owner, err)
		}
	}
	setup.Close()
	resets := []*listener{listen(t, s), listen(t, other)}
	owners.Do("flushall")
	for i, s := range all {
		redistest.Await(t, "the loss to be noticed", func() error { return unless(resets[i].resets() > 0) })
		if f, err := s.Find(t.Context(), digest(id)); !errors.Is(err, errLost) {
			t.Errorf("Find = %+v, %v, want %v", f.Owner, err, errLost)
		}
	}
	putOwner(t, s, &token.Owner{ID: "alice"})
	for _, s := range all {
		redistest.Await(t, "the owner to be disabled anew", func() error {
			f, err := s.Find(t.Context(), digest(id))
			return unless(err == nil && f.Owner != nil && !f.Owner.Enabled)
		})
	}
}

// A record kept in memory goes with the change that the feed brings, and with a
// reset.
func TestOwnersInMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	heard := listen(t, b)
	create(t, a, newToken("a"))
	find := func() *token.Owner {
		t.Helper()
		f, err := b.Find(t.Context(), digest("a"))
		if err != nil {
			t.Fatalf("Find: %v", err)
		}
		return f.Owner
	}
	if o := find(); o != nil {
		t.Fatalf("the owner is %+v before there is one", o)
	}
	putOwner(t, a, &token.Owner{ID: "alice"})
	heard.await(t, "the owner", func(c store.Change) bool { return slices.Contains(c.Owners, "alice") })
	if o := find(); o == nil {
		t.Error("after the change the owner is the one remembered")
	}
	b.reset(b.told.position())
	if _, known := b.owners.get("alice"); known {
		t.Error("after a reset an owner is remembered")
	}
}
