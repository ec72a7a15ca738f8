package registry

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// desk is a registry on a store in memory, with a clock that is set and the
// events it has reported.
type desk struct {
	*Registry
	store *fakeStore
	now   time.Time

	reporting sync.Mutex
	events    []Event
}

var (
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	cli  = Actor{Name: "cli", Address: "127.0.0.1"}
)

// usualRules are those of a configuration that says nothing.
func usualRules() Rules {
	return Rules{Prefix: "pat", Hasher: token.NewHasher(""), DefaultLifetime: 90 * day, MaxLifetime: 366 * day}
}

func newDesk(rules ...func(*Rules)) *desk {
	d := &desk{store: newFakeStore(), now: noon}
	r := usualRules()
	for _, set := range rules {
		set(&r)
	}
	d.Registry = New(d.store, r, Options{
		Now: func() time.Time { return d.now },
		Audit: func(e Event) {
			d.reporting.Lock()
			defer d.reporting.Unlock()
			d.events = append(d.events, e)
		},
	})
	return d
}

func withSpaces(r *Rules)   { r.Spaces = true }
func withoutLimit(r *Rules) { r.MaxLifetime = 0 }

func withScopes(names ...string) func(*Rules) {
	return func(r *Rules) { r.Scopes = names }
}

// create makes a token, and forgets the event of it.
func (d *desk) create(t *testing.T, n NewToken) (*token.Token, string) {
	t.Helper()
	if n.Name == "" {
		n.Name = "ci"
	}
	made, secret, err := d.Operator(cli).Create(t.Context(), n)
	if err != nil {
		t.Fatalf("Create(%+v): %v", n, err)
	}
	d.events = nil
	return made, secret
}

// took checks that exactly these actions have been recorded and told of since it
// was asked last.
func (d *desk) took(t *testing.T, want ...Action) {
	t.Helper()
	var got []Action
	for _, e := range d.events {
		got = append(got, e.Action)
		if e.Actor != cli.Name || e.Address != cli.Address || !e.Time.Equal(d.now) {
			t.Errorf("event %+v: want actor %+v at %v", e, cli, d.now)
		}
		if !slices.ContainsFunc(d.store.events, func(kept Event) bool { return reflect.DeepEqual(kept, e) }) {
			t.Errorf("event %+v is told, but not kept", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("events: got %v, want %v", got, want)
	}
	d.events = nil
}

// refused checks that err is of the kind and says all of the words.
func refused(t *testing.T, err, kind error, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one of kind %q", err, kind)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got error %q, want it to say %q", err, w)
		}
	}
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func grant(spaces, scopes, resources string) token.Grant {
	return token.Grant{Spaces: list(spaces), Scopes: list(scopes), Resources: list(resources)}
}

// list splits s at blanks; "-" is a list that was not given, "" an empty one.
func list(s string) []string {
	if s == "-" {
		return nil
	}
	return append([]string{}, strings.Fields(s)...)
}

func TestStoreErrorsPassThrough(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, secret := d.create(t, NewToken{Owner: "alice"})
	d.store.fail = func(string) error { return errDown }
	for what, do := range map[string]func() error{
		"Create":       func() error { _, _, err := d.Operator(cli).Create(ctx, NewToken{Name: "x"}); return err },
		"List":         func() error { _, _, err := d.Operator(cli).List(ctx, Query{}); return err },
		"Get":          func() error { _, err := d.get(ctx, made.ID); return err },
		"Update":       func() error { _, err := d.Operator(cli).Update(ctx, made.ID, Changes{Name: new("y")}); return err },
		"AddGrant":     func() error { _, err := d.Operator(cli).AddGrant(ctx, made.ID, token.Full()); return err },
		"Revoke":       func() error { _, err := d.Operator(cli).Revoke(ctx, made.ID); return err },
		"RevokeOwner":  func() error { _, err := d.Operator(cli).RevokeOwner(ctx, "alice"); return err },
		"Regenerate":   func() error { _, _, err := d.Operator(cli).Regenerate(ctx, made.ID, Renewal{}); return err },
		"Delete":       func() error { _, err := d.Operator(cli).Delete(ctx, made.ID); return err },
		"Verify":       func() error { _, err := d.Verify(ctx, secret); return err },
		"Export":       func() error { return d.Export(ctx, new(strings.Builder)) },
		"SetOwner":     func() error { _, err := d.SetOwner(ctx, cli, "alice", OwnerChanges{}); return err },
		"Owner":        func() error { _, err := d.Owner(ctx, "alice"); return err },
		"Owners":       func() error { _, _, err := d.Owners(ctx, "", 0); return err },
		"DeleteOwner":  func() error { return d.DeleteOwner(ctx, cli, "alice") },
		"DeleteTokens": func() error { _, err := d.Operator(cli).DeleteOwnerTokens(ctx, "alice"); return err },
		"Sorted list":  func() error { _, _, err := d.Operator(cli).List(ctx, Query{Sort: SortName}); return err },
		"Events":       func() error { _, _, err := d.Operator(cli).Events(ctx, EventQuery{}); return err },
		"Account":      func() error { _, err := d.Account(ctx, "alice", netip.Addr{}, false); return err },
		"Bearer":       func() error { _, err := d.Bearer(ctx, secret, netip.Addr{}); return err },
		"RevokeLeaked": func() error { return d.RevokeLeaked(ctx, netip.Addr{}, secret) },
		"Retired":      func() error { return d.ReportRetired(ctx, made.ID, netip.Addr{}) },
		"Import": func() error {
			_, err := d.Import(ctx, cli, strings.NewReader(`{"name":"x","secret":"abcdefghijklmnop"}`))
			return err
		},
	} {
		err := do()
		if !errors.Is(err, errDown) || errors.Is(err, ErrInvalid) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
			t.Errorf("%s on a failing store: got %v, want the store's error and no kind of refusal", what, err)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error carries the secret", what)
		}
	}
	d.took(t)
}

func TestEventsCarryNoSecret(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, secret, err := d.Operator(cli).Create(ctx, NewToken{Name: "ci", Owner: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	fresh, second, err := d.Operator(cli).Regenerate(ctx, made.ID, Renewal{Overlap: new("1h")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Import(ctx, cli, strings.NewReader(`{"id":"old","name":"x","owner":"bob","secret":"an-old-system-1234"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Operator(cli).Delete(ctx, made.ID, "old"); err != nil {
		t.Fatal(err)
	}
	for _, e := range d.events {
		text := strings.Join([]string{e.Actor, e.TokenID, e.TokenName, e.Owner, e.Summary()}, "|")
		for _, s := range []string{secret, second, "an-old-system-1234", made.Hint, fresh.Hint} {
			if strings.Contains(text, s) {
				t.Errorf("event %+v carries a secret or a hint", e)
			}
		}
	}
	equal(t, "first event's token", [3]string{d.events[0].TokenID, d.events[0].TokenName, d.events[0].Owner}, [3]string{made.ID, "ci", "alice"})
	d.took(t, Created, Regenerated, Imported, Deleted, Deleted)
}
