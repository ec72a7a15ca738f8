package registry

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// Every change has an event that says who has done what, and what it was before.
func TestEventOfEveryChange(t *testing.T) {
	t.Parallel()
	a, b := grant("1", "a", "*"), grant("2", "b", "*")
	const aText, bText = `{"spaces":["1"],"scopes":["a"],"resources":["*"]}`, `{"spaces":["2"],"scopes":["b"],"resources":["*"]}`
	for _, c := range []struct {
		name  string
		do    func(context.Context, *desk, *token.Token) error
		want  Action
		says  string // its summary
		owner bool   // of an owner's record, not of the token
	}{
		{"Create", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, _, err := d.Operator(cli).Create(ctx, NewToken{Name: "ci", Owner: "alice", Grants: []token.Grant{a}, AllowedIPs: []string{"10.0.0.0/8"}})
			return err
		}, Created, "grants: [" + aText + "]; expires_at: 2027-02-20T12:00:00Z; allowed_ips: everywhere → 10.0.0.0/8", false},
		{"Create without a scope", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, _, err := d.Operator(cli).Create(ctx, NewToken{Name: "ci", Owner: "alice", Grants: []token.Grant{{Spaces: []string{"1"}}}})
			return err
		}, Created, `grants: [{"spaces":["1"],"scopes":[],"resources":["*"]}]; expires_at: 2027-02-20T12:00:00Z`, false},
		{"Import", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, err := d.Import(ctx, cli, strings.NewReader(`{"name":"ci","owner":"alice","secret":"an-old-system-1234"}`))
			return err
		}, Imported, "grants: none; expires_at: never", false},
		{"Update", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).Update(ctx, t.ID, Changes{Name: new("deploy"), Description: new("x")})
			return err
		}, Updated, "name: ci → deploy; description: x", false},
		{"AddGrant", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).AddGrant(ctx, t.ID, b)
			return err
		}, Granted, "grants: [" + aText + "] → [" + aText + "," + bText + "]", false},
		{"RemoveGrant", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).RemoveGrant(ctx, t.ID, 1, nil)
			return err
		}, Ungranted, "grants: [" + aText + "] → none", false},
		{"RemoveAllGrants", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).RemoveAllGrants(ctx, t.ID)
			return err
		}, Ungranted, "grants: [" + aText + "] → none", false},
		{"Revoke", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).Revoke(ctx, t.ID)
			return err
		}, Revoked, "revoked_at: 2026-11-22T13:00:00Z", false},
		{"RevokeOwner", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, err := d.Operator(cli).RevokeOwner(ctx, "alice")
			return err
		}, Revoked, "revoked_at: 2026-11-22T13:00:00Z", false},
		{"Regenerate", func(ctx context.Context, d *desk, t *token.Token) error {
			_, _, err := d.Operator(cli).Regenerate(ctx, t.ID, Renewal{Lifetime: Lifetime{ExpiresIn: new("1d")}})
			return err
		}, Regenerated, "expires_at: 2027-02-20T12:00:00Z → 2026-11-23T13:00:00Z", false},
		{"Regenerate with an overlap", func(ctx context.Context, d *desk, t *token.Token) error {
			_, _, err := d.Operator(cli).Regenerate(ctx, t.ID, Renewal{Overlap: new("2h")})
			return err
		}, Regenerated, "expires_at: 2027-02-20T12:00:00Z → 2027-02-20T13:00:00Z; the old secret works until 2026-11-22T15:00:00Z", false},
		{"Delete", func(ctx context.Context, d *desk, t *token.Token) error {
			_, err := d.Operator(cli).Delete(ctx, t.ID)
			return err
		}, Deleted, "", false},
		{"DeleteOwnerTokens", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, err := d.Operator(cli).DeleteOwnerTokens(ctx, "alice")
			return err
		}, Deleted, "", false},
		{"SetOwner", func(ctx context.Context, d *desk, _ *token.Token) error {
			_, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{Enabled: new(false), MaxTokens: new(3)})
			return err
		}, OwnerSet, "enabled: true → false; max_tokens: 0 → 3", true},
		{"DeleteOwner", func(ctx context.Context, d *desk, _ *token.Token) error {
			d.store.owners["alice"] = token.NewOwner("alice").Encode(nil)
			return d.DeleteOwner(ctx, cli, "alice")
		}, OwnerDeleted, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk()
			var made *token.Token
			if c.want != Created && c.want != Imported {
				made, _ = d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{a}})
				d.now = d.now.Add(time.Hour)
			}
			if err := c.do(t.Context(), d, made); err != nil {
				t.Fatal(err)
			}
			if len(d.events) != 1 {
				t.Fatalf("got %d events, want one", len(d.events))
			}
			e := d.events[0]
			equal(t, "summary", e.Summary(), c.says)
			equal(t, "owner", e.Owner, "alice")
			equal(t, "kind of actor", e.ActorKind, Operator)
			equal(t, "is of a token", e.TokenID != "", !c.owner)
			if made != nil && !c.owner {
				equal(t, "token", e.TokenID, made.ID)
			}
			d.took(t, c.want)
		})
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, secret := d.create(t, NewToken{Owner: "alice"})
	d.create(t, NewToken{Owner: "bob"})
	events, _, err := d.Operator(cli).Events(ctx, EventQuery{TokenID: made.ID, Owner: new("alice")})
	if err != nil || len(events) != 1 || events[0].TokenID != made.ID {
		t.Errorf("Events of a token = %+v, %v, want the one", events, err)
	}
	for _, c := range []struct {
		name string
		q    EventQuery
		says string
	}{
		{"no such page", EventQuery{Limit: 1001}, "1 to 1000"},
		{"both ways", EventQuery{Before: "1", After: "1"}, "not both"},
		{"from an event and from a time", EventQuery{After: "1", Since: d.now}, "not both"},
		{"no event's id", EventQuery{Before: "x"}, "cursor"},
		{"a negative one", EventQuery{After: "-1"}, "after"},
		{"a secret", EventQuery{TokenID: secret}, "a secret, not an id"},
	} {
		_, _, err := d.Operator(cli).Events(ctx, c.q)
		refused(t, err, ErrInvalid, c.says)
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error repeats the secret", c.name)
		}
	}
}

func TestAddressText(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"192.0.2.7", "2001:db8::1"} {
		equal(t, "address", addressText(netip.MustParseAddr(text)), text)
	}
	equal(t, "no address", addressText(netip.Addr{}), "")
}
