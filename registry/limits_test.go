package registry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func TestWhoMayCreate(t *testing.T) {
	t.Parallel()
	owner := func(change func(*token.Owner)) *token.Owner {
		o := token.NewOwner("alice")
		change(o)
		return o
	}
	for _, c := range []struct {
		name   string
		record *token.Owner // nil: none
		has    int          // tokens
		by     string       // "": an operator
		kind   error        // nil: done
		says   string
	}{
		{"without a record", nil, 3, "alice", nil, ""},
		{"who may not", owner(func(o *token.Owner) { o.MayCreate = false }), 0, "alice", ErrForbidden, "may not make tokens"},
		{"an operator for who may not", owner(func(o *token.Owner) { o.MayCreate = false }), 0, "", nil, ""},
		{"below the cap", owner(func(o *token.Owner) { o.MaxTokens = 2 }), 1, "alice", nil, ""},
		{"at the cap", owner(func(o *token.Owner) { o.MaxTokens = 2 }), 2, "alice", ErrConflict, "as many tokens as it may have (2)"},
		{"above it", owner(func(o *token.Owner) { o.MaxTokens = 2 }), 3, "alice", ErrConflict, "as many tokens as it may have"},
		{"an operator at the cap", owner(func(o *token.Owner) { o.MaxTokens = 2 }), 2, "", ErrConflict, "as many tokens as it may have (2)"},
		{"another owner", nil, 0, "bob", ErrForbidden, "own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			for range c.has {
				made, _ := d.create(t, NewToken{Owner: "alice"})
				if _, err := d.Operator(cli).Revoke(t.Context(), made.ID); err != nil { // revoked ones count as well
					t.Fatal(err)
				}
			}
			if c.record != nil {
				d.store.owners["alice"] = c.record.Encode(nil)
			}
			a := d.Operator(cli)
			if c.by != "" {
				a = d.account(t, c.by, false)
			}
			_, _, err := a.Create(t.Context(), NewToken{Name: "ci", Owner: "alice"})
			if c.kind == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, c.kind, c.says)
			equal(t, "tokens", len(d.store.tokens), c.has)
		})
	}
}

// TestLastPlace has many take an owner's last places at the same moment.
func TestLastPlace(t *testing.T) {
	t.Parallel()
	const places, contenders = 3, 20
	d := newDesk()
	o := token.NewOwner("alice")
	o.MaxTokens = places
	d.store.owners["alice"] = o.Encode(nil)
	errs := make([]error, contenders)
	var all, arrived sync.WaitGroup
	arrived.Add(contenders)
	for i := range errs {
		all.Go(func() {
			// As the admin API and the console do, each with a Registry of its own.
			_, _, errs[i] = New(hesitantStore{d.store, &arrived}, usualRules(), Options{}).Operator(cli).Create(t.Context(), NewToken{Name: "ci", Owner: "alice", Full: true})
		})
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
		} else {
			refused(t, err, ErrConflict, "as many tokens as it may have (3)")
		}
	}
	equal(t, "made", made, places)
	equal(t, "tokens", len(d.store.tokens), places)
}

// hesitantStore has all begin at the same moment, once they know the limit, and lets
// others in between a count and what follows from it.
type hesitantStore struct {
	*fakeStore
	arrived *sync.WaitGroup
}

func (s hesitantStore) Owner(ctx context.Context, id string) (*token.Owner, error) {
	s.arrived.Done()
	s.arrived.Wait()
	return s.fakeStore.Owner(ctx, id)
}

func (s hesitantStore) Tokens(ctx context.Context, q store.Query) ([]*token.Token, string, error) {
	tokens, next, err := s.fakeStore.Tokens(ctx, q)
	runtime.Gosched()
	return tokens, next, err
}

// sharedStore is a store that other gateways change as well.
type sharedStore struct {
	*fakeStore
	store.Shared
}

func (s sharedStore) Tokens(ctx context.Context, q store.Query) ([]*token.Token, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	return s.fakeStore.Tokens(ctx, q)
}

// TestLastPlaceTakenElsewhere has another gateway take an owner's last place
// between the count and the change.
func TestLastPlaceTakenElsewhere(t *testing.T) {
	t.Parallel()
	d := newDesk()
	o := token.NewOwner("alice")
	o.MaxTokens = 1
	d.store.owners["alice"] = o.Encode(nil)
	other := &token.Token{ID: "other", Name: "n", Owner: "alice", Digest: token.NewHasher("").Digest("other"), CreatedAt: noon}
	d.store.fail = func(method string) error {
		if method == "Create" {
			d.store.put(other)
		}
		return nil
	}
	here := New(sharedStore{fakeStore: d.store}, usualRules(), Options{})
	made, secret, err := here.Operator(cli).Create(t.Context(), NewToken{Name: "ci", Owner: "alice", Full: true})
	refused(t, err, ErrConflict, "as many tokens as it may have")
	if made != nil || secret != "" || len(d.store.tokens) != 1 || d.store.tokens["other"] == nil {
		t.Errorf("got token %v, and the store has %d, want the other gateway's alone", made, len(d.store.tokens))
	}
	var did []Action
	for _, e := range d.store.events {
		did = append(did, e.Action)
	}
	equal(t, "events", fmt.Sprint(did), "[created deleted]")
}

// Who asks for a token, and is gone before it is known whether there was a place, has
// it or not: none is left of which nobody has seen the secret.
func TestLastPlaceOfWhoIsGone(t *testing.T) {
	t.Parallel()
	for _, down := range []bool{false, true} {
		d := newDesk()
		o := token.NewOwner("alice")
		o.MaxTokens = 1
		d.store.owners["alice"] = o.Encode(nil)
		ctx, leave := context.WithCancel(t.Context())
		stored := false
		d.store.fail = func(method string) error {
			switch {
			case method == "Create":
				stored = true
				leave()
			case method == "Tokens" && stored && down:
				return errDown
			}
			return nil
		}
		made, _, err := New(sharedStore{fakeStore: d.store}, usualRules(), Options{}).Operator(cli).Create(ctx, NewToken{Name: "ci", Owner: "alice", Full: true})
		if !down && (err != nil || len(d.store.tokens) != 1) {
			t.Errorf("got %v and %d tokens, want the token", err, len(d.store.tokens))
		}
		if down && (!errors.Is(err, errDown) || made != nil || len(d.store.tokens) != 0) {
			t.Errorf("the store fails: got %v, %v and %d tokens, want its error and none", made, err, len(d.store.tokens))
		}
	}
}

func TestImmutableGrants(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk(func(r *Rules) { r.GrantsImmutable = true })
	made, _ := d.create(t, NewToken{Owner: "alice", Full: true})
	alice := d.account(t, "alice", false)
	for what, do := range map[string]func() error{
		"AddGrant":           func() error { _, err := d.Operator(cli).AddGrant(ctx, made.ID, grant("1", "a", "*")); return err },
		"RemoveGrant":        func() error { _, err := d.Operator(cli).RemoveGrant(ctx, made.ID, 1, nil); return err },
		"RemoveAllGrants":    func() error { _, err := d.Operator(cli).RemoveAllGrants(ctx, made.ID); return err },
		"AddGrant by alice":  func() error { _, err := alice.AddGrant(ctx, made.ID, grant("1", "a", "*")); return err },
		"RemoveAll by alice": func() error { _, err := alice.RemoveAllGrants(ctx, made.ID); return err },
	} {
		if err := do(); err == nil {
			t.Errorf("%s: done, want it refused", what)
		} else {
			refused(t, err, ErrForbidden, "stay what they were")
		}
	}
	d.took(t)
	if _, err := d.Operator(cli).Update(ctx, made.ID, Changes{Name: new("x")}); err != nil {
		t.Errorf("Update: %v", err)
	}
	if _, _, err := d.Operator(cli).Regenerate(ctx, made.ID, Renewal{}); err != nil {
		t.Errorf("Regenerate: %v", err)
	}
	if _, err := d.Operator(cli).Revoke(ctx, made.ID); err != nil {
		t.Errorf("Revoke: %v", err)
	}
	d.took(t, Updated, Regenerated, Revoked)
}

func TestFull(t *testing.T) {
	t.Parallel()
	d := newDesk()
	full := func() bool {
		t.Helper()
		full, err := d.account(t, "alice", false).Full(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return full
	}
	d.create(t, NewToken{Owner: "alice"})
	equal(t, "without a limit", full(), false)
	for most, want := range map[int]bool{1: true, 2: false} {
		if _, err := d.SetOwner(t.Context(), cli, "alice", OwnerChanges{MaxTokens: &most}); err != nil {
			t.Fatal(err)
		}
		equal(t, "full", full(), want)
	}
}

// What an owner makes can't be so large that it delays what others ask the store for.
func TestOwnersTokensAreSmall(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	spaces := func(from, n int) token.Grant {
		g := grant("", "a:read", "*")
		for i := range n {
			g.Spaces = append(g.Spaces, fmt.Sprintf("%064d", from+i))
		}
		return g
	}
	d := newDesk()
	alice := d.account(t, "alice", true)
	tooMuch := []token.Grant{spaces(0, 600), spaces(1000, 600)}
	_, _, err := alice.Create(ctx, NewToken{Name: "ci", Grants: tooMuch})
	refused(t, err, ErrInvalid, "at most 65536")
	made, _, err := alice.Create(ctx, NewToken{Name: "ci", Grants: tooMuch[:1]})
	if err != nil {
		t.Fatal(err)
	}
	_, err = alice.AddGrant(ctx, made.ID, tooMuch[1])
	refused(t, err, ErrInvalid, "at most 65536")

	// The operator's may be larger, and their owner may do with them all that adds nothing.
	large, _ := d.create(t, NewToken{Owner: "alice", Grants: tooMuch})
	_, err = alice.Update(ctx, large.ID, Changes{Name: new("other")})
	_, _, err2 := alice.Regenerate(ctx, large.ID, Renewal{})
	_, err3 := alice.RemoveGrant(ctx, large.ID, 1, nil)
	if err != nil || err2 != nil || err3 != nil {
		t.Errorf("Update: %v, Regenerate: %v, RemoveGrant: %v, want all done", err, err2, err3)
	}
}
