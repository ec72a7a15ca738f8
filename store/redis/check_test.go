package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// What a server can lose, or hands can break, is found and mended, and the token
// is as it should be after that.
func TestCheck(t *testing.T) {
	t.Parallel()
	single := redistest.Start(t)
	cluster := redistest.StartCluster(t, 0)
	// In either, the token "a" of alice with the secret "a" and the retired
	// one "a0"; "b" of alice; and the owner alice.
	for _, c := range []struct {
		name string
		harm func(*testing.T, *Store)
		want []string // the problems, in the order in which they are looked for
		gone bool     // the token a is gone then
	}{
		{"nothing", func(*testing.T, *Store) {}, nil, false},
		{"not in the index", func(t *testing.T, s *Store) {
			s.client.ZRem(t.Context(), s.keys.ids, idEntry("a", digest("a")))
		}, []string{`token "a" is not in the index of ids`}, false},
		{"not in its owner's index", func(t *testing.T, s *Store) {
			s.client.ZRem(t.Context(), s.keys.own("alice"), "a")
		}, []string{`token "a" is not in the index of its owner "alice"`}, false},
		{"in another owner's index", func(t *testing.T, s *Store) {
			s.client.ZAdd(t.Context(), s.keys.own("[b]*"), zero("a"))
		}, []string{`the index of owner "[b]*" has token "a", which isn't theirs`}, false},
		{"a retired secret isn't there", func(t *testing.T, s *Store) {
			s.client.Del(t.Context(), s.keys.token(digest("a0")))
		}, []string{`token "a" is not found by a retired secret`}, false},
		{"a retired secret too many", func(t *testing.T, s *Store) {
			s.client.Set(t.Context(), s.keys.token(digest("x")), pointerValue(1, digest("a")), 0)
		}, []string{"of a retired secret that no token has"}, false},
		{"an older record beside it", func(t *testing.T, s *Store) {
			old := newToken("a")
			old.Digest = digest("old")
			s.client.Set(t.Context(), s.keys.token(old.Digest), liveValue(1, old), 0)
		}, []string{`token "a" has an old record beside its own`}, false},
		{"another record in the index", func(t *testing.T, s *Store) {
			s.client.ZAdd(t.Context(), s.keys.ids, zero(idEntry("a", token.Digest{})))
		}, []string{`token "a": the index of ids names a record that isn't its own`}, false},
		{"another record in the index only", func(t *testing.T, s *Store) {
			s.client.ZRem(t.Context(), s.keys.ids, idEntry("a", digest("a")))
			s.client.ZAdd(t.Context(), s.keys.ids, zero(idEntry("a", digest("b"))))
		}, []string{`token "a": the index of ids names a record that isn't its own`}, false},
		{"an orphaned intent", func(t *testing.T, s *Store) {
			v := s.client.Get(t.Context(), s.keys.token(digest("a"))).Val()
			s.client.Set(t.Context(), s.keys.token(digest("a")), intentValue("8 bytes!", v, ""), 0)
		}, []string{"an intent of a change that nobody knows of"}, false},
		{"in the index only", func(t *testing.T, s *Store) {
			s.client.Del(t.Context(), s.keys.token(digest("a")))
		}, []string{"of a retired secret that no token has", `the index of ids has token "a", which isn't there`, `the index of owner "alice" has token "a", which isn't theirs`}, true},
		{"a use of no token", func(t *testing.T, s *Store) {
			s.client.HSet(t.Context(), s.keys.uses, "gone", "1 192.0.2.1")
		}, []string{`a use is noted of token "gone", which isn't there`}, false},
		{"owner not in the index", func(t *testing.T, s *Store) {
			s.client.ZRem(t.Context(), s.keys.owners, "alice")
		}, []string{`owner "alice" is not in the index`}, false},
	} {
		for kind, o := range map[string]Options{
			"single":  {Addresses: []string{single.Addr}},
			"cluster": {Addresses: cluster.Addrs, Cluster: true},
		} {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := open(t, o)
				a := newToken("a")
				a.Retired = []token.RetiredSecret{{Digest: digest("a0"), Until: time.Unix(9, 0)}}
				create(t, s, a, newToken("b"))
				putOwner(t, s, &token.Owner{ID: "alice", Enabled: true})
				s.floors = floors{} // a process that has seen none of it
				c.harm(t, s)
				for _, repair := range []bool{false, true} {
					problems, err := s.Check(t.Context(), repair)
					if !repair && len(problems) > len(c.want) && len(c.want) > 0 {
						problems = problems[:len(c.want)] // the others follow from these
					}
					if err != nil || len(problems) != len(c.want) {
						t.Fatalf("Check = %+v, %v, want %q", problems, err, c.want)
					}
					for i, p := range problems {
						if !strings.Contains(p.Text, c.want[i]) || p.Mended != repair || !p.Mendable {
							t.Errorf("Check(repair %v) = %+v, want %q", repair, p, c.want[i])
						}
					}
				}
				wantSound(t, s)
				for _, secret := range []string{"a", "a0"} {
					f, err := s.Find(t.Context(), digest(secret))
					if c.gone && !errors.Is(err, store.ErrNotFound) || !c.gone && (err != nil || f.Token.ID != "a" || f.Owner == nil) {
						t.Errorf("Find by %q = %+v, %v", secret, f, err)
					}
				}
				want := " b a"
				if c.gone {
					want = " b"
				}
				alice := "alice"
				for _, q := range []store.Query{{}, {Owner: &alice}} {
					if all, _, err := s.Tokens(t.Context(), q); err != nil || ids(all) != want {
						t.Errorf("Tokens =%s, %v, want%s", ids(all), err, want)
					}
				}
			})
		}
	}
}

// Of an owner who is listed, and has no record, nobody knows whether they were disabled:
// no token of theirs serves until somebody has said so, and Check doesn't.
func TestOwnerIsLost(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *Store) {
		set := func(name string, enabled bool) error {
			_, err := s.UpdateOwner(t.Context(), name, func(*token.Owner) (*token.Owner, error) { return &token.Owner{ID: name, Enabled: enabled}, nil })
			return err
		}
		for _, name := range []string{"disabled", "deleted", "nobody"} {
			made := newToken(name)
			made.Owner = name
			create(t, s, made)
		}
		if err := errors.Join(set("disabled", false), set("deleted", false), s.DeleteOwner(t.Context(), "deleted")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"disabled", "deleted"} { // of which one goes after a day
			s.client.Del(t.Context(), s.keys.owner(name))
		}
		s.owners.dropAll(false)
		s.floors = floors{} // a process that has seen none of it
		find := func(name string) (*token.Owner, error) {
			f, err := s.Find(t.Context(), digest(name))
			return f.Owner, err
		}
		if _, err := find("disabled"); !errors.Is(err, errLost) {
			t.Errorf("a token of an owner whose record is lost: %v, want %v", err, errLost)
		}
		for _, name := range []string{"deleted", "nobody"} {
			if owner, err := find(name); owner != nil || err != nil {
				t.Errorf("a token of an owner without a record: owner %v, %v", owner, err)
			}
		}
		if owners, _, err := s.Owners(t.Context(), "", 0); !errors.Is(err, errLost) || !strings.Contains(err.Error(), `owner "disabled"`) {
			t.Errorf("Owners = %v, %v, want %v for who was disabled", owners, err, errLost)
		}
		problems, err := s.Check(t.Context(), true)
		if err != nil || len(problems) != 1 || problems[0].Mendable || !strings.Contains(problems[0].Text, `lost the record of owner "disabled"`) || !strings.HasSuffix(problems[0].Text, "disabled anew, and then limited and enabled, or deleted") {
			t.Errorf("Check = %+v, %v, want that the record is lost", problems, err)
		}
		if err := set("disabled", true); !errors.Is(err, errLost) {
			t.Errorf("enabling them: %v, want %v", err, errLost)
		}
		if err := s.DeleteOwner(t.Context(), "disabled"); !errors.Is(err, errLost) {
			t.Errorf("deleting them: %v, want %v, for their tokens would serve", err, errLost)
		}
		if err := errors.Join(set("disabled", false), set("disabled", true)); err != nil {
			t.Error(err)
		}
		if owner, err := find("disabled"); err != nil || !owner.Enabled {
			t.Errorf("a token of an owner who was enabled anew: owner %v, %v", owner, err)
		}
		s.client.Del(t.Context(), s.keys.owner("disabled"))
		if err := errors.Join(set("disabled", false), s.DeleteOwner(t.Context(), "disabled")); err != nil {
			t.Error(err)
		}
		if owner, err := find("disabled"); err != nil || owner != nil {
			t.Errorf("a token of an owner who was deleted: owner %v, %v", owner, err)
		}
		wantSound(t, s)
	})
}

// A key that isn't what it should be is found, and hides nothing else.
func TestCheckWrongType(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"), newToken("b"))
	s.client.Del(t.Context(), s.keys.token(digest("b")))
	s.client.LPush(t.Context(), s.keys.token(digest("b")), "x")
	s.client.ZRem(t.Context(), s.keys.ids, idEntry("a", digest("a")))
	problems, err := s.Check(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range problems {
		found = append(found, p.Text)
	}
	for _, want := range []string{fmt.Sprintf("digest %x", digest("b")), `token "a" is not in the index of ids`} {
		if !slices.ContainsFunc(found, func(text string) bool { return strings.Contains(text, want) }) {
			t.Errorf("Check finds %q, want %q", found, want)
		}
	}
	s.client.Del(t.Context(), s.keys.own("alice"))
	s.client.Set(t.Context(), s.keys.own("alice"), "x", 0)
	if _, err := s.Check(t.Context(), true); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("Check of an index that isn't one: %v", err)
	}
}

// Where a key isn't what it should be, who can't get on because of it is told which one.
func TestWrongTypeIsNamed(t *testing.T) {
	t.Parallel()
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	create(t, s, newToken("a"))
	ctx := t.Context()
	list := func() error { _, _, err := s.Tokens(ctx, store.Query{}); return err }
	for _, c := range []struct {
		key, named string
		do         func() error
	}{
		{s.keys.ids, s.keys.ids, list},
		{s.keys.ids, s.keys.uses + " or " + s.keys.ids, func() error { return s.NoteUses(ctx, store.Use{ID: "a", At: time.Unix(1, 0)}) }},
		{s.keys.uses, s.keys.uses, list},
		{s.keys.token(digest("a")), fmt.Sprintf("%s<digest %x>", s.keys.tokens, digest("a")), list},
		{s.keys.own("alice"), s.keys.own("alice"), func() error { _, _, err := s.Tokens(ctx, store.Query{Owner: new("alice")}); return err }},
		{s.keys.owners, s.keys.owners, func() error { _, _, err := s.Owners(ctx, "", 0); return err }},
		{s.keys.feed, s.keys.feed, func() error { _, _, err := s.readFeed(cursor{}, 1); return err }},
	} {
		s.client.Rename(ctx, c.key, "aside")
		s.client.LPush(ctx, c.key, "x")
		if err := c.do(); err == nil || !strings.Contains(err.Error(), "redis key "+c.named+": ") {
			t.Errorf("%q of another type: %v, want it named", c.named, err)
		}
		s.client.Rename(ctx, "aside", c.key)
	}
	s.client.Set(ctx, s.keys.token(digest("a")), "x", 0)
	if err := list(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("digest %x: ", digest("a"))) {
		t.Errorf("a damaged record in a list: %v, want it named", err)
	}
}

// Nor does a damaged record hide anything, wherever it is named.
func TestCheckDamaged(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	v := liveValue(1, newToken("b"))
	for name, damaged := range map[string]string{"a record": v[:20], "an intent": "Ishort", "a record in an intent": intentValue("8 bytes!", v[:20], "")} {
		t.Run(name, func(t *testing.T) {
			s := open(t, Options{Addresses: []string{server.Addr}})
			create(t, s, newToken("b"))
			s.client.Set(t.Context(), s.keys.token(digest("b")), damaged, 0)
			problems, err := s.Check(t.Context(), false)
			if err != nil || len(problems) == 0 || !strings.Contains(problems[0].Text, fmt.Sprintf("digest %x", digest("b"))) {
				t.Errorf("Check = %+v, %v, want the digest of the damaged record", problems, err)
			}
		})
	}
}

// While changes are made, Check finds nothing.
func TestCheckUnderTraffic(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}, KeyPrefix: "traffic"}
	tr := run(t, open(t, o))
	s := open(t, o)
	for range 20 {
		problems, err := s.Check(t.Context(), true)
		if err != nil || len(problems) > 0 {
			t.Errorf("Check = %+v, %v, want nothing", problems, err)
		}
		tr.awaitMore(t, 5)
	}
	tr.end(t, s)
	wantSound(t, s)
}

// A token that is deleted, or gets another owner, when a list was read, and it wasn't looked at
// yet, isn't out of place.
func TestCheckBesideChanges(t *testing.T) {
	t.Parallel()
	o := Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "checked"}
	s, other := open(t, o), open(t, o)
	create(t, other, newToken("used"), newToken("moved"), newToken("gone"), newToken("stays"))
	if err := other.NoteUses(t.Context(), store.Use{ID: "used", At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	changes := map[string]func() error{
		"owned": func() error {
			update(t, other, "moved", func(k *token.Token) { k.Owner = "bob" })
			return other.Delete(t.Context(), "gone")
		},
		"uses": func() error { return other.Delete(t.Context(), "used") },
	}
	reads := map[string]int{"uses": 1} // of owned, the first is that of the records
	s.client.AddHook(answered(map[string]string{s.keys.own("alice"): "owned", s.keys.uses: "uses"}, func(step string) {
		change := changes[step]
		if change == nil {
			return
		}
		if reads[step]++; reads[step] == 2 {
			delete(changes, step)
			if err := change(); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
	}))
	if problems, err := s.Check(t.Context(), true); err != nil || len(problems) > 0 || len(changes) > 0 {
		t.Errorf("Check = %+v, %v, want nothing; %d changes weren't made", problems, err, len(changes))
	}
}
