package redis

import (
	"errors"
	"strings"
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
			if err := s.lookForUnlisted(t.Context()); err != nil || strings.Contains(log.String(), "LIST") {
				t.Errorf("with all lists: %v, %s", err, log.String())
			}

			key := s.keys.ids
			if list != "ids" {
				key = s.keys.own(a.Owner)
			}
			server.Do("del", key)
			redistest.Await(t, "that to be said", func() error { return errors.Join(find(), unless(s.Reach(t.Context()) != nil)) })
			if err := s.Reach(t.Context()); !errors.Is(err, errUnlisted) {
				t.Errorf("Reach: %v, want %v", err, errUnlisted)
			}
			if !strings.Contains(log.String(), "REDIS HAS LOST A LIST OF TOKENS") {
				t.Errorf("it isn't logged: %s", log.String())
			}
			if problems, err := s.Check(t.Context(), true); err != nil || len(problems) == 0 {
				t.Errorf("Check: %+v, %v, want that it mends something", problems, err)
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
	if err := s.lookForUnlisted(t.Context()); err != nil || strings.Contains(log.String(), "LIST") {
		t.Errorf("%v, %s", err, log.String())
	}
}
