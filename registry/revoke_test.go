package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

func TestRevoke(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	a, _ := d.create(t, NewToken{Name: "a"})
	b, _ := d.create(t, NewToken{Name: "b"})

	ids, err := d.Operator(cli).Revoke(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked", ids, []string{a.ID})
	d.took(t, Revoked)

	first := d.now
	d.now = d.now.Add(time.Hour)
	ids, err = d.Operator(cli).Revoke(ctx, a.ID, b.ID, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked, one of them again", ids, []string{a.ID, b.ID})
	d.took(t, Revoked)
	for id, at := range map[string]time.Time{a.ID: first, b.ID: d.now} {
		got, err := d.get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status", d.View(got).Status, token.Revoked)
		equal(t, "revoked at", got.RevokedAt, at)
	}

	_, err = d.Operator(cli).Revoke(ctx)
	refused(t, err, ErrInvalid, "which tokens")
}

func TestRevokeIsAllOrNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	a, _ := d.create(t, NewToken{})
	ids, err := d.Operator(cli).Revoke(ctx, a.ID, "nobody")
	refused(t, err, ErrNotFound, "token nobody")
	equal(t, "revoked", ids, nil)
	got, err := d.get(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status of the other", d.View(got).Status, token.Active)
	d.took(t)
}

func TestRevokeSaysHowFarItCame(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	var all []string
	for range 10 {
		d.now = d.now.Add(time.Millisecond)
		made, _ := d.create(t, NewToken{Owner: "alice"})
		all = append(all, made.ID)
	}
	for what, revoke := range map[string]func() ([]string, error){
		"Revoke":      func() ([]string, error) { return d.Operator(cli).Revoke(ctx, all...) },
		"RevokeOwner": func() ([]string, error) { return d.Operator(cli).RevokeOwner(ctx, "alice") },
	} {
		updates := 0
		d.store.fail = func(method string) error {
			if method == "Update" {
				if updates++; updates%3 == 0 {
					return errDown
				}
			}
			return nil
		}
		ids, err := revoke()
		if !errors.Is(err, errDown) {
			t.Errorf("%s: got error %v, want the store's", what, err)
		}
		for _, id := range ids {
			if got, err := d.get(ctx, id); err != nil || got.RevokedAt.IsZero() {
				t.Errorf("%s says that it has revoked %v, %v", what, got, err)
			}
		}
		if len(ids) == 0 || len(ids) == len(all) {
			t.Errorf("%s says that it has revoked %d of %d", what, len(ids), len(all))
		}
	}
	revoked, _, err := d.Operator(cli).List(ctx, Query{Status: "revoked"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "events", len(d.events), len(revoked))
}

// Who asks for tokens to end may go away: they end nevertheless.
func TestEndingIsFinished(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(ctx context.Context, d *desk, ids []string) ([]string, error){
		"Revoke": func(ctx context.Context, d *desk, ids []string) ([]string, error) {
			return d.Operator(cli).Revoke(ctx, ids...)
		},
		"RevokeOwner": func(ctx context.Context, d *desk, _ []string) ([]string, error) {
			return d.Operator(cli).RevokeOwner(ctx, "alice")
		},
		"DeleteOwnerTokens": func(ctx context.Context, d *desk, _ []string) ([]string, error) {
			return d.Operator(cli).DeleteOwnerTokens(ctx, "alice")
		},
	} {
		d := newDesk()
		var all []string
		for range MaxLimit + 1 { // two pages
			d.now = d.now.Add(time.Millisecond)
			made, _ := d.create(t, NewToken{Owner: "alice"})
			all = append(all, made.ID)
		}
		ctx, leave := context.WithCancel(t.Context())
		d.store.fail = func(method string) error {
			if method == "Update" || method == "Delete" {
				leave()
			}
			return nil
		}
		ids, err := end(ctx, d, all)
		if err != nil || len(ids) != len(all) {
			t.Errorf("%s ends %d of %d tokens, %v", what, len(ids), len(all), err)
		}
	}
}

func TestRevokeWhatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	d := newDesk()
	a, _ := d.create(t, NewToken{})
	d.store.fail = func(method string) error {
		if method == "Update" {
			d.store.remove(a)
		}
		return nil
	}
	ids, err := d.Operator(cli).Revoke(t.Context(), a.ID)
	if err != nil {
		t.Errorf("got error %v, want none: the token has ended", err)
	}
	equal(t, "revoked", ids, []string{a.ID})
	d.took(t)
}

// An attempt that comes to nothing leaves no event, though one before it, overtaken by a
// change that came to the same, had one.
func TestOvertakenByTheSame(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, _ := d.create(t, NewToken{})
	d.store.events = nil

	d.store.meanwhile = func() {
		ended := made.Clone()
		ended.RevokedAt = noon.Add(-time.Hour)
		d.store.put(ended)
	}
	if _, err := d.Operator(cli).Revoke(ctx, made.ID); err != nil {
		t.Error(err)
	}
	alice := token.NewOwner("alice")
	d.store.owners[alice.ID] = alice.Encode(nil)
	d.store.meanwhile = func() {
		alice.Enabled = false
		d.store.owners[alice.ID] = alice.Encode(nil)
	}
	if _, err := d.SetOwner(ctx, cli, alice.ID, OwnerChanges{Enabled: new(false)}); err != nil {
		t.Error(err)
	}
	d.took(t)
	if len(d.store.events) > 0 {
		t.Errorf("kept: %v, want nothing", d.store.events)
	}
}

// A token that was stored when more names were taken can be ended nevertheless.
func TestRevokeWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, _ := d.create(t, NewToken{})
	made.Name, made.Owner = "\u200b", "\ufeff"
	d.store.put(made)
	if _, err := d.Operator(cli).Revoke(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	_, err := d.Operator(cli).AddGrant(t.Context(), made.ID, token.Full())
	refused(t, err, ErrInvalid, "name: a token needs one")
}

func TestRevokeAndDeleteOfOwner(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	var alices []string
	for range 2*MaxLimit + 5 {
		d.now = d.now.Add(time.Millisecond)
		made, _ := d.create(t, NewToken{Owner: "alice"})
		alices = append(alices, made.ID)
	}
	slices.Reverse(alices)
	bobs, _ := d.create(t, NewToken{Owner: "bob"})
	if _, err := d.Operator(cli).Revoke(ctx, alices[3]); err != nil {
		t.Fatal(err)
	}
	d.events = nil

	ids, err := d.Operator(cli).RevokeOwner(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked now", ids, slices.Delete(slices.Clone(alices), 3, 4))
	equal(t, "events", len(d.events), len(alices)-1)
	ids, err = d.Operator(cli).RevokeOwner(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "revoked again", len(ids), 0)
	equal(t, "events", len(d.events), len(alices)-1)

	d.events = nil
	ids, err = d.Operator(cli).DeleteOwnerTokens(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "deleted", ids, alices)
	equal(t, "events", len(d.events), len(alices))

	rest, _, err := d.Operator(cli).List(ctx, Query{Status: "active"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the rest", rest, []*token.Token{bobs})
	for _, f := range []func() ([]string, error){
		func() ([]string, error) { return d.Operator(cli).RevokeOwner(ctx, "") },
		func() ([]string, error) { return d.Operator(cli).DeleteOwnerTokens(ctx, "") },
	} {
		_, err := f()
		refused(t, err, ErrInvalid, "whose tokens")
	}
}

// Many tokens are revoked together, and long ones one after the other.
func TestRevokeTogether(t *testing.T) {
	t.Parallel()
	for want, grants := range map[int32][]token.Grant{10: nil, 1: longGrants()} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk()
			for i := range 10 {
				made := &token.Token{ID: fmt.Sprint(i), Name: "n", Owner: "alice", Grants: grants, Digest: token.Digest{byte(i)}}
				if err := d.store.Create(t.Context(), made); err != nil {
					t.Fatal(err)
				}
			}
			slow := &slowStore{fakeStore: d.store}
			revoked, err := New(slow, usualRules(), Options{}).Operator(cli).RevokeOwner(t.Context(), "alice")
			if err != nil || len(revoked) != 10 || slow.most.Load() != want {
				t.Errorf("%d revoked, %d at a time, %v, want 10 and %d", len(revoked), slow.most.Load(), err, want)
			}
		})
	}
}

// slowStore counts how many changes it is asked for at a time.
type slowStore struct {
	*fakeStore
	now, most atomic.Int32
}

func (s *slowStore) Update(ctx context.Context, id string, change func(*token.Token) error) (*token.Token, error) {
	n := s.now.Add(1)
	defer s.now.Add(-1)
	for most := s.most.Load(); n > most && !s.most.CompareAndSwap(most, n); most = s.most.Load() {
	}
	time.Sleep(time.Second) // of a clock that goes on when all others wait
	return s.fakeStore.Update(ctx, id, change)
}

// unconfirmed is a store that can't say that nothing undoes what was done.
type unconfirmed struct {
	*fakeStore
	store.Shared
}

func (unconfirmed) Confirm(context.Context) error { return errDown }

// That an owner has nothing to end is as good as its end, and so has to be as certain.
func TestNothingToEndIsConfirmed(t *testing.T) {
	t.Parallel()
	a := New(unconfirmed{fakeStore: newDesk().store}, usualRules(), Options{}).Operator(cli)
	for what, end := range map[string]func(context.Context, string) ([]string, error){"RevokeOwner": a.RevokeOwner, "DeleteOwnerTokens": a.DeleteOwnerTokens} {
		if ids, err := end(t.Context(), "nobody"); !errors.Is(err, errDown) {
			t.Errorf("%s = %v, %v, want %v", what, ids, err, errDown)
		}
	}
}
