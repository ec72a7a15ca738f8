package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func listFilters(s *suite) {
	grant := func(space, scope string) token.Grant {
		return token.Grant{Spaces: []string{space}, Scopes: []string{scope}, Resources: []string{token.All}}
	}
	for _, c := range []struct {
		id, owner string
		change    func(*token.Token)
	}{
		{"1", "alice", func(t *token.Token) { t.Grants = []token.Grant{grant("1", "stories:read")} }},
		{"2", "alice", func(t *token.Token) {
			t.Grants = []token.Grant{grant("2", "stories:*")}
			t.ExpiresAt = now
		}},
		{"3", "bob", func(t *token.Token) {
			t.Grants = []token.Grant{grant("1", "users:read"), grant("2", "stories:write")}
			t.ExpiresAt = now.Add(time.Second)
		}},
		{"4", "bob", func(t *token.Token) {
			t.Grants = []token.Grant{token.Full()}
			t.RevokedAt = now.Add(-time.Second)
		}},
		{"5", "", func(t *token.Token) { t.Grants = nil }},
	} {
		t := newToken(c.id)
		t.Owner = c.owner
		c.change(t)
		s.create(t)
	}
	owner := func(o string) *string { return &o }
	for _, c := range []struct {
		name string
		q    store.Query
		want string // ids
	}{
		{"all", store.Query{}, "5 4 3 2 1"},
		{"alice's", store.Query{Owner: owner("alice")}, "2 1"},
		{"bob's", store.Query{Owner: owner("bob")}, "4 3"},
		{"nobody's", store.Query{Owner: owner("")}, "5"},
		{"a stranger's", store.Query{Owner: owner("carol")}, ""},
		{"the beginning of an owner", store.Query{Owner: owner("ali")}, ""},
		{"an owner in capitals", store.Query{Owner: owner("ALICE")}, ""},
		{"active", store.Query{Status: token.Active, Now: now}, "5 3 1"},
		{"expired", store.Query{Status: token.Expired, Now: now}, "2"},
		{"revoked", store.Query{Status: token.Revoked, Now: now}, "4"},
		{"active a moment before", store.Query{Status: token.Active, Now: now.Add(-1)}, "5 3 2 1"},
		{"expired later", store.Query{Status: token.Expired, Now: now.Add(time.Hour)}, "3 2"},
		{"space 1", store.Query{Space: "1"}, "4 3 1"},
		{"space 2", store.Query{Space: "2"}, "4 3 2"},
		{"another space", store.Query{Space: "3"}, "4"},
		{"stories:read", store.Query{Scopes: []string{"stories:read"}}, "4 2 1"},
		{"stories:read or users:read", store.Query{Scopes: []string{"stories:read", "users:read"}}, "4 3 2 1"},
		{"users:read", store.Query{Scopes: []string{"users:read"}}, "4 3"},
		{"stories:read in 1", store.Query{Scopes: []string{"stories:read"}, Space: "1"}, "4 1"},
		{"users:read in 2, from two grants", store.Query{Scopes: []string{"users:read"}, Space: "2"}, "4"},
		{"all together", store.Query{Owner: owner("bob"), Status: token.Active, Now: now, Space: "2", Scopes: []string{"stories:write"}}, "3"},
	} {
		s.wantListed(c.name, c.q, strings.Fields(c.want)...)

		// The same, one by one.
		var got []string
		q := c.q
		q.Limit = 1
		for page := 0; ; page++ {
			tokens, next, err := s.Tokens(s.ctx, q)
			if err != nil || len(tokens) > 1 || page > 5 {
				s.Fatalf("%s, page %d: Tokens = %q, next %q, %v, want at most one", c.name, page, idsOf(tokens), next, err)
			}
			got = append(got, idsOf(tokens)...)
			if next == "" {
				break
			}
			q.Cursor = next
		}
		if !slices.Equal(got, strings.Fields(c.want)) {
			s.Errorf("%s, one by one: %q, want %q", c.name, got, c.want)
		}
	}
}

// listOddOwners makes tokens of owners with odd names: each has its own.
func listOddOwners(s *suite) {
	for i, o := range oddOwners {
		t := newToken(fmt.Sprintf("odd-%d", i))
		t.Owner = o
		s.create(t)
	}
	for i, o := range oddOwners {
		tokens, next, err := s.Tokens(s.ctx, store.Query{Owner: &o, Limit: 100})
		if err != nil || next != "" || len(tokens) == 0 || tokens[0].ID != fmt.Sprintf("odd-%d", i) {
			s.Errorf("Tokens of owner %q = %q, next %q, %v, want odd-%d first", o, idsOf(tokens), next, err, i)
		}
		for _, t := range tokens {
			if t.Owner != o {
				s.Errorf("Tokens of owner %q have one of owner %q", o, t.Owner)
			}
		}
	}
}

func listPages(s *suite) {
	// Ids of several lengths and cases: sorted by their bytes, newest first.
	var ids []string
	for i := range 60 {
		ids = append(ids, fmt.Sprintf("%c%s%d", "-0Aa_z"[i%6], strings.Repeat("x", i%4), i))
	}
	var tokens []*token.Token
	for i, id := range ids {
		t := newToken(id)
		t.Owner = []string{"alice", "bob"}[i%2]
		tokens = append(tokens, t)
	}
	s.create(tokens...)
	slices.Sort(ids)
	slices.Reverse(ids)
	for _, limit := range []int{0, 1, 7, 20, 59, 60, 61, 1000} {
		for _, owner := range []string{"any", "alice", "bob"} {
			q := store.Query{Limit: limit}
			want := ids
			if owner != "any" {
				q.Owner = &owner
				want = nil
				for _, id := range ids {
					if t := tokens[slices.IndexFunc(tokens, func(t *token.Token) bool { return t.ID == id })]; t.Owner == owner {
						want = append(want, id)
					}
				}
			}
			var got []string
			for {
				page, next, err := s.Tokens(s.ctx, q)
				if err != nil {
					s.Fatalf("Tokens: %v", err)
				}
				got = append(got, idsOf(page)...)
				if full := limit == 0 || len(page) == limit; next != "" && !full || next == "" && len(got) != len(want) || len(got) > len(want) {
					s.Fatalf("limit %d, owner %s: page of %d, next %q, after %d of %d", limit, owner, len(page), next, len(got), len(want))
				}
				if next == "" {
					break
				}
				q.Cursor = next
			}
			if !slices.Equal(got, want) {
				s.Errorf("limit %d, owner %s: Tokens = %q, want %q", limit, owner, got, want)
			}
		}
	}
}

// Long tokens are listed as well, some of them at a time.
func listLong(s *suite) {
	long := token.Grant{Scopes: []string{"stories:read"}, Resources: []string{token.All}}
	for i := range token.MaxGrantValues {
		long.Spaces = append(long.Spaces, fmt.Sprintf("%0250d", i))
	}
	ids := numbered("t", 15)
	for i, id := range ids {
		t := newToken(id)
		if i%5 > 0 {
			t.Grants = []token.Grant{long, long, long, long}
		}
		s.create(t)
	}
	slices.Reverse(ids)
	alice := "alice"
	for _, q := range []store.Query{{Limit: 1000}, {Limit: 1000, Owner: &alice}} {
		var got []string
		for pages := 0; pages == 0 || q.Cursor != ""; pages++ {
			page, next, err := s.Tokens(s.ctx, q)
			if err != nil || len(page) == 0 || len(page) == len(ids) {
				s.Fatalf("Tokens: a page of %d of %d, %v", len(page), len(ids), err)
			}
			got = append(got, idsOf(page)...)
			q.Cursor = next
		}
		if !slices.Equal(got, ids) {
			s.Errorf("Tokens = %q, want %q", got, ids)
		}
	}
	if all, _, err := s.Tokens(s.ctx, store.Query{}); err != nil || !slices.Equal(idsOf(all), ids) {
		s.Errorf("Tokens without a limit = %q, %v, want %q", idsOf(all), err, ids)
	}
}

// Whatever is made and deleted between two pages, tokens that stay are listed
// once each, and none that was gone before its page.
func listWhileChanging(s *suite) {
	ids := numbered("t", 60)
	for _, id := range ids {
		s.create(newToken(id))
	}
	alice := "alice"
	for _, q := range []store.Query{{Limit: 7}, {Limit: 7, Owner: &alice}, {Limit: 7, Scopes: []string{"stories:read"}}} {
		listed := map[string]bool{}
		gone := map[string]bool{} // deleted before it was listed
		last := "~"
		for page := 0; ; page++ {
			tokens, next, err := s.Tokens(s.ctx, q)
			if err != nil {
				s.Fatalf("Tokens: %v", err)
			}
			for _, t := range tokens {
				if t.ID >= last {
					s.Errorf("%q is listed after %q, want the newest first and none twice", t.ID, last)
				}
				if gone[t.ID] {
					s.Errorf("%q is listed, but was deleted before", t.ID)
				}
				last = t.ID
				listed[t.ID] = true
			}
			if next == "" {
				break
			}
			q.Cursor = next

			// The one at the cursor, one before it and one after it go; new
			// ones come at the front and in the middle of what is ahead.
			index := slices.Index(ids, last)
			if index < 0 {
				continue // a token made on the way
			}
			for _, i := range []int{index, index + 2, index - 3} {
				if i < 0 || i >= len(ids) {
					continue
				}
				if s.Delete(s.ctx, ids[i]) == nil && !listed[ids[i]] {
					gone[ids[i]] = true
				}
			}
			s.create(newToken(fmt.Sprintf("u%04d", page)), newToken(fmt.Sprintf("t%04d-new", max(index-5, 0))))
		}
		for _, id := range ids {
			if !listed[id] && !gone[id] {
				s.Errorf("%q was there all the time, but not listed", id)
			}
		}

		// As it was, for the next query.
		tokens, _, err := s.Tokens(s.ctx, store.Query{})
		if err != nil {
			s.Fatalf("Tokens: %v", err)
		}
		s.delete(idsOf(tokens)...)
		for _, id := range ids {
			s.create(newToken(id))
		}
	}
}
