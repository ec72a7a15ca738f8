// Package storetest is the suite that every store.Store passes. It tests the
// contract that package store writes down, and nothing of how a store keeps it.
package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Run runs the suite. Each test calls open for a store of its own, empty and
// shared with nobody; open sees to it, with t.Cleanup, that what it made is
// removed, and doesn't mind if the test has closed the store already.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"CreateAndFind", createAndFind},
		{"UnusualRecords", unusualRecords},
		{"RecordsAreCopies", recordsAreCopies},
		{"CreateAllOrNothing", createAllOrNothing},
		{"CreateManyAtOnce", createManyAtOnce},
		{"Update", update},
		{"UpdateRefused", updateRefused},
		{"UpdateReplacesDigests", updateReplacesDigests},
		{"UpdateConcurrently", updateConcurrently},
		{"CreateConcurrently", createConcurrently},
		{"Delete", deleteTokens},
		{"Marks", marks},
		{"MarksAtOnce", marksAtOnce},
		{"ListFilters", listFilters},
		{"ListOddOwners", listOddOwners},
		{"ListPages", listPages},
		{"ListLong", listLong},
		{"ListWhileChanging", listWhileChanging},
		{"Owners", owners},
		{"OwnersConcurrently", ownersConcurrently},
		{"OwnersList", ownersList},
		{"FindWithOwner", findWithOwner},
		{"EventsWithChanges", eventsWithChanges},
		{"EventsOfNoChange", eventsOfNoChange},
		{"EventPages", eventPages},
		{"EventsSince", eventsSince},
		{"EventsConcurrently", eventsConcurrently},
		{"EventsPruned", eventsPruned},
		{"EventOfTheFuture", eventOfTheFuture},
		{"Uses", uses},
		{"UsesAreNoChanges", usesAreNoChanges},
		{"WatchTokens", watchTokens},
		{"WatchOwners", watchOwners},
		{"WatchConcurrently", watchConcurrently},
		{"WatchStop", watchStop},
		{"FindIsUpToDate", findIsUpToDate},
		{"Status", status},
		{"CancelledContext", cancelledContext},
		{"Close", closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{T: t, Store: open(t), ctx: t.Context()})
		})
	}
}

// suite is one test: the store under test, and helpers that fail the test.
// Those may be called from the test's own goroutine only.
type suite struct {
	*testing.T
	store.Store
	ctx context.Context
}

// now is long past by the clocks of the stores, ahead of which nothing is used.
var now = time.Date(2021, 11, 22, 10, 0, 0, 123456789, time.UTC)

// newToken returns a token with this id and a digest that goes with it.
func newToken(id string) *token.Token {
	return &token.Token{
		ID: id, Name: "token " + id, Owner: "alice", Hint: "pat_abc…",
		Grants:    []token.Grant{{Spaces: []string{"1"}, Scopes: []string{"stories:read"}, Resources: []string{token.All}}},
		CreatedAt: now, CreatedBy: "storetest", Digest: digest(id),
	}
}

// digest returns a digest, another one for every secret.
func digest(secret string) token.Digest { return sha256.Sum256([]byte(secret)) }

// numbered returns n ids that sort by their numbers.
func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s%04d", prefix, i)
	}
	return ids
}

func (s *suite) create(tokens ...*token.Token) {
	s.Helper()
	if err := s.Create(s.ctx, tokens...); err != nil {
		s.Fatalf("Create: %v", err)
	}
}

func (s *suite) update(id string, change func(*token.Token)) *token.Token {
	s.Helper()
	t, err := s.Update(s.ctx, id, func(t *token.Token) error { change(t); return nil })
	if err != nil {
		s.Fatalf("Update(%q): %v", id, err)
	}
	return t
}

func (s *suite) delete(ids ...string) {
	s.Helper()
	if err := s.Delete(s.ctx, ids...); err != nil {
		s.Fatalf("Delete(%q): %v", ids, err)
	}
}

// putOwner stores an owner's record as it is given.
func (s *suite) putOwner(o *token.Owner) {
	s.Helper()
	_, err := s.UpdateOwner(s.ctx, o.ID, func(*token.Owner) (*token.Owner, error) { return o.Clone(), nil })
	if err != nil {
		s.Fatalf("UpdateOwner(%q): %v", o.ID, err)
	}
}

func (s *suite) find(d token.Digest) store.Found {
	s.Helper()
	f, err := s.Find(s.ctx, d)
	if err != nil {
		s.Fatalf("Find: %v", err)
	}
	return f
}

// wantToken checks that want is stored, by its id and by all its digests.
func (s *suite) wantToken(want *token.Token) {
	s.Helper()
	got, err := s.Token(s.ctx, want.ID)
	if err != nil {
		s.Errorf("Token(%q): %v", want.ID, err)
		return
	}
	s.wantSame("Token", got, want)
	f, err := s.Find(s.ctx, want.Digest)
	switch {
	case err != nil:
		s.Errorf("Find by the digest of token %q: %v", want.ID, err)
	default:
		s.wantSame("Find", f.Token, want)
		if !f.Current || !f.Until.IsZero() {
			s.Errorf("Find by the current digest of token %q: Current = %v, Until = %v, want true and none", want.ID, f.Current, f.Until)
		}
	}
	for _, r := range want.Retired {
		f, err := s.Find(s.ctx, r.Digest)
		switch {
		case err != nil:
			s.Errorf("Find by a retired digest of token %q: %v", want.ID, err)
		default:
			s.wantSame("Find", f.Token, want)
			if f.Current || !f.Until.Equal(r.Until) {
				s.Errorf("Find by a retired digest of token %q: Current = %v, Until = %v, want false and %v", want.ID, f.Current, f.Until, r.Until)
			}
		}
	}
}

// wantNone checks that no token has this id, and none these digests.
func (s *suite) wantNone(id string, digests ...token.Digest) {
	s.Helper()
	if got, err := s.Token(s.ctx, id); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("Token(%q) = %+v, %v, want ErrNotFound", id, got, err)
	}
	for _, d := range digests {
		s.wantUnknown(d)
	}
}

func (s *suite) wantUnknown(d token.Digest) {
	s.Helper()
	if got, err := s.Find(s.ctx, d); !errors.Is(err, store.ErrNotFound) || got.Token != nil {
		s.Errorf("Find = %+v, %v, want ErrNotFound", got.Token, err)
	}
}

// wantSame compares tokens by their stored form: same instants, same texts.
func (s *suite) wantSame(what string, got, want *token.Token) {
	s.Helper()
	if !bytes.Equal(got.Encode(nil), want.Encode(nil)) {
		s.Errorf("%s of token %q =\n%+v, want\n%+v", what, want.ID, got, want)
	}
}

func (s *suite) wantSameOwner(what string, got, want *token.Owner) {
	s.Helper()
	if got == nil || !bytes.Equal(got.Encode(nil), want.Encode(nil)) {
		s.Errorf("%s of owner %q =\n%+v, want\n%+v", what, want.ID, got, want)
	}
}

// wantListed checks that q lists these ids, all on one page.
func (s *suite) wantListed(what string, q store.Query, want ...string) {
	s.Helper()
	tokens, next, err := s.Tokens(s.ctx, q)
	if got := idsOf(tokens); err != nil || next != "" || !slices.Equal(got, want) {
		s.Errorf("Tokens with %s = %q, next %q, %v, want %q", what, got, next, err, want)
	}
}

func idsOf(tokens []*token.Token) []string {
	var ids []string
	for _, t := range tokens {
		ids = append(ids, t.ID)
	}
	return ids
}
