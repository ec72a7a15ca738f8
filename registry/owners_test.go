package registry

import (
	"fmt"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

func TestSetOwner(t *testing.T) {
	t.Parallel()
	full := []token.Grant{token.Full()}
	only := []token.Grant{grant("1", "a", "*")}
	const unchanged = "unchanged"
	start := token.Owner{ID: "alice", Enabled: true, Grants: full}

	for _, c := range []struct {
		name   string
		before *token.Owner // nil: none
		set    OwnerChanges
		want   token.Owner
		detail string // of the event; unchanged: there is none
	}{
		{"new, nothing said", nil, OwnerChanges{}, start, ""},
		{"new, disabled", nil, OwnerChanges{Enabled: new(false)}, token.Owner{ID: "alice", Grants: full}, "enabled false"},
		{"new, limited", nil, OwnerChanges{Grants: &only}, token.Owner{ID: "alice", Enabled: true, Grants: only}, `grants [{"spaces":["1"],"scopes":["a"],"resources":["*"]}]`},

		{"nothing said", &start, OwnerChanges{}, start, unchanged},
		{"what is so already", &start, OwnerChanges{Enabled: new(true), Full: true}, start, unchanged},
		{"disabled", &start, OwnerChanges{Enabled: new(false)}, token.Owner{ID: "alice", Grants: full}, "enabled false"},
		{"an admin", &start, OwnerChanges{Admin: new(true)}, token.Owner{ID: "alice", Enabled: true, Admin: true, Grants: full}, "admin true"},
		{"enabled again, all else stays", &token.Owner{ID: "alice", Admin: true, Grants: only}, OwnerChanges{Enabled: new(true)},
			token.Owner{ID: "alice", Enabled: true, Admin: true, Grants: only}, "enabled true"},
		{"no ceiling", &token.Owner{ID: "alice", Enabled: true, Grants: only}, OwnerChanges{Full: true}, start, "grants " + describe(full)},
		{"may do nothing", &start, OwnerChanges{Grants: &[]token.Grant{}}, token.Owner{ID: "alice", Enabled: true}, "grants none"},

		{"a ceiling of scopes holds in all spaces", &start, OwnerChanges{Grants: &[]token.Grant{grant("-", "a", "-")}},
			token.Owner{ID: "alice", Enabled: true, Grants: []token.Grant{grant("*", "a", "*")}}, "grants " + describe([]token.Grant{grant("*", "a", "*")})},
		{"a ceiling of spaces holds for all scopes", &start, OwnerChanges{Grants: &[]token.Grant{grant("1", "-", "-")}},
			token.Owner{ID: "alice", Enabled: true, Grants: []token.Grant{grant("1", "*", "*")}}, "grants " + describe([]token.Grant{grant("1", "*", "*")})},
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
				if c.detail == unchanged {
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
			if c.detail == unchanged {
				d.took(t)
				return
			}
			equal(t, "detail", d.events[0].Detail, c.detail)
			equal(t, "event's owner", d.events[0].Owner, "alice")
			d.took(t, OwnerSet)
		})
	}
}

func TestSetOwnerRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, id string
		set      OwnerChanges
		says     string
	}{
		{"no id", "", OwnerChanges{}, "empty id"},
		{"a control character", "a\x00", OwnerChanges{}, "control character"},
		{"full and others", "a", OwnerChanges{Full: true, Grants: &[]token.Grant{grant("1", "a", "-")}}, "full"},
		{"no such scope", "a", OwnerChanges{Grants: &[]token.Grant{grant("1", "b", "-")}}, "nearest: a"},
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
	equal(t, "next", next, "o099")
	owners, next, err = d.Owners(ctx, next, 1000)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "page", len(owners), 50)
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
