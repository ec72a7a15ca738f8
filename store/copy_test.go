package store_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/token"
)

func open(t *testing.T) store.Store {
	t.Helper()
	s, err := embedded.Open(filepath.Join(t.TempDir(), "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var now = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func record(n int) *token.Token {
	id := fmt.Sprintf("t%05d", n)
	return &token.Token{
		ID: id, Name: "n", Owner: fmt.Sprintf("owner%d", n%7), Digest: token.NewHasher("").Digest(id),
		Grants:    []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"read"}, Resources: []string{"*"}}},
		CreatedAt: now, Retired: []token.RetiredSecret{{Digest: token.NewHasher("").Digest("old " + id), Until: now}},
	}
}

// events returns n events.
func events(n int) (events []store.Event) {
	for i := range n {
		events = append(events, store.Event{
			Time: now, ActorKind: "operator", Actor: "cli", Action: "created", TokenID: record(i).ID,
			Changes: []store.FieldChange{{Field: "name", After: "n"}},
		})
	}
	return events
}

// wantEvents checks that the store has the events that were filled in, in order.
func wantEvents(t *testing.T, s store.Store, n int) {
	t.Helper()
	got, _, err := s.Events(t.Context(), store.EventQuery{After: "0"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].ID = ""
	}
	if want := events(n); !reflect.DeepEqual(got, want) {
		t.Errorf("the target has %d events, want the %d of the source", len(got), n)
	}
}

// fill makes n tokens, some of them revoked, an owner, and n events.
func fill(t *testing.T, s store.Store, n int) {
	t.Helper()
	var tokens []*token.Token
	for i := range n {
		r := record(i)
		if i%3 == 0 {
			r.RevokedAt = now
		}
		tokens = append(tokens, r)
	}
	if err := s.Create(store.WithEvents(t.Context(), func() []store.Event { return events(n) }), tokens...); err != nil {
		t.Fatal(err)
	}
	_, err := s.UpdateOwner(t.Context(), "owner1", func(*token.Owner) (*token.Owner, error) {
		return &token.Owner{ID: "owner1", Grants: []token.Grant{token.Full()}, CreatedAt: now, UpdatedAt: now}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	const n = 1234
	from, to := open(t), open(t)
	fill(t, from, n)
	far := 0
	first, err := store.Copy(t.Context(), from, to, func(records int) { far = records })
	if err != nil || first.Tokens != n || first.Owners != 1 || first.Written != n+1 || first.Events != n || far != 2*n+1 {
		t.Fatalf("Copy = %+v, %v, told %d; want %d tokens and events and 1 owner", first, err, far, n)
	}
	wantEvents(t, to, n)
	found, err := to.Find(t.Context(), record(3).Retired[0].Digest)
	if err != nil || found.Current || found.Token.RevokedAt.IsZero() {
		t.Errorf("the copy of a revoked token, by a retired digest: %+v, %v", found, err)
	}
	if err := from.NoteUses(t.Context(), store.Use{ID: record(3).ID, At: now}); err != nil { // a request comes between
		t.Fatal(err)
	}
	again, err := store.Copy(t.Context(), from, to, nil)
	if err != nil || again.Written != 0 || again.Events != 0 || again.Digest != first.Digest {
		t.Errorf("Copy, again = %+v, %v, want nothing written and digest %s", again, err, first.Digest)
	}
}

// TestCopyIsResumed interrupts a copy after each of its pages.
func TestCopyIsResumed(t *testing.T) {
	t.Parallel()
	from, to := open(t), open(t)
	fill(t, from, 1234)
	for stop := 1; ; stop++ {
		ctx, cancel := context.WithCancel(t.Context())
		pages := 0
		_, err := store.Copy(ctx, from, to, func(int) {
			if pages++; pages == stop {
				cancel()
			}
		})
		cancel()
		if err == nil {
			if stop < 3 {
				t.Errorf("the copy had %d pages, want more", stop-1)
			}
			wantEvents(t, to, 1234)
			return
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a copy that is interrupted: %v, want %v", err, context.Canceled)
		}
	}
}

// A copy of what has changed meanwhile is none, however complete it looks.
func TestCopyOfWhatChanges(t *testing.T) {
	t.Parallel()
	from, to := open(t), open(t)
	fill(t, from, 20)
	revoked := false
	_, err := store.Copy(t.Context(), from, to, func(int) {
		if revoked {
			return
		}
		revoked = true
		if _, err := from.Update(t.Context(), record(1).ID, func(t *token.Token) error { t.RevokedAt = now; return nil }); err != nil {
			t.Error(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("Copy = %v, want that the source has changed", err)
	}
}

// losing is a store that lists tokens whose records it has lost.
type losing struct{ store.Store }

func (s losing) Status(ctx context.Context) (store.Status, error) {
	st, err := s.Store.Status(ctx)
	st.Tokens++
	return st, err
}

// A copy of a store that has lost records isn't taken for one of all.
func TestCopyOfWhatIsLost(t *testing.T) {
	t.Parallel()
	from, to := open(t), open(t)
	fill(t, from, 20)
	_, err := store.Copy(t.Context(), losing{from}, to, nil)
	if err == nil || !strings.Contains(err.Error(), "the source lists 21 tokens and 1 owners") || !strings.Contains(err.Error(), "only 20 tokens and 1 owners") {
		t.Errorf("Copy = %v, want that records are lost", err)
	}
}

func TestCopyRefusesWhatDiffers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		before func(t *testing.T, to store.Store)
		want   string
	}{
		{"a token that differs", func(t *testing.T, to store.Store) {
			other := record(5)
			other.RevokedAt = now
			if err := to.Create(t.Context(), other); err != nil {
				t.Fatal(err)
			}
		}, "token t00005 is in the target already, and differs"},
		{"an owner that differs", func(t *testing.T, to store.Store) {
			if _, err := to.UpdateOwner(t.Context(), "owner1", func(*token.Owner) (*token.Owner, error) {
				return &token.Owner{ID: "owner1", Enabled: true}, nil
			}); err != nil {
				t.Fatal(err)
			}
		}, `owner "owner1" is in the target already, and differs`},
		{"a token the source doesn't have", func(t *testing.T, to store.Store) {
			if err := to.Create(t.Context(), record(99)); err != nil {
				t.Fatal(err)
			}
		}, "token t00099 is in the target, and not in the source"},
		{"events of its own", func(t *testing.T, to store.Store) {
			if err := to.Record(t.Context(), store.Event{Time: now, Action: "owner_set", Owner: "bob"}); err != nil {
				t.Fatal(err)
			}
		}, "the target has an audit trail of its own"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			from, to := open(t), open(t)
			fill(t, from, 10)
			row.before(t, to)
			if _, err := store.Copy(t.Context(), from, to, nil); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Copy: %v, want %q", err, row.want)
			}
			if _, err := to.Token(t.Context(), record(1).ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a token of the source, after a copy that was refused: %v, want %v", err, store.ErrNotFound)
			}
		})
	}
}
