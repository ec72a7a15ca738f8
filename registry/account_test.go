package registry

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/patgate/patgate/token"
)

// account returns the registry as an owner uses it.
func (d *desk) account(t *testing.T, owner string, admin bool) *Account {
	t.Helper()
	a, err := d.Account(t.Context(), owner, here, admin)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Who may do what with whose tokens.
func TestAccount(t *testing.T) {
	t.Parallel()
	const (
		done      = ""
		nothing   = "not found" // as if the token weren't there
		forbidden = "not allowed"
	)
	for _, c := range []struct {
		name               string
		do                 func(context.Context, *Account, string) error
		own, other, admins string // what becomes of it: on one's own token, another's, and another's as an admin
		want               Action // "": it changes nothing
	}{
		{"Get", func(ctx context.Context, a *Account, id string) error { _, err := a.Get(ctx, id); return err }, done, nothing, done, ""},
		{"Update", func(ctx context.Context, a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{Name: new("x")})
			return err
		}, done, nothing, forbidden, Updated},
		{"AddGrant", func(ctx context.Context, a *Account, id string) error {
			_, err := a.AddGrant(ctx, id, grant("9", "x", "*"))
			return err
		}, done, nothing, forbidden, Granted},
		{"RemoveGrant", func(ctx context.Context, a *Account, id string) error {
			_, err := a.RemoveGrant(ctx, id, 1, nil)
			return err
		}, done, nothing, forbidden, Ungranted},
		{"RemoveAllGrants", func(ctx context.Context, a *Account, id string) error {
			_, err := a.RemoveAllGrants(ctx, id)
			return err
		}, done, nothing, forbidden, Ungranted},
		{"Regenerate", func(ctx context.Context, a *Account, id string) error {
			_, _, err := a.Regenerate(ctx, id, Renewal{})
			return err
		}, done, nothing, forbidden, Regenerated},
		{"Revoke", func(ctx context.Context, a *Account, id string) error { _, err := a.Revoke(ctx, id); return err }, done, nothing, done, Revoked},
		{"Delete", func(ctx context.Context, a *Account, id string) error { _, err := a.Delete(ctx, id); return err }, done, nothing, forbidden, Deleted},
		{"RevokeOwner", func(ctx context.Context, a *Account, id string) error {
			t, err := a.registry.get(ctx, id)
			if err == nil {
				_, err = a.RevokeOwner(ctx, t.Owner)
			}
			return err
		}, done, forbidden, done, Revoked},
		{"DeleteOwnerTokens", func(ctx context.Context, a *Account, id string) error {
			t, err := a.registry.get(ctx, id)
			if err == nil {
				_, err = a.DeleteOwnerTokens(ctx, t.Owner)
			}
			return err
		}, done, forbidden, forbidden, Deleted},
	} {
		for _, as := range []struct {
			name, owner string
			admin       bool
			want        string
		}{
			{"own", "alice", false, c.own},
			{"another's", "bob", false, c.other},
			{"own as an admin", "alice", true, c.own},
			{"another's as an admin", "bob", true, c.admins},
		} {
			t.Run(c.name+" "+as.name, func(t *testing.T) {
				t.Parallel()
				d := newDesk()
				made, _ := d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{grant("1", "a", "*")}})
				before := slices.Clone(d.store.tokens[made.ID])
				err := c.do(t.Context(), d.account(t, as.owner, as.admin), made.ID)
				switch as.want {
				case nothing:
					refused(t, err, ErrNotFound, "token "+made.ID+": not found")
				case forbidden:
					refused(t, err, ErrForbidden)
				default:
					if err != nil {
						t.Fatal(err)
					}
				}
				if as.want != done || c.want == "" {
					equal(t, "events", len(d.events), 0)
					equal(t, "the token", d.store.tokens[made.ID], before)
					return
				}
				if len(d.events) != 1 || d.events[0].Action != c.want {
					t.Fatalf("events %+v, want one: %s", d.events, c.want)
				}
				e := d.events[0]
				equal(t, "actor", Actor{e.ActorKind, e.Actor, e.Address}, Actor{OwnerActor, as.owner, "192.0.2.1"})
			})
		}
	}
}

func TestAccountSigningIn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	if _, err := d.SetOwner(ctx, cli, "off", OwnerChanges{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetOwner(ctx, cli, "root", OwnerChanges{Admin: new(true)}); err != nil {
		t.Fatal(err)
	}
	_, err := d.Account(ctx, "off", netip.Addr{}, true)
	refused(t, err, ErrForbidden, "disabled")
	_, err = d.Account(ctx, "", netip.Addr{}, true)
	refused(t, err, ErrForbidden, "nobody")
	_, err = d.Account(ctx, "a\nb", netip.Addr{}, true)
	refused(t, err, ErrInvalid, "control character")
	for _, c := range []struct {
		owner       string
		admin, want bool
	}{{"alice", false, false}, {"alice", true, true}, {"root", false, true}} {
		a := d.account(t, c.owner, c.admin)
		if a.Admin() != c.want || a.Owner().ID != c.owner || !a.Owner().MayCreate {
			t.Errorf("Account(%s, %v) is of %+v, want an admin: %v", c.owner, c.admin, a.Owner(), c.want)
		}
	}
}

func TestAccountLists(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	d.create(t, NewToken{Owner: "alice"})
	d.create(t, NewToken{Owner: "bob"})
	d.create(t, NewToken{Owner: "bob"})
	if _, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{}); err != nil {
		t.Fatal(err)
	}
	alice, root := d.account(t, "alice", false), d.account(t, "root", true)
	for _, c := range []struct {
		name   string
		as     *Account
		owner  *string
		tokens int // -1: forbidden
		events int
	}{
		{"one's own", alice, nil, 1, 2},
		{"one's own by name", alice, new("alice"), 1, 2},
		{"another's", alice, new("bob"), -1, -1},
		{"of no owner", alice, new(""), -1, -1},
		{"all, for an admin", root, nil, 3, 4},
		{"one owner's, for an admin", root, new("bob"), 2, 2},
		{"the admin's own", root, new("root"), 0, 0},
	} {
		tokens, _, err := c.as.List(ctx, Query{Owner: c.owner})
		if c.tokens < 0 {
			refused(t, err, ErrForbidden)
		} else if err != nil || len(tokens) != c.tokens {
			t.Errorf("%s: %d tokens, %v, want %d", c.name, len(tokens), err, c.tokens)
		}
		events, _, err := c.as.Events(ctx, EventQuery{Owner: c.owner})
		if c.events < 0 {
			refused(t, err, ErrForbidden)
		} else if err != nil || len(events) != c.events {
			t.Errorf("%s: %d events, %v, want %d", c.name, len(events), err, c.events)
		}
	}
}

// Who may not make tokens brings none back, either.
func TestAccountRevives(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, c := range []struct {
		status    token.Status
		mayCreate bool
		done      bool
	}{
		{token.Active, true, true}, {token.Active, false, true},
		{token.Revoked, true, true}, {token.Revoked, false, false},
		{token.Expired, true, true}, {token.Expired, false, false},
	} {
		d := newDesk()
		made, _ := d.create(t, NewToken{Owner: "alice", Lifetime: Lifetime{ExpiresIn: new("1d")}})
		switch c.status {
		case token.Revoked:
			if _, err := d.Operator(cli).Revoke(ctx, made.ID); err != nil {
				t.Fatal(err)
			}
		case token.Expired:
			d.now = d.now.Add(2 * day)
		}
		if _, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{MayCreate: &c.mayCreate}); err != nil {
			t.Fatal(err)
		}
		_, _, err := d.account(t, "alice", false).Regenerate(ctx, made.ID, Renewal{})
		if c.done && err != nil {
			t.Errorf("%s, may create %v: %v", c.status, c.mayCreate, err)
		} else if !c.done {
			refused(t, err, ErrForbidden, string(c.status), "may not make tokens")
		}
		if _, _, err := d.Operator(cli).Regenerate(ctx, made.ID, Renewal{}); err != nil {
			t.Errorf("%s, by an operator: %v", c.status, err)
		}
	}
}

// Who may not make tokens makes none do more than it does, either.
func TestAccountWidens(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, c := range []struct {
		name   string
		change func(*Account, string) error
		done   bool
	}{
		{"another name", func(a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{Name: new("x")})
			return err
		}, true},
		{"fewer addresses", func(a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{AllowedIPs: &[]string{"10.1.0.0/16", "10.2.3.4"}})
			return err
		}, true},
		{"one address, where there were all", func(a *Account, id string) error {
			if _, err := a.registry.Operator(cli).Update(ctx, id, Changes{AllowedIPs: &[]string{}}); err != nil {
				return err
			}
			_, err := a.Update(ctx, id, Changes{AllowedIPs: &[]string{"10.2.3.4"}})
			return err
		}, true},
		{"other addresses", func(a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{AllowedIPs: &[]string{"10.1.0.0/16", "11.0.0.1"}})
			return err
		}, false},
		{"more addresses", func(a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{AllowedIPs: &[]string{"10.0.0.0/7"}})
			return err
		}, false},
		{"all addresses", func(a *Account, id string) error {
			_, err := a.Update(ctx, id, Changes{AllowedIPs: &[]string{}})
			return err
		}, false},
		{"a grant", func(a *Account, id string) error { _, err := a.AddGrant(ctx, id, grant("2", "a", "*")); return err }, false},
		{"the same life", func(a *Account, id string) error {
			_, _, err := a.Regenerate(ctx, id, Renewal{Lifetime: Lifetime{ExpiresIn: new("1d")}})
			return err
		}, true},
		{"a longer life", func(a *Account, id string) error {
			_, _, err := a.Regenerate(ctx, id, Renewal{Lifetime: Lifetime{ExpiresIn: new("25h")}})
			return err
		}, false},
		{"no end", func(a *Account, id string) error {
			_, _, err := a.Regenerate(ctx, id, Renewal{Lifetime: Lifetime{NoExpiry: true}})
			return err
		}, false},
		{"whatever life it had", func(a *Account, id string) error {
			t, _, err := a.Regenerate(ctx, id, Renewal{})
			if err == nil && !a.Owner().MayCreate && !t.ExpiresAt.Equal(noon.Add(day)) {
				err = fmt.Errorf("it expires at %v", t.ExpiresAt)
			}
			return err
		}, true},
	} {
		d := newDesk(func(r *Rules) { r.MaxLifetime = 0 })
		made, _ := d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{grant("1", "a", "*")}, AllowedIPs: []string{"10.0.0.0/8"}, Lifetime: Lifetime{ExpiresIn: new("1d")}})
		if _, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{MayCreate: new(false)}); err != nil {
			t.Fatal(err)
		}
		if err := c.change(d.account(t, "alice", false), made.ID); c.done && err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if !c.done {
			refused(t, err, ErrForbidden)
			if now, _ := d.get(ctx, made.ID); !reflect.DeepEqual(now, made) {
				t.Errorf("%s: the token has become %+v", c.name, now)
			}
		}
		if _, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{MayCreate: new(true)}); err != nil {
			t.Fatal(err)
		}
		if err := c.change(d.account(t, "alice", false), made.ID); err != nil {
			t.Errorf("%s, by who may make tokens: %v", c.name, err)
		}
	}
}

func TestAccountCreates(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	alice := d.account(t, "alice", true)
	made, _, err := alice.Create(ctx, NewToken{Name: "ci"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "owner and maker", made.Owner+" "+made.CreatedBy, "alice alice")
	_, _, err = alice.Create(ctx, NewToken{Name: "ci", Owner: "bob"})
	refused(t, err, ErrForbidden, "own") // not even as an admin: it would act in bob's name
}

// An operator has no record, and is bound by none.
func TestOperatorHasNoRecord(t *testing.T) {
	t.Parallel()
	equal(t, "Owner", newDesk().Operator(cli).Owner(), token.NewOwner(""))
}
