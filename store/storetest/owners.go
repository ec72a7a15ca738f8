package storetest

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func owners(s *suite) {
	for _, id := range oddOwners {
		if id == "" {
			continue // the tokens of nobody have no ceiling
		}
		changeOwner(s, makeOwner(s, id))
	}

	s.create(newToken("a"))
	if err := s.DeleteOwner(s.ctx, "alice"); err != nil {
		s.Errorf("DeleteOwner: %v", err)
	}
	s.wantNoOwner("alice")
	s.wantToken(newToken("a"))
	s.wantOwner(&token.Owner{ID: "Alice", Admin: true, CreatedAt: now, UpdatedAt: now.Add(time.Second)})
}

// errOwner is what the functions given to UpdateOwner refuse a change with.
var errOwner = errors.New("not this one")

// makeOwner makes an owner's record: change is given nil.
func makeOwner(s *suite, id string) *token.Owner {
	s.wantNoOwner(id)
	if err := s.DeleteOwner(s.ctx, id); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("DeleteOwner(%q) = %v, want ErrNotFound", id, err)
	}

	_, err := s.UpdateOwner(s.ctx, id, func(o *token.Owner) (*token.Owner, error) { return &token.Owner{ID: id}, errOwner })
	if !errors.Is(err, errOwner) {
		s.Errorf("UpdateOwner(%q) = %v, want the error of change", id, err)
	}
	s.wantNoOwner(id)
	want := &token.Owner{ID: id, Enabled: true, Admin: true, Grants: []token.Grant{token.Full()}, CreatedAt: now, UpdatedAt: now}
	got, err := s.UpdateOwner(s.ctx, id, func(o *token.Owner) (*token.Owner, error) {
		if o != nil {
			s.Errorf("UpdateOwner(%q) gives %+v to change, want nil", id, o)
		}
		return want.Clone(), nil
	})
	if err != nil {
		s.Fatalf("UpdateOwner(%q): %v", id, err)
	}
	s.wantSameOwner("UpdateOwner", got, want)
	s.wantOwner(want)
	return want
}

// changeOwner changes the record: change is given it, and its id stays.
func changeOwner(s *suite, want *token.Owner) {
	id := want.ID
	_, err := s.UpdateOwner(s.ctx, id, func(o *token.Owner) (*token.Owner, error) {
		s.wantSameOwner("UpdateOwner gives change the record", o, want)
		o.Enabled = false
		return o, errOwner
	})
	if !errors.Is(err, errOwner) {
		s.Errorf("UpdateOwner(%q) = %v, want the error of change", id, err)
	}
	s.wantOwner(want)
	want.Enabled, want.Grants, want.UpdatedAt = false, nil, now.Add(time.Second)
	_, err = s.UpdateOwner(s.ctx, id, func(o *token.Owner) (*token.Owner, error) {
		o.Enabled, o.Grants, o.UpdatedAt = false, nil, now.Add(time.Second)
		return o, nil
	})
	if err != nil {
		s.Errorf("UpdateOwner(%q): %v", id, err)
	}
	s.wantOwner(want)

	_, err = s.UpdateOwner(s.ctx, id, func(o *token.Owner) (*token.Owner, error) { o.ID = "x" + id; return o, nil })
	if err == nil {
		s.Errorf("UpdateOwner(%q) to another id: no error", id)
	}
	s.wantOwner(want)
	s.wantNoOwner("x" + id)
}

// wantOwner checks the record of an owner.
func (s *suite) wantOwner(want *token.Owner) {
	s.Helper()
	got, err := s.Owner(s.ctx, want.ID)
	if err != nil {
		s.Errorf("Owner(%q): %v", want.ID, err)
		return
	}
	s.wantSameOwner("Owner", got, want)
}

// wantNoOwner checks that an owner has no record.
func (s *suite) wantNoOwner(id string) {
	s.Helper()
	if got, err := s.Owner(s.ctx, id); !errors.Is(err, store.ErrNotFound) || got != nil {
		s.Errorf("Owner(%q) = %+v, %v, want ErrNotFound", id, got, err)
	}
}

func ownersConcurrently(s *suite) {
	const writers, times = 8, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range times {
				_, err := s.UpdateOwner(s.ctx, "alice", func(o *token.Owner) (*token.Owner, error) {
					if o == nil {
						o = &token.Owner{ID: "alice", CreatedAt: now, UpdatedAt: now}
					}
					o.UpdatedAt = o.UpdatedAt.Add(time.Second)
					return o, nil
				})
				if err != nil {
					s.Errorf("UpdateOwner: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	got, err := s.Owner(s.ctx, "alice")
	if want := now.Add(writers * times * time.Second); err != nil || !got.UpdatedAt.Equal(want) {
		s.Errorf("after %d increments Owner = %+v, %v, want %v", writers*times, got, err, want)
	}
}

func ownersList(s *suite) {
	list := func(limit int) (ids []string) {
		s.Helper()
		for after := ""; ; {
			page, next, err := s.Owners(s.ctx, after, limit)
			if err != nil || len(page) > limit || next != "" && len(page) < limit {
				s.Fatalf("Owners(%q, %d) = %d of them, next %q, %v", after, limit, len(page), next, err)
			}
			for _, o := range page {
				ids = append(ids, o.ID)
			}
			if next == "" {
				return ids
			}
			after = next
		}
	}
	if got := list(10); len(got) != 0 {
		s.Errorf("Owners = %q, want none", got)
	}
	want := append(numbered("n", 30), oddOwners[1:]...)
	for _, id := range want {
		s.putOwner(&token.Owner{ID: id, Enabled: true})
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, len(want) - 1, len(want), len(want) + 1} {
		if got := list(limit); !slices.Equal(got, want) {
			s.Errorf("Owners in pages of %d = %q, want %q", limit, got, want)
		}
	}
	if page, next, err := s.Owners(s.ctx, "", 0); err != nil || next != "" || len(page) != len(want) {
		s.Errorf("Owners without a limit = %d of them, next %q, %v, want %d", len(page), next, err, len(want))
	}

	// Behind any id, whether it has a record or not.
	for _, after := range []string{"n0009", "n0009x", "n"} {
		page, _, err := s.Owners(s.ctx, after, 1)
		i, found := slices.BinarySearch(want, after)
		if found {
			i++
		}
		if err != nil || len(page) != 1 || page[0].ID != want[i] {
			s.Errorf("Owners(%q, 1) = %+v, %v, want %q", after, page, err, want[i])
		}
	}
	if page, next, err := s.Owners(s.ctx, want[len(want)-1], 10); err != nil || len(page) != 0 || next != "" {
		s.Errorf("Owners after the last = %+v, next %q, %v, want none", page, next, err)
	}
}

func findWithOwner(s *suite) {
	alices, nobodys := newToken("a"), newToken("n")
	nobodys.Owner = ""
	s.create(alices, nobodys)
	wantOwner := func(d token.Digest, want *token.Owner) {
		s.Helper()
		got := s.find(d).Owner
		if want == nil {
			if got != nil {
				s.Errorf("Find has the owner %+v, want none", got)
			}
			return
		}
		s.wantSameOwner("Find", got, want)
	}
	wantOwner(alices.Digest, nil)
	wantOwner(nobodys.Digest, nil)

	alice := &token.Owner{ID: "alice", Enabled: true, Grants: []token.Grant{token.Full()}, CreatedAt: now}
	bob := &token.Owner{ID: "bob", CreatedAt: now}
	s.putOwner(alice)
	s.putOwner(bob)
	wantOwner(alices.Digest, alice)
	wantOwner(nobodys.Digest, nil)

	alice.Enabled = false
	s.putOwner(alice)
	wantOwner(alices.Digest, alice)

	s.update("a", func(t *token.Token) {
		t.Owner = "bob"
		t.Retired = []token.RetiredSecret{{Digest: t.Digest, Until: now}}
		t.Digest = digest("a2")
	})
	wantOwner(digest("a2"), bob)
	wantOwner(digest("a"), bob)

	if err := s.DeleteOwner(s.ctx, "bob"); err != nil {
		s.Errorf("DeleteOwner: %v", err)
	}
	wantOwner(digest("a2"), nil)
}
