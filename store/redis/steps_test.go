package redis

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// stopAfter makes a change and dies after a step: nothing of what would come
// after it is done, not even to undo it.
func (s *Store) stopAfter(t *testing.T, step string, c *change) {
	t.Helper()
	half := *c
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.begin(t.Context(), c.mark, c.writes, c.free...))
	if step == "begin" {
		return
	}
	if step == "first intent" {
		half.writes = c.writes[:1]
	}
	must(s.intend(t.Context(), &half))
	if step == "first intent" || step == "intents" {
		return
	}
	_, err := s.commit(t.Context(), c)
	must(err)
	if step == "commit" {
		return
	}
	w := c.writes[0] // "first key"
	err = s.finish(t.Context(), unsafe, c.mark, []write{w}, committed)
	must(err)
}

// A process may die after any step of any change: then all of it shows or
// nothing, other changes go on, and what it left is cleared away.
func TestEveryStep(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	changes := map[string]func(*testing.T, *Store) (*change, error){
		"create two": func(t *testing.T, s *Store) (*change, error) {
			return s.creation(t.Context(), []*token.Token{newToken("new1"), newToken("new2")})
		},
		"delete": func(t *testing.T, s *Store) (*change, error) { return s.deletion(t.Context(), []string{"old"}) },
	}
	for name, f := range map[string]func(*token.Token){
		"revoke":     revoke,
		"regenerate": func(old *token.Token) { old.Digest, old.Retired = digest("old 2"), nil },
		"regenerate with an overlap": func(old *token.Token) {
			old.Retired = append([]token.RetiredSecret{{Digest: old.Digest, Until: time.Unix(9, 0)}}, old.Retired...)
			old.Digest = digest("old 2")
		},
		"give away": func(old *token.Token) { old.Owner = "bob" },
	} {
		changes[name] = func(t *testing.T, s *Store) (*change, error) {
			r, err := s.byID(t.Context(), "old", s.settle)
			if err != nil {
				return nil, err
			}
			after := r.token.Clone()
			f(after)
			return s.replacement(t.Context(), r, after)
		}
	}
	for name, plan := range changes {
		for _, step := range []string{"begin", "first intent", "intents", "commit", "first key"} {
			t.Run(name+", "+step, func(t *testing.T) {
				t.Parallel()
				s := open(t, Options{Addresses: []string{server.Addr}})
				s.patience = 20 * time.Millisecond
				old := newToken("old")
				old.Retired = []token.RetiredSecret{{Digest: digest("old 0"), Until: time.Unix(9, 0)}}
				create(t, s, old, newToken("bystander"))
				before := show(t, s)
				c, err := plan(t, s)
				if err != nil {
					t.Fatal(err)
				}
				s.stopAfter(t, step, c)
				during := show(t, s)
				after := s.shownAfter(t, plan)
				isDone := step == "commit" || step == "first key"
				want := before
				if isDone {
					want = after
				}
				if before == after {
					t.Fatal("the change makes no difference")
				}
				if during != want {
					t.Errorf("after the step:\n%s\nwant\n%s", during, want)
				}

				// Nobody has to wait for the dead: another change of the same
				// token goes through.
				if name != "create two" && (name != "delete" || !isDone) {
					update(t, s, "old", func(t *token.Token) { t.Name = "changed by another" })
				} else if name == "create two" && !isDone {
					create(t, s, newToken("new2"))
				}
				if f, err := s.Find(t.Context(), digest("bystander")); err != nil || f.Token.Name != "token bystander" {
					t.Errorf("Find of a bystander = %+v, %v", f.Token, err)
				}
				shown := show(t, s)
				if err := s.endAbandoned(t.Context(), abandoned{c.mark, digestsOf(c)}); err != nil {
					t.Fatalf("ending what was left behind: %v", err)
				}
				if now := show(t, s); now != shown {
					t.Errorf("ending what was left behind shows\n%s\nand before\n%s", now, shown)
				}
				wantSound(t, s)
			})
		}
	}
}

func digestsOf(c *change) (all []token.Digest) {
	for _, w := range c.writes {
		all = append(all, w.digest)
	}
	return all
}

// shownAfter returns what a store of its own shows when the change went through.
func (s *Store) shownAfter(t *testing.T, plan func(*testing.T, *Store) (*change, error)) string {
	t.Helper()
	whole := open(t, Options{Addresses: []string{strings.TrimPrefix(s.where, "redis ")}})
	old := newToken("old")
	old.Retired = []token.RetiredSecret{{Digest: digest("old 0"), Until: time.Unix(9, 0)}}
	create(t, whole, old, newToken("bystander"))
	if err := whole.retry(t.Context(), func() (*change, error) { return plan(t, whole) }); err != nil {
		t.Fatal(err)
	}
	return show(t, whole)
}

// show writes down all that a store answers, without positions and versions.
func show(t *testing.T, s *Store) string {
	t.Helper()
	var b bytes.Buffer
	for _, id := range []string{"old", "new1", "new2", "bystander"} {
		got, err := s.Token(t.Context(), id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Token(%q): %v", id, err)
		}
		fmt.Fprintf(&b, "%s: %s\n", id, shown(got))
	}
	for _, secret := range []string{"old", "old 0", "old 2", "new1", "new2", "bystander"} {
		f, err := s.Find(t.Context(), digest(secret))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatalf("Find by %q: %v", secret, err)
		}
		fmt.Fprintf(&b, "by %q: %s, current %v, until %d\n", secret, shown(f.Token), f.Current, f.Until.Unix())
	}
	for _, owner := range []string{"alice", "bob"} {
		all, _, err := s.Tokens(t.Context(), store.Query{Owner: &owner})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "of %s:%s\n", owner, ids(all))
	}
	all, _, err := s.Tokens(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "all:%s (%d)\n", ids(all), st.Tokens)
	return b.String()
}

func shown(t *token.Token) string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%s of %s, revoked %v, %x", t.Name, t.Owner, !t.RevokedAt.IsZero(), t.Digests())
}

func ids(tokens []*token.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(" " + t.ID)
	}
	return b.String()
}

// A change that was aborted can't be committed any more, however late its
// process comes to it.
func TestAbortedCantCommit(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("old"))
	r, err := s.byID(t.Context(), "old", s.settle)
	if err != nil {
		t.Fatal(err)
	}
	for _, ended := range []bool{false, true} {
		c := newChange(r.version)
		c.set(digest("old"), r.raw, "")
		s.stopAfter(t, "intents", c)
		if ended {
			err = s.endAbandoned(t.Context(), abandoned{c.mark, digestsOf(c)})
		} else {
			_, err = s.abort(t.Context(), c.mark)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.commit(t.Context(), c); !errors.Is(err, errConflict) {
			t.Errorf("committing a change that was aborted: %v, want a conflict", err)
		}
		s.undo(c, false)
		if f, err := s.Find(t.Context(), digest("old")); err != nil || f.Token.ID != "old" {
			t.Errorf("Find = %+v, %v", f.Token, err)
		}
	}
	wantSound(t, s)
}

// Steps may be sent twice, but for the first two: the second time changes
// nothing.
func TestStepsTwice(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	n := newToken("a")
	c := newChange()
	c.set(n.Digest, "", liveValue(c.version, n))
	c.add(s.keys.ids, idEntry("a", n.Digest))
	c.add(s.keys.own(n.Owner), "a")
	c.free = []string{"a"}
	if err := errors.Join(s.begin(t.Context(), c.mark, c.writes, c.free...), s.intend(t.Context(), c)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if p, err := s.commit(t.Context(), c); err != nil || p != 1 {
			t.Fatalf("committed at position %d, %v, want 1", p, err)
		}
	}
	for range 2 {
		if err := s.end(t.Context(), c.mark, c.writes, committed); err != nil {
			t.Fatal(err)
		}
	}
	if f, err := s.Find(t.Context(), n.Digest); err != nil || f.Token.ID != "a" {
		t.Errorf("Find = %+v, %v", f.Token, err)
	}
	wantSound(t, s)
}

// The script that changes an owner may be sent twice, and come late.
func TestOwnerStepTwice(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	change := func(before string, version uint64, after *token.Owner) ownerChange {
		t.Helper()
		c := ownerChange{newMark(), "alice", version, before, after}
		if err := s.begin(t.Context(), c.mark, nil); err != nil {
			t.Fatal(err)
		}
		return c
	}
	want := func(when string, c ownerChange, want int64) {
		t.Helper()
		cmd := s.ownerCommit(c, nil)
		if err := s.sendWith(t.Context(), safe, cmd); err != nil {
			t.Fatal(err)
		}
		if position, err := cmd.Int64(); err != nil || position != want {
			t.Errorf("%s: position %d, %v, want %d", when, position, err, want)
		}
	}
	alice := &token.Owner{ID: "alice"}
	create, rival := change("", 1, alice), change("", 1, alice)
	remove := change(ownerValue(1, alice), 2, nil)
	want("creating", create, 1)
	putOwner(t, s, &token.Owner{ID: "bob"})
	want("creating, again", create, 1)
	want("deleting", remove, 3)
	want("deleting, again", remove, 3)
	want("creating, when another has created and deleted", rival, 0)
	for _, c := range []ownerChange{create, rival, remove} {
		if err := s.forget(t.Context(), c.mark); err != nil {
			t.Fatal(err)
		}
		want("after its end", c, 0)
	}
	if o, err := s.Owner(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the owner, who was deleted: %+v, %v", o, err)
	}
	if err := s.DeleteOwner(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting the owner again: %v, want that there is none", err)
	}
	if ttl := s.client.TTL(t.Context(), s.keys.owner("alice")).Val(); ttl <= 0 || ttl > 24*time.Hour {
		t.Errorf("what is left of the owner ends in %v, want a day at most", ttl)
	}
	putOwner(t, s, alice)
	if ttl := s.client.TTL(t.Context(), s.keys.owner("alice")).Val(); ttl != -1 {
		t.Errorf("the owner, made anew, ends in %v, want never", ttl)
	}
	wantSound(t, s)
}

// A change whose connection had died is made again, once.
func TestBrokenOnce(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	for _, row := range []struct {
		fails, calls int
		err          error
	}{{0, 1, nil}, {1, 2, nil}, {2, 2, io.EOF}} {
		calls := 0
		err := s.again(t.Context(), func() error {
			if calls++; calls <= row.fails {
				return brokenError{io.EOF}
			}
			return nil
		})
		if calls != row.calls || !errors.Is(err, row.err) {
			t.Errorf("%d failures: %d calls, %v, want %d, %v", row.fails, calls, err, row.calls, row.err)
		}
	}
}

// The last use of a token goes with it, in the step that commits: whoever deletes
// it may die after that.
func TestUseGoesWithToken(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"))
	if err := s.NoteUses(t.Context(), store.Use{ID: "a", At: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	c, err := s.deletion(t.Context(), []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	s.stopAfter(t, "commit", c)
	if s.client.HExists(t.Context(), s.keys.uses, "a").Val() {
		t.Error("a use is left of a token that was deleted")
	}
	if err := s.endAbandoned(t.Context(), abandoned{c.mark, digestsOf(c)}); err != nil {
		t.Fatal(err)
	}
	wantSound(t, s)
}
