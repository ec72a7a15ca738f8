package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// The events of a change are there from its commit on: not before, not of one that
// was aborted, and once, however often the commit is sent.
func TestEventsGoWithTheCommit(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *Store) {
		ctx := store.WithEvents(t.Context(), func() []store.Event {
			return []store.Event{{Action: "created", TokenID: "a", Owner: "alice"}}
		})
		want := func(when string, n int) {
			t.Helper()
			for of, q := range map[string]store.EventQuery{"all": {}, "token a": {TokenID: "a"}, "alice": {Owner: new("alice")}} {
				if events, _, err := s.Events(t.Context(), q); err != nil || len(events) != n {
					t.Errorf("%s, of %s: %d events, %v, want %d", when, of, len(events), err, n)
				}
			}
		}
		prepare := func() *change {
			t.Helper()
			c, err := s.creation(ctx, []*token.Token{newToken("a")})
			if err == nil {
				err = s.begin(ctx, c.mark, c.writes, c.free...)
			}
			if err == nil {
				err = s.intend(ctx, c)
			}
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c := prepare()
		want("before the commit", 0)
		s.undo(c, false)
		if _, err := s.commit(ctx, c); !errors.Is(err, errConflict) {
			t.Errorf("committing what was aborted: %v, want a conflict", err)
		}
		want("aborted", 0)
		c = prepare()
		for range 2 {
			if _, err := s.commit(ctx, c); err != nil {
				t.Fatal(err)
			}
			want("committed", 1)
		}
		if err := s.end(ctx, c.mark, c.writes, committed); err != nil {
			t.Fatal(err)
		}

		// An owner's record: what is there is another value, the second time.
		for range 2 {
			alice := ownerChange{mark: newMark(), name: "alice", version: 1, after: token.NewOwner("alice")}
			if err := s.begin(ctx, alice.mark, nil); err != nil {
				t.Fatal(err)
			}
			cmd := s.ownerCommit(alice, store.EventsOf(ctx))
			for range 2 {
				if err := s.send(ctx, cmd); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.forget(ctx, alice.mark); err != nil {
				t.Fatal(err)
			}
		}
		want("an owner's record changed", 2)
		wantSound(t, s)
	})
}

// What is said of events and uses that can't be read.
func TestDamagedEventsAndUses(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"))
	for _, v := range []string{"", "x", "1 nowhere", "99999999999999999999 192.0.2.1"} {
		s.client.HSet(t.Context(), s.keys.uses, "a", v)
		if tok, err := s.Token(t.Context(), "a"); err != nil || !tok.LastUsedAt.IsZero() {
			t.Errorf("with a use %q: Token = %+v, %v, want it without one", v, tok, err)
		}
	}
	if all, _, err := s.Tokens(t.Context(), store.Query{}); err != nil || len(all) != 1 {
		t.Errorf("Tokens = %v, %v, want the token", all, err)
	}
	if _, err := s.Update(t.Context(), "a", func(t *token.Token) error { t.RevokedAt = time.Now(); return nil }); err != nil {
		t.Errorf("revoking it: %v", err)
	}
	for _, found := range []int{1, 0} {
		if problems, err := s.Check(t.Context(), true); err != nil || len(problems) != found || found == 1 && !problems[0].Mended {
			t.Errorf("Check = %+v, %v, want %d mended", problems, err, found)
		}
	}
	s.client.Do(t.Context(), "xadd", s.keys.events, "1-0", "e", "{")
	if events, _, err := s.Events(t.Context(), store.EventQuery{}); err == nil {
		t.Errorf("Events = %+v, want an error", events)
	}
	if problems, err := s.Check(t.Context(), true); err != nil || len(problems) != 1 || !strings.HasPrefix(problems[0].Text, "event 1: ") || problems[0].Mended {
		t.Errorf("Check = %+v, %v, want the event named", problems, err)
	}
}

// An event that can't be read keeps none from being removed: it goes itself, once
// it is the oldest.
func TestPruneDamagedEvents(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	record := func(when time.Time) {
		t.Helper()
		if err := s.Record(t.Context(), store.Event{Time: when, Action: "created", TokenID: "a", Owner: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	s.client.Do(t.Context(), "xadd", s.keys.events, "1-0", "e", "{")
	s.client.Do(t.Context(), "zadd", s.keys.eventsBy, "0", "ta\x00"+eventNumber(1))
	record(at)
	s.client.Do(t.Context(), "xadd", s.keys.events, "3-0", "e", `{"action": 5}`)
	s.client.HSet(t.Context(), s.keys.head, "events", 3)
	record(at.Add(time.Hour))
	if err := s.PruneEvents(t.Context(), time.Minute, 10); err != nil {
		t.Fatal(err)
	}
	for _, q := range []store.EventQuery{{}, {TokenID: "a"}, {Owner: new("alice")}} {
		if events, _, err := s.Events(t.Context(), q); err != nil || len(events) != 1 || events[0].ID != "4" {
			t.Errorf("Events(%+v) = %+v, %v, want event 4 alone", q, events, err)
		}
	}
}

// A change that is made is none that failed, if only the uses can't be read after it.
func TestUpdateWithoutUses(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"))
	s.client.Set(t.Context(), s.keys.uses, "no hash", 0)
	after, err := s.Update(t.Context(), "a", func(t *token.Token) error { t.Name = "renamed"; return nil })
	if err != nil || after.Name != "renamed" || !after.LastUsedAt.IsZero() {
		t.Errorf("Update = %+v, %v, want it renamed", after, err)
	}
}

// A last use that can't be read, or lies in the future, gives way to the next one, and keeps
// none of others from being noted.
func TestDamagedUse(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"), newToken("b"))
	at := time.Date(2021, 11, 22, 3, 0, 0, 0, time.UTC)
	for _, damaged := range []string{"x", "", "-5 ", "1152921504606846976 ", fmt.Sprint(time.Now().Add(time.Hour).UnixMilli(), " 192.0.2.1")} {
		s.client.HSet(t.Context(), s.keys.uses, "a", damaged)
		at = at.Add(time.Hour)
		if err := s.NoteUses(t.Context(), store.Use{ID: "a", At: at}, store.Use{ID: "b", At: at}); err != nil {
			t.Errorf("noting uses beside %q: %v", damaged, err)
		}
		for _, id := range []string{"a", "b"} {
			if got, err := s.Token(t.Context(), id); err != nil || !got.LastUsedAt.Equal(at) {
				t.Errorf("token %s, noted as used at %s over %q: %+v, %v", id, at, damaged, got, err)
			}
		}
	}
}

func FuzzParseUse(f *testing.F) {
	for _, v := range []string{"1 192.0.2.1", "1795373128272 2001:db8::1%eth0", "-5 ", "", "x y", "1152921504606846976"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseUse(text)
		if err != nil {
			return
		}
		if _, err := json.Marshal(u.At); err != nil || u.At.Location() != time.UTC || u.ID != "" {
			t.Errorf("parseUse(%q) = %+v, %v", text, u, err)
		}
	})
}
