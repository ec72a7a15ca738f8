package registry

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patgate/patgate/token"
)

func TestNewGrants(t *testing.T) {
	t.Parallel()
	flat, spaced := func(*Rules) {}, withSpaces
	catalog := withScopes("stories:read", "stories:write", "assets:read")
	full := token.Full()
	g := grant

	for _, c := range []struct {
		name  string
		rules func(*Rules)
		given []token.Grant
		full  bool
		want  []token.Grant
		says  []string // refused with these words
	}{
		{"as given", spaced, []token.Grant{g("1 2", "a b", "7")}, false, []token.Grant{g("1 2", "a b", "7")}, nil},
		{"resources not given: all", spaced, []token.Grant{g("1", "a", "-")}, false, []token.Grant{g("1", "a", "*")}, nil},
		{"spaces not given, no routes in spaces: all", flat, []token.Grant{g("-", "a", "-")}, false, []token.Grant{g("*", "a", "*")}, nil},
		{"spaces not given, routes in spaces", spaced, []token.Grant{g("1", "a", "-"), g("-", "a", "-")}, false, nil, []string{"number 2", "say which spaces", `"*"`}},
		{"spaces given empty", flat, []token.Grant{g("", "a", "-")}, false, nil, []string{"spaces: empty"}},
		{"spaces given empty, routes in spaces", spaced, []token.Grant{g("", "a", "-")}, false, nil, []string{"spaces: empty"}},
		{"resources given empty", flat, []token.Grant{g("1", "a", "")}, false, nil, []string{"resources: empty"}},
		{"scopes not given", flat, []token.Grant{g("1", "-", "-")}, false, []token.Grant{g("1", "-", "*")}, nil},
		{"scopes given empty", flat, []token.Grant{g("1", "", "-")}, false, []token.Grant{g("1", "-", "*")}, nil},
		{"repetitions in a list", flat, []token.Grant{g("1 2 1", "a a", "* *")}, false, []token.Grant{g("1 2", "a", "*")}, nil},
		{"the same grant twice", flat, []token.Grant{g("1", "a", "*"), g("1", "a", "-")}, false, []token.Grant{g("1", "a", "*")}, nil},
		{"values are exact", flat, []token.Grant{{Spaces: []string{" A "}}}, false, []token.Grant{{Spaces: []string{" A "}, Resources: []string{"*"}}}, nil},
		{"an empty value", flat, []token.Grant{{Spaces: []string{""}}}, false, nil, []string{"spaces", "empty name"}},

		{"full", spaced, nil, true, []token.Grant{full}, nil},
		{"full and another", flat, []token.Grant{g("1", "a", "-")}, true, nil, []string{"full"}},
		{"none, no routes in spaces", flat, nil, false, nil, nil},
		{"none, routes in spaces", spaced, nil, false, nil, []string{"--space", "--all-spaces", "--full", "--grant", `"grants"`}},
		{"given none, routes in spaces", spaced, []token.Grant{}, false, nil, []string{"--space"}},

		{"a scope that is none", flat, []token.Grant{g("1", "a|b", "-")}, false, nil, []string{"a|b"}},
		{"a pattern that is none", flat, []token.Grant{g("1", "stor*", "-")}, false, nil, []string{"stor*", "whole part"}},
		{"in the catalog", catalog, []token.Grant{g("1", "stories:read assets:* *:write *", "-")}, false, []token.Grant{g("1", "stories:read assets:* *:write *", "*")}, nil},
		{"not in the catalog", catalog, []token.Grant{g("1", "storys:read", "-")}, false, nil, []string{`"storys:read"`, "nearest: stories:read, "}},
		{"a pattern that matches nothing in the catalog", catalog, []token.Grant{g("1", "story:*", "-")}, false, nil, []string{`"story:*"`, "stories:read"}},
		{"a pattern with too many parts", catalog, []token.Grant{g("1", "stories:*:*", "-")}, false, nil, []string{`"stories:*:*"`}},
		{"full under a catalog", catalog, nil, true, []token.Grant{full}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(c.rules)
			got, _, err := d.Operator(cli).Create(t.Context(), NewToken{Name: "ci", Grants: c.given, Full: c.full})
			if c.says != nil {
				refused(t, err, ErrInvalid, c.says...)
				d.took(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "grants", got.Grants, c.want)
		})
	}
}

func TestAddAndRemoveGrants(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk(withScopes("a", "b", "c"))
	a, b := grant("1", "a", "*"), grant("2", "b", "*")
	made, _ := d.create(t, NewToken{Grants: []token.Grant{a}})

	check := func(what string, got *token.Token, err error, want []token.Grant, actions ...Action) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		equal(t, what, got.Grants, want)
		stored, err := d.get(ctx, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, what+", stored", stored.Grants, want)
		d.took(t, actions...)
	}

	got, err := d.Operator(cli).AddGrant(ctx, made.ID, grant("2", "b b", "-"))
	check("add, completed", got, err, []token.Grant{a, b}, Granted)
	got, err = d.Operator(cli).AddGrant(ctx, made.ID, b)
	check("add one that is held", got, err, []token.Grant{a, b})
	_, err = d.Operator(cli).AddGrant(ctx, made.ID, grant("2", "bb", "-"))
	refused(t, err, ErrInvalid, `"bb"`, "nearest: b")
	_, err = d.Operator(cli).AddGrant(ctx, made.ID, grant("", "b", "-"))
	refused(t, err, ErrInvalid, "spaces: empty")
	_, err = d.Operator(cli).AddGrant(ctx, "nobody", b)
	refused(t, err, ErrNotFound, "nobody")

	for _, n := range []int{0, -1, 3} {
		_, err = d.Operator(cli).RemoveGrant(ctx, made.ID, n, nil)
		refused(t, err, ErrNotFound, "has 2")
	}
	for _, n := range []int{0, 2, 3} {
		_, err = d.Operator(cli).RemoveGrant(ctx, made.ID, n, func(g token.Grant) bool { return token.EqualGrant(g, a) })
		refused(t, err, ErrConflict, "have changed")
	}
	d.took(t)
	got, err = d.Operator(cli).RemoveGrant(ctx, made.ID, 1, func(g token.Grant) bool { return token.EqualGrant(g, a) })
	check("remove the first", got, err, []token.Grant{b}, Ungranted)
	got, err = d.Operator(cli).AddGrant(ctx, made.ID, token.Full())
	check("add the full one", got, err, []token.Grant{b, token.Full()}, Granted)
	got, err = d.Operator(cli).RemoveAllGrants(ctx, made.ID)
	check("remove all", got, err, nil, Ungranted)
	got, err = d.Operator(cli).RemoveAllGrants(ctx, made.ID)
	check("remove all of none", got, err, nil)

	spaced := newDesk(withSpaces)
	made, _ = spaced.create(t, NewToken{Full: true})
	_, err = spaced.Operator(cli).AddGrant(ctx, made.ID, grant("-", "a", "-"))
	refused(t, err, ErrInvalid, "say which spaces")
}

func TestEventsSayWhatWasGranted(t *testing.T) {
	t.Parallel()
	d := newDesk()
	made, _ := d.create(t, NewToken{})
	if _, err := d.Operator(cli).AddGrant(t.Context(), made.ID, grant("1", "a", "*")); err != nil {
		t.Fatal(err)
	}
	const one = `[{"spaces":["1"],"scopes":["a"],"resources":["*"]}]`
	equal(t, "changes", d.events[0].Changes, []FieldChange{{Field: "grants", Before: "none", After: one}})
	equal(t, "summary", d.events[0].Summary(), "grants: none → "+one)
	var many []string
	for i := range 100 {
		many = append(many, strings.Repeat("ü", i+1))
	}
	if _, err := d.Operator(cli).AddGrant(t.Context(), made.ID, token.Grant{Spaces: many}); err != nil {
		t.Fatal(err)
	}
	if s := d.events[1].Changes[0].After; len(s) > maxWords+len("…") || !utf8.ValidString(s) {
		t.Errorf("change to a long grant: %d bytes, want at most %d of valid UTF-8", len(s), maxWords)
	}
}

func TestRecordSizeIsBounded(t *testing.T) {
	t.Parallel()
	var grants []token.Grant
	for i := range 50 {
		g := token.Grant{}
		for j := range 100 {
			g.Spaces = append(g.Spaces, fmt.Sprintf("%0250d", 100*i+j))
		}
		grants = append(grants, g)
	}
	d := newDesk()
	_, _, err := d.Operator(cli).Create(t.Context(), NewToken{Name: "huge", Grants: grants})
	refused(t, err, ErrInvalid, "at most 1048576")
}
