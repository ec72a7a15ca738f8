package registry

import (
	"testing"

	"github.com/patgate/patgate/token"
)

// Operators are told of what the gate will refuse.
func TestOperatorsAreWarned(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := newDesk()
	made, _ := d.create(t, NewToken{Owner: "alice", Grants: []token.Grant{grant("1", "a:read", "*")}})
	free, _ := d.create(t, NewToken{Full: true})
	ceiling := []token.Grant{grant("1 2", "a:*", "*")}
	for _, c := range []struct {
		changes OwnerChanges
		want    []string
	}{
		{OwnerChanges{MayCreate: new(false), Grants: &ceiling}, nil},
		{OwnerChanges{Spaces: new(list("2"))}, []string{`grants: number 1: scope a:read in space "1" is more than owner "alice" may do`}},
		{OwnerChanges{Enabled: new(false)}, []string{`owner "alice" is disabled: the token doesn't work`, `grants: number 1: scope a:read in space "1" is more than owner "alice" may do`}},
	} {
		if _, err := d.SetOwner(ctx, cli, "alice", c.changes); err != nil {
			t.Fatal(err)
		}
		equal(t, "warnings", d.Operator(cli).Warnings(ctx, made), c.want)
		equal(t, "warnings of a token without an owner", d.Operator(cli).Warnings(ctx, free), nil)
	}
	words, _ := d.create(t, NewToken{Grants: []token.Grant{grant("1", "never a:read public any", "*")}})
	var nothing []string
	for _, word := range list("never public any") {
		nothing = append(nothing, `scope "`+word+`" opens nothing: in a policy, it is no scope but a word that says what a route asks for`)
	}
	equal(t, "warnings of words", d.Operator(cli).Warnings(ctx, words), nothing)
	several := NewToken{Grants: []token.Grant{{Spaces: append(list("1,2 3 team-*"), "4 5"), Scopes: list("a:read"), Resources: list("7 8,9")}, {Spaces: list("*"), Scopes: list("a:*"), Resources: list("*")}}}
	commas := []string{
		`space "1,2" is one space; to grant several, give each by itself`,
		`space "team-*" is one space; to grant several, give each by itself`,
		`space "4 5" is one space; to grant several, give each by itself`,
		`resource "8,9" is one resource; to grant several, give each by itself`,
	}
	bare, _ := d.create(t, several)
	equal(t, "warnings of commas", d.Operator(cli).Warnings(ctx, bare), commas)
	several.Owner = "bob"
	owned, _ := d.create(t, several)
	d.store.fail = func(string) error { return errDown }
	equal(t, "warnings without a store", d.Operator(cli).Warnings(ctx, made), nil)
	equal(t, "warnings of commas, without a store", d.Operator(cli).Warnings(ctx, owned), commas)
}
