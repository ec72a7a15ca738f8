package registry

import (
	"testing"

	"github.com/patgate/patgate/token"
)

// What was stored by rules that took more can be limited and ended nevertheless.
func TestKeptByOtherRules(t *testing.T) {
	t.Parallel()
	ctx, d := t.Context(), newDesk()
	const odd, control = "ali\u00adce", "owner: contains a character that can't be seen, such as a soft hyphen or a mark of direction"
	made, _ := d.create(t, NewToken{Grants: []token.Grant{grant("1", "a", "*"), grant("2", "a", "*")}})
	made.Name, made.Owner = "ci\u200e", odd
	made.Retired = []token.RetiredSecret{{Digest: plain.Digest(foreignSecret), Until: noon.Add(day)}}
	d.store.put(made)
	o := token.NewOwner("bo\u00adb")
	d.store.owners[o.ID] = o.Encode(nil)

	if err := d.RevokeLeaked(ctx, here, foreignSecret); err != nil {
		t.Errorf("RevokeLeaked: %v", err)
	}
	operator := d.Operator(cli)
	if got, err := operator.RemoveGrant(ctx, made.ID, 2, nil); err != nil || len(got.Grants) != 1 {
		t.Errorf("RemoveGrant: %v, %v", got, err)
	}
	if _, err := operator.RemoveAllGrants(ctx, made.ID); err != nil {
		t.Errorf("RemoveAllGrants: %v", err)
	}
	for _, owner := range []string{odd, o.ID} {
		_, err := d.SetOwner(ctx, cli, owner, OwnerChanges{Enabled: new(false), MaxTokens: new(5)})
		refused(t, err, ErrInvalid, control)
		if got, err := d.SetOwner(ctx, cli, owner, OwnerChanges{Enabled: new(false)}); err != nil || got.Enabled {
			t.Errorf("disabling %q: %v, %v", owner, got, err)
		}
		if got, err := d.SetOwner(ctx, cli, owner, OwnerChanges{Enabled: new(true)}); err != nil || !got.Enabled {
			t.Errorf("enabling %q: %v, %v", owner, got, err)
		}
	}
	d.create(t, NewToken{}) // nobody's
	_, err := d.SetOwner(ctx, cli, "", OwnerChanges{Enabled: new(false)})
	refused(t, err, ErrInvalid, "owner: an empty id")
	_, err = d.SetOwner(ctx, cli, "car\u00adol", OwnerChanges{Enabled: new(false)}) // who has neither a record nor tokens
	refused(t, err, ErrInvalid, control)
}
