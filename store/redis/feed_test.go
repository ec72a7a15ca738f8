package redis

import (
	"errors"
	"fmt"
	"slices"
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
