package redis

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Of what was deleted in a gap of the feed, nothing is believed to be lost, whether its
// entry is still there or not.
func TestDeletedInAGap(t *testing.T) {
	t.Parallel()
	for _, kept := range []int{2, 1} {
		t.Run(fmt.Sprint(kept, " of 3 entries are left"), func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t)
			other := redistest.StartReplica(t, master)
			o := Options{Addresses: []string{master.Addr}, KeyPrefix: "gap", Budget: 2 * time.Second}
			a := open(t, o)
			o.feedAddr = other.Addr
			b := open(t, o)
			for _, id := range []string{"gone", "bobs"} {
				made := newToken(id)
				made.Owner = "bob"
				create(t, a, made)
			}
			putOwner(t, a, &token.Owner{ID: "bob"})
			redistest.Await(t, "both to follow", func() error { return unless(b.told.position() == a.told.position() && b.told.position() == 3) })

			other.Promote()
			tries := 0
			for _, change := range []func() error{
				func() error { return a.Delete(t.Context(), "gone") },
				func() error { return a.DeleteOwner(t.Context(), "bob") },
				func() error { tries++; return a.Create(t.Context(), newToken(fmt.Sprint("last", tries))) },
			} {
				if err := unlessLate(change); err != nil && !errors.Is(err, errNotReplicated) {
					t.Fatal(err)
				}
			}
			master.Do("xtrim", "{gap}:feed", "maxlen", kept)
			other.Follow(master)
			awaitHeard(t, b)
			redistest.Await(t, "the gap to be noticed", func() error { return unless(b.told.position() >= 6) })
			if f, err := b.Find(t.Context(), digest("gone")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a token that was deleted: %+v, %v, want that there is none", f.Token, err)
			}
			if f, err := b.Find(t.Context(), digest("bobs")); err != nil || f.Token == nil || f.Owner != nil && !f.Owner.Enabled {
				t.Errorf("a token of an owner whose record was deleted: %+v, %v, want it", f, err)
			}
		})
	}
}

// forked opens a gateway that has seen changes at positions which the new master has used
// for others since: there a token and an owner's record are deleted.
func forked(t *testing.T) (*Store, *masters) {
	t.Helper()
	s, m := twoMasters(t)
	bobs := newToken("bobs")
	bobs.Owner = "bob"
	create(t, s, newToken("gone"), bobs)
	putOwner(t, s, token.NewOwner("bob"))
	m.promote()
	tries := 0
	for range 3 { // which are lost
		wantUnconfirmed(t, "Create", func() error { tries++; return s.Create(t.Context(), newToken(fmt.Sprint("lost", tries-1))) })
	}
	lost := s.told.position()
	other := m.fresh()
	if err := other.Delete(t.Context(), "gone"); err != nil && !errors.Is(err, errNotReplicated) {
		t.Fatal(err)
	}
	if err := other.DeleteOwner(t.Context(), "bob"); err != nil && !errors.Is(err, errNotReplicated) {
		t.Fatal(err)
	}
	if n := other.told.position(); n >= lost {
		t.Fatalf("the new master is at position %d, the lost changes at %d", n, lost)
	}
	return s, m
}

// What was deleted at a position that a gateway had seen another change at isn't believed
// to be lost.
func TestDeletedInAFork(t *testing.T) {
	t.Parallel()
	s, m := forked(t)
	lost := s.told.position()
	m.lead()
	redistest.Await(t, "the fork to be noticed", func() error { return unless(s.told.position() > lost) })
	awaitHeard(t, s)
	if _, err := s.Find(t.Context(), digest("gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that was deleted: %v, want that there is none", err)
	}
	m.new.Do("del", s.keys.owner("bob")) // what is left of the record goes after a day
	if f, err := s.Find(t.Context(), digest("bobs")); err != nil || f.Owner != nil {
		t.Errorf("a token of an owner whose record was deleted: %+v, %v, want it without one", f, err)
	}
	if _, err := s.Find(t.Context(), digest("lost0")); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that is lost: %v, want that it is", err)
	}
}

// A record of an owner whose deletion was seen is gone, also when what says so has gone,
// and whatever the feed has brought of it.
func TestDeletedOwnerStaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	awaitHeard(t, s)
	s.floors.raise(ownerFloor("bob"), floor{version: 1})
	s.client.Set(t.Context(), s.keys.owner("bob"), ownerValue(2, nil), 0)
	for _, when := range []string{"deleted", "a day later"} {
		if _, err := s.Owner(t.Context(), "bob"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want that there is none", when, err)
		}
		s.client.Del(t.Context(), s.keys.owner("bob"))
	}
}

// A deletion that a gateway has told of before its feed brought it, and whose entry is gone
// when it does, isn't believed to be lost.
func TestOwnDeletionBeforeTheFeed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: time.Second})
	create(t, s, newToken("gone"))
	redistest.Await(t, "the feed to bring it", func() error { return unless(s.passed.at(1) != "-") })
	deafen(s)
	if err := s.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	server.Do("xtrim", s.keys.feed, "maxlen", 0)
	s.reopen.Store(true)
	redistest.Await(t, "the feed to be heard again", func() error { return unless(s.passed.at(2) != "-") })
	if _, err := s.Find(t.Context(), digest("gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that this gateway has deleted: %v, want that there is none", err)
	}
}

// A change whose answer comes when the feed has passed over it doesn't say that its token
// is there still: a later one may have deleted it, and be passed over as well.
func TestDeletedBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	create(t, a, newToken("gone"))
	redistest.Await(t, "the feed to bring it", func() error { return unless(a.passed.at(1) != "-") })
	deafen(a)
	c := a.revocation(t, "gone")
	a.stopAfter(t, "commit", c)
	if err := a.end(t.Context(), c.mark, c.writes, committed); err != nil {
		t.Fatal(err)
	}
	if err := b.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	server.Do("xtrim", a.keys.feed, "maxlen", 0)
	a.reopen.Store(true)
	redistest.Await(t, "the feed to be heard again", func() error { return unless(a.passed.at(3) != "-") })
	a.await(2, c.mark, c.what)
	if _, err := a.Find(t.Context(), digest("gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a token that was deleted: %v, want that there is none", err)
	}
}

// A record that was removed a moment ago isn't lost, where the feed only says so
// a moment later.
func TestRemovedBeforeTheFeedSays(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}, Budget: 10 * time.Second})
	heard := listen(t, b)
	create(t, a, newToken("a"))
	heard.await(t, "the token", func(c store.Change) bool { return slices.Contains(c.Digests, digest("a")) })
	release := make(chan struct{})
	defer b.Watch(func(store.Change) { <-release })()
	create(t, a, newToken("b")) // b doesn't get past that
	if err := a.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	before := reads(t, server)
	answer := make(chan error)
	go func() {
		_, err := b.Find(t.Context(), digest("a"))
		answer <- err
	}()
	redistest.Await(t, "the lookup", func() error { return unless(reads(t, server) > before) })
	close(release)
	if err := <-answer; !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Find = %v, want ErrNotFound", err)
	}
}

// Where the feed isn't heard, but can be read, what was deleted is known to be so at
// once; where it can't be read either, nothing is known. Who has changed a record knows
// what it must be.
func TestDeletedWithoutFeed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}, Budget: time.Second})
	for _, id := range []string{"gone", "bobs", "gone too", "revoked"} {
		made := newToken(id)
		made.Owner = "bob"
		create(t, a, made)
	}
	putOwner(t, a, &token.Owner{ID: "bob"})
	redistest.Await(t, "both to follow", func() error { return unless(b.told.position() == a.told.position()) })
	forbid := func(command string) {
		server.Do("acl", "setuser", "default", "-"+command)
		server.Do("client", "kill", "type", "normal", "skipme", "yes")
	}
	forbid("xread")
	redistest.Await(t, "the feed not to be heard", func() error { return unless(time.Since(b.Heard()) > trustedFor) })

	before := server.Do("get", a.keys.token(digest("revoked"))).(string)
	update(t, a, "revoked", revoke)
	server.Do("set", a.keys.token(digest("revoked")), before)
	if f, err := a.Find(t.Context(), digest("revoked")); !errors.Is(err, errLost) {
		t.Errorf("who revoked it believes %+v, %v, want %v", f.Token, err, errLost)
	}
	if err := a.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := a.DeleteOwner(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	server.Do("del", a.keys.owner("bob")) // as after a day
	for name, s := range map[string]*Store{"who deleted it": a, "another one": b} {
		if f, err := s.Find(t.Context(), digest("gone")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s finds %+v, %v, want that there is none", name, f.Token, err)
		}
		if f, err := s.Find(t.Context(), digest("bobs")); err != nil || f.Owner != nil {
			t.Errorf("%s finds owner %+v, %v, want that they have no record", name, f.Owner, err)
		}
	}
	forbid("xrevrange")
	if err := a.Delete(t.Context(), "gone too"); err != nil {
		t.Fatal(err)
	}
	if f, err := b.Find(t.Context(), digest("gone too")); err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, errLost) {
		t.Errorf("without the feed, another one finds %+v, %v, want that nothing is known", f.Token, err)
	}
	if n := b.Stats().Lost; n != 0 {
		t.Errorf("%d changes were lost, want none", n)
	}
}

// What is deleted, and made again, while it is looked up on another gateway is there or
// isn't, and nothing is lost.
func TestDeletedWhileLookedUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	made := newToken("a")
	for range 100 {
		create(t, a, made)
		redistest.Await(t, "the other to hear of it", func() error { return unless(b.floors.of(tokenFloor(made.Digest)).allows(true, 1<<63)) })
		var done sync.WaitGroup
		for range 24 {
			done.Go(func() {
				for unknown := 0; unknown < 5; {
					_, err := b.Find(t.Context(), made.Digest)
					if errors.Is(err, store.ErrNotFound) {
						unknown++
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		if err := a.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		create(t, a, made)
		if err := a.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if done.Wait(); t.Failed() {
			return
		}
	}
}

// Who finds an entry of the feed among those that were passed knows by the floors what it
// has changed.
func TestFloorsRiseBeforeAnEntryIsPassed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	create(t, a, newToken("a"))
	redistest.Await(t, "both to follow", func() error { return unless(b.told.position() == a.told.position()) })
	b.floors.mu.Lock()
	defer b.floors.mu.Unlock()
	if err := a.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	redistest.Await(t, "the other to wait for its floors", func() error {
		stacks := make([]byte, 1<<20)
		return unless(strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), ".(*floors).raise("))
	})
	if n := uint64(a.told.position()); b.passed.at(n) != "-" {
		t.Errorf("entry %d counts as passed, and the floors don't know of it", n)
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
