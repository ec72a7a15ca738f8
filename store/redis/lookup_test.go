package redis

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// calls returns how often a server has run a command.
func calls(t testing.TB, server *redistest.Server, command string) int {
	t.Helper()
	info := server.Do("info", "commandstats").(string)
	m := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(info)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

func reads(t testing.TB, server *redistest.Server) int {
	t.Helper()
	return calls(t, server, "get") + calls(t, server, "mget")
}

// Many who ask for one token at once are one call; many who ask for different
// ones share a few.
func TestLookupsAreShared(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	var tokens []*token.Token
	for i := range 1000 {
		tokens = append(tokens, newToken(fmt.Sprint("t", i)))
	}
	create(t, s, tokens...)
	c := cache.New(s, cache.Options{})
	defer c.Close()
	if _, err := s.Find(t.Context(), tokens[999].Digest); err != nil { // so that the owner is known
		t.Fatal(err)
	}

	fetch := func(n int, d func(int) token.Digest) (calls int) {
		before := reads(t, server)
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range n {
			all.Go(func() {
				<-start
				if _, known, err := c.Fetch(t.Context(), d(i), time.Now()); !known || err != nil {
					t.Errorf("Fetch = %v, %v, want it known", known, err)
				}
			})
		}
		close(start)
		all.Wait()
		return reads(t, server) - before
	}
	if n := fetch(64, func(int) token.Digest { return tokens[0].Digest }); n != 1 {
		t.Errorf("64 lookups of one token are %d calls, want 1", n)
	}
	if n := fetch(900, func(i int) token.Digest { return tokens[1+i].Digest }); n > 300 {
		t.Errorf("900 lookups of different tokens are %d calls, want far fewer", n)
	}
}

// A lookup is one call, two where the secret was retired, and one more where the
// owner isn't known here.
func TestCallsOfALookup(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	a := newToken("a")
	a.Retired = []token.RetiredSecret{{Digest: digest("retired"), Until: time.Unix(1, 0)}}
	create(t, s, a)
	want := func(what string, secret string, calls int) {
		t.Helper()
		awaitHeard(t, s)
		heard, before := s.Heard(), reads(t, server)
		if _, err := s.Find(t.Context(), digest(secret)); err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: Find = %v", what, err)
		}
		n := reads(t, server) - before
		if time.Since(heard) > trustedFor && n == calls+1 {
			n-- // the machine stood still: the owner was read again
		}
		if n != calls {
			t.Errorf("%s is %d calls, want %d", what, n, calls)
		}
	}
	want("the first lookup", "a", 2)
	want("the second", "a", 1)
	want("an unknown one", "unknown", 1)
	want("a retired one", "retired", 2)
	putOwner(t, s, &token.Owner{ID: "alice"})
	want("one behind a change of the owner", "a", 2)
	want("the next", "a", 1)
}

// Who gives up doesn't wait, and doesn't harm those who travel with him.
func TestLookupGivenUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: 10 * time.Second})
	create(t, s, newToken("a"), newToken("b"))
	server.Freeze()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := s.Find(ctx, digest("a")); !errors.Is(err, context.Canceled) {
				t.Errorf("Find = %v, want context.Canceled", err)
			}
		})
	}
	var others sync.WaitGroup
	for range 10 {
		others.Go(func() {
			if _, err := s.Find(t.Context(), digest("b")); err != nil {
				t.Errorf("Find = %v", err)
			}
		})
	}
	cancel()
	all.Wait()
	server.Thaw()
	others.Wait()
}

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

func TestFloors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f       floor
		there   bool
		version uint64
		want    bool
	}{
		{floor{}, true, 1, true},
		{floor{}, false, 0, true},
		{floor{version: 5}, true, 4, false},
		{floor{version: 5}, true, 5, true},
		{floor{version: 5}, true, 6, true},
		{floor{version: 5}, false, 0, false},
		{floor{version: 5, gone: true}, false, 0, true},
		{floor{version: 5, gone: true}, true, 4, false},
		{floor{version: 5, gone: true}, true, 5, false},
		{floor{version: 5, gone: true}, true, 6, true},
		{floor{version: 5, doubted: true}, false, 0, true},
		{floor{version: 5, doubted: true}, true, 4, false},
	} {
		if got := c.f.allows(c.there, c.version); got != c.want {
			t.Errorf("%+v allows (%v, %d): %v, want %v", c.f, c.there, c.version, got, c.want)
		}
		if got := c.f.allowsOwner(c.there, c.there, c.version); got != c.want {
			t.Errorf("%+v allows an owner (%v, %d): %v, want %v", c.f, c.there, c.version, got, c.want)
		}
	}
	for version, want := range map[uint64]bool{4: false, 5: true, 6: true} {
		for _, f := range []floor{{version: 5}, {version: 5, gone: true}} {
			if got := f.allowsOwner(false, true, version); got != want {
				t.Errorf("%+v allows an owner who was deleted (%d): %v, want %v", f, version, got, want)
			}
		}
	}

	var f floors
	for i := range 2 * floorsKept {
		f.raise(strconv.Itoa(i), floor{version: 7})
		f.raise("always changing", floor{version: uint64(i)})
	}
	f.raise(strconv.Itoa(2*floorsKept-1), floor{version: 6})
	if got := f.of(strconv.Itoa(2*floorsKept - 1)); got.version != 7 {
		t.Errorf("an older version lowers a floor to %+v", got)
	}
	if got := f.of("0"); got != (floor{}) || len(f.by) > floorsKept {
		t.Errorf("%d floors are kept, with the oldest %+v", len(f.by), got)
	}
}

// A server that takes no writes, and has fewer changes than were followed, can't say that
// there is no such token: one that has just been made a replica, and is still empty, say.
func TestReplicaIsEmpty(t *testing.T) {
	t.Parallel()
	empty, server := redistest.Start(t), redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "empty"}
	setup := open(t, o)
	create(t, setup, newToken("a"))
	setup.Close()
	s := open(t, o) // it has heard of no change of the token
	server.Follow(empty)
	redistest.Await(t, "the server to be empty", func() error {
		return unless(server.Do("dbsize") == int64(0))
	})
	redistest.Await(t, "changes not to be heard", func() error { return unless(!s.hears()) })
	answer := make(chan error, 1)
	s.FindAsync(digest("a"), func(_ store.Found, err error) { answer <- err })
	_, err := s.Find(t.Context(), digest("a"))
	for what, err := range map[string]error{"FindAsync": <-answer, "Find": err} {
		if !errors.Is(err, errBehind) || errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want %v", what, err, errBehind)
		}
	}
	// Once it may go on from what it has, it has lost changes, and says so.
	server.Promote()
	redistest.Await(t, "the token to be unknown", func() error {
		_, err := s.Find(t.Context(), digest("a"))
		return unless(errors.Is(err, store.ErrNotFound) && s.lostAll.Load() != nil)
	})
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

// Sentinels that don't know the master, or don't any more, say nothing about tokens: that
// they have nothing to say isn't that there is no such token.
func TestSentinelsKnowNoMaster(t *testing.T) {
	t.Parallel()
	r := redistest.StartSentinel(t)
	unknown := func(s *Store) error {
		answer := make(chan error, 1)
		s.FindAsync(digest("a"), func(_ store.Found, err error) { answer <- err })
		_, findErr := s.Find(t.Context(), digest("a"))
		_, statusErr := s.Status(t.Context())
		_, _, listErr := s.Tokens(t.Context(), store.Query{})
		for what, err := range map[string]error{"FindAsync": <-answer, "Find": findErr, "Status": statusErr, "Tokens": listErr} {
			if errors.Is(err, store.ErrNotFound) {
				t.Fatalf("%s: %v", what, err)
			}
			if err == nil || !strings.Contains(err.Error(), "a Sentinel knows no master of this name") {
				return fmt.Errorf("%s: %v, want that no Sentinel knows the master", what, err)
			}
		}
		return nil
	}
	mistyped, err := Open(Options{Addresses: []string{r.Sentinel.Addr}, MasterName: "mistyped"})
	if err != nil {
		t.Fatal(err)
	}
	defer mistyped.Close()
	redistest.Await(t, "no master of another name to be found", func() error { return unknown(mistyped) })

	s := open(t, Options{Addresses: []string{r.Sentinel.Addr}, MasterName: redistest.MasterName})
	create(t, s, newToken("a"))
	r.Sentinel.Do("sentinel", "remove", redistest.MasterName)
	redistest.Await(t, "the master to be forgotten", func() error {
		r.Master.Do("client", "kill", "type", "normal")
		return unknown(s)
	})
}
