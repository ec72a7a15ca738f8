package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

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
	for _, one := range s.losses.by {
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

// Whichever gateway notices first, each says that changes are lost: an operator may ask any of
// them. One that was started since doesn't know.
func TestEveryGatewaySaysWhatIsLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(server *redistest.Server, s *Store)
		want string
	}{
		"all": {func(server *redistest.Server, _ *Store) { server.Do("flushall") }, "followed=3 redis=0"},
		"the last": {func(server *redistest.Server, s *Store) {
			server.Do("eval", `redis.call('XDEL', KEYS[1], '3-0') return redis.call('HSET', KEYS[2], 'n', 2, 'mark', ARGV[1])`,
				2, s.keys.feed, s.keys.head, s.passed.marks[2])
		}, "followed=3 redis=2"},
		"the last, and others have its place": {func(server *redistest.Server, s *Store) {
			server.Do("eval", `
				redis.call('DEL', KEYS[1])
				redis.call('XADD', KEYS[1], '1-0', 'mark', ARGV[1], 'after', '', 'what', '')
				for n = 2, 5 do redis.call('XADD', KEYS[1], n .. '-0', 'mark', n, 'after', n == 2 and ARGV[1] or n - 1, 'what', '') end
				return redis.call('HSET', KEYS[2], 'n', 5, 'mark', '5')`, 2, s.keys.feed, s.keys.head, s.passed.marks[1])
		}, "followed=3 redis=2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			o := Options{Addresses: []string{server.Addr}, KeyPrefix: "lost"}
			var logs [3]logged
			var all [3]*Store
			for i := range all {
				o.Logger = logs[i].logger()
				all[i] = open(t, o)
			}
			for _, id := range []string{"a", "b", "c"} {
				create(t, all[0], newToken(id))
			}
			for _, s := range all {
				redistest.Await(t, "the store to follow", func() error { return unless(s.passed.at(3) != "-") })
			}
			c.lose(server, all[0])
			for i, s := range all {
				redistest.Await(t, "every gateway to say so", func() error { return unless(s.lostAll.Load() != nil) })
				if text := logs[i].String(); !strings.Contains(text, c.want) || strings.Contains(text, "may have been missed") || !strings.Contains(fmt.Sprint(s.Warnings()), "REDIS HAS LOST CHANGES") {
					t.Errorf("gateway %d: the log says %q, and the status warns of %q, want %q", i, text, s.Warnings(), c.want)
				}
			}
			o.Logger = nil
			late := open(t, o)
			if w := fmt.Sprint(late.Warnings()); strings.Contains(w, "LOST CHANGES") {
				t.Errorf("a gateway that was started since warns: %s", w)
			}
		})
	}
}

// Of each token that is lost it is told once, on whichever page of a list.
func TestLostInPages(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, Options{Addresses: []string{server.Addr}})
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		create(t, s, newToken(id))
	}
	for _, id := range []string{"a", "c", "e"} {
		server.Do("del", s.keys.token(digest(id)))
	}
	var listed, lost []string
	q := store.Query{Limit: 1, Lost: func(id string) { lost = append(lost, id) }}
	for more := true; more; more = q.Cursor != "" {
		tokens, next, err := s.Tokens(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range tokens {
			listed = append(listed, one.ID)
		}
		q.Cursor = next
	}
	if !slices.Equal(listed, []string{"d", "b"}) || !slices.Equal(lost, []string{"e", "c", "a"}) {
		t.Errorf("%q are listed, and %q lost, want d and b, and e, c and a", listed, lost)
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
	if err := s.losses.lately(); err == nil || !strings.Contains(err.Error(), "change of c: ") || !strings.Contains(err.Error(), "and 2 more") {
		t.Errorf("lately: %v, want the last, and how many others there are", err)
	}
	for _, one := range s.losses.by {
		one.at, one.logged = one.at.Add(-lossLogged), one.logged.Add(-lossLogged)
	}
	if n := lose("a"); n != 1 {
		t.Errorf("%s later, a record is logged %d times, want once", lossLogged, n)
	}
	if err := s.losses.lately(); err == nil || strings.Contains(err.Error(), "more") || len(s.losses.by) != 1 {
		t.Errorf("lately: %v, want one record, and the others forgotten", err)
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
// hand, they go on after what is there, and nothing is left half done.
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
