package registry

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestSetOwner(t *testing.T) {
	t.Parallel()
	full := []token.Grant{token.Full()}
	only := []token.Grant{grant("1", "a", "*")}
	const unchanged = "unchanged"
	start := *token.NewOwner("alice")
	// but returns start with something changed.
	but := func(change func(*token.Owner)) token.Owner {
		o := start.Clone()
		change(o)
		return *o
	}

	disabled := func(o *token.Owner) { o.Enabled = false }
	limited := func(o *token.Owner) { o.Grants = only }
	for _, c := range []struct {
		name    string
		before  *token.Owner // nil: none
		set     OwnerChanges
		want    token.Owner
		summary string // of the event; unchanged: there is none
	}{
		{"new, nothing said", nil, OwnerChanges{}, start, ""},
		{"new, disabled", nil, OwnerChanges{Enabled: new(false)}, but(disabled), "enabled: true → false"},
		{"new, limited", nil, OwnerChanges{Grants: &only}, but(limited), "grants: " + describe(full) + " → " + describe(only)},

		{"nothing said", &start, OwnerChanges{}, start, unchanged},
		{"what is so already", &start, OwnerChanges{Enabled: new(true), Full: true}, start, unchanged},
		{"disabled", &start, OwnerChanges{Enabled: new(false)}, but(disabled), "enabled: true → false"},
		{"an admin", &start, OwnerChanges{Admin: new(true)}, but(func(o *token.Owner) { o.Admin = true }), "admin: false → true"},
		{"may make none", &start, OwnerChanges{MayCreate: new(false)}, but(func(o *token.Owner) { o.MayCreate = false }), "may_create: true → false"},
		{"may have five", &start, OwnerChanges{MaxTokens: new(5)}, but(func(o *token.Owner) { o.MaxTokens = 5 }), "max_tokens: 0 → 5"},
		{"enabled again, all else stays", &token.Owner{ID: "alice", Admin: true, MaxTokens: 7, Grants: only}, OwnerChanges{Enabled: new(true)},
			token.Owner{ID: "alice", Enabled: true, Admin: true, MaxTokens: 7, Grants: only}, "enabled: false → true"},
		{"no ceiling", &token.Owner{ID: "alice", Enabled: true, MayCreate: true, Grants: only}, OwnerChanges{Full: true}, start, "grants: " + describe(only) + " → " + describe(full)},
		{"may do nothing", &start, OwnerChanges{Grants: &[]token.Grant{}}, but(func(o *token.Owner) { o.Grants = nil }), "grants: " + describe(full) + " → none"},

		{"other spaces, the scopes stay", &token.Owner{ID: "alice", Enabled: true, MayCreate: true, Grants: []token.Grant{grant("1", "a", "7")}}, OwnerChanges{Spaces: &[]string{"2"}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("2", "a", "7")} }), "grants: " + describe([]token.Grant{grant("1", "a", "7")}) + " → " + describe([]token.Grant{grant("2", "a", "7")})},
		{"other scopes, the spaces stay", &token.Owner{ID: "alice", Enabled: true, MayCreate: true, Grants: []token.Grant{grant("1", "*", "*")}}, OwnerChanges{Scopes: &[]string{"a"}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("1", "a", "*")} }), "grants: " + describe([]token.Grant{grant("1", "*", "*")}) + " → " + describe([]token.Grant{grant("1", "a", "*")})},
		{"both, in place of several", &token.Owner{ID: "alice", Enabled: true, MayCreate: true, Grants: []token.Grant{grant("1", "a", "*"), grant("2", "a", "7")}}, OwnerChanges{Spaces: &[]string{"3"}, Scopes: &[]string{"a"}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("3", "a", "*")} }),
			"grants: " + describe([]token.Grant{grant("1", "a", "*"), grant("2", "a", "7")}) + " → " + describe([]token.Grant{grant("3", "a", "*")})},
		{"a ceiling of scopes holds in all spaces", &start, OwnerChanges{Grants: &[]token.Grant{grant("-", "a", "-")}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("*", "a", "*")} }), "grants: " + describe(full) + " → " + describe([]token.Grant{grant("*", "a", "*")})},
		{"a ceiling of spaces holds for all scopes", &start, OwnerChanges{Grants: &[]token.Grant{grant("1", "-", "-")}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("1", "*", "*")} }), "grants: " + describe(full) + " → " + describe([]token.Grant{grant("1", "*", "*")})},
		{"a ceiling without scopes, said to be one", &start, OwnerChanges{Grants: &[]token.Grant{grant("1", "", "-")}},
			but(func(o *token.Owner) { o.Grants = []token.Grant{grant("1", "-", "*")} }), "grants: " + describe(full) + " → " + describe([]token.Grant{grant("1", "", "*")})},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(withSpaces, withScopes("a"))
			c.want.CreatedAt, c.want.UpdatedAt = noon, noon
			if c.before != nil {
				b := c.before.Clone()
				b.CreatedAt, b.UpdatedAt = noon.Add(-day), noon.Add(-time.Hour)
				d.store.owners["alice"] = b.Encode(nil)
				c.want.CreatedAt = b.CreatedAt
				if c.summary == unchanged {
					c.want.UpdatedAt = b.UpdatedAt
				}
			}
			got, err := d.SetOwner(t.Context(), cli, "alice", c.set)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "answer", got, &c.want)
			if got, err = d.Owner(t.Context(), "alice"); err != nil {
				t.Fatal(err)
			}
			equal(t, "stored", got, &c.want)
			if c.summary == unchanged {
				d.took(t)
				return
			}
			equal(t, "summary", d.events[0].Summary(), c.summary)
			equal(t, "event's owner", d.events[0].Owner, "alice")
			d.took(t, OwnerSet)
		})
	}
}

func TestSetOwnerRefuses(t *testing.T) {
	t.Parallel()
	var huge []token.Grant // each of them may be kept
	for range 20 {
		g := grant("", "a", "*")
		for i := range token.MaxGrantValues {
			g.Spaces = append(g.Spaces, fmt.Sprintf("%02d%062d", len(huge), i))
		}
		huge = append(huge, g)
	}
	for _, c := range []struct {
		name, id string
		set      OwnerChanges
		says     string
	}{
		{"no id", "", OwnerChanges{}, "empty id"},
		{"a control character", "a\x00", OwnerChanges{}, "control character"},
		{"full and others", "a", OwnerChanges{Full: true, Grants: &[]token.Grant{grant("1", "a", "-")}}, "full"},
		{"grants and a part", "a", OwnerChanges{Grants: &[]token.Grant{grant("1", "a", "-")}, Spaces: &[]string{"1"}}, "neither grants nor full"},
		{"full and a part", "a", OwnerChanges{Full: true, Spaces: &[]string{"1"}}, "neither grants nor full"},
		{"a part that is no such scope", "a", OwnerChanges{Scopes: &[]string{"b"}}, "nearest: a"},
		{"a part that is empty", "a", OwnerChanges{Spaces: &[]string{}}, "spaces: empty"},
		{"no such scope", "a", OwnerChanges{Grants: &[]token.Grant{grant("1", "b", "-")}}, "nearest: a"},
		{"fewer tokens than none", "a", OwnerChanges{MaxTokens: new(-1)}, "max_tokens: -1"},
		{"a ceiling of nothing said", "a", OwnerChanges{Grants: &[]token.Grant{{}}}, `"full":true`},
		{"a ceiling of resources only", "a", OwnerChanges{Grants: &[]token.Grant{grant("1", "a", "*"), grant("-", "-", "7")}}, "number 2: name spaces or scopes"},
		{"more than is kept", "a", OwnerChanges{Grants: &huge}, "at most 1048576 are kept"},
		{"spaces given empty", "a", OwnerChanges{Grants: &[]token.Grant{grant("", "a", "-")}}, "spaces: empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(withScopes("a"))
			_, err := d.SetOwner(t.Context(), cli, c.id, c.set)
			refused(t, err, ErrInvalid, c.says)
			equal(t, "owners stored", len(d.store.owners), 0)
			d.took(t)
		})
	}
}

// A part of a ceiling can't be changed where it isn't clear which.
func TestSetOwnerPartOfSeveral(t *testing.T) {
	t.Parallel()
	d := newDesk(withScopes("a"))
	for _, ceiling := range [][]token.Grant{{}, {grant("1", "a", "*"), grant("2", "a", "7")}} {
		if _, err := d.SetOwner(t.Context(), cli, "a", OwnerChanges{Grants: &ceiling}); err != nil {
			t.Fatal(err)
		}
		for _, part := range []OwnerChanges{{Spaces: &[]string{"1"}}, {Scopes: &[]string{"a"}}} {
			if _, err := d.SetOwner(t.Context(), cli, "a", part); err == nil || !strings.Contains(err.Error(), "give both spaces and scopes") {
				t.Errorf("of %d grants: %v", len(ceiling), err)
			}
		}
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	for i := range 150 {
		if _, err := d.SetOwner(ctx, cli, fmt.Sprintf("o%03d", i), OwnerChanges{}); err != nil {
			t.Fatal(err)
		}
	}
	d.events = nil
	owners, next, err := d.Owners(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "page", len(owners), 100)
	_, _, err = d.Owners(ctx, "o099", 0)
	refused(t, err, ErrInvalid, "cursor")
	owners, next, err = d.Owners(ctx, next, 1000)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "page", len(owners), 50)
	equal(t, "first", owners[0].ID, "o100")
	equal(t, "next", next, "")
	_, _, err = d.Owners(ctx, "", 1001)
	refused(t, err, ErrInvalid, "1 to 1000")

	if err := d.DeleteOwner(ctx, cli, "o007"); err != nil {
		t.Fatal(err)
	}
	equal(t, "event's owner", d.events[0].Owner, "o007")
	d.took(t, OwnerDeleted)
	_, err = d.Owner(ctx, "o007")
	refused(t, err, ErrNotFound, `owner "o007"`)
	refused(t, d.DeleteOwner(ctx, cli, "o007"), ErrNotFound, `owner "o007"`)
	d.took(t)
}
