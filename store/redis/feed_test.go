package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// pair opens two stores on one server that share their tokens.
func pair(t *testing.T, o Options) (a, b *Store) {
	o.KeyPrefix = "pair"
	return open(t, o), open(t, o)
}

// deafen has s hear nothing of changes, its own included, until its feed is opened anew.
func deafen(s *Store) {
	s.closing.Lock()
	defer s.closing.Unlock()
	s.feed.Close()
}

func TestFeedReachesOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	heard := listen(t, b)
	create(t, a, newToken("a"))
	update(t, a, "a", revoke)
	putOwner(t, a, &token.Owner{ID: "alice"})
	heard.await(t, "the owner", func(c store.Change) bool { return slices.Contains(c.Owners, "alice") })
	f, err := b.Find(t.Context(), digest("a"))
	if err != nil || f.Token.RevokedAt.IsZero() || f.Owner == nil || f.Owner.Enabled {
		t.Errorf("after the other store has heard, Find = %+v, %v, want the token revoked and its owner disabled", f, err)
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	for i, c := range heard.changes {
		if c.Position != store.Position(i+1) || c.Reset {
			t.Errorf("told of %+v, want position %d and no reset", c, i+1)
		}
	}
}

// Of what was deleted in a gap of the feed, nothing is believed to be lost, whether its
// entry is still there or not.
func TestDeletedInAGap(t *testing.T) {
	t.Parallel()
	for _, kept := range []int{2, 1} {
		t.Run(fmt.Sprint(kept, " of 3 entries are left"), func(t *testing.T) {
			t.Parallel()
			master := redistest.Start(t)
			host, port, _ := strings.Cut(master.Addr, ":")
			other := redistest.Start(t, "replicaof "+host+" "+port, "repl-diskless-sync-delay 0")
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

			other.Do("replicaof", "no", "one")
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
			other.Do("replicaof", host, port)
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

// Whatever happens to the feed that may have hidden a change, watchers are told
// to read everything again, and the feed is followed from there.
func TestFeedReset(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(t *testing.T, server *redistest.Server, a *Store)
	}{
		{"flushed", func(t *testing.T, server *redistest.Server, a *Store) { server.Do("flushall") }},
		{"flushed and filled again", func(t *testing.T, server *redistest.Server, a *Store) {
			// In one go, so that the follower sees nothing of it but the end.
			server.Do("eval", `redis.call('flushall')
				for n = 1, 20 do
					redis.call('xadd', '{pair}:feed', n .. '-0', 'mark', 'm' .. n, 'after', n == 1 and '' or 'm' .. (n - 1), 'what', '')
				end
				redis.call('hset', '{pair}:head', 'n', '20', 'mark', 'm20')`, 0)
		}},
		{"back to an earlier position", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("hset", "{pair}:head", "n", "2", "mark", "m2")
			server.Do("del", "{pair}:feed")
		}},
		{"another history of the same length", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("hset", "{pair}:head", "mark", "other")
		}},
		{"stream is gone", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("eval", `redis.call('del', '{pair}:feed') redis.call('hset', '{pair}:head', 'n', '9')`, 0)
		}},
		{"trimmed", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("eval", `
				for n = 6, 9 do redis.call('xadd', '{pair}:feed', n .. '-0', 'mark', 'm' .. n, 'after', 'm' .. (n - 1), 'what', '') end
				redis.call('hset', '{pair}:head', 'n', '9', 'mark', 'm9')
				redis.call('xtrim', '{pair}:feed', 'maxlen', 2)`, 0)
		}},
		{"an entry of another history", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("eval", `
				redis.call('xadd', '{pair}:feed', '6-0', 'mark', 'm6', 'after', 'other', 'what', '')
				redis.call('hset', '{pair}:head', 'n', '6', 'mark', 'm6')`, 0)
		}},
		{"an entry that can't be read", func(t *testing.T, server *redistest.Server, a *Store) {
			server.Do("eval", `
				redis.call('xadd', '{pair}:feed', '6-0', 'mark', 'm6', 'after', redis.call('hget', '{pair}:head', 'mark'), 'what', '?')
				redis.call('hset', '{pair}:head', 'n', '6', 'mark', 'm6')`, 0)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			a, b := pair(t, Options{Addresses: []string{server.Addr}})
			for i := range 5 {
				create(t, a, newToken(fmt.Sprint("t", i)))
			}
			last := a.told.position()
			if last != 5 {
				t.Fatalf("after 5 changes the position is %d", last)
			}
			for _, s := range []*Store{a, b} {
				redistest.Await(t, "both to follow", func() error { return unless(s.told.position() >= last) })
			}
			heardA, heardB := listen(t, a), listen(t, b)
			c.harm(t, server, a)
			reset := func(c store.Change) bool { return c.Reset && c.Position > last }
			heardA.await(t, "a reset", reset)
			heardB.await(t, "a reset", reset)
			awaitHeard(t, a)
			awaitHeard(t, b)
			from := a.told.position()
			create(t, b, newToken("after"))
			heardA.await(t, "the next change", func(c store.Change) bool {
				return c.Position > from && slices.Contains(c.Digests, digest("after"))
			})
		})
	}
}

// Of a server that was emptied it is said what it has lost, and what is to be done.
func TestServerIsEmptied(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
	for _, id := range []string{"a", "b", "c"} {
		create(t, s, newToken(id))
	}
	redistest.Await(t, "the store to follow", func() error { return unless(s.passed.at(3) != "-") })
	server.Do("flushall")
	redistest.Await(t, "that to be said", func() error { return unless(strings.Contains(log.String(), "REDIS HAS LOST CHANGES")) })
	if text := log.String(); !strings.Contains(text, "followed=3 redis=0") || strings.Contains(text, "may have been missed") {
		t.Errorf("it isn't said how much it has lost: %s", text)
	}
	// That is told though nobody asks for a token that is lost.
	if err := s.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "REDIS HAS LOST CHANGES") || s.Stats().Lost != 1 {
		t.Errorf("Reach: %v, with %d losses, want one", err, s.Stats().Lost)
	}
	if st, err := s.Status(t.Context()); err != nil || !strings.Contains(fmt.Sprint(st.Warnings), "REDIS HAS LOST CHANGES") {
		t.Errorf("the status warns of %q, %v, want that changes are lost", st.Warnings, err)
	}
	if _, err := s.Find(t.Context(), digest("a")); !errors.Is(err, errLost) || !strings.Contains(err.Error(), "import the token again") {
		t.Errorf("Find: %v, want %v, and that it is to be imported", err, errLost)
	}
	if err := s.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "import the token again") {
		t.Errorf("Reach: %v, want that something is lost", err)
	}
	for _, one := range s.stats.losses.by {
		one.at = one.at.Add(-lossShown)
	}
	if err := s.Reach(t.Context()); err != nil {
		t.Errorf("Reach, when nobody has asked for what is lost for %s: %v", lossShown, err)
	}
	create(t, s, newToken("a"))
	if _, err := s.Find(t.Context(), digest("a")); err != nil {
		t.Errorf("a token that was imported again: %v", err)
	}
}

// Each record that Redis has lost is logged, and not again for every request that asks for it.
func TestLossesAreLogged(t *testing.T) {
	var log logged
	s := &Store{log: log.logger()}
	lose := func(records ...string) (lines int) {
		before := strings.Count(log.String(), "redis has lost a change")
		for _, what := range records {
			s.lost(what, endIt)
		}
		return strings.Count(log.String(), "redis has lost a change") - before
	}
	if n := lose("a", "a", "a"); n != 1 {
		t.Errorf("one record is logged %d times, want once", n)
	}
	if n := lose("b", "a", "c"); n != 2 {
		t.Errorf("two others are logged %d times, want once each", n)
	}
	if err := s.stats.losses.lately(); err == nil || !strings.Contains(err.Error(), "change of c: ") || !strings.Contains(err.Error(), "of 2 more") {
		t.Errorf("lately: %v, want the last, and how many others there are", err)
	}
	for _, one := range s.stats.losses.by {
		one.at, one.logged = one.at.Add(-lossLogged), one.logged.Add(-lossLogged)
	}
	if n := lose("a"); n != 1 {
		t.Errorf("%s later, a record is logged %d times, want once", lossLogged, n)
	}
	if err := s.stats.losses.lately(); err == nil || strings.Contains(err.Error(), "more") || len(s.stats.losses.by) != 1 {
		t.Errorf("lately: %v, want one record, and the others forgotten", err)
	}
}

// While the server is cut off, Heard stands still, calls fail within the budget,
// and nothing is concluded; when it is back, everything goes on.
func TestCutOff(t *testing.T) {
	for _, c := range []struct {
		name      string
		cut, mend func(*redistest.Server)
	}{
		{"half open", (*redistest.Server).Freeze, (*redistest.Server).Thaw},
		{"gone", (*redistest.Server).Kill, (*redistest.Server).Start},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, "appendonly yes", "appendfsync always")
			s := open(t, Options{Addresses: []string{server.Addr}, Budget: time.Second})
			create(t, s, newToken("a"))
			c.cut(server)
			cut := time.Now()
			redistest.Await(t, "the store to be deaf", func() error {
				if age := time.Since(s.Heard()); age < time.Second {
					return fmt.Errorf("heard %v ago", age)
				}
				return nil
			})
			if heard := s.Heard(); heard.After(cut) {
				t.Errorf("Heard = %v after the cut", heard.Sub(cut))
			}
			for _, d := range []token.Digest{digest("a"), digest("b")} {
				if _, err := s.Find(t.Context(), d); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("Find = %v, want an error that says nothing of the token", err)
				}
			}
			if err := s.Create(t.Context(), newToken("b")); err == nil || errors.Is(err, store.ErrExists) {
				t.Errorf("Create = %v, want an error that says nothing of the token", err)
			}
			c.mend(server)
			awaitHeard(t, s)
			if _, err := s.Find(t.Context(), digest("a")); err != nil {
				t.Errorf("Find = %v", err)
			}
			create(t, s, newToken("c"))
		})
	}
}

// A server that comes back with less than it had doesn't bring back what it has
// lost, as long as somebody remembers.
func TestServerLosesChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
	for _, id := range []string{"revoked", "deleted", "renewed", "untouched"} {
		create(t, s, newToken(id))
	}
	bobs := newToken("bobs")
	bobs.Owner = "bob"
	create(t, s, bobs)
	putOwner(t, s, token.NewOwner("bob"))
	putOwner(t, s, token.NewOwner("carl"))
	server.Do("save")
	update(t, s, "revoked", revoke)
	if err := s.Delete(t.Context(), "deleted"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	update(t, s, "renewed", func(t *token.Token) { t.Digest = digest("renewed 2") })
	create(t, s, newToken("made"))
	putOwner(t, s, &token.Owner{ID: "bob"})
	putOwner(t, s, &token.Owner{ID: "dora"})
	if err := s.DeleteOwner(t.Context(), "carl"); err != nil {
		t.Fatalf("DeleteOwner: %v", err)
	}

	heard := listen(t, s)
	server.Kill()
	server.Start() // from what was saved
	heard.await(t, "a reset", func(c store.Change) bool { return c.Reset })

	for _, secret := range []string{"revoked", "deleted", "renewed", "renewed 2", "made", "bobs"} {
		if f, err := s.Find(t.Context(), digest(secret)); !errors.Is(err, errLost) {
			t.Errorf("Find by the secret of %q = %+v, %v, want errLost", secret, f.Token, err)
		}
	}
	if _, err := s.Find(t.Context(), digest("untouched")); err != nil {
		t.Errorf("Find of what wasn't lost: %v", err)
	}
	if !strings.Contains(log.String(), "redis has lost a change") || !strings.Contains(log.String(), `token \"revoked\"`) || s.Stats().Lost == 0 {
		t.Errorf("the loss is neither logged nor counted: %+v\n%s", s.Stats(), log.String())
	}

	problems, err := s.Check(t.Context(), true)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	for _, what := range []string{`token "revoked"`, `token "deleted"`, `token "renewed"`, `owner "bob"`, `owner "carl"`, `owner "dora"`} {
		if n := len(slices.DeleteFunc(slices.Clone(problems), func(p store.Problem) bool {
			return p.Mended || !strings.Contains(p.Text, what) || !strings.Contains(p.Text, "redis has lost")
		})); n != 1 {
			t.Errorf("Check finds %d times that of %s something is lost: %+v", n, what, problems)
		}
	}

	// Who is to end what was lost finds what is there.
	for _, id := range []string{"revoked", "deleted", "renewed", "untouched"} {
		if found, err := s.Token(t.Context(), id); err != nil || found.ID != id {
			t.Errorf("Token %q = %v, %v", id, found, err)
		}
	}
	if all, _, err := s.Tokens(t.Context(), store.Query{}); err != nil || len(all) != 5 {
		t.Errorf("Tokens = %s, %v, want 5", ids(all), err)
	}
	// An older record isn't changed into one that serves.
	rename := func(t *token.Token) error { t.Name = "renamed"; return nil }
	if _, err := s.Update(t.Context(), "revoked", rename); !errors.Is(err, errLost) {
		t.Errorf("Update of a record that was lost = %v, want errLost", err)
	}
	enable := func(o *token.Owner) (*token.Owner, error) { o.Enabled = true; return o, nil }
	if _, err := s.UpdateOwner(t.Context(), "bob", enable); !errors.Is(err, errLost) {
		t.Errorf("UpdateOwner of a record that was lost = %v, want errLost", err)
	}
	// But what was lost can be done again.
	update(t, s, "revoked", revoke)
	if f, err := s.Find(t.Context(), digest("revoked")); err != nil || f.Token.RevokedAt.IsZero() {
		t.Errorf("Find = %+v, %v, want it revoked", f.Token, err)
	}
	if err := s.Delete(t.Context(), "deleted", "renewed"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	for _, secret := range []string{"deleted", "renewed"} {
		if _, err := s.Find(t.Context(), digest(secret)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Find of %q = %v, want ErrNotFound", secret, err)
		}
	}
	putOwner(t, s, &token.Owner{ID: "bob"})
	if f, err := s.Find(t.Context(), digest("bobs")); err != nil || f.Owner.Enabled {
		t.Errorf("Find = %+v, %v, want the owner disabled", f, err)
	}
}

// Where the key that counts the feed and the events is gone, evicted or deleted by
// hand, they go on behind what is there, and nothing is left half done.
func TestHeadIsLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	event := store.Event{Time: time.Unix(1, 0).UTC(), Action: "revoked", TokenID: "a"}
	record := func(ctx context.Context) context.Context {
		return store.WithEvents(ctx, func() []store.Event { return []store.Event{event} })
	}
	if err := a.Create(record(t.Context()), newToken("a"), newToken("b")); err != nil {
		t.Fatal(err)
	}
	heard := listen(t, b)
	server.Do("del", a.keys.head)
	if _, err := a.Update(record(t.Context()), "a", func(t *token.Token) error { revoke(t); return nil }); err != nil {
		t.Fatalf("Update: %v", err)
	}
	heard.await(t, "a reset, or the change", func(c store.Change) bool { return c.Reset || slices.Contains(c.Digests, digest("a")) })
	for _, s := range []*Store{a, b} {
		redistest.Await(t, "the revocation", func() error {
			f, err := s.Find(t.Context(), digest("a"))
			return errors.Join(err, unless(err == nil && !f.Token.RevokedAt.IsZero()))
		})
	}
	server.Do("del", a.keys.head)
	c := open(t, Options{Addresses: []string{server.Addr}, KeyPrefix: "pair"})
	redistest.Await(t, "a new gateway to hear", func() error { return unless(time.Since(c.Heard()) < time.Second) })
	if err := c.Delete(record(t.Context()), "b"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if err := b.Record(t.Context(), event); err != nil {
		t.Errorf("Record: %v", err)
	}
	if all, _, err := c.Events(t.Context(), store.EventQuery{}); err != nil || len(all) != 4 {
		t.Errorf("%d events (%v), want 4", len(all), err)
	}
	wantSound(t, c)
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

// Where the feed doesn't bring a change back within the budget, the watchers of
// the process that made it are told all the same.
func TestOwnChangeWithoutFeed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, Budget: time.Second})
	create(t, s, newToken("a"))
	deafen(s)
	heard := listen(t, s)
	update(t, s, "a", revoke)
	if heard.resets() != 1 {
		t.Errorf("told of %+v, want a reset", heard.changes)
	}
	if f, err := s.Find(t.Context(), digest("a")); err != nil || f.Position != 2 {
		t.Errorf("Find = position %d, %v, want 2", f.Position, err)
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
	redistest.Await(t, "the feed not to be heard", func() error { return unless(time.Since(b.Heard()) > ownersTrusted) })

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

func TestGateways(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "gateways"}
	var all []*Store
	for _, name := range []string{"one", "two", "three"} {
		o.name = name
		all = append(all, open(t, o))
	}
	create(t, all[0], newToken("a"))
	want := func(what string, acknowledged, pending int) {
		t.Helper()
		redistest.Await(t, what, func() error {
			a, p, err := all[0].Acknowledged(t.Context(), 1)
			if err != nil || a != acknowledged || p != pending {
				return fmt.Errorf("Acknowledged = %d, %d, %v, want %d, %d", a, p, err, acknowledged, pending)
			}
			return nil
		})
	}
	want("all to have it", 3, 0)
	if a, p, err := all[1].Acknowledged(t.Context(), 2); a != 0 || p != 3 || err != nil {
		t.Errorf("Acknowledged of a change to come = %d, %d, %v, want 0, 3", a, p, err)
	}
	st, err := all[1].Status(t.Context())
	if err != nil || len(st.Gateways) != 3 || st.Gateways[0].Name != "one" || st.Gateways[0].Follows != 1 || time.Since(st.Gateways[0].LastSeen).Abs() > time.Minute {
		t.Errorf("Status = %+v, %v, want three gateways at position 1", st, err)
	}
	all[2].Close()
	want("one to have left", 2, 0)

	all[1].Holds(time.Hour)
	redistest.Await(t, "a gateway to say how long it holds tokens", func() error {
		gateways, _, err := all[0].gateways(t.Context())
		if err != nil || len(gateways) != 2 || gateways[0].holds != usualHolds || gateways[1].holds != time.Hour {
			return fmt.Errorf("gateways: %+v, %v", gateways, err)
		}
		return nil
	})

	// One that was killed is pending, until it can't hold anything any more.
	ago := func(d, holds time.Duration) string {
		return fmt.Sprint("0 ", time.Now().Add(-d).UnixMilli(), " ", holds.Milliseconds())
	}
	server.Do("hset", "{gateways}:gateways", "killed", ago(time.Minute, time.Minute))
	want("the killed one to be pending", 2, 1)
	server.Do("hset", "{gateways}:gateways", "killed", ago(2*time.Minute, time.Minute))
	want("the killed one not to count", 2, 0)
	server.Do("hset", "{gateways}:gateways", "killed", ago(2*time.Hour, 3*time.Hour))
	want("one that holds tokens for hours to be pending", 2, 1)
	server.Do("hset", "{gateways}:gateways", "killed", ago(-2*time.Minute, time.Minute))
	want("the one killed while the server's clock was ahead not to count", 2, 0)
	for what, at := range map[string]time.Duration{"long ago": 2 * time.Hour, "while the server's clock was far ahead": -2 * time.Hour} {
		server.Do("hset", "{gateways}:gateways", "killed", ago(at, time.Minute))
		all[0].Status(t.Context())
		if server.Do("hexists", "{gateways}:gateways", "killed") != int64(0) {
			t.Errorf("a gateway that was killed %s is still on the list", what)
		}
	}
}

// A gateway that was forgotten, and says something just before it is taken off the list,
// stays on it: others wait for it.
func TestGatewayComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}, KeyPrefix: "back"})
	seen := func(at time.Time) { server.Do("hset", s.keys.gateways, "away", fmt.Sprint("0 ", at.UnixMilli(), " 0")) }
	seen(time.Now().Add(-2 * gatewayForgotten))
	back := sync.OnceFunc(func() { seen(time.Now()) })
	s.client.AddHook(answered(func(step string) {
		if step == "gateways" {
			back()
		}
	}))
	if _, err := s.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if server.Do("hexists", s.keys.gateways, "away") != int64(1) {
		t.Error("a gateway that has come back is taken off the list")
	}
}

// Where the server has lost changes, their positions are used again. Who makes one of
// these knows of it all the same, and a gateway that follows to the lost one hasn't taken
// it in.
func TestPositionUsedAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, b := pair(t, Options{Addresses: []string{server.Addr}})
	heard := listen(t, a)
	for i := range 5 {
		create(t, a, newToken(fmt.Sprint("t", i)))
	}
	redistest.Await(t, "both to say that they follow", func() error {
		n, _, err := a.Acknowledged(t.Context(), a.told.position())
		return errors.Join(err, unless(n == 2))
	})
	before := heard.resets()
	for _, s := range []*Store{a, b} { // neither hears of anything from here on
		deafen(s)
	}
	server.Do("eval", `redis.call('hset', KEYS[1], 'n', '2', 'mark', 'another!') redis.call('del', KEYS[2])`, 2, a.keys.head, a.keys.feed)
	update(t, a, "t0", revoke)
	if heard.resets() == before {
		t.Error("the change is acknowledged, and who has made it isn't told of it")
	}
	if n, pending, err := a.Acknowledged(t.Context(), 3); err != nil || n != 1 || pending != 1 {
		t.Errorf("taken in by %d, not by %d, %v; want 1 and 1: the other one follows to a change that is lost", n, pending, err)
	}
}

// Changes of many tokens at once, over a slow network: a gateway that is behind catches
// up, however long all of them take together, and also where it has missed some.
func TestLargeBacklog(t *testing.T) {
	t.Parallel()
	t.Run("whole", func(t *testing.T) { t.Parallel(); largeBacklog(t, false) })
	t.Run("trimmed", func(t *testing.T) { t.Parallel(); largeBacklog(t, true) })
}

func largeBacklog(t *testing.T, trimmed bool) {
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "backlog", Budget: 2 * time.Second}
	a := open(t, o)
	o.Budget, o.Addresses = 250*time.Millisecond, []string{slowly(t, server.Addr, 400_000)}
	b := open(t, o)
	awaitHeard(t, b)
	release := make(chan struct{})
	stop := b.Watch(func(store.Change) { <-release })
	for i := range 100 {
		var all []*token.Token
		for j := range 100 {
			all = append(all, newToken(fmt.Sprintf("t%d-%d", i, j)))
		}
		create(t, a, all...)
	}
	if trimmed {
		server.Do("xtrim", a.keys.feed, "maxlen", 90)
	}
	close(release)
	stop()
	redistest.Await(t, "the other to catch up", func() error { return unless(b.told.position() >= a.told.position()) })
}

// slowly returns the address of a network that carries so many bytes a second from a
// server.
func slowly(t *testing.T, server string, rate int) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	carry := func(client net.Conn) {
		defer client.Close()
		upstream, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer upstream.Close()
		upstream.(*net.TCPConn).SetReadBuffer(16 << 10)
		go func() {
			io.Copy(upstream, client)
			upstream.Close()
		}()
		b := make([]byte, rate/100)
		for {
			n, err := upstream.Read(b)
			if err != nil {
				return
			}
			if _, err := client.Write(b[:n]); err != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(rate)) // what makes it slow
		}
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go carry(client)
		}
	}()
	return l.Addr().String()
}

// A gateway that is stopped is off the list, whatever it was doing.
func TestNoGhosts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "ghosts"}
	busy := open(t, o)
	create(t, busy, newToken("a"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			busy.Update(ctx, "a", func(t *token.Token) error { t.Name = fmt.Sprint(i); return nil })
		}
	}()
	for range 40 {
		s := open(t, o)
		awaitHeard(t, s)
		s.Close()
	}
	stop()
	<-done
	if n := server.Do("hlen", busy.keys.gateways); n != int64(1) {
		t.Errorf("%v gateways are on the list, want 1", n)
	}
}
