package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func createAndFind(s *suite) {
	s.wantNone("a", digest("a"))
	s.wantListed("nothing stored", store.Query{})

	a, b := newToken("a"), newToken("b")
	s.create(a)
	s.wantToken(a)
	s.wantNone("b", digest("b"))
	s.create(b)
	s.wantToken(a)
	s.wantToken(b)
	s.wantListed("all", store.Query{}, "b", "a")

	s.create() // nothing, and that is fine
	s.wantListed("all", store.Query{}, "b", "a")
}

func unusualRecords(s *suite) {
	full := newToken("full")
	full.Description = strings.Repeat("☾ long ", 200)
	full.Grants = append(full.Grants, token.Full(), token.Grant{Spaces: []string{"Ω/ω"}, Resources: []string{"a:b", "a b"}})
	full.AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	full.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	full.RevokedAt = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)
	full.LastUsedAt, full.LastUsedIP = now, netip.MustParseAddr("2001:db8::1")
	full.Retired = []token.RetiredSecret{{Digest: digest("r1"), Until: now.Add(time.Hour)}, {Digest: digest("r2")}}

	bare := &token.Token{ID: "bare", Digest: digest("bare")}
	local := newToken("local")
	local.CreatedAt = now.In(time.FixedZone("CET", 3600))

	s.create(full, bare, local)
	s.wantToken(full)
	s.wantToken(bare)
	s.wantToken(local)

	for i, id := range []string{"-", "_", "0", "A", "a-b_c", strings.Repeat("z", token.MaxIDLength), "tokens", "owners", "meta", "all"} {
		t := newToken(id)
		t.Owner = oddOwners[i%len(oddOwners)]
		s.create(t)
		s.wantToken(t)
	}
	for _, id := range []string{"", "B", "*", "a-", "a-b_c ", "zz", "no/such", "%s", "ü"} {
		s.wantNone(id)
	}
	s.wantUnknown(token.Digest{})
}

// oddOwners are ids of owners that a store might stumble over.
var oddOwners = []string{
	"", "alice", "Alice", "alice ", "ali", "alice/ci", "/", "a:b", "*", "{a}", "{a}b", "[a-z]", "%2F", "..", "'; --", "\"",
	"Zoë", "Zoe\u0308", "東京", "🦊", "\u00a0", "meta", "https://id.example.com/users/1?x=y#z", strings.Repeat("long ", 51),
}

func recordsAreCopies(s *suite) {
	scribble := func(t *token.Token) {
		t.Name = "scribbled"
		t.Grants[0].Scopes[0] = "scribbled"
		t.Retired[0].Until = time.Time{}
	}
	a := newToken("a")
	a.Retired = []token.RetiredSecret{{Digest: digest("old"), Until: now}}
	want := a.Clone()
	s.create(a)
	scribble(a)
	s.wantToken(want)

	got, err := s.Token(s.ctx, "a")
	if err != nil {
		s.Fatalf("Token: %v", err)
	}
	scribble(got)
	s.wantToken(want)
	scribble(s.find(want.Digest).Token)
	s.wantToken(want)
	tokens, _, err := s.Tokens(s.ctx, store.Query{})
	if err != nil || len(tokens) != 1 {
		s.Fatalf("Tokens = %q, %v, want one", idsOf(tokens), err)
	}
	scribble(tokens[0])
	s.wantToken(want)

	grants := []token.Grant{token.Full()}
	got = s.update("a", func(t *token.Token) { t.Grants = grants })
	want.Grants = []token.Grant{token.Full()}
	scribble(got)
	grants[0].Spaces[0] = "scribbled"
	s.wantToken(want)

	o := &token.Owner{ID: "alice", Enabled: true, Grants: []token.Grant{token.Full()}}
	wantOwner := o.Clone()
	stored, err := s.UpdateOwner(s.ctx, "alice", func(*token.Owner) (*token.Owner, error) { return o, nil })
	if err != nil {
		s.Fatalf("UpdateOwner: %v", err)
	}
	o.Grants[0].Scopes[0], stored.Grants[0].Spaces[0] = "scribbled", "scribbled"
	got2, err := s.Owner(s.ctx, "alice")
	if err != nil {
		s.Fatalf("Owner: %v", err)
	}
	s.wantSameOwner("Owner", got2, wantOwner)
	got2.Grants[0].Scopes[0] = "scribbled"
	f := s.find(want.Digest)
	s.wantSameOwner("Find", f.Owner, wantOwner)
	f.Owner.Grants[0].Scopes[0] = "scribbled"
	s.wantSameOwner("Find", s.find(want.Digest).Owner, wantOwner)
}

func createAllOrNothing(s *suite) {
	there := newToken("there")
	there.Retired = []token.RetiredSecret{{Digest: digest("retired"), Until: now}}
	s.create(there)

	with := func(id string, secret string, retired ...string) *token.Token {
		t := newToken(id)
		t.Digest = digest(secret)
		for _, r := range retired {
			t.Retired = append(t.Retired, token.RetiredSecret{Digest: digest(r)})
		}
		return t
	}
	for _, c := range []struct {
		name   string
		tokens []*token.Token
		want   store.ExistsError
	}{
		{"an id that is taken", []*token.Token{with("there", "x")}, store.ExistsError{ID: "there", By: "id"}},
		{"a secret that is taken", []*token.Token{with("x", "there")}, store.ExistsError{ID: "x", By: "secret"}},
		{"a secret that was retired", []*token.Token{with("x", "retired")}, store.ExistsError{ID: "x", By: "secret"}},
		{"a retired secret that is taken", []*token.Token{with("x", "x", "there")}, store.ExistsError{ID: "x", By: "secret"}},
		{"a retired secret that was retired", []*token.Token{with("x", "x", "retired")}, store.ExistsError{ID: "x", By: "secret"}},
		{"the last of three", []*token.Token{with("x", "x"), with("y", "y", "yr"), with("z", "there")}, store.ExistsError{ID: "z", By: "secret"}},
		{"the first of three", []*token.Token{with("there", "x"), with("y", "y"), with("z", "z")}, store.ExistsError{ID: "there", By: "id"}},
		{"an id given twice", []*token.Token{with("x", "x"), with("x", "y")}, store.ExistsError{ID: "x", By: "id"}},
		{"a secret given twice", []*token.Token{with("x", "x"), with("y", "x")}, store.ExistsError{ID: "y", By: "secret"}},
		{"a secret another one given has retired", []*token.Token{with("x", "x", "z"), with("y", "z")}, store.ExistsError{ID: "y", By: "secret"}},
	} {
		err := s.Create(s.ctx, c.tokens...)
		var got *store.ExistsError
		if !errors.Is(err, store.ErrExists) || !errors.As(err, &got) || *got != c.want {
			s.Errorf("%s: Create = %v, want %v", c.name, err, &c.want)
		}
		for _, id := range []string{"x", "y", "z"} {
			s.wantNone(id, digest(id), digest("yr"))
		}
		s.wantToken(there)
		s.wantListed("all", store.Query{}, "there")
	}

	// What was refused has left nothing behind that is in the way.
	s.create(with("x", "x"), with("y", "y", "yr"), with("z", "z"))
}

func createManyAtOnce(s *suite) {
	ids := numbered("t", 2000)
	tokens := make([]*token.Token, len(ids))
	for i, id := range ids {
		tokens[i] = newToken(id)
	}
	s.create(tokens...)
	for i := 0; i < len(tokens); i += 97 {
		s.wantToken(tokens[i])
	}
	got, _, err := s.Tokens(s.ctx, store.Query{})
	if err != nil || len(got) != len(ids) {
		s.Errorf("Tokens = %d of them, %v, want %d", len(got), err, len(ids))
	}
}

func update(s *suite) {
	a, b := newToken("a"), newToken("b")
	s.create(a, b)
	for _, step := range []struct {
		name   string
		change func(*token.Token)
	}{
		{"revoke", func(t *token.Token) { t.RevokedAt = now.Add(time.Minute) }},
		{"rename", func(t *token.Token) { t.Name, t.Description = "another", "ä" }},
		{"grant", func(t *token.Token) { t.Grants = append(t.Grants, token.Full()) }},
		{"take all grants", func(t *token.Token) { t.Grants = nil }},
		{"give away", func(t *token.Token) { t.Owner = "bob/ci" }},
		{"give to nobody", func(t *token.Token) { t.Owner = "" }},
		{"use", func(t *token.Token) { t.LastUsedAt, t.LastUsedIP = now, netip.MustParseAddr("10.1.2.3") }},
		{"nothing", func(*token.Token) {}},
	} {
		step.change(a)
		var seen *token.Token
		got := s.update("a", func(t *token.Token) {
			seen = t.Clone()
			step.change(t)
		})
		s.wantSame(step.name+": Update", got, a)
		s.wantToken(a)
		s.wantToken(b)
		owner := a.Owner
		s.wantListed(step.name, store.Query{Owner: &owner}, listedWith(owner, a, b)...)
		if seen == nil || seen.ID != "a" {
			s.Errorf("%s: change was given %+v, want what is stored", step.name, seen)
		}
	}
}

// listedWith returns the ids of the owner's tokens, given in ascending order, as
// a list has them.
func listedWith(owner string, tokens ...*token.Token) []string {
	var ids []string
	for _, t := range slices.Backward(tokens) {
		if t.Owner == owner {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

func updateRefused(s *suite) {
	a, b := newToken("a"), newToken("b")
	b.Retired = []token.RetiredSecret{{Digest: digest("b0"), Until: now}}
	s.create(a, b)

	refusal := errors.New("not this one")
	for _, c := range []struct {
		name, id string
		change   func(*token.Token) error
		want     error // nil: any
	}{
		{"no such token", "c", func(*token.Token) error { s.Error("change was called for no token"); return nil }, store.ErrNotFound},
		{"change refuses", "a", func(t *token.Token) error { t.Name = "changed"; t.Digest = digest("x"); return refusal }, refusal},
		{"change refuses, wrapped", "a", func(t *token.Token) error { t.Owner = "bob"; return fmt.Errorf("no: %w", refusal) }, refusal},
		{"a secret that is taken", "a", func(t *token.Token) error { t.Digest = digest("b"); return nil }, store.ErrExists},
		{"a secret that was retired", "a", func(t *token.Token) error { t.Digest = digest("b0"); return nil }, store.ErrExists},
		{"a retired secret that is taken", "a", func(t *token.Token) error {
			t.Retired = []token.RetiredSecret{{Digest: digest("b")}}
			return nil
		}, store.ErrExists},
		{"another id", "a", func(t *token.Token) error { t.ID = "c"; return nil }, nil},
	} {
		got, err := s.Update(s.ctx, c.id, c.change)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || got != nil {
			s.Errorf("%s: Update = %+v, %v, want the error %v", c.name, got, err, c.want)
		}
		s.wantToken(a)
		s.wantToken(b)
		s.wantNone("c", digest("x"))
		owner := "bob"
		s.wantListed("the new owner", store.Query{Owner: &owner})
	}
}

func updateReplacesDigests(s *suite) {
	a := newToken("a")
	s.create(a)

	// Regenerated with an overlap: both secrets work.
	a.Retired = []token.RetiredSecret{{Digest: a.Digest, Until: now.Add(time.Hour)}}
	a.Digest = digest("a2")
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)

	// And again: the retired ones in order.
	a.Retired = append([]token.RetiredSecret{{Digest: a.Digest, Until: now.Add(2 * time.Hour)}}, a.Retired...)
	a.Digest = digest("a3")
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)

	// Another overlap for a secret that stays retired.
	a.Retired[1].Until = now
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)

	// The oldest is forgotten.
	a.Retired = a.Retired[:1]
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)
	s.wantUnknown(digest("a"))

	// Regenerated without an overlap: the old one is gone, and free.
	a.Digest, a.Retired = digest("a4"), nil
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)
	s.wantUnknown(digest("a2"))
	s.wantUnknown(digest("a3"))
	b := newToken("b")
	b.Digest = digest("a3")
	s.create(b)
	s.wantToken(b)

	// A retired one becomes current again.
	a.Retired = []token.RetiredSecret{{Digest: digest("a4"), Until: now}}
	a.Digest = digest("a5")
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	a.Digest, a.Retired = digest("a4"), nil
	s.update("a", func(t *token.Token) { *t = *a.Clone() })
	s.wantToken(a)
	s.wantUnknown(digest("a5"))
}

func updateConcurrently(s *suite) {
	const writers, times = 16, 25
	s.create(newToken("a"), newToken("b"))
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range times {
				for _, id := range []string{"a", "b"} {
					_, err := s.Update(s.ctx, id, func(t *token.Token) error {
						t.LastUsedAt = t.LastUsedAt.Add(time.Second)
						return nil
					})
					if err != nil {
						s.Errorf("Update(%q): %v", id, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	want := time.Time{}.Add(writers * times * time.Second)
	for _, id := range []string{"a", "b"} {
		if got := s.find(digest(id)).Token.LastUsedAt; !got.Equal(want) {
			s.Errorf("after %d increments of token %q the time is %v, want %v", writers*times, id, got, want)
		}
	}
}

// Of many that want the same id or the same secret, one gets it.
func createConcurrently(s *suite) {
	const writers = 16
	for round := range 5 {
		var wg sync.WaitGroup
		made := make([]*token.Token, writers)
		for i := range writers {
			wg.Go(func() {
				// The even ones share an id, the odd ones a secret.
				t := newToken(fmt.Sprintf("r%d", round))
				t.Digest = digest(fmt.Sprint(round, i))
				if i%2 == 1 {
					t = newToken(fmt.Sprintf("r%d-%d", round, i))
					t.Digest = digest(fmt.Sprint(round))
				}
				switch err := s.Create(s.ctx, t); {
				case err == nil:
					made[i] = t
				case !errors.Is(err, store.ErrExists):
					s.Errorf("Create: %v, want nil or ErrExists", err)
				}
			})
		}
		wg.Wait()
		var even, odd int
		for i, t := range made {
			switch {
			case t == nil:
				continue
			case i%2 == 0:
				even++
			default:
				odd++
			}
			s.wantToken(t)
		}
		if even != 1 || odd != 1 {
			s.Errorf("%d tokens with one id and %d with one secret were made, want 1 and 1", even, odd)
		}
	}
	tokens, _, err := s.Tokens(s.ctx, store.Query{})
	if err != nil || len(tokens) != 10 {
		s.Errorf("Tokens = %q, %v, want 10", idsOf(tokens), err)
	}
}

func deleteTokens(s *suite) {
	a, b, c := newToken("a"), newToken("b"), newToken("c")
	b.Retired = []token.RetiredSecret{{Digest: digest("b0"), Until: now}}
	s.create(a, b, c)

	for _, ids := range [][]string{{"d"}, {"a", "d"}, {"d", "a"}, {"a", "b", "c", "d"}} {
		if err := s.Delete(s.ctx, ids...); !errors.Is(err, store.ErrNotFound) {
			s.Errorf("Delete(%q) = %v, want ErrNotFound", ids, err)
		}
		s.wantToken(a)
		s.wantToken(b)
		s.wantToken(c)
	}

	s.delete("b")
	s.wantNone("b", digest("b"), digest("b0"))
	s.wantToken(a)
	s.wantToken(c)
	owner := "alice"
	s.wantListed("the owner", store.Query{Owner: &owner}, "c", "a")

	// What it had is free again.
	b2 := newToken("b")
	b2.Digest = digest("b0")
	s.create(b2)
	s.wantToken(b2)
	s.wantUnknown(digest("b"))

	s.delete("c", "a", "b")
	for _, id := range []string{"a", "b", "c"} {
		s.wantNone(id, digest(id), digest("b0"))
	}
	s.wantListed("all", store.Query{})
	s.delete() // nothing, and that is fine
}
