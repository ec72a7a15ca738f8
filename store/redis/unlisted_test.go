package redis

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/token"
)

// Where Redis has lost a list of tokens, and has the tokens, that is told.
func TestListIsLost(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"ids", "own:"} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var log logged
			s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
			a := newToken("a")
			create(t, s, a)
			find := func() error {
				_, err := s.Find(t.Context(), a.Digest)
				return err
			}
			s.served.take(sweepStep)
			if err := find(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.lookForUnlisted(t.Context(), nil); err != nil || strings.Contains(log.String(), "LIST") {
				t.Errorf("with all lists: %v, %s", err, log.String())
			}

			key := s.keys.ids
			if list != "ids" {
				key = s.keys.own(a.Owner)
			}
			r, err := s.find(t.Context(), a.Digest)
			if err != nil {
				t.Fatal(err)
			}
			server.Do("del", key)
			redistest.Await(t, "that to be said", func() error { return errors.Join(find(), unless(s.Reach(t.Context()) != nil)) })
			if err := s.Reach(t.Context()); !errors.Is(err, errUnlisted) {
				t.Errorf("Reach: %v, want %v", err, errUnlisted)
			}
			if !strings.Contains(log.String(), "REDIS HAS LOST A LIST OF TOKENS") {
				t.Errorf("it isn't logged: %s", log.String())
			}
			unlisted, err := s.lookForUnlisted(t.Context(), []record{r, r})
			if err != nil || len(unlisted) != 1 {
				t.Errorf("%d tokens are looked for again (%v), want the one", len(unlisted), err)
			}
			if problems, err := s.Check(t.Context(), true); err != nil || len(problems) == 0 {
				t.Errorf("Check: %+v, %v, want that it mends something", problems, err)
			}
			if unlisted, err = s.lookForUnlisted(t.Context(), unlisted); err != nil || len(unlisted) != 0 {
				t.Errorf("%d tokens are looked for again (%v) after the repair, want none", len(unlisted), err)
			}
			if err := s.Delete(t.Context(), "a"); err != nil {
				t.Errorf("a token that is back on its lists: %v", err)
			}
		})
	}
}

// A token that is changed between being found and being looked for on the lists isn't lost.
func TestChangedIsNotUnlisted(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Logger: log.logger()})
	for _, id := range []string{"moved", "renewed", "gone"} {
		create(t, s, newToken(id))
	}
	sample := func() {
		s.served.take(sweepStep)
		for _, id := range []string{"moved", "renewed", "gone"} {
			if _, err := s.Find(t.Context(), digest(id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sample()
	update(t, s, "moved", func(k *token.Token) { k.Owner = "another" })
	update(t, s, "renewed", func(k *token.Token) {
		k.Retired = []token.RetiredSecret{{Digest: k.Digest}}
		k.Digest = digest("renewed 2")
	})
	if err := s.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lookForUnlisted(t.Context(), nil); err != nil || strings.Contains(log.String(), "LIST") {
		t.Errorf("%v, %s", err, log.String())
	}
}

// Nor is one that isn't there, or another's, while the lists are looked at, and is again after
// that as it was before.
func TestChangedAndBackIsNotUnlisted(t *testing.T) {
	t.Parallel()
	o := Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "remade"}
	s, other := open(t, o), open(t, o)
	move := func(to string) func() {
		return func() { update(t, other, "remade", func(k *token.Token) { k.Owner = to }) }
	}
	create(t, other, newToken("remade"))
	owner := newToken("remade").Owner
	for name, c := range map[string]struct{ away, back func() }{
		"moved": {move("another"), move(owner)},
		"made again": {
			func() {
				if err := other.Delete(t.Context(), "remade"); err != nil {
					t.Error(err)
				}
			},
			func() { create(t, other, newToken("remade")) },
		},
	} {
		r, err := s.find(t.Context(), digest("remade"))
		if err != nil {
			t.Fatal(err)
		}
		c.away()
		var once sync.Once
		s.client.AddHook(answered(map[string]string{s.keys.ids: "list"}, func(string) { once.Do(c.back) }))
		if unlisted, err := s.lookForUnlisted(t.Context(), []record{r}); err != nil || len(unlisted) > 0 {
			t.Errorf("%s: %d tokens aren't listed (%v), want none", name, len(unlisted), err)
		}
	}
}

// What stops the look at the listed tokens doesn't stop that at those that are found, and the
// redis user needs no right that listing doesn't need.
func TestUnlistedIsFoundBesideDamage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("acl", "setuser", "gateway", "on", "nopass", "~*", "&*", "+@all", "-@dangerous", "+info", "-zscore")
	var log logged
	s := open(t, Options{Addresses: []string{server.Addr}, Username: "gateway", Logger: log.logger()})
	create(t, s, newToken("a"))
	server.Do("zadd", s.keys.ids, 0, "zzz") // at which the look at the listed tokens stops
	server.Do("del", s.keys.own(newToken("a").Owner))
	redistest.Await(t, "both to be logged", func() error {
		_, err := s.Find(t.Context(), digest("a"))
		return errors.Join(err, unless(strings.Contains(log.String(), errUnlisted.Error()) && strings.Contains(log.String(), "keeps patgate from looking")))
	})
}
