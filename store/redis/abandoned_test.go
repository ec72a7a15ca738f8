package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// age makes a change as old as this, if it is remembered.
func (s *Store) age(t *testing.T, mark string, by time.Duration) {
	t.Helper()
	e := s.client.HGet(t.Context(), s.keys.changes, mark).Val()
	if e == "" {
		return
	}
	fields := strings.SplitN(e, " ", 4)
	fields[2] = fmt.Sprint(time.Now().Add(-by).UnixMilli())
	if err := s.client.HSet(t.Context(), s.keys.changes, mark, strings.Join(fields, " ")).Err(); err != nil {
		t.Fatal(err)
	}
}

// What a process sent before it gave its change up may come when the change has
// been undone. It shows nowhere, is in nobody's way, and doesn't stay.
func TestLateIntents(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *Store) {
		s.patience = 20 * time.Millisecond
		create(t, s, newToken("old"), newToken("bystander"))
		before := show(t, s)
		r, err := s.byID(t.Context(), "old", s.settle)
		if err != nil {
			t.Fatal(err)
		}
		c := newChange(r.version)
		c.set(digest("old"), r.raw, "")
		c.set(digest("new1"), "", liveValue(c.version, newToken("new1")))
		if err := s.begin(t.Context(), c.mark, c.writes); err != nil {
			t.Fatal(err)
		}
		s.undo(c, true)
		for _, w := range c.writes {
			if err := s.send(t.Context(), s.intent(c.mark, w)); err != nil {
				t.Fatal(err)
			}
		}
		if now := show(t, s); now != before {
			t.Errorf("after the late intents:\n%s\nwant\n%s", now, before)
		}
		problems, err := s.Check(t.Context(), false)
		if err != nil || len(problems) > 0 {
			t.Errorf("Check = %+v, %v, want nothing", problems, err)
		}
		update(t, s, "old", func(t *token.Token) { t.Name = "changed by another" })
		s.age(t, c.mark, lateness)
		if err := s.tidy(t.Context()); err != nil {
			t.Fatalf("tidy: %v", err)
		}
		if n := s.client.HLen(t.Context(), s.keys.changes).Val(); n > 0 {
			t.Errorf("%d changes are remembered, want none", n)
		}
		if v := s.client.Get(t.Context(), s.keys.token(digest("new1"))).Val(); v != "" {
			t.Errorf("%q stands where an intent came late, want nothing", v)
		}
		wantSound(t, s)
	})
}

// A token that was to be made can't be any more when another has been made in its
// place, even if that has been deleted since.
func TestLateCreation(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	late, err := s.creation(t.Context(), []*token.Token{newToken("a")})
	if err != nil {
		t.Fatal(err)
	}
	s.stopAfter(t, "intents", late)
	other := newToken("a")
	other.Digest = digest("another")
	create(t, s, other)
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.commit(t.Context(), late); !errors.Is(err, errConflict) {
		t.Errorf("committing the first: %v, want a conflict", err)
	}
	s.undo(late, false)
	if f, err := s.Find(t.Context(), digest("a")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Find = %+v, %v, want nothing", f.Token, err)
	}
	create(t, s, newToken("a"))
	if n := s.client.Exists(t.Context(), s.keys.claim("a")).Val(); n != 0 {
		t.Error("a claim is left of a token that was made")
	}
	wantSound(t, s)
}

// A change that was begun later than now, by a clock that was set back, is in nobody's
// way.
func TestBegunLaterThanNow(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"), newToken("b"))
	for id, mend := range map[string]func() error{
		"a": func() error {
			err := tryRevoke(t, s, "a")
			return err
		},
		"b": func() error { return s.tidy(t.Context()) },
	} {
		r, err := s.byID(t.Context(), id, s.settle)
		if err != nil {
			t.Fatal(err)
		}
		c := newChange(r.version)
		c.set(digest(id), r.raw, "")
		s.stopAfter(t, "intents", c)
		s.age(t, c.mark, -time.Hour)
		if err := mend(); err != nil {
			t.Errorf("token %s: %v", id, err)
		}
		if v, err := s.get(t.Context(), s.keys.token(digest(id))); err != nil || strings.HasPrefix(v, c.writes[0].intent(c.mark)[:1+markSize]) {
			t.Errorf("token %s is still what the change has left: %v", id, err)
		}
	}
}

// In a Cluster, a change isn't forgotten before its last step is on the replicas: one
// that has the intent alone would find it unmade.
func TestNotForgottenTooSoon(t *testing.T) {
	t.Parallel()
	s, cluster := openSpread(t)
	c := s.revocation(t, cluster.id)
	s.stopAfter(t, "commit", c)
	freeze, _ := cluster.freezing(t, cluster.token)
	freeze()
	wantUnconfirmed(t, "the last step", func() error { return s.end(t.Context(), c.mark, c.writes, committed) })
	s.age(t, c.mark, time.Minute)
	wantUnconfirmed(t, "tidying up", func() error { return s.tidy(t.Context()) })
	if n, err := s.client.HLen(t.Context(), s.keys.changes).Result(); err != nil || n != 1 {
		t.Errorf("%d changes are remembered, %v, want 1", n, err)
	}
}

// A change that was left behind is found by Check, and mended when it is asked
// to; and a gateway does so by itself.
func TestLeftBehind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, by := range []string{"check", "gateway"} {
		s := open(t, Options{Addresses: []string{server.Addr}})
		create(t, s, newToken("a"))
		r, err := s.byID(t.Context(), "a", s.settle)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []string{"first intent", "commit"} {
			c := newChange(r.version)
			c.set(digest("a"), r.raw, "")
			c.remove(s.keys.ids, idEntry("a", digest("a")))
			c.remove(s.keys.own("alice"), "a")
			s.stopAfter(t, step, c)
			s.age(t, c.mark, time.Minute)
			if by == "check" {
				// The gateway itself may be faster.
				problems, err := s.Check(t.Context(), true)
				if err != nil || len(problems) > 1 || len(problems) == 1 && !problems[0].Mended {
					t.Errorf("Check = %+v, %v, want one problem at most, mended", problems, err)
				}
			}
			redistest.Await(t, "the change to be ended", func() error {
				if n := s.client.HLen(t.Context(), s.keys.changes).Val(); n != 0 {
					return fmt.Errorf("%d changes", n)
				}
				return nil
			})
			wantSound(t, s)
		}
	}
}
