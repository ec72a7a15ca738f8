package redis

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
)

// A server of a Cluster that comes back empty says of none of its tokens that it is unknown,
// not even to a gateway that has heard of no change of them. That is told, and ends when the
// tokens are taken off the list, or are there again.
func TestServerOfClusterComesBackEmpty(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 0)
	o := Options{Addresses: cluster.Addrs, Cluster: true, KeyPrefix: "emptied"}
	maker := open(t, o)
	lost := cluster.Masters[0] // one without the lists
	if lost == cluster.Owner(t, int(lost.Do("cluster", "keyslot", maker.keys.head).(int64))) {
		lost = cluster.Masters[1]
	}
	var gone, there []string
	for i := range 100 {
		id := fmt.Sprintf("%03d", i)
		create(t, maker, newToken(id))
		if cluster.Owner(t, int(lost.Do("cluster", "keyslot", maker.keys.token(digest(id))).(int64))) == lost {
			gone = append(gone, id)
		} else {
			there = append(there, id)
		}
	}
	values := map[string]any{}
	for _, id := range gone {
		values[id] = lost.Do("get", maker.keys.token(digest(id)))
	}
	maker.Close()

	lost.Kill()
	lost.Start()
	var log logged
	o.Logger = log.logger()
	s := open(t, o)
	redistest.Await(t, "all lost tokens to be known", func() error {
		for _, id := range gone {
			if _, err := s.Find(t.Context(), digest(id)); !errors.Is(err, errLost) {
				return fmt.Errorf("token %s: %v, want %w", id, err, errLost)
			}
		}
		return nil
	})
	for _, id := range there {
		if _, err := s.Find(t.Context(), digest(id)); err != nil {
			t.Errorf("token %s, of another server: %v", id, err)
		}
	}
	if _, err := s.Find(t.Context(), digest("x")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that was never made: %v, want %v", err, store.ErrNotFound)
	}
	if _, err := findAsync(s, digest(gone[0])); !errors.Is(err, errLost) {
		t.Errorf("FindAsync: %v, want %v", err, errLost)
	}
	if err := s.Reach(t.Context()); err == nil {
		t.Error("Reach finds nothing")
	}
	if st, err := s.Status(t.Context()); err != nil || !strings.Contains(fmt.Sprint(st.Warnings), "REDIS HAS LOST TOKENS") {
		t.Errorf("the status warns of %q, %v, want that tokens are lost", st.Warnings, err)
	}
	if !strings.Contains(log.String(), "REDIS HAS LOST TOKENS") {
		t.Errorf("it isn't logged: %s", log.String())
	}

	lost.Do("set", s.keys.token(digest(gone[0])), values[gone[0]])
	if _, err := s.Find(t.Context(), digest(gone[0])); err != nil {
		t.Errorf("a token that is there again: %v", err)
	}
	if _, err := s.Check(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "those that aren't listed any more to be unknown", func() error {
		for _, id := range gone[1:] {
			if _, err := s.Find(t.Context(), digest(id)); !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("token %s: %v, want %w", id, err, store.ErrNotFound)
			}
		}
		return nil
	})
	for _, id := range gone[1:] {
		create(t, s, newToken(id))
	}
	if _, err := s.Find(t.Context(), digest(gone[1])); err != nil {
		t.Errorf("a token that was imported again: %v", err)
	}
}

// A token that is deleted once it was found in the list, and made again once it wasn't found,
// isn't missing: it is listed as it was before.
func TestRemadeIsNotMissing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "remade"}
	s, other := open(t, o), open(t, o)
	create(t, other, newToken("remade"))
	var steps atomic.Int32
	s.client.AddHook(answered(map[string]string{s.keys.ids: "list", s.keys.token(digest("remade")): "record"}, func(step string) {
		switch {
		case step == "list" && steps.CompareAndSwap(0, 1):
			if err := other.Delete(t.Context(), "remade"); err != nil {
				t.Errorf("Delete: %v", err)
			}
		case step == "record" && steps.CompareAndSwap(1, 2):
			create(t, other, newToken("remade"))
		}
	}))
	_, gone, err := s.lookForListed(t.Context(), "", sweepStep)
	if err != nil || len(gone) > 0 || steps.Load() != 2 {
		t.Errorf("%d tokens are missing (%v) after step %d, want none after step 2", len(gone), err, steps.Load())
	}
}

// A token that was deleted isn't missing, though a server that has lost the deletion lists it.
func TestDeletedIsNotMissing(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"))
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.client.ZAdd(t.Context(), s.keys.ids, redis.Z{Member: idEntry("a", digest("a"))}).Err(); err != nil {
		t.Fatal(err)
	}
	if _, gone, err := s.lookForListed(t.Context(), "", sweepStep); err != nil || len(gone) > 0 {
		t.Errorf("%d tokens are missing (%v), want none", len(gone), err)
	}
}

// What stands in Redis and isn't patgate's may keep it from finding lost tokens. That is told:
// it goes on until somebody mends it.
func TestSweepIsStopped(t *testing.T) {
	t.Parallel()
	for _, damage := range []func(server *redistest.Server, k keys){
		func(server *redistest.Server, k keys) { server.Do("zadd", k.ids, 0, "zzz") },
		func(server *redistest.Server, k keys) { server.Do("lpush", k.token(digest("a")), "x") },
	} {
		server := redistest.Start(t)
		var log logged
		s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
		create(t, s, newToken("a"))
		server.Do("del", s.keys.token(digest("a")))
		damage(server, s.keys)
		const want = "keeps patgate from looking whether the tokens that it lists are there"
		redistest.Await(t, "that to be told", func() error {
			if err := s.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("Reach: %v, want %s", err, want)
			}
			return unless(strings.Contains(log.String(), want))
		})
	}
}

// Tokens that are missing are looked for until they are there again.
func TestMissingComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	create(t, s, newToken("a"), newToken("b"), newToken("c"))
	key := s.keys.token(digest("a"))
	value := server.Do("get", key)
	server.Do("del", key, s.keys.token(digest("b")))
	_, gone, err := s.lookForListed(t.Context(), "", sweepStep)
	if err != nil || len(gone) != 2 {
		t.Fatalf("%d tokens are missing (%v), want 2", len(gone), err)
	}
	s.missing.add(gone)
	server.Do("set", key, value)
	if err := s.lookForMissing(t.Context()); err != nil || s.missing.has(digest("a")) || !s.missing.has(digest("b")) {
		t.Errorf("%v is missing (%v), want b, without a", s.missing.ids, err)
	}
	server.Do("zrem", s.keys.ids, idEntry("b", digest("b")))
	if err := s.lookForMissing(t.Context()); err != nil || s.missing.any() {
		t.Errorf("%v is missing (%v), want nothing", s.missing.ids, err)
	}
}

// One token that is missing has all looked for once, and not again for as long as it is: of
// many gateways, that would be too much for Redis. Those that are missing take their turns.
func TestMissingIsNew(t *testing.T) {
	var m missing
	a, b := listed{"a", digest("a")}, listed{"b", digest("b")}
	if !m.add([]listed{a}) || m.add([]listed{a}) || !m.add([]listed{a, b}) || m.add(nil) {
		t.Error("add doesn't tell what is new")
	}
	for i, want := range []string{"a", "b", "a"} {
		if some := m.next(1); len(some) != 1 || some[0].id != want {
			t.Errorf("look %d is for %v, want %s", i, some, want)
		}
	}
	m.drop(a.digest)
	if some := m.next(3); len(some) != 1 || some[0] != b || m.has(a.digest) || !m.any() {
		t.Errorf("%v is missing, want b", some)
	}
	if !m.add([]listed{a}) {
		t.Error("a token that is missing again isn't new")
	}
}

// A token that was found again, and then lost again, is looked for once.
func TestMissingAgain(t *testing.T) {
	t.Parallel()
	var m missing
	lost := listed{"1", digest("1")}
	for range 2 {
		m.add([]listed{lost})
		m.drop(lost.digest)
		m.add([]listed{lost})
	}
	for range 2 {
		if some := m.next(10); len(some) != 1 || some[0] != lost {
			t.Errorf("looked for: %v, want %v", some, lost)
		}
	}
}
