package registry

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

var here = netip.MustParseAddr("192.0.2.1")

func (d *desk) bearer(t *testing.T, secret string) *Bearer {
	t.Helper()
	b, err := d.Bearer(t.Context(), secret, here)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// denied checks that err is a denial for this reason.
func denied(t *testing.T, what string, err error, want policy.Reason) {
	t.Helper()
	var d *Denied
	if !errors.As(err, &d) || d.Reason != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
}

func TestBearer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	_, fine := d.create(t, NewToken{Owner: "alice", AllowedIPs: []string{"192.0.2.0/24"}})
	_, expiring := d.create(t, NewToken{Lifetime: Lifetime{ExpiresIn: new("1h")}})
	revoked, revokedSecret := d.create(t, NewToken{})
	_, disabled := d.create(t, NewToken{Owner: "bob"})
	renewed, old := d.create(t, NewToken{})
	if _, err := d.Operator(cli).Revoke(ctx, revoked.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.SetOwner(ctx, cli, "bob", OwnerChanges{Enabled: new(false)}); err != nil {
		t.Fatal(err)
	}
	_, fresh, err := d.Operator(cli).Regenerate(ctx, renewed.ID, Renewal{Overlap: new("1h")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		secret string
		from   string
		after  time.Duration
		want   policy.Reason
	}{
		{"fine", fine, "192.0.2.1", 0, policy.Forward},
		{"fine, the address as IPv6 has it", fine, "::ffff:192.0.2.1", 0, policy.Forward},
		{"from elsewhere", fine, "198.51.100.1", 0, policy.AddressNotAllowed},
		{"from nobody knows where", fine, "", 0, policy.AddressNotAllowed},
		{"not expired yet", expiring, "", time.Hour - 1, policy.Forward},
		{"expired", expiring, "", time.Hour, policy.TokenExpired},
		{"revoked", revokedSecret, "", 0, policy.TokenRevoked},
		{"of a disabled owner", disabled, "", 0, policy.OwnerDisabled},
		{"the newer secret", fresh, "", 0, policy.Forward},
		{"a replaced secret that works", old, "", time.Hour - time.Millisecond, policy.Forward},
		{"a replaced secret that doesn't", old, "", time.Hour, policy.TokenRevoked},
		{"malformed", fine + "x", "", 0, policy.TokenMalformed},
		{"nothing", "", "", 0, policy.TokenMalformed},
		{"unknown", token.NewSecret("pat"), "", 0, policy.TokenUnknown},
	} {
		d.now = noon.Add(c.after)
		from, _ := netip.ParseAddr(c.from)
		b, err := d.Bearer(ctx, c.secret, from)
		if c.want != policy.Forward {
			denied(t, c.name, err, c.want)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		equal(t, c.name+": view", b.View(b.Token()), d.View(b.Token()))
	}
}

func TestBearerRegenerates(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		rules    func(*Rules)
		lifetime Lifetime // it was made with
		asked    Lifetime
		after    time.Duration // it asks
		want     time.Duration // its new life; 0: for ever
		says     string        // why not; "": done
	}{
		{"the same again", nil, Lifetime{ExpiresIn: new("30d")}, Lifetime{}, 20 * day, 30 * day, ""},
		{"less", nil, Lifetime{ExpiresIn: new("30d")}, Lifetime{ExpiresIn: new("1d")}, 20 * day, day, ""},
		{"exactly as long", nil, Lifetime{ExpiresIn: new("30d")}, Lifetime{ExpiresIn: new("30d")}, 20 * day, 30 * day, ""},
		{"longer", nil, Lifetime{ExpiresIn: new("30d")}, Lifetime{ExpiresIn: new("31d")}, 20 * day, 0, "which is 30d"},
		{"until later than that", nil, Lifetime{ExpiresIn: new("30d")}, Lifetime{ExpiresAt: new("2027-06-01")}, 20 * day, 0, "which is 30d"},
		{"for ever", withoutLimit, Lifetime{ExpiresIn: new("30d")}, Lifetime{NoExpiry: true}, 0, 0, "which is 30d"},
		{"for ever, as it was", withoutLimit, Lifetime{NoExpiry: true}, Lifetime{}, 0, 0, ""},
		{"less than for ever", withoutLimit, Lifetime{NoExpiry: true}, Lifetime{ExpiresIn: new("9d")}, 0, 9 * day, ""},
		{"longer than the rules allow now", func(r *Rules) { r.MaxLifetime = 10 * day }, Lifetime{ExpiresIn: new("10d")}, Lifetime{ExpiresIn: new("11d")}, 0, 0, "at most 10d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set := []func(*Rules){func(*Rules) {}}
			if c.rules != nil {
				set = append(set, c.rules)
			}
			d := newDesk(set...)
			made, secret := d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{grant("1", "a", "*")}, Lifetime: c.lifetime})
			d.now = d.now.Add(c.after)
			got, fresh, err := d.bearer(t, secret).Regenerate(t.Context(), Renewal{Lifetime: c.asked})
			if c.says != "" {
				kind := ErrForbidden
				if errors.Is(err, ErrInvalid) {
					kind = ErrInvalid
				}
				refused(t, err, kind, c.says)
				d.took(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "lifetime", got.Lifetime(), c.want)
			equal(t, "grants", got.Grants, made.Grants)
			if _, err := d.Bearer(t.Context(), secret, here); err == nil {
				t.Error("the old secret still works")
			}
			// And again, from its new life: it never adds up to more.
			d.now = d.now.Add(time.Hour)
			if got, _, err = d.bearer(t, fresh).Regenerate(t.Context(), Renewal{}); err != nil {
				t.Fatal(err)
			}
			equal(t, "lifetime the second time", got.Lifetime(), c.want)
			e := d.events[0]
			equal(t, "actor", Actor{e.ActorKind, e.Actor, e.Address}, Actor{TokenActor, made.ID, "192.0.2.1"})
		})
	}
}

func TestBearerRegeneratesWithOverlap(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	_, first := d.create(t, NewToken{Lifetime: Lifetime{ExpiresIn: new("10d")}})
	d.now = d.now.Add(9 * day)
	_, second, err := d.bearer(t, first).Regenerate(ctx, Renewal{Overlap: new("5d")})
	if err != nil {
		t.Fatal(err)
	}
	old := d.bearer(t, first) // works on
	_, _, err = old.Regenerate(ctx, Renewal{})
	refused(t, err, ErrForbidden, "only the newer one")
	d.now = noon.Add(10 * day) // the overlap was to be longer, but so long the old secret was not to live
	_, err = d.Bearer(ctx, first, here)
	denied(t, "the old secret after its own expiry", err, policy.TokenRevoked)
	refused(t, err, ErrRetired) // which says why
	d.bearer(t, second)
}

// Between showing its secret and asking, a token may have changed.
func TestBearerOvertaken(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, secret := d.create(t, NewToken{})
	b := d.bearer(t, secret)
	if _, err := d.Operator(cli).Revoke(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err := b.Regenerate(ctx, Renewal{})
	denied(t, "regenerating what was revoked meanwhile", err, policy.TokenRevoked)
	if err := b.Revoke(ctx); err != nil {
		t.Errorf("revoking what is revoked: %v", err)
	}
	if _, err := d.Operator(cli).Delete(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = b.Regenerate(ctx, Renewal{})
	refused(t, err, ErrNotFound)
	if err := b.Revoke(ctx); err != nil {
		t.Errorf("revoking what is gone: %v", err)
	}
}

func TestBearerRevokes(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, secret := d.create(t, NewToken{Owner: "alice"})
	if err := d.bearer(t, secret).Revoke(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := d.Bearer(t.Context(), secret, here)
	denied(t, "afterwards", err, policy.TokenRevoked)
	e := d.events[0]
	equal(t, "event", []any{e.Action, e.ActorKind, e.Actor, e.TokenID, e.Owner}, []any{Revoked, TokenActor, made.ID, made.ID, "alice"})
}

func TestReportRetired(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, secret := d.create(t, NewToken{Name: "ci", Owner: "alice"})
	if err := d.ReportRetired(t.Context(), made.ID, here); err != nil {
		t.Fatal(err)
	}
	if err := d.ReportRetired(t.Context(), "gone", here); err != nil {
		t.Errorf("of a token that is gone: %v", err)
	}
	if len(d.events) != 1 {
		t.Fatalf("events %+v, want one", d.events)
	}
	e := d.events[0]
	equal(t, "event", []any{e.Action, e.ActorKind, e.TokenID, e.TokenName, e.Owner, e.Address}, []any{RetiredUsed, TokenActor, made.ID, "ci", "alice", "192.0.2.1"})
	equal(t, "kept", d.store.events[len(d.store.events)-1], e)
	if token.Inspect("pat", secret) != token.WellMade || e.Actor != made.ID {
		t.Errorf("actor %q, want the token's id", e.Actor)
	}
}
