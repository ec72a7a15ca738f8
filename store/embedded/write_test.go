package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func newToken(id string) *token.Token {
	t := &token.Token{ID: id, Name: "n", Owner: "alice"}
	copy(t.Digest[:], id)
	return t
}

// together makes calls wait for each other, so that one transaction is tried for
// all of them, in this order.
func together(t *testing.T, s *Store, calls ...func()) {
	t.Helper()
	s.lead <- struct{}{}
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(call)
		for queued := 0; queued <= i; runtime.Gosched() {
			s.queueing.Lock()
			queued = len(s.queue)
			s.queueing.Unlock()
		}
	}
	<-s.lead
	wg.Wait()
}

// transactions returns how many write transactions the file has seen.
func transactions(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.db.View(func(b *bbolt.Tx) error { n = b.ID(); return nil }); err != nil {
		t.Fatalf("View: %v", err)
	}
	return n
}

func TestChangesShareATransaction(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Create(t.Context(), newToken("counter")); err != nil {
		t.Fatalf("Create: %v", err)
	}
	var told []store.Change
	defer s.Watch(func(c store.Change) { told = append(told, c) })()
	before := transactions(t, s)
	errs := make([]error, 10)
	calls := make([]func(), len(errs))
	for i := range calls {
		calls[i] = func() {
			_, errs[i] = s.Update(t.Context(), "counter", func(t *token.Token) error { t.Name += "x"; return nil })
		}
	}
	together(t, s, calls...)

	if err := errors.Join(errs...); err != nil {
		t.Errorf("Update: %v", err)
	}
	if got := transactions(t, s) - before; got != 1 {
		t.Errorf("%d changes that waited together took %d transactions, want 1", len(calls), got)
	}
	tok, err := s.Token(t.Context(), "counter")
	if want := "n" + "xxxxxxxxxx"; err != nil || tok.Name != want {
		t.Errorf("Token = %+v, %v, want the name %q", tok, err, want)
	}
	if len(told) != len(calls) {
		t.Errorf("watchers were told of %d changes, want %d", len(told), len(calls))
	}
	for i, c := range told {
		if want := told[0].Position + store.Position(i); c.Position != want {
			t.Errorf("change %d has position %d, want %d", i, c.Position, want)
		}
	}
}

// What one caller does wrong doesn't touch those who share its transaction.
func TestChangesFailAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Create(t.Context(), newToken("a")); err != nil {
		t.Fatalf("Create: %v", err)
	}
	var told []token.Digest
	defer s.Watch(func(c store.Change) { told = append(told, c.Digests...) })()
	create := func(id string) func() {
		return func() {
			if err := s.Create(t.Context(), newToken(id)); err != nil {
				t.Errorf("Create(%q): %v", id, err)
			}
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	before := transactions(t, s)
	together(
		t, s,
		create("b"),
		func() { // half of it could be made
			if err := s.Create(t.Context(), newToken("x"), newToken("a")); !errors.Is(err, store.ErrExists) {
				t.Errorf("Create of a token that is there: %v, want ErrExists", err)
			}
		},
		create("c"),
		func() {
			defer func() {
				if p := recover(); p != "mine" {
					t.Errorf("a panic in change arrives as %v, want it where the call was made", p)
				}
			}()
			s.Update(t.Context(), "a", func(t *token.Token) error { t.Name = "changed"; panic("mine") })
			t.Error("Update returned from a panic in change")
		},
		func() {
			if err := s.Create(cancelled, newToken("y")); !errors.Is(err, context.Canceled) {
				t.Errorf("Create with a cancelled context: %v, want context.Canceled", err)
			}
		},
		create("d"),
	)
	if got := transactions(t, s) - before; got != 1 {
		t.Errorf("the changes took %d transactions, want 1", got)
	}
	tokens, _, err := s.Tokens(t.Context(), store.Query{})
	var ids []string
	for _, tok := range tokens {
		ids = append(ids, tok.ID)
		if tok.Name != "n" {
			t.Errorf("token %q was changed by the call that panicked", tok.ID)
		}
	}
	if want := []string{"d", "c", "b", "a"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("Tokens = %q, %v, want %q", ids, err, want)
	}
	if want := []token.Digest{newToken("b").Digest, newToken("c").Digest, newToken("d").Digest}; !slices.Equal(told, want) {
		t.Errorf("watchers were told of %d digests, want those of b, c and d", len(told))
	}
}

// A callback that ends its goroutine, as t.FailNow does, leaves the store usable.
func TestCallbackEndsGoroutine(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Create(t.Context(), newToken("a")); err != nil {
		t.Fatalf("Create: %v", err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		s.Update(t.Context(), "a", func(t *token.Token) error { t.Name = "changed"; runtime.Goexit(); return nil })
	})
	wg.Wait()
	tok, err := s.Update(t.Context(), "a", func(*token.Token) error { return nil })
	if err != nil || tok.Name != "n" {
		t.Errorf("Update after one that ended its goroutine = %+v, %v, want what was there", tok, err)
	}
}

// More tokens than one step of a walk looks at, of which few are selected.
func TestWalkInSteps(t *testing.T) {
	t.Parallel()
	s := open(t)
	var tokens []*token.Token
	var want []string
	for i := range 3*walkStep + 1 {
		tok := newToken(fmt.Sprintf("t%05d", i))
		if i%400 == 0 {
			tok.Grants = []token.Grant{token.Full()}
			want = append(want, tok.ID)
		}
		tokens = append(tokens, tok)
	}
	slices.Reverse(want)
	if err := s.Create(t.Context(), tokens...); err != nil {
		t.Fatalf("Create: %v", err)
	}
	alice := "alice"
	for _, q := range []store.Query{{Space: "1"}, {Space: "1", Limit: 2}, {Space: "1", Owner: &alice}, {Space: "1", Owner: &alice, Limit: 2}} {
		var got []string
		for {
			page, next, err := s.Tokens(t.Context(), q)
			if err != nil {
				t.Fatalf("Tokens: %v", err)
			}
			for _, tok := range page {
				got = append(got, tok.ID)
			}
			if next == "" {
				break
			}
			q.Cursor = next
		}
		if !slices.Equal(got, want) {
			t.Errorf("Tokens(%+v) = %q, want %q", q, got, want)
		}
	}
	if all, next, err := s.Tokens(t.Context(), store.Query{}); err != nil || next != "" || len(all) != len(tokens) {
		t.Errorf("Tokens = %d of them, next %q, %v, want %d", len(all), next, err, len(tokens))
	}

	s.db.NoSync = true // so many owners, one by one
	for i := range walkStep + 1 {
		id := fmt.Sprintf("o%05d", i)
		_, err := s.UpdateOwner(t.Context(), id, func(*token.Owner) (*token.Owner, error) { return &token.Owner{ID: id}, nil })
		if err != nil {
			t.Fatalf("UpdateOwner: %v", err)
		}
	}
	if all, next, err := s.Owners(t.Context(), "", 0); err != nil || next != "" || len(all) != walkStep+1 {
		t.Errorf("Owners = %d of them, next %q, %v, want %d", len(all), next, err, walkStep+1)
	}
}

// Changes that are refused, as where a token is revoked already, don't have the others made
// again for each of them, and are answered by what is stored.
func TestRefusedChanges(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Create(t.Context(), newToken("a"), newToken("b")); err != nil {
		t.Fatal(err)
	}
	tried := 0
	rename := func(ctx context.Context, id, name string, want error, then ...func()) func() {
		return func() {
			_, err := s.Update(ctx, id, func(t *token.Token) error {
				tried++
				if t.Name == name {
					return store.ErrUnchanged
				}
				for _, f := range then {
					f()
				}
				t.Name = name
				return nil
			})
			if !errors.Is(err, want) {
				t.Errorf("naming %s %q: %v, want %v", id, name, err, want)
			}
		}
	}
	var calls []func()
	for range 20 {
		calls = append(calls, rename(t.Context(), "a", "n", store.ErrUnchanged), rename(t.Context(), "c", "n", store.ErrNotFound))
	}
	before := transactions(t, s)
	together(t, s, append(calls, rename(t.Context(), "a", "x", nil))...)
	if n := transactions(t, s) - before; n != 1 || tried != 21 {
		t.Errorf("40 refused changes and one that is made: %d transactions, %d calls, want 1 and 21", n, tried)
	}
	together(t, s, calls[1], calls[3])
	if n := transactions(t, s) - before; n != 1 {
		t.Errorf("%d transactions where all changes are refused, want none", n-1)
	}

	// Whoever is behind the first finds its name given already, which it isn't if that one
	// isn't made when all are tried again.
	ctx, cancel := context.WithCancel(t.Context())
	together(t, s, rename(ctx, "b", "y", context.Canceled, cancel), rename(t.Context(), "b", "y", nil), func() {
		if err := s.Create(t.Context(), newToken("d"), newToken("a")); !errors.Is(err, store.ErrExists) {
			t.Errorf("Create of a token that is there: %v, want ErrExists", err)
		}
	})
	if b, err := s.Token(t.Context(), "b"); err != nil || b.Name != "y" {
		t.Errorf("b is %+v, %v, want it renamed", b, err)
	}
}

// A change that fails because of one before it is tried alone, for that one may not be made
// when all are tried again.
func TestFailsByOneThatIsNotMade(t *testing.T) {
	t.Parallel()
	s := open(t)
	if err := s.Create(t.Context(), newToken("a")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	together(t, s, func() {
		_, err := s.Update(ctx, "a", func(t *token.Token) error { t.Digest = newToken("b").Digest; cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a change that is cancelled: %v, want context.Canceled", err)
		}
	}, func() {
		if err := s.Create(t.Context(), newToken("b")); err != nil {
			t.Errorf("Create of a token whose secret only that change has taken: %v", err)
		}
	})
}
