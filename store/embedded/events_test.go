package embedded

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// A file that an earlier version wrote has neither events nor uses; it gets them.
func TestOpenFileOfEarlierVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tokens.db")
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	made := &token.Token{ID: "a", Name: "a", Owner: "alice", Digest: token.Digest{1}}
	if err := s.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	s.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(b *bbolt.Tx) error {
		for _, name := range [][]byte{bucketUses, bucketEvents, bucketEventsBy} {
			if err := b.DeleteBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || db.Close() != nil {
		t.Fatal(err)
	}

	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	use := store.Use{ID: "a", At: time.Date(2021, 11, 22, 10, 0, 0, 0, time.UTC), From: netip.MustParseAddr("192.0.2.1")}
	if err := s.NoteUses(t.Context(), use); err != nil {
		t.Fatal(err)
	}
	ctx := store.WithEvents(t.Context(), func() []store.Event { return []store.Event{{Action: "updated", TokenID: "a", Owner: "alice"}} })
	if _, err := s.Update(ctx, "a", func(t *token.Token) error { t.Name = "b"; return nil }); err != nil {
		t.Fatal(err)
	}
	s.Close()

	// All of it is there when the file is opened again.
	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Token(t.Context(), "a")
	if err != nil || got.Name != "b" || !got.LastUsedAt.Equal(use.At) || got.LastUsedIP != use.From {
		t.Errorf("Token = %+v, %v, want it renamed, and used at %v", got, err, use.At)
	}
	events, _, err := s.Events(t.Context(), store.EventQuery{})
	if err != nil || len(events) != 1 || events[0].Action != "updated" {
		t.Errorf("Events = %+v, %v, want the one", events, err)
	}
	if problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
		t.Errorf("Check finds %v, %v", problems, err)
	}
}

// What Check says of events and uses that are at odds.
func TestCheckEventsAndUses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		harm func(tx) error
		want string
	}{
		{"nothing", func(tx) error { return nil }, ""},
		{"a use that can't be read", func(tx tx) error { return tx.uses().Put([]byte("a"), []byte("x")) }, `a use is noted of token "a"`},
		{"a use of no token", func(tx tx) error { return tx.uses().Put([]byte("gone"), encodeUse(store.Use{})) }, `a use is noted of token "gone"`},
		{"an event without its index", func(tx tx) error {
			return tx.b.Bucket(bucketEventsBy).Delete(append(eventPrefix(byToken, "a"), number(1)...))
		}, "event 1 is not in the index"},
		{"an index without its event", func(tx tx) error {
			return tx.b.Bucket(bucketEventsBy).Put(append(eventPrefix(byOwner, "x"), number(1)...), nil)
		}, "events in indexes"},
		{"an event that can't be read", func(tx tx) error { return tx.b.Bucket(bucketEvents).Put(number(1), []byte("x")) }, "event 1:"},
		{"a wrong number", func(tx tx) error { return tx.count(keyEvents, 1) }, "events by the number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(filepath.Join(t.TempDir(), "tokens.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.Record(t.Context(), store.Event{TokenID: "a", Owner: "alice"}); err != nil {
				t.Fatal(err)
			}
			if err := s.note(t.Context(), c.harm); err != nil {
				t.Fatal(err)
			}
			problems, err := s.Check(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(problems, func(p store.Problem) bool { return strings.Contains(p.Text, c.want) })
			if found != (c.want != "") || c.want == "" && len(problems) > 0 {
				t.Errorf("Check finds %v, want %q", problems, c.want)
			}
		})
	}
}

// An event that can't be read keeps none from being removed: it goes itself, once
// it is the oldest, and from the index as well.
func TestPruneDamagedEvents(t *testing.T) {
	t.Parallel()
	s := open(t)
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for i := range 4 {
		if err := s.Record(t.Context(), store.Event{Time: at.Add(time.Duration(i) * time.Minute), Action: "created", TokenID: "a", Owner: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.note(t.Context(), func(tx tx) error {
		events := tx.b.Bucket(bucketEvents)
		return errors.Join(events.Put(number(1), []byte("{")), events.Put(number(3), []byte(`{"action": 5}`)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.PruneEvents(t.Context(), 0, 10); err != nil {
		t.Fatal(err)
	}
	for _, q := range []store.EventQuery{{}, {TokenID: "a"}, {Owner: new("alice")}} {
		if events, _, err := s.Events(t.Context(), q); err != nil || len(events) != 1 || events[0].ID != "4" {
			t.Errorf("Events(%+v) = %+v, %v, want event 4 alone", q, events, err)
		}
	}
	if problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
		t.Errorf("Check finds %v, %v", problems, err)
	}
}

func BenchmarkEventsOfOneToken(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "tokens.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const n = 100_000
	for from := 0; from < n; from += 1000 {
		var events []store.Event
		for i := range 1000 {
			events = append(events, store.Event{Action: "created", TokenID: fmt.Sprint(from + i), Owner: fmt.Sprint(i)})
		}
		if err := s.Record(b.Context(), events...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		events, _, err := s.Events(b.Context(), store.EventQuery{TokenID: fmt.Sprint(i * 7919 % n), Limit: 20})
		if err != nil || len(events) != 1 {
			b.Fatalf("Events = %v, %v", events, err)
		}
	}
}
